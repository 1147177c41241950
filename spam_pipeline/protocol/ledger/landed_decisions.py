"""Which decision lies in which document of the landing zone. Part of the ledger.

A decision lands before it is recorded, so one without a document was recorded by an earlier release, and one without a row is yet to be taken in.
"""

import sqlalchemy as sa

from spam_pipeline.protocol.ledger.decisions import add_decision, decisions_about, unlanded
from spam_pipeline.protocol.ledger.records import Decision
from spam_pipeline.protocol.ledger.tables import landed_decisions, writing


class LandedDecisions:
    """The documents of the decisions in a ledger's database, each named by the digest of its bytes."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def documents(self) -> set[str]:
        """The documents that the ledger has the decisions of."""
        with self._engine.connect() as connection:
            return set(connection.scalars(sa.select(landed_decisions.c.document)))

    def document_before(self, decision: Decision) -> str | None:
        """The document of the last decision that the environment followed about the partition before this one; None if it has none."""
        with self._engine.connect() as connection:
            known = decisions_about(connection, decision.environment, decision.stage, decision.partition)
            before = [item.id for item in known if item.id < decision.id or not decision.id]
            query = sa.select(landed_decisions.c.document).where(
                landed_decisions.c.decision_id == max(before, default=0)
            )
            return connection.scalar(query)

    def record(self, decision: Decision, last: int | None, document: str) -> Decision:
        """Add a decision that has landed in a document, made in knowledge of the one with the id `last`; None for whichever is the last one.

        Returns it with its own id. Raises `AlreadyDecided` when the environment follows a later one already.
        """
        with writing(self._engine) as connection:
            added = add_decision(connection, decision, last)
            connection.execute(sa.insert(landed_decisions), {"decision_id": added.id, "document": document})
            return added

    def without_document(self) -> list[tuple[Decision, str]]:
        """The decisions that have no document, oldest first, each with the recipe of its version."""
        with self._engine.connect() as connection:
            return unlanded(connection)

    def note(self, decision_id: int, document: str) -> None:
        """Note in which document a recorded decision has landed."""
        with writing(self._engine) as connection:
            connection.execute(sa.insert(landed_decisions), {"decision_id": decision_id, "document": document})
