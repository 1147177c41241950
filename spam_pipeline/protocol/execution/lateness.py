"""Lateness: since when partitions are unready, as the ledger has it, and which are late by now. What both mean is in `planning.deadlines`."""

from datetime import UTC, datetime

from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.ledger.notice_log import Subject
from spam_pipeline.protocol.planning.deadlines import Late, Place, late, unready
from spam_pipeline.protocol.planning.staleness import StalenessReport, watermark

_UNREADY = "unready"


def late_partitions(engine: Engine, report: StalenessReport, now: datetime | None = None) -> list[Late]:
    """The partitions of a report that are late, in the order of stages.

    Starts the clock of what is newly unready, and ends that of what is ready, in the ledger: whoever asks keeps the time for all.
    """
    found = unready(engine.graph, report.statuses, watermark(engine.graph, engine.planner.snapshot()))
    noted = engine.ledger.notices.open(engine.environment)
    since = {
        place: notice.begun_at
        for (kind, about), notice in noted.items()
        for place in [_place(about)]
        if kind == _UNREADY and place[0] in report.statuses
    }
    begun, over = sorted(found.keys() - since.keys()), sorted(since.keys() - found.keys())
    asked_at = now or datetime.now(UTC)
    if begun or over:
        engine.ledger.notices.record(
            engine.environment,
            begun=[(_subject(place), "") for place in begun],
            over=[_subject(place) for place in over],
            at=asked_at,
        )
    return late(engine.graph, found, {**dict.fromkeys(begun, asked_at), **since}, asked_at)


def _subject(place: Place) -> Subject:
    return Subject(_UNREADY, " ".join(place))


def _place(about: str) -> Place:
    stage, _, partition = about.partition(" ")
    return stage, partition
