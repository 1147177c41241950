"""Issuing a month: gathering the facts, landing the document of the versions that are published. May it be? See `royalties.issuing`.

What may be issued is what is published in production when nothing it depends on is stale or held. Nothing is
computed here but the document.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import polars as pl

from spam_pipeline.operations.issued_documents import documents_of, land
from spam_pipeline.partitions import arrival_days, statement_months
from spam_pipeline.protocol import ArtifactContract, Grain, Version, days_before, digest, last_day_of, month_of
from spam_pipeline.protocol.fingerprint import numbers
from spam_pipeline.protocol.operating import (
    PRODUCTION,
    AnyStage,
    Engine,
    LandingZone,
    PartitionStatus,
    PartitionStatuses,
    Reason,
    State,
    require_name,
    watermark,
)
from spam_pipeline.royalties.contracts import SETTLED_AFTER_DAYS
from spam_pipeline.royalties.document import VERSION_TYPES, Document, lines_of
from spam_pipeline.royalties.issuing import Issued, IssuingFacts, NotIssued, require_may_issue
from spam_pipeline.royalties.payments import on_its_own

STATEMENTS, ADJUSTMENTS, PAYMENTS, BASIS, ISSUED, TRACKS = (
    "royalty_statements",
    "royalty_adjustments",
    "royalty_payments",
    "statement_basis",
    "issued_statements",
    "tracks",
)


def issue(engine: Engine, landing: LandingZone, month: str, by: str) -> Issued:
    """Observe the landing zone, issue a month's statement, and land its document.

    Raises `NotIssued` with the reason, `WrongPartition`, and `WrongDecision` when `by` is empty.
    """
    statement_months.check(month)
    who = require_name(by)
    if engine.environment != PRODUCTION:
        raise NotIssued(
            f"{month} can only be issued in {PRODUCTION}, not in {engine.environment}, which others do not read"
        )
    with engine.claims.on(digest(("issue", month)), wait=True):
        engine.observe()
        statuses = engine.planner.statuses()
        require_may_issue(month, _facts(engine, landing, statuses, month))
        document, settled = _document(engine, statuses, month, who)
        path = land(document, landing)
        engine.observe_for(ISSUED, month)
    return _issued(document, path, settled)


def _facts(engine: Engine, landing: LandingZone, statuses: PartitionStatuses, month: str) -> IssuingFacts:
    stated = [key for key, status in statuses[STATEMENTS].items() if _rows(status)]
    return IssuingFacts(
        stated=stated,
        issued=[key for key, status in statuses[ISSUED].items() if _rows(status)],
        documents={key: documents_of(landing, key) for key in {month, *stated} if key <= month},
        landed_until=watermark(engine.graph, engine.planner.snapshot()),
        today=datetime.now(UTC).date().isoformat(),
        unsettled=_unsettled(engine, statuses, month),
        has_pool=_has_pool(engine, statuses[STATEMENTS].get(month)),
    )


def _has_pool(engine: Engine, statement: PartitionStatus | None) -> bool:
    published = statement.published if statement else None
    found = engine.ledger.version(published.recipe) if published else None
    return found is not None and bool(numbers(found[0].fingerprint).get("pools"))


def _unsettled(engine: Engine, statuses: PartitionStatuses, month: str) -> list[str]:
    """The stale, held or missing partitions that a month depends on: with any of them, the statement is known not to be complete.

    A held model does not count: it was refused, and the verdicts are those of the model before it.
    """
    return [
        f"{status.stage} {status.partition} is {status.state.value}"
        + (f" ({status.explanation})" if not status.can_run else "")
        for stage in engine.graph.with_upstreams((STATEMENTS, ADJUSTMENTS, PAYMENTS, BASIS))
        for status in statuses[stage.name].values()
        if status.state is not State.FRESH and not _is_refused_model(stage, status) and _matters(stage, status, month)
    ]


def _is_refused_model(stage: AnyStage, status: PartitionStatus) -> bool:
    """True for a refused model while the one before it is published; of what a month depends on, only models are artifacts."""
    return isinstance(stage.contract, ArtifactContract) and status.state is State.HELD and status.published is not None


def _matters(stage: AnyStage, status: PartitionStatus, month: str) -> bool:
    """True for a partition that can affect the month; one without an event day or month can affect any.

    So can a day of arrival, as long as anything is there: a missing one only while plays of the month were to be expected on it.
    """
    if stage.partitions is arrival_days:
        expected_until = days_before(last_day_of(month), -SETTLED_AFTER_DAYS)
        return status.reason is not Reason.NOT_LANDED or status.partition <= expected_until
    return stage.partitions.grain is Grain.NONE or month_of(status.partition) <= month


def _rows(status: PartitionStatus) -> int:
    """The number of published rows of a partition."""
    return sum(part.rows for part in status.published.parts) if status.published else 0


def _document(engine: Engine, statuses: PartitionStatuses, month: str, by: str) -> tuple[Document, list[str]]:
    """The document, made from exactly the versions that were found published, and the earlier months whose adjustments it settles.

    It also pins the catalogue, which names the tracks in the files of the month.
    """

    def pinned(stage: str, partition: str) -> Version:
        status = statuses[stage][partition]
        found = engine.ledger.version(status.published.recipe) if status.published else None
        if found is None:
            raise NotIssued(f"{stage} {partition} is not published: converge first")
        return found[0]

    is_last = month > max((key for key, status in statuses[ISSUED].items() if _rows(status)), default="")
    settled = [
        key for key, status in sorted(statuses[ADJUSTMENTS].items()) if is_last and key < month and _rows(status)
    ]
    statement, payments = pinned(STATEMENTS, month), pinned(PAYMENTS, month)
    adjusted = [pinned(ADJUSTMENTS, key) for key in settled]
    basis = [pinned(BASIS, key) for key in (*settled, month) if key in statuses[BASIS]]
    catalogue = [pinned(TRACKS, key) for key, status in statuses[TRACKS].items() if status.published]
    rows, paid = engine.reader.rows, engine.reader.rows(payments).collect()
    document = Document(
        month=month,
        issued_by=by,
        issued_at=datetime.now(UTC),
        versions=_versions(statuses, [statement, payments, *adjusted, *basis, *catalogue]),
        lines=lines_of(rows(statement), statement.content, [rows(item) for item in adjusted]),
        payments=paid if is_last else on_its_own(paid),
        basis=pl.concat(rows(item).with_columns(month=pl.lit(item.partition)) for item in basis),
    )
    return document, settled


def _versions(statuses: PartitionStatuses, pinned: Sequence[Version]) -> pl.DataFrame:
    """The pinned versions and their inputs, each once, in order."""
    rows = {(item.stage, item.partition, item.recipe, item.content, item.code_version) for item in pinned}
    for read in (read for version in pinned for read in version.inputs if not read.is_file):
        status = statuses[read.upstream].get(read.partition)
        found = status.published if status else None
        if found is not None and found.version_id == read.record:
            rows.add((read.upstream, read.partition, found.recipe, found.content, found.code_version))
    return pl.DataFrame(sorted(rows), schema=VERSION_TYPES, orient="row")


def _issued(document: Document, path: str, settled: Sequence[str]) -> Issued:
    paid = document.payments.group_by("currency").agg(pl.col("paid_minor").sum()).sort("currency")
    of_statement = (pl.col("stage") == STATEMENTS) & (pl.col("partition") == document.month)
    return Issued(
        month=document.month,
        issued_by=document.issued_by,
        issued_at=document.issued_at,
        document=path,
        statement_recipe=document.versions.filter(of_statement)["recipe"][0],
        payees_paid=document.payments.filter(pl.col("paid_minor") > 0)["payee_id"].n_unique(),
        paid=dict(paid.rows()),
        settled_months=tuple(settled),
    )
