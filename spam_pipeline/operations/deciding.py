"""Deciding a suspicion: a person confirms or clears it, once, with who and why, and the landing zone gets their words.

They land as lines of `incidents.csv`, one for each device of the suspicion's slice: the file says the same when somebody writes
them by hand, and what follows is what follows from any incident.
"""

import io
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from spam_pipeline.ingestion.incidents_file import INCIDENTS_PATH, IncidentLine, lines_of_incident, with_lines
from spam_pipeline.ingestion.pseudonyms import key_as_text
from spam_pipeline.ingestion.reference import LONGEST_INCIDENT_DAYS
from spam_pipeline.operations.suspicions import Standing, read_incidents, standing_of
from spam_pipeline.partitions import event_days
from spam_pipeline.protocol import WHOLE, PipelineError, days_before
from spam_pipeline.protocol.operating import AlreadyDecided, Engine, LandingZone, require_name, require_reason
from spam_pipeline.trust_and_safety.incidents import CLEARED, CONFIRMED

INCIDENTS = "incidents"
"""The stage that reads the decisions."""


class SuspicionAction(StrEnum):
    """What a person may do about a suspicion."""

    CONFIRM = "confirm"
    CLEAR = "clear"

    @property
    def status(self) -> str:
        """The status of the incident that the suspicion becomes."""
        return CONFIRMED if self is SuspicionAction.CONFIRM else CLEARED


class NotDecided(PipelineError):
    """A suspicion that cannot be decided like this: it is narrowed to something that it does not have, or its lines cannot land."""


class Narrowing(NamedTuple):
    """The part of a suspicion that is decided: from and until which day (both included), and which devices, as `key:` and digits.

    None, and no device, narrow nothing.
    """

    first_day: str | None = None
    last_day: str | None = None
    devices: Collection[str] = ()


class DecidedSuspicion(NamedTuple):
    """A decision about a suspicion as it has landed."""

    suspicion: str
    status: str
    attack_type: str
    first_day: str
    last_day: str
    devices: int
    by: str
    reason: str
    decided_at: str
    path: str

    def as_text(self) -> dict[str, str]:
        """Return the values as text for people."""
        return {
            "suspicion": self.suspicion,
            "decision": self.status,
            "attack type": self.attack_type,
            "covers": f"{self.devices:,} devices from {self.first_day} to {self.last_day}",
            "by": self.by,
            "reason": self.reason,
            "landed": self.path,
        }


def decide_suspicion(  # noqa: PLR0913, PLR0917 - where, what about which, and by whom and why
    engine: Engine,
    landing: LandingZone,
    action: SuspicionAction,
    suspicion: str,
    by: str,
    reason: str,
    narrowing: Narrowing,
) -> DecidedSuspicion:
    """Land a decision in the place of an earlier one about the same suspicion, and observe the landing zone.

    Raises `UnknownSuspicion`, `AlreadyDecided` when the file says the same already, `NotDecided`, `WrongIncidentsFile`,
    `WrongPartition` for a day that is none, and `WrongDecision` without a name or a reason.
    """
    who, why = require_name(by), require_reason(reason)
    # Whoever decides about another suspicion meanwhile, or erases a person, has lines in the same file.
    with engine.claims.on_rewriting():
        content = read_incidents(landing)
        before = lines_of_incident(content, suspicion)
        standing = standing_of(engine, suspicion, before)
        window, devices = window_of(standing, narrowing), _devices(standing, narrowing)
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        about = (suspicion, action.status, standing.latest.attack_type, "device")
        starts_at, ends_at = _midnight(window[0]), _midnight(days_before(window[1], -1))
        lines = [IncidentLine(*about, device, starts_at, ends_at, who, now, why) for device in devices]
        _require_new(before, lines)
        _land(landing, with_lines(content, suspicion, lines))
    engine.observe_for(INCIDENTS, WHOLE)
    return DecidedSuspicion(
        *(suspicion, action.status, standing.latest.attack_type, *window, len(devices)),
        *(who, why, now, INCIDENTS_PATH),
    )


def window_of(standing: Standing, narrowing: Narrowing) -> tuple[str, str]:
    """The first and the last day that are decided. Raises `NotDecided` for days that the suspicion does not have, or too many."""
    first, last = standing.first_day.isoformat(), standing.latest.last_day.isoformat()
    from_day = event_days.check(narrowing.first_day or first)
    until_day = event_days.check(narrowing.last_day or last)
    if not first <= from_day <= until_day <= last:
        raise NotDecided(f"{from_day} to {until_day} is no part of the suspicion, which lasts from {first} to {last}")
    if days_before(until_day, LONGEST_INCIDENT_DAYS) >= from_day:
        raise NotDecided(f"{from_day} to {until_day} is more than {LONGEST_INCIDENT_DAYS} days: narrow it")
    return from_day, until_day


def _devices(standing: Standing, narrowing: Narrowing) -> list[str]:
    """The devices that are decided, in order. Raises `NotDecided` for one that the suspicion does not have."""
    held = [key_as_text(key) for key in standing.device_keys]
    named = {device.lower() for device in narrowing.devices}
    if strangers := sorted(named - set(held)):
        raise NotDecided(f"{strangers[0]} is no device of the suspicion, which has {len(held):,}, such as {held[0]}")
    return [device for device in held if not named or device in named]


def _require_new(before: Sequence[IncidentLine], lines: Sequence[IncidentLine]) -> None:
    """Raise `AlreadyDecided` when the lines that are there say the same, whoever wrote them."""
    if before and {line.scope for line in before} == {line.scope for line in lines}:
        first = before[0]
        raise AlreadyDecided(
            f"{first.incident_id}: {first.decided_by} {first.status} it already: {first.note or 'no reason given'}"
        )


def _midnight(day: str) -> str:
    return f"{day}T00:00:00Z"


def _land(landing: LandingZone, content: bytes) -> None:
    """Land the file, whole. Raises `NotDecided` where it is a link, which is not read and is not replaced either."""
    try:
        landing.replace(INCIDENTS_PATH, io.BytesIO(content))
    except FileExistsError as link:
        raise NotDecided(f"{INCIDENTS_PATH} is a link or a folder, which is not read: land it as a file") from link
