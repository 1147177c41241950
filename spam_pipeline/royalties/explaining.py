"""Explaining with what is published: which versions an explanation is read from, and how it is told. See `explanation`."""

from typing import Any, NamedTuple

import polars as pl

from spam_pipeline.partitions import statement_months
from spam_pipeline.protocol.errors import NotPublished
from spam_pipeline.protocol.records import Version
from spam_pipeline.protocol.runner import Runner
from spam_pipeline.royalties.contracts import RoyaltyAdjustments, RoyaltyPayments
from spam_pipeline.royalties.explanation import Evidence, Explanation, explanation
from spam_pipeline.royalties.payments import PAID_FROM, Account, settled_by
from spam_pipeline.royalties.versions_read import STATEMENTS, frame_read, statement_read

ADJUSTMENTS, PAYMENTS = "royalty_adjustments", "royalty_payments"


class Explained(NamedTuple):
    """An explanation, with the versions of statement, adjustments and payments that it was read from."""

    explanation: Explanation
    versions: tuple[Version, ...]

    def as_record(self) -> dict[str, Any]:
        """The same in plain values."""
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


def explain(runner: Runner, payee_id: str, month: str) -> Explained:
    """Explain what a payee is paid for a month, by the versions that the published payments and adjustments were made from.

    Raises `NotPublished` when there is nothing to explain or the two rest on different statements, because one is being
    made anew; `WrongPartition`; and `DoesNotAddUp`.
    """
    statement_months.check(month)
    payments, adjustments = (runner.reader.version(stage, month) for stage in (PAYMENTS, ADJUSTMENTS))
    statement = statement_read(runner, month, adjustments)
    account = Account(*(frame_read(runner, payments, stage) for stage in PAID_FROM))
    issued = frame_read(runner, adjustments, "issued_statements")
    settled = account.adjustments.filter(pl.col("month").is_in(settled_by(month, account)))
    if not issued.head(1).collect().is_empty():
        settled = account.issued_months.filter(pl.col("issued_in") == month, pl.col("month") != month)
    elif statement.id not in {item.record for item in payments.inputs if item.partition == month}:
        raise NotPublished(f"the payments of {month} rest on another statement than is published: converge first")
    evidence = Evidence(
        payments=runner.reader.scan(payments.parts, RoyaltyPayments),
        account=account,
        settled=settled,
        statement=frame_read(runner, adjustments, STATEMENTS),
        issued=issued,
        adjustments=runner.reader.scan(adjustments.parts, RoyaltyAdjustments),
        grounds=frame_read(runner, adjustments, "royalty_grounds"),
        issued_grounds=frame_read(runner, adjustments, "issued_grounds"),
        usage=frame_read(runner, statement, "royalty_usage"),
        rights=frame_read(runner, statement, "rights"),
    )
    return Explained(explanation(payee_id, month, evidence), (payments, adjustments, statement))
