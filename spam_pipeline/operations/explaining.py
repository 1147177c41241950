"""Explaining payments: choosing the versions that an explanation is derived from. The explanation itself is in `royalties.explanation`."""

from typing import Any, NamedTuple

import polars as pl

from spam_pipeline.operations.versions_read import STATEMENTS, frame_read, reads_the_same, statement_read
from spam_pipeline.partitions import statement_months
from spam_pipeline.protocol import NotPublished, Version
from spam_pipeline.protocol.operating import Engine
from spam_pipeline.royalties.contracts import RoyaltyAdjustments, RoyaltyPayments
from spam_pipeline.royalties.explanation import Evidence, Explanation, explanation
from spam_pipeline.royalties.payments import PAID_FROM, Account, settled_by

ADJUSTMENTS, PAYMENTS = "royalty_adjustments", "royalty_payments"


class Explained(NamedTuple):
    """An explanation, with the versions of statement, adjustments and payments that it was derived from."""

    explanation: Explanation
    versions: tuple[Version, ...]

    def as_record(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        versions = [
            {
                "stage": version.stage,
                "partition": version.partition,
                "recipe": version.recipe,
                "content": version.content,
                "code_version": version.code_version,
                "computed_at": version.computed_at.isoformat(timespec="seconds"),
                "inputs": [
                    {"from": item.upstream, "partition": item.partition, "part": item.part, "content": item.content}
                    for item in version.inputs
                ],
            }
            for version in self.versions
        ]
        return {**self.explanation.as_record(), "versions": versions}


def explain(engine: Engine, payee_id: str, month: str) -> Explained:
    """Explain what a payee is paid for a month, from the inputs of the published payments and adjustments.

    Raises `NotPublished` when there is nothing to explain or the two were computed from different statements, because one
    of them is being recomputed; `WrongPartition`; and `DoesNotAddUp`.
    """
    statement_months.check(month)
    payments, adjustments = (engine.reader.version(stage, month) for stage in (PAYMENTS, ADJUSTMENTS))
    statement = statement_read(engine, month, adjustments)
    account = Account(*(frame_read(engine, payments, stage) for stage in PAID_FROM))
    issued = frame_read(engine, adjustments, "issued_statements")
    settled = account.adjustments.filter(pl.col("month").is_in(settled_by(month, account)))
    if not issued.head(1).collect().is_empty():
        settled = account.issued_months.filter(pl.col("issued_in") == month, pl.col("month") != month)
    elif not reads_the_same(engine, payments, adjustments, STATEMENTS, month):
        raise NotPublished(
            f"the payments of {month} were computed from another statement than the adjustments: run spam-pipeline converge"
        )
    evidence = Evidence(
        payments=engine.reader.scan(payments.parts, RoyaltyPayments),
        account=account,
        settled=settled,
        statement=frame_read(engine, adjustments, STATEMENTS),
        issued=issued,
        adjustments=engine.reader.scan(adjustments.parts, RoyaltyAdjustments),
        basis=frame_read(engine, adjustments, "statement_basis"),
        issued_basis=frame_read(engine, adjustments, "issued_basis"),
        usage=frame_read(engine, statement, "royalty_usage"),
        rights=frame_read(engine, statement, "rights"),
    )
    return Explained(explanation(payee_id, month, evidence), (payments, adjustments, statement))
