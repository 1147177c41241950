"""Deliveries: which place was given which version of a stage. Part of the ledger.

What a target holds, it says itself; this is about where it is, for those who share the ledger.
"""

import sqlalchemy as sa

from spam_pipeline.protocol.ledger.rows import now, ticks
from spam_pipeline.protocol.ledger.tables import deliveries, writing


class DeliveryLog:
    """The deliveries in a ledger's database."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def record(self, environment: str, stage: str, place: str, version_id: int) -> None:
        """Note that a version was delivered to a place."""
        row = {
            "environment": environment,
            "stage": stage,
            "place": place,
            "version_id": version_id,
            "delivered_at": ticks(now()),
        }
        with writing(self._engine) as connection:
            connection.execute(sa.insert(deliveries), row)

    def last_places(self, environment: str) -> dict[str, str]:
        """The place to which each stage of an environment was delivered last; absent if it never was."""
        newest = (
            sa.select(sa.func.max(deliveries.c.id))
            .where(deliveries.c.environment == environment)
            .group_by(deliveries.c.stage)
        )
        rows = sa.select(deliveries.c.stage, deliveries.c.place).where(deliveries.c.id.in_(newest))
        with self._engine.connect() as connection:
            return {row.stage: row.place for row in connection.execute(rows)}
