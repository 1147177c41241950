"""Moments of the past that people name, and what was published by then."""

from datetime import datetime

from spam_pipeline.protocol import NotPublished
from spam_pipeline.protocol.operating import Engine


def require_published_by(engine: Engine, then: datetime) -> None:
    """Raise `NotPublished` when nothing was published in the engine's environment by then, with the moment since when something is."""
    stages = list(engine.graph.stages)
    if any(engine.ledger.published(engine.environment, stages, then).values()):
        return
    ever = [item.published_at for item in engine.ledger.publications(engine.environment, stages) if item.version_id]
    since = f"the first publication is of {min(ever):%Y-%m-%d %H:%M:%S} UTC" if ever else "spam-pipeline converge"
    raise NotPublished(f"nothing was published in {engine.environment} by {then.isoformat()}: {since}")
