"""Suspicions as people meet them: those of a day, and everything about one. Reading only: see `deciding` for what follows.

How groups are found and ranked is decided by trust & safety; a decision is a line of `incidents.csv` like any other.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import polars as pl

from spam_pipeline.ingestion.incidents_file import INCIDENTS_PATH, IncidentLine, lines_of_incident
from spam_pipeline.partitions import event_days
from spam_pipeline.protocol import WHOLE, NotPublished, PipelineError
from spam_pipeline.protocol.operating import Engine, LandingZone
from spam_pipeline.trust_and_safety.suspicions_contract import QUEUES

SUSPICIONS, TRACKS = "suspected_incidents", "tracks"
"""The stages that are read."""


class UnknownSuspicion(PipelineError):
    """An id that no suspicion of any published day has."""


class Suspicion(NamedTuple):
    """A row of `SuspectedIncidents` without the keys of devices: a group of plays that may be an attack, as its last day had it."""

    suspicion_id: str
    queue: str
    rank: int
    evidence: float
    families: Sequence[Mapping[str, Any]]
    peers: int
    attack_type: str
    uploader_keys: Sequence[int]
    track_ids: Sequence[str]
    first_day: date
    last_day: date
    devices: int
    plays: int
    plays_of_day: int
    money: Sequence[Mapping[str, Any]]


class SuspicionsOfDay(NamedTuple):
    """The suspicions of a day, in the order of queue and rank."""

    day: str
    suspicions: Sequence[Suspicion]


class Standing(NamedTuple):
    """A suspicion over all the days on which it stood: its last state, its first day, and the keys of every device that was held."""

    latest: Suspicion
    first_day: date
    device_keys: Sequence[int]


class SuspicionDetails(NamedTuple):
    """Everything about a suspicion: titles of its tracks by id, as far as they are known, and its lines in `incidents.csv`."""

    standing: Standing
    titles: Mapping[str, str]
    decided: Sequence[IncidentLine]


def suspicions_of_day(engine: Engine, day: str | None, queue: str | None) -> SuspicionsOfDay:
    """The suspicions of a day, by default of the latest one that is published. Raises `NotPublished`, and `WrongPartition`."""
    days = [event_days.check(day)] if day else published_partitions(engine, SUSPICIONS)[-1:]
    if not days:
        raise NotPublished(f"{SUSPICIONS} is not published in {engine.environment}: spam-pipeline converge")
    found = map(_suspicion, engine.reader.read(SUSPICIONS, days).collect().rows(named=True))
    wanted = [item for item in found if queue in {None, item.queue}]
    return SuspicionsOfDay(days[0], sorted(wanted, key=lambda item: (QUEUES.index(item.queue), item.rank)))


def suspicion_details(engine: Engine, landing: LandingZone, suspicion_id: str) -> SuspicionDetails:
    """Everything about a suspicion. Raises `UnknownSuspicion`, and `WrongIncidentsFile`."""
    decided = lines_of_incident(read_incidents(landing), suspicion_id)
    standing = standing_of(engine, suspicion_id, decided)
    return SuspicionDetails(standing, _titles(engine, standing.latest.track_ids), decided)


def standing_of(engine: Engine, suspicion_id: str, decided: Sequence[IncidentLine]) -> Standing:
    """A suspicion over the days that are published, and over those that were when somebody decided it.

    A decision ends a suspicion, and can be changed all the same. Raises `UnknownSuspicion`.
    """
    moments = [*{then for line in decided if (then := _moment(line.decided_at))}, None]
    rows = _rows(engine, suspicion_id, moments).sort("last_day", maintain_order=True)
    if rows.is_empty():
        raise UnknownSuspicion(
            f"{suspicion_id!r} is the id of no suspicion in {engine.environment}: spam-pipeline suspicions lists them"
        )
    devices = rows["device_keys"].explode().unique().sort().to_list()
    return Standing(_suspicion(rows.row(-1, named=True)), min(rows["first_day"].to_list()), devices)


def read_incidents(landing: LandingZone) -> bytes:
    """The bytes of `incidents.csv`; none while it has not landed."""
    if landing.state(INCIDENTS_PATH) is None:
        return b""
    with landing.open(INCIDENTS_PATH) as file:
        return file.read()


def _rows(engine: Engine, suspicion_id: str, moments: Iterable[datetime | None]) -> pl.DataFrame:
    """The rows of a suspicion on all days that are published, or were at some moments; what is published now comes last."""
    frames: list[pl.LazyFrame] = [
        engine.reader.read(SUSPICIONS, published_partitions(engine, SUSPICIONS, as_of), as_of) for as_of in moments
    ]
    return pl.concat(frames).filter(pl.col("suspicion_id") == suspicion_id).collect()


def published_partitions(engine: Engine, stage: str, as_of: datetime | None = None) -> list[str]:
    """The partitions of a stage that are published, or were at some moment, in order."""
    name = engine.graph.find([stage])[0].name
    return sorted(engine.ledger.published(engine.environment, [name], as_of)[name])


def _titles(engine: Engine, track_ids: Sequence[str]) -> dict[str, str]:
    if not published_partitions(engine, TRACKS):
        return {}
    tracks: pl.LazyFrame = engine.reader.read(TRACKS, [WHOLE])
    return dict(tracks.filter(pl.col("track_id").is_in(list(track_ids))).select("track_id", "title").collect().rows())


def _suspicion(row: Mapping[str, Any]) -> Suspicion:
    return Suspicion(**{name: row[name] for name in Suspicion._fields})


def _moment(text: str) -> datetime | None:
    try:
        then = datetime.fromisoformat(text)
    except ValueError:
        return None
    return then if then.tzinfo else None
