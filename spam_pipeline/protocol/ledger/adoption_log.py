"""Adoptions: versions that no code computed, but that have the content of an earlier one on the evidence of others. Part of the ledger."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from spam_pipeline.protocol.ledger.audits import add_audit
from spam_pipeline.protocol.ledger.fingerprints import add_fingerprint
from spam_pipeline.protocol.ledger.pointers import Place, publish
from spam_pipeline.protocol.ledger.records import Audit, Trigger, Version
from spam_pipeline.protocol.ledger.rows import in_batches, moment, now, ticks
from spam_pipeline.protocol.ledger.shared_values import digest_of_value, keep_values, values_of
from spam_pipeline.protocol.ledger.tables import adoptions, writing
from spam_pipeline.protocol.ledger.versions import add_version, id_of


class Evidence(NamedTuple):
    """A partition that was computed by the code that adopts: the recipes before and after, and the content that both led to."""

    partition: str
    before: str
    after: str
    content: str


@dataclass(frozen=True)
class Adoption:
    """Why a version counts as the result of its recipe: the recipe of the version whose content it has, on which evidence, by whom and when."""

    adopted_from: str
    evidence: tuple[Evidence, ...]
    by: str
    adopted_at: datetime


class AdoptionLog:
    """The adoptions in a ledger's database."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def record(  # noqa: PLR0913 - all of it belongs into one transaction
        self,
        version: Version,
        adopted_from: str,
        audit: Audit,
        environment: str,
        trigger: Trigger,
        *,
        evidence: Sequence[Evidence],
        by: str,
    ) -> bool:
        """Add and publish a version that is adopted from that of another recipe, with its audit, which it passed.

        Return False, and record nothing, where the recipe has a version by now.
        """
        kept = [list(item) for item in evidence]
        with writing(self._engine) as connection:
            if id_of(connection, version.recipe) is not None:
                return False
            version_id = add_version(connection, version)
            add_fingerprint(connection, version_id, audit.contract, version.fingerprint)
            add_audit(connection, version_id, audit)
            keep_values(connection, {digest_of_value(kept): kept})
            row = {
                "version_id": version_id,
                "adopted_from": adopted_from,
                "evidence": digest_of_value(kept),
                "by": by,
                "adopted_at": ticks(now()),
            }
            connection.execute(sa.insert(adoptions), row)
            publish(connection, Place(environment, version.stage, version.partition), version_id, trigger)
            return True

    def of(self, version_ids: Collection[int]) -> dict[int, Adoption]:
        """The adoptions of those of some versions that were adopted, by id."""
        with self._engine.connect() as connection:
            rows = [
                row
                for some in in_batches(version_ids)
                for row in connection.execute(sa.select(adoptions).where(adoptions.c.version_id.in_(some)))
            ]
            evidence = values_of(connection, {row.evidence for row in rows})
        return {
            row.version_id: Adoption(
                row.adopted_from,
                tuple(Evidence(*item) for item in evidence[row.evidence]),
                row.by,
                moment(row.adopted_at),
            )
            for row in rows
        }
