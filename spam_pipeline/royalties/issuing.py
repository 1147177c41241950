"""Issuing: a person declares a month's statement final. What is issued is a fact, and lands like one; see `document`.

What may be issued is what is published in production when nothing that it rests on is stale, and nothing of it is held. Nothing is
computed here but the document, and an issued month is never issued again: what changes about it is in `adjustments`. A month without
a line has nothing to issue, and nobody waits for it.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import polars as pl

from spam_pipeline.currencies import as_amount
from spam_pipeline.partitions import arrival_days, statement_months
from spam_pipeline.protocol.contract import ArtifactContract
from spam_pipeline.protocol.decision import said
from spam_pipeline.protocol.digest import digest
from spam_pipeline.protocol.errors import PipelineError
from spam_pipeline.protocol.fingerprint import numbers
from spam_pipeline.protocol.graph import AnyStage, StageGraph
from spam_pipeline.protocol.landing_zone import LandingZone
from spam_pipeline.protocol.needs import Need, Needs, State
from spam_pipeline.protocol.partition import Grain, days_before, last_day_of, month_of
from spam_pipeline.protocol.records import PRODUCTION, Version
from spam_pipeline.protocol.runner import Runner
from spam_pipeline.protocol.staleness import watermark
from spam_pipeline.royalties.contracts import SETTLED_AFTER_DAYS
from spam_pipeline.royalties.document import VERSION_TYPES, Document, documents_of, land, lines_of
from spam_pipeline.royalties.payments import on_its_own

STATEMENTS, ADJUSTMENTS, PAYMENTS, GROUNDS, ISSUED, TRACKS = (
    "royalty_statements",
    "royalty_adjustments",
    "royalty_payments",
    "royalty_grounds",
    "issued_statements",
    "tracks",
)
_LONGEST_NAME, _MOST_TOLD = 100, 3


class NotIssued(PipelineError):
    """A month that cannot be issued now, or not any more."""


class Issued(NamedTuple):
    """What was issued: where the document lies, the recipe of its statement, and what it pays and settles.

    `paid` is in minor units by currency, `settled_months` are the earlier months whose adjustments it contains.
    """

    month: str
    issued_by: str
    issued_at: datetime
    document: str
    statement_recipe: str
    payees_paid: int
    paid: Mapping[str, int]
    settled_months: tuple[str, ...]


def issue(runner: Runner, landing: LandingZone, month: str, by: str) -> Issued:
    """Look at the landing zone, issue a month's statement, and land its document.

    Raises `NotIssued` with the reason, `WrongPartition`, and `WrongDecision` when it is not said by whom.
    """
    statement_months.check(month)
    who = said(by, "by whom", _LONGEST_NAME)
    if runner.environment != PRODUCTION:
        raise NotIssued(
            f"{month} is issued in {PRODUCTION} only: in {runner.environment} others do not see what you see"
        )
    with runner.claims.on(digest(("issue", month)), wait=True):
        runner.observe()
        needs = runner.needs()
        _require_turn(landing, needs, month)
        _require_over(runner, month)
        _require_settled(runner.graph, needs, month)
        _require_revenue(runner, needs[STATEMENTS][month])
        document, settled = _document(runner, needs, month, who)
        path = land(document, landing)
    return _issued(document, path, settled)


def _require_turn(landing: LandingZone, needs: Needs, month: str) -> None:
    """Months are issued once and in order."""
    documents = documents_of(landing, month)
    if documents or _rows(needs[ISSUED].get(month)):
        lies = f"as {documents[0]}" if documents else "and its document is gone: restore it"
        raise NotIssued(
            f"{month} is issued already, {lies}; what changes about it afterwards is in {ADJUSTMENTS}, and the next month that is "
            "issued settles it"
        )
    with_lines = [key for key, need in needs[STATEMENTS].items() if _rows(need)]
    if month not in with_lines:
        raise NotIssued(f"{month} has no statement that is published: there is nothing to issue")
    for earlier in (key for key in with_lines if key < month):
        if not documents_of(landing, earlier):
            raise NotIssued(f"{earlier} comes first: it has a statement, and is not issued")
        if not _rows(needs[ISSUED].get(earlier)):
            raise NotIssued(f"{earlier} was issued, and what follows from that is not published yet: converge first")


def _require_over(runner: Runner, month: str) -> None:
    """A month is over when its last day is settled."""
    moved_to = watermark(runner.graph, runner.snapshot(()))
    if days_before(moved_to, SETTLED_AFTER_DAYS) < last_day_of(month):
        raise NotIssued(
            f"{month} is not over: what has landed reaches to {moved_to}, and has to reach {SETTLED_AFTER_DAYS} days past its last day"
        )


def _require_revenue(runner: Runner, statement: Need) -> None:
    """Without any pool nothing would be paid, and all money of the month would come as adjustments."""
    found = runner.ledger.version(statement.published.recipe) if statement.published else None
    if found is None or not numbers(found[0].fingerprint)["pools"]:
        raise NotIssued(f"{statement.partition} has no pool: no revenue has landed for it")


def _require_settled(graph: StageGraph, needs: Needs, month: str) -> None:
    """Nothing that the month rests on may be stale or held, or else what is issued is known to be wrong.

    A model that is held keeps nobody waiting: it was refused, and the verdicts are those of the one before.
    """
    open_needs = [
        f"{need.stage} {need.partition} is {need.state.value}"
        for stage in graph.with_upstreams((STATEMENTS, ADJUSTMENTS, PAYMENTS, GROUNDS))
        for need in needs[stage.name].values()
        if need.state is not State.FRESH and not _is_refused_model(stage, need) and _matters(stage, need, month)
    ]
    if open_needs:
        more = f" and {len(open_needs) - _MOST_TOLD} more" if len(open_needs) > _MOST_TOLD else ""
        raise NotIssued(
            f"{month} is not settled: {', '.join(open_needs[:_MOST_TOLD])}{more}; converge, and decide about what is held"
        )


def _is_refused_model(stage: AnyStage, need: Need) -> bool:
    """Whether this is a model that was refused while the one before it is published; of what a month rests on, only models are no tables."""
    return isinstance(stage.contract, ArtifactContract) and need.state is State.HELD and need.published is not None


def _matters(stage: AnyStage, need: Need, month: str) -> bool:
    """Whether a partition that is not fresh stands in the way of a month; one that names no day of events may matter to any."""
    is_dated = stage.partitions.grain is not Grain.NONE and stage.partitions is not arrival_days
    return not is_dated or month_of(need.partition) <= month


def _rows(need: Need | None) -> int:
    """How many rows are published for a need."""
    return sum(part.rows for part in need.published.parts) if need and need.published else 0


def _document(runner: Runner, needs: Needs, month: str, by: str) -> tuple[Document, list[str]]:
    """The document, of the very versions that the needs found published, and the earlier months whose adjustments it settles.

    It also pins the catalogue, by which the files of the month name tracks.
    """

    def pinned(stage: str, partition: str) -> Version:
        need = needs[stage][partition]
        found = runner.ledger.version(need.published.recipe) if need.published else None
        if found is None:
            raise NotIssued(f"{stage} {partition} is not published: converge first")
        return found[0]

    is_last = month > max((key for key, need in needs[ISSUED].items() if _rows(need)), default="")
    settled = [key for key, need in sorted(needs[ADJUSTMENTS].items()) if is_last and key < month and _rows(need)]
    statement, payments = pinned(STATEMENTS, month), pinned(PAYMENTS, month)
    adjusted = [pinned(ADJUSTMENTS, key) for key in settled]
    grounds = [pinned(GROUNDS, key) for key in (*settled, month) if key in needs[GROUNDS]]
    catalogue = [pinned(TRACKS, key) for key, need in needs[TRACKS].items() if need.published]
    rows, paid = runner.reader.rows, runner.reader.rows(payments).collect()
    document = Document(
        month=month,
        issued_by=by,
        issued_at=datetime.now(UTC),
        versions=_versions(needs, [statement, payments, *adjusted, *grounds, *catalogue]),
        lines=lines_of(rows(statement), statement.content, [rows(item) for item in adjusted]),
        payments=paid if is_last else on_its_own(paid),
        grounds=pl.concat(rows(item).with_columns(month=pl.lit(item.partition)) for item in grounds),
    )
    return document, settled


def _versions(needs: Needs, pinned: Sequence[Version]) -> pl.DataFrame:
    """The versions that are pinned, and those that they were made from; each once, in order."""
    rows = {(item.stage, item.partition, item.recipe, item.content, item.code_version) for item in pinned}
    for read in (read for version in pinned for read in version.inputs if not read.is_file):
        need = needs[read.upstream].get(read.partition)
        found = need.published if need else None
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


def told(issued: Issued) -> dict[str, str]:
    """What was issued, in words."""
    amounts = ", ".join(f"{as_amount(minor, currency)} {currency}" for currency, minor in issued.paid.items() if minor)
    return {
        "month": issued.month,
        "by": issued.issued_by,
        "at": issued.issued_at.isoformat(timespec="seconds"),
        "document": issued.document,
        "statement": issued.statement_recipe,
        "paid": f"{amounts or 'nothing'}, to {issued.payees_paid} payees",
        "settles": ", ".join(issued.settled_months) or "no earlier month",
    }
