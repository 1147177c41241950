"""Declaring a gap: landing a person's statement that nothing was to arrive for an hour or a day, once, with who and why.

The statement is a landed file like any other, so that a rebuild from the landing zone knows of it.
"""

import io
from datetime import UTC, datetime

from spam_pipeline.ingestion.sources import hours_of, landed_plays
from spam_pipeline.ingestion.stated_arrivals import Gap, gap_as_json, gap_path
from spam_pipeline.partitions import arrival_days
from spam_pipeline.protocol import HOURS, PipelineError
from spam_pipeline.protocol.operating import Engine, LandingZone, require_name, require_reason

RECEIVED = "received_plays"
"""The stage that reads the declarations."""


class NotDeclared(PipelineError):
    """A gap that cannot be declared: something has landed there, somebody declared it before, or it is not over yet."""


def declare_gap(engine: Engine, landing: LandingZone, day: str, hour: str | None, by: str, reason: str) -> str:  # noqa: PLR0913, PLR0917 - where, for when, and by whom and why
    """Land the declaration that nothing arrives for a day, or for one hour of it, and return its path.

    Raises `NotDeclared` with the reason, `WrongPartition` for a day that is none, and `WrongDecision` without a name or a reason.
    """
    arrival_days.check(day)
    if hour is not None and hour not in HOURS:
        raise NotDeclared(f"{hour!r} is no hour: expected two digits, 00 to 23")
    who, why = require_name(by), require_reason(reason)
    now = datetime.now(UTC)
    if f"{day} {hour or HOURS[-1]}" >= f"{now:%Y-%m-%d %H}":
        raise NotDeclared(f"{day} {hour or ''}".strip() + " is not over yet: something may still land for it")
    engine.observe_for(RECEIVED, day)
    landed = [
        item.path
        for item in engine.planner.snapshot().files(landed_plays.name, day)
        if hour is None or hour in hours_of(item.path)
    ]
    if landed:
        raise NotDeclared(f"{landed[0]} has landed for it, so that there is no gap")
    received = engine.planner.statuses([RECEIVED])[RECEIVED].get(day)
    if hour is None and received and received.published and any(part.rows for part in received.published.parts):
        raise NotDeclared(f"plays of {day} are published: to take them back, reject {received.published.recipe[:16]}")
    path = gap_path(day, hour)
    try:
        landing.add(path, io.BytesIO(gap_as_json(Gap(who, now, why))))
    except FileExistsError as already:
        raise NotDeclared(f"{path} is there already") from already
    engine.observe_for(RECEIVED, day)
    return path
