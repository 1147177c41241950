"""A ledger that has no record of a store's files: a wrong URL, or a ledger that was lost. Nobody goes on by accident."""

from spam_pipeline.protocol.operating import Ledger, LedgerLost, Store

LOST = "decisions, what was published when (as_of), and environments; issued months and declared gaps have landed and are kept"
"""What a ledger knows that no landing zone does."""


def require_ledger_of_store(ledger: Ledger, store: Store) -> None:
    """Raise `LedgerLost` when a ledger has no record at all and the store has files."""
    if ledger.is_empty() and not store.is_empty():
        raise LedgerLost(
            f"the ledger {ledger} has no record, but the store {store} has files: if one of the two is not where it was, mend "
            "SPAM_PIPELINE_HOME, SPAM_PIPELINE_LEDGER_URL or SPAM_PIPELINE_STORE_URL; if the ledger is lost, restore it from a "
            f"backup; without one, spam-pipeline converge --from-landing computes everything again, and loses {LOST}"
        )
