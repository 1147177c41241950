"""The spam model as a file: JSON, so that reading it runs no code and imports nothing heavy. Equal models are equal bytes.

An additive model is its numbers. Any other classifier is put in as the bytes of skops, which loads without running code; skops and
scikit-learn, which take seconds, are imported for those alone. skops names every object by its address in memory and stamps each
member with the time. Both are removed here: addresses only identify shared objects, and nothing in a model depends on that.
"""

import base64
import io
import json
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from spam_pipeline.protocol import ArtifactContract, Limit, PipelineError
from spam_pipeline.protocol.fingerprint import Figured, Fingerprint, Recorded
from spam_pipeline.trust_and_safety.champion import findings_against_champion
from spam_pipeline.trust_and_safety.estimators import Additive, Estimator, SpamModel
from spam_pipeline.trust_and_safety.model import TRUSTED_TYPES
from spam_pipeline.trust_and_safety.signals.catalogue import NAMES, SIGNALS
from spam_pipeline.trust_and_safety.training import SPAM_PRIOR

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
"""Errors from reading a damaged file (the first four), or a file with contents that nobody expects."""

_NO_TIME = (1980, 1, 1, 0, 0, 0)


class UntrustedModel(PipelineError):
    """A file that is no spam model, is damaged, or names untrusted types; none of it was run."""


def write_model(model: SpamModel, path: Path) -> None:
    """Write `model` to `path`; equal models become equal bytes, in every process."""
    value = {
        "signals": SIGNALS_ON_THEIR_SCALE,
        "estimator": _as_json(model.estimator),
        "quality": {name: model.quality[name] for name in ("numbers", *_TABLES)},
    }
    path.write_text(json.dumps(value, allow_nan=False), encoding="utf-8")


def read_model(path: Path) -> SpamModel:
    """Read what `write_model` wrote. Raises `UntrustedModel` for anything else."""
    content = path.read_bytes()
    try:
        return _checked(json.loads(content), path)
    except _REFUSALS as refused:
        raise UntrustedModel(f"{path} is no spam model that can be trusted: {refused}") from refused


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
    if not _is_quality(value["quality"]):
        raise UntrustedModel(
            f"{path} is no spam model: expected quality to be numbers by name, and tables of plain values"
        )
    estimator = _from_json(value["estimator"])
    if estimator is not None and not is_estimator(estimator):
        raise UntrustedModel(
            f"{path} is no spam model: expected an estimator of its signals, got {type(estimator).__name__}"
        )
    return SpamModel(estimator, value["quality"])


def _is_quality(quality: Any) -> bool:
    if not isinstance(quality, dict) or quality.keys() != {"numbers", *_TABLES}:
        return False
    numbers, tables = quality["numbers"], [quality[name] for name in _TABLES]
    rows = [row for table in tables for row in (table if isinstance(table, list) else [None])]
    return (
        isinstance(numbers, dict)
        and all(map(_is_number, numbers.values()))
        and all(isinstance(row, dict) and all(type(value) in _PLAIN for value in row.values()) for row in rows)
    )


def _is_number(value: Any) -> bool:
    return type(value) is float and math.isfinite(value)


def is_estimator(estimator: Estimator) -> bool:
    """Return true for an additive model of `NAMES` with finite numbers, or a classifier that is fitted to as many columns."""
    if isinstance(estimator, Additive):
        numbers = (estimator.intercept, *estimator.coefficients)
        return len(numbers) == 1 + len(NAMES) and all(map(_is_number, numbers))
    has_classes = np.array_equal(getattr(estimator, "classes_", []), [False, True])
    if not has_classes or getattr(estimator, "n_features_in_", 0) != len(NAMES):
        return False
    return bool(np.isfinite(estimator.predict_proba(np.zeros((1, len(NAMES))))).all())


def _as_json(estimator: Estimator | None) -> Any:
    if estimator is None:
        return None
    if isinstance(estimator, Additive):
        return {"intercept": estimator.intercept, "coefficients": dict(zip(NAMES, estimator.coefficients, strict=True))}
    from skops import io as skops_io  # type: ignore[import-untyped]  # noqa: PLC0415 - see the module's docstring

    return base64.b64encode(_normalised(skops_io.dumps(estimator))).decode()


def _from_json(value: Any) -> Estimator | None:
    if value is None:
        return None
    if isinstance(value, dict):
        return Additive(value["intercept"], tuple(value["coefficients"][name] for name in NAMES))
    from skops import io as skops_io  # noqa: PLC0415 - see the module's docstring

    return skops_io.loads(base64.b64decode(value, validate=True), trusted=list(TRUSTED_TYPES))


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
    suffix=".json",
    write=write_model,
    read=read_model,
    fingerprint=quality_of,
    limits=(Limit("held_out_campaigns_brier", at_most=BRIER_OF_KNOWING_NOTHING),),
    findings=findings_against_champion,
)
"""The contract of `spam_model`: probabilities that beat a constant prediction of the prior, where that could be measured, and are
no worse than those of the published model."""
