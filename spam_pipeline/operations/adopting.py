"""Adopting what is published as the result of refactored code, on behalf of whoever answers for the refactoring."""

from collections.abc import Callable, Collection

from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.protocol.operating import SAMPLE, Adopted, adopt, require_name


def adopt_published(
    pipeline: Pipeline,
    by: str,
    stages: Collection[str] | None = None,
    sample: int = SAMPLE,
    on_stage: Callable[[str], None] = lambda _stage: None,
) -> list[Adopted]:
    """Observe the landing zone, then adopt what is stale by code alone of some stages, or of all; see `adopt`.

    Raises `WrongDecision` for a name that is none, `UnknownStage`, `DevelopmentKeyRefused`, and whatever a stage raises.
    """
    who = require_name(by)
    pipeline.require_key_of_ones_own()
    pipeline.engine.observe()
    return adopt(pipeline.engine, who, stages, sample, on_stage)
