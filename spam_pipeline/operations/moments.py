"""Moments of the past that people name, and what was published by then."""

from contextlib import suppress
from datetime import UTC, date, datetime, time

from spam_pipeline.protocol import NotPublished, PipelineError
from spam_pipeline.protocol.operating import Engine


class WrongMoment(PipelineError):
    """A text is neither a date nor a date and time."""


def moment(when: str | datetime | None) -> datetime | None:
    """The point in time that a user gave: a date means its end, a time without offset is UTC. Raises `WrongMoment`."""
    if when is None:
        return None
    named = _read_moment(when) if isinstance(when, str) else when
    return named if named.tzinfo else named.replace(tzinfo=UTC)


def _read_moment(text: str) -> datetime:
    with suppress(ValueError):
        return datetime.combine(date.fromisoformat(text), time.max)
    with suppress(ValueError):
        return datetime.fromisoformat(text)
    raise WrongMoment(f"{text!r} is not a point in time: expected YYYY-MM-DD or an ISO 8601 date and time")


def require_published_by(engine: Engine, then: datetime) -> None:
    """Raise `NotPublished` when nothing was published in the engine's environment by then, with the moment since when something is."""
    stages = list(engine.graph.stages)
    if any(engine.ledger.published(engine.environment, stages, then).values()):
        return
    ever = [item.published_at for item in engine.ledger.publications(engine.environment, stages) if item.version_id]
    since = f"the first publication is of {min(ever):%Y-%m-%d %H:%M:%S} UTC" if ever else "spam-pipeline converge"
    raise NotPublished(f"nothing was published in {engine.environment} by {then.isoformat()}: {since}")
