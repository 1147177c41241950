"""The spam model as a file: skops, which loads without running code, normalised so that equal models are equal bytes.

skops names every object by its address in memory and stamps each member with the time. Both are removed here: addresses only
identify shared objects, and nothing in a model depends on that. skops and scikit-learn are imported where they are used,
because that takes seconds and most commands of the pipeline touch no model.
"""

import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

from spam_pipeline.protocol import ArtifactContract, Limit, PipelineError
from spam_pipeline.protocol.fingerprint import Figured, Fingerprint, Recorded
from spam_pipeline.trust_and_safety.champion import findings_against_champion
from spam_pipeline.trust_and_safety.model import SpamModel, is_spam_model
from spam_pipeline.trust_and_safety.signals.catalogue import SIGNALS
from spam_pipeline.trust_and_safety.training import SPAM_PRIOR

TRUSTED_TYPES: tuple[str, ...] = ()
"""Types that a model file may name beyond those skops knows to be harmless (plain values, arrays, estimators): none."""

SIGNALS_ON_THEIR_SCALE = [f"{signal.name} {signal.usual} {signal.spread} {signal.is_log}" for signal in SIGNALS]
"""The signals and scales of training, so that code with other signals refuses the file instead of misreading numbers."""

_TABLES = ("campaigns", "probes")
_PLAIN = (str, int, float, bool, type(None))
_SCHEMA = "schema.json"
_REFUSALS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    RuntimeError,
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    ImportError,
)
"""Errors from reading a damaged file (the first four), or a file with contents that skops does not expect."""

_NO_TIME = (1980, 1, 1, 0, 0, 0)


class UntrustedModel(PipelineError):
    """A file that is no spam model, is damaged, or names untrusted types; none of it was run."""


def write_model(model: SpamModel, path: Path) -> None:
    """Write `model` to `path`; equal models become equal bytes, in every process."""
    from skops import io as skops_io  # type: ignore[import-untyped]  # noqa: PLC0415 - see the module's docstring

    value = {
        "signals": SIGNALS_ON_THEIR_SCALE,
        "estimator": model.estimator,
        "quality": {name: model.quality[name] for name in ("numbers", *_TABLES)},
    }
    path.write_bytes(_normalised(skops_io.dumps(value)))


def read_model(path: Path) -> SpamModel:
    """Read what `write_model` wrote. Raises `UntrustedModel` for anything else."""
    from skops import io as skops_io  # noqa: PLC0415 - see the module's docstring

    content = path.read_bytes()
    try:
        value = skops_io.loads(content, trusted=list(TRUSTED_TYPES))
    except _REFUSALS as refused:
        raise UntrustedModel(f"{path} is no spam model that can be trusted: {refused}") from refused
    return _checked(value, path)


def quality_of(model: SpamModel) -> Fingerprint:
    """Return the measurements of training, the same for the same examples."""
    figures = {name: Figured(figure) for name, figure in model.quality["numbers"].items()}
    return {**figures, **{name: Recorded(tuple(model.quality[name])) for name in _TABLES}}


def _checked(value: Any, path: Path) -> SpamModel:
    if not isinstance(value, dict) or value.keys() != {"signals", "estimator", "quality"}:
        raise UntrustedModel(f"{path} is no spam model: expected signals, estimator and quality")
    if value["signals"] != SIGNALS_ON_THEIR_SCALE:
        raise UntrustedModel(
            f"{path} was trained on other signals, or on another scale of them, than this code has; train it again"
        )
    estimator, quality = value["estimator"], value["quality"]
    if not _is_quality(quality):
        raise UntrustedModel(
            f"{path} is no spam model: expected quality to be numbers by name, and tables of plain values"
        )
    if estimator is not None and not is_spam_model(estimator):
        raise UntrustedModel(f"{path} holds {type(estimator).__name__}: expected an estimator of its signals")
    return SpamModel(estimator, quality)


def _is_quality(quality: Any) -> bool:
    if not isinstance(quality, dict) or quality.keys() != {"numbers", *_TABLES}:
        return False
    numbers, tables = quality["numbers"], [quality[name] for name in _TABLES]
    rows = [row for table in tables for row in (table if isinstance(table, list) else [None])]
    return (
        isinstance(numbers, dict)
        and all(type(figure) is float for figure in numbers.values())
        and all(isinstance(row, dict) and all(type(value) in _PLAIN for value in row.values()) for row in rows)
    )


def _normalised(dumped: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(dumped)) as source, zipfile.ZipFile(buffer, "w") as target:
        arrays: list[str] = []
        schema = _without_addresses(json.loads(source.read(_SCHEMA)), arrays)
        target.writestr(_member(_SCHEMA), json.dumps(schema, sort_keys=False))
        for position, name in enumerate(arrays):
            target.writestr(_member(f"{position}.npy"), source.read(name))
    return buffer.getvalue()


def _without_addresses(node: Any, arrays: list[str]) -> Any:
    """Copy `node` without object ids, its arrays renamed to their positions; their old names are appended to `arrays`."""
    if isinstance(node, list):
        return [_without_addresses(item, arrays) for item in node]
    if not isinstance(node, dict):
        return node
    cleaned = {key: _without_addresses(value, arrays) for key, value in node.items() if key != "__id__"}
    if node.get("type") == "numpy":
        arrays.append(node["file"])
        cleaned["file"] = f"{len(arrays) - 1}.npy"
    return cleaned


def _member(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name, date_time=_NO_TIME)


BRIER_OF_KNOWING_NOTHING = SPAM_PRIOR * (1 - SPAM_PRIOR)
"""The Brier score of a constant prediction of the prior: p (1 - p)."""

SPAM_MODEL = ArtifactContract(
    suffix=".skops",
    write=write_model,
    read=read_model,
    fingerprint=quality_of,
    limits=(Limit("held_out_campaigns_brier", at_most=BRIER_OF_KNOWING_NOTHING),),
    findings=findings_against_champion,
)
"""The contract of `spam_model`: probabilities that beat a constant prediction of the prior, where that could be measured, and are
no worse than those of the published model."""
