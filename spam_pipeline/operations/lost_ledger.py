"""A ledger that has no record of a store's files: a wrong URL, or a ledger that was lost. Nobody goes on by accident.

A ledger that was lost is filled from the journal beside the store, and its decisions also lie in the landing zone.
"""

import logging

from spam_pipeline.protocol.operating import Engine, Ledger, LedgerLost, Store

LOST = "which tries failed, and who was notified of what"
"""What a ledger knows that neither its journal nor the landing zone has."""

LOST_WITHOUT_JOURNAL = "what was published when (as_of), and environments"
"""What is lost too where a release before 0.12 filled the store, or where the journal is gone."""

_logger = logging.getLogger(__name__)


def require_ledger_of_store(ledger: Ledger, store: Store) -> None:
    """Raise `LedgerLost` when a ledger has no record at all and the store has files."""
    if ledger.is_empty() and not store.is_empty():
        raise LedgerLost(
            f"the ledger {ledger} has no record, but the store {store} has files: if one of the two is not where it was, mend "
            "SPAM_PIPELINE_HOME, SPAM_PIPELINE_LEDGER_URL or SPAM_PIPELINE_STORE_URL; if the ledger is lost, restore it from a "
            "backup; without one, spam-pipeline converge --from-landing fills it from its journal beside the store and from the "
            f"landing zone, and loses {LOST}; without a journal it computes everything again, and also loses {LOST_WITHOUT_JOURNAL}"
        )


def fill_from_journal(engine: Engine) -> None:
    """Fill a ledger that has no record at all from its journal, and log what that came to."""
    if not engine.ledger.is_empty():
        return
    taken = engine.journal.take_in()
    if taken.documents:
        _logger.warning(
            "the ledger is filled from its journal beside the store: %d versions and %d publications; it does not have %s",
            *(taken.versions, taken.publications, LOST),
        )
    else:
        _logger.warning(
            "there is no journal beside the store: the ledger is filled from the landing zone, which does not have %s, nor %s",
            *(LOST_WITHOUT_JOURNAL, LOST),
        )
