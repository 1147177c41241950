"""The spam model as a file: skops, which loads without running code, normalised so that equal models are equal bytes.

skops names every object by its address in memory and stamps each member with the time. Both are taken out again here:
addresses only tell which objects are shared, and nothing in a model depends on that. skops and scikit-learn are imported
where they are used, because that takes seconds and most commands of the pipeline touch no model.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spam_pipeline.protocol.contract import ArtifactContract
from spam_pipeline.protocol.errors import PipelineError
from spam_pipeline.protocol.limit import Limit
from spam_pipeline.trust_and_safety.model import SpamModel
from spam_pipeline.trust_and_safety.model_signals import NAMES
from spam_pipeline.trust_and_safety.training import SPAM_PRIOR

TRUSTED_TYPES: tuple[str, ...] = ()
"""Types that a model file may name beyond those skops knows to be harmless (plain values, arrays, estimators): none."""

_SCHEMA = "schema.json"
_NO_TIME = (1980, 1, 1, 0, 0, 0)


class UntrustedModel(PipelineError):
    """A file that is no spam model, is damaged, or names types that are not trusted; nothing of it was run."""


def write_model(model: SpamModel, path: Path) -> None:
    """Write `model` into `path`; equal models give equal bytes, in every process."""
    from skops import io as skops_io  # type: ignore[import-untyped]  # noqa: PLC0415 - see the module's docstring

    value = {"signals": list(NAMES), "estimator": model.estimator, "quality": dict(sorted(model.quality.items()))}
    path.write_bytes(_normalised(skops_io.dumps(value)))


def read_model(path: Path) -> SpamModel:
    """Read what `write_model` wrote. Raises `UntrustedModel` for anything else."""
    from skops import io as skops_io  # noqa: PLC0415 - see the module's docstring

    try:
        value = skops_io.load(path, trusted=list(TRUSTED_TYPES))
    except (zipfile.BadZipFile, TypeError, ValueError, LookupError, AttributeError, ImportError, EOFError) as refused:
        raise UntrustedModel(f"{path} is no spam model that can be trusted: {refused}") from refused
    return _checked(value, path)


def quality_of(model: SpamModel) -> Mapping[str, float]:
    """The figures that came out of training, the same for the same examples."""
    return dict(model.quality)


def _checked(value: Any, path: Path) -> SpamModel:
    if not isinstance(value, dict) or value.keys() != {"signals", "estimator", "quality"}:
        raise UntrustedModel(f"{path} is no spam model: expected signals, estimator and quality")
    if value["signals"] != list(NAMES):
        raise UntrustedModel(f"{path} was trained on other signals than {', '.join(NAMES)}; train it again")
    estimator, quality = value["estimator"], value["quality"]
    if not isinstance(quality, dict) or not all(type(figure) is float for figure in quality.values()):
        raise UntrustedModel(f"{path} is no spam model: expected quality to be numbers by name")
    if estimator is not None and not _is_usable(estimator):
        raise UntrustedModel(f"{path} holds {type(estimator).__name__}: expected a LogisticRegression of its signals")
    return SpamModel(estimator, quality)


def _is_usable(estimator: Any) -> bool:
    from sklearn.linear_model import (  # type: ignore[import-untyped]  # noqa: PLC0415 - see the module's docstring
        LogisticRegression,
    )

    return (
        type(estimator) is LogisticRegression
        and _has_numbers(estimator, "coef_", (1, len(NAMES)))
        and _has_numbers(estimator, "intercept_", (1,))
        and np.array_equal(estimator.classes_, [False, True])
    )


def _has_numbers(estimator: Any, attribute: str, shape: tuple[int, ...]) -> bool:
    found = getattr(estimator, attribute, None)
    if not isinstance(found, np.ndarray) or found.dtype != np.float64:
        return False
    return found.shape == shape and bool(np.isfinite(found).all())


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
    """`node` without object ids, its arrays renamed to their positions; their old names are appended to `arrays`."""
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
"""The Brier score of whoever gives every play the prior: p (1 - p)."""

SPAM_MODEL = ArtifactContract(
    suffix=".skops",
    write=write_model,
    read=read_model,
    fingerprint=quality_of,
    limits=(Limit("held_out_brier", at_most=BRIER_OF_KNOWING_NOTHING),),
)
"""The promise of the stage `spam_model`: probabilities that say more than the prior does, wherever that could be measured."""
