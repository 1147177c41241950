"""Pruning the pipeline's store and ledger by the retention that the settings state, but for what issued documents pin."""

import re
from collections.abc import Iterator
from datetime import timedelta

from spam_pipeline.operations.issued_documents import landed_document
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.protocol.operating import (
    EVERY_STAGE,
    GRACE,
    LandingZone,
    OnProgress,
    Pruning,
    RetentionByStage,
    did_you_mean,
    no_progress,
    prune,
)
from spam_pipeline.royalties.document import ISSUED_FOLDER, classify, versions_in
from spam_pipeline.settings import PREFIX, WrongSetting

_GRACE = re.compile(r"([0-9]{1,5})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def read_grace(text: str) -> timedelta:
    """Read a length of time such as `1h` or `90m`. Raises `ValueError`, saying what is expected.

    >>> read_grace("90m")
    datetime.timedelta(seconds=5400)
    """
    found = _GRACE.fullmatch(text)
    if found is None:
        raise ValueError(f"expected a number and s, m, h or d, such as 1h; got {text!r}")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def prune_pipeline(
    pipeline: Pipeline, *, grace: timedelta = GRACE, is_dry: bool = True, on_progress: OnProgress = no_progress
) -> Pruning:
    """Prune what the retention in the settings does not keep; in a dry run, say what that would be and change nothing.

    Raises `WrongSetting` for a policy of a stage that does not exist, and `WrongDocument` for an issued one that cannot be read: what it
    pins is not known then.
    """
    policies = pipeline.settings.retention
    _require_known_stages(pipeline, policies)
    pinned = set(_pinned(pipeline.landing_zone))
    return prune(pipeline.engine, policies, pinned=pinned, grace=grace, is_dry=is_dry, on_progress=on_progress)


def facts_of(pruning: Pruning) -> dict[str, str]:
    """What pruning did, as texts by name."""
    return {
        "versions pruned": f"{pruning.versions:,}",
        "MB of them": megabytes(pruning.bytes),
        "files deleted": f"{pruning.deleted.number:,}",
        "MB deleted": megabytes(pruning.deleted.bytes),
        "files waiting": f"{pruning.waiting.number:,}",
        "MB waiting": megabytes(pruning.waiting.bytes),
    }


def megabytes(size: int) -> str:
    """A number of bytes, in megabytes.

    >>> megabytes(1_234_567)
    '1.2'
    """
    return f"{size / 1_000_000:,.1f}"


def _require_known_stages(pipeline: Pipeline, policies: RetentionByStage) -> None:
    for name in policies.keys() - {EVERY_STAGE, *pipeline.graph.stages}:
        raise WrongSetting(f"{PREFIX}RETENTION: no stage is named {name}{did_you_mean(name, pipeline.graph.stages)}")


def _pinned(landing: LandingZone) -> Iterator[str]:
    """The recipes of the versions that issued documents pin."""
    for state in landing.files(ISSUED_FOLDER):
        found = classify(state.path)
        if found is not None:
            yield from versions_in(landed_document(landing, found[1], state.path))["recipe"]
