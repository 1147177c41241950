"""Reasons of a verdict: the signals that raised a play's probability, their values and usual values; and the attack type.

Computed only for plays that are not legitimate: nobody asks why an ordinary play is ordinary.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from spam_pipeline.protocol import column_types
from spam_pipeline.trust_and_safety.attack_types import ATTACK_TYPES, NAMED_FROM, SIGNATURES
from spam_pipeline.trust_and_safety.contracts import POLICY, ClassifiedPlays
from spam_pipeline.trust_and_safety.estimators import ROWS_AT_ONCE, SpamModel, evidence
from spam_pipeline.trust_and_safety.scoring import PlaysWithEntities, fits_of
from spam_pipeline.trust_and_safety.signals.catalogue import NAMES, SIGNALS, Matrix

MAX_REASONS: Final = 3

Positions = npt.NDArray[np.intp]

_REASONS: Final = column_types(ClassifiedPlays)["reasons"]
_USUAL: Final = np.array([signal.usual for signal in SIGNALS])
_SIGNALS_OF_TYPE: Final = np.array(
    [[NAMES.index(condition.signal) for condition in conditions[:2]] for conditions in SIGNATURES.values()]
)


def explained(model: SpamModel, scored: PlaysWithEntities, which: Positions) -> pl.DataFrame:
    """Compute `reasons` and `attack_type` of the plays at these positions, in their order, with their `row`."""
    chunks = [which[start : start + ROWS_AT_ONCE] for start in range(0, len(which), ROWS_AT_ONCE)]
    types = {"row": pl.UInt32(), "reasons": _REASONS, "attack_type": pl.String()}
    found = [_explained(model, scored, chunk) for chunk in chunks]
    return pl.concat([pl.DataFrame(schema=types), *found])


def only_reason(name: str) -> pl.Expr:
    """A list with one reason that is not a signal."""
    return pl.concat_list(_no_signal(name)).cast(_REASONS)


def _no_signal(name: str) -> pl.Expr:
    return pl.struct(signal=pl.lit(name), value=pl.lit(None, pl.Float64), usual=pl.lit(None, pl.Float64))


def _explained(model: SpamModel, scored: PlaysWithEntities, which: Positions) -> pl.DataFrame:
    fit = fits_of(scored, which)
    best = fit.argmax(axis=1)
    is_named = fit[np.arange(len(which)), best] >= NAMED_FROM
    return pl.DataFrame(
        {
            "row": pl.Series(which, dtype=pl.UInt32),
            "reasons": _reasons(
                _strongest(model, scored, which, best), scored.values(which), is_policy=model.estimator is None
            ),
            "attack_type": pl.Series(np.where(is_named, best, -1)).replace_strict(
                dict(enumerate(ATTACK_TYPES)), default=None, return_dtype=pl.String
            ),
        }
    )


def _strongest(model: SpamModel, scored: PlaysWithEntities, which: Positions, best: Positions) -> Positions:
    """Find the positions in `NAMES` of each play's strongest signals for spam, strongest first, padded with -1."""
    if model.estimator is None:
        return _SIGNALS_OF_TYPE[best]
    added = evidence(model.estimator, scored.matrix(which)).round(6)
    order = np.argsort(-added, axis=1, kind="stable")[:, :MAX_REASONS]
    return np.where(np.take_along_axis(added, order, axis=1) > 0, order, -1)


def _reasons(positions: Positions, values: Matrix, *, is_policy: bool) -> pl.Series:
    """Build one list per play: the signals at these positions, each with its value and the usual value."""
    reasons = [_reason(positions[:, place], values) for place in range(positions.shape[1])]
    named = pl.DataFrame({str(place): reason for place, reason in enumerate(reasons)})
    listed = pl.concat_list([*map(pl.col, named.columns), *([_no_signal(POLICY)] if is_policy else [])])
    return named.select(listed.list.drop_nulls().cast(_REASONS)).to_series()


def _reason(position: Positions, values: Matrix) -> pl.Series:
    seen = np.take_along_axis(values, position[:, np.newaxis], axis=1)[:, 0]
    frame = pl.DataFrame({"position": position, "value": seen, "usual": _USUAL[position]})
    signal = pl.col("position").replace_strict(dict(enumerate(NAMES)), default=None, return_dtype=pl.String)
    reason = pl.struct(signal=signal, value=pl.col("value").fill_nan(None).round(4), usual="usual")
    return frame.select(pl.when(pl.col("position") >= 0).then(reason)).to_series()
