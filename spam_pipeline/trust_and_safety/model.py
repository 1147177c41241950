"""The spam model: from the signals of a play to the probability that it is spam, and the signals that speak for it.

A model is either learned from labelled examples (see `training`) or the heuristic stated here. Nothing here reads plays.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from spam_pipeline.trust_and_safety.model_signals import NAMES, SIGNALS, Matrix

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]  # scikit-learn ships no types

HEURISTIC_FLOOR, HEURISTIC_CEILING = 0.15, 0.85
"""The heuristic is never surer than this either way, because no label confirms it."""

MAX_REASONS = 3

_STEEPNESS = 10.0
_EVEN_SUM = 0.5


@dataclass(frozen=True)
class Rule:
    """One sign of spam: nothing at `begins`, `weight` at `ends` and beyond, growing in between."""

    signal: str
    begins: float
    ends: float
    weight: float


HEURISTIC_RULES = (
    Rule("actor_short_share", 0.3, 0.8, 0.40),
    Rule("actor_plays", 400, 1500, 0.15),
    Rule("actor_gap_variation", 0.25, 0.08, 0.05),
    Rule("actor_countries", 2, 6, 0.15),
    Rule("actor_networks", 8, 30, 0.10),
    Rule("network_plays_per_actor", 100, 400, 0.35),
    Rule("network_actors_per_user_agent", 40, 200, 0.25),
    Rule("network_short_share", 0.3, 0.8, 0.15),
    Rule("track_short_share", 0.3, 0.8, 0.30),
    Rule("track_plays_per_actor", 5, 25, 0.10),
)
"""Signs that add up. Under a sum of 0.24 a play stays legitimate, from 0.76 on it is spam, between it is unknown.

Playing around the clock is no sign at all, and a loop (regular gaps, many plays of a track by one actor) adds up to 0.15:
both are things that people do. Nor is a spike: releases spike.
"""


@dataclass(frozen=True)
class SpamModel:
    """What is known about spam: a logistic regression over `SIGNALS`, or with no estimator the heuristic.

    `quality` holds the figures that go with it (see `training.train`). Scoring is done by functions and not by methods,
    because a stage's code version follows names: who scores is stale when the heuristic changes.
    """

    estimator: "LogisticRegression | None" = None
    quality: Mapping[str, float] = field(default_factory=dict)


def spam_probability(model: SpamModel, matrix: Matrix) -> Matrix:
    """The spam probability of each row of `matrix`, whose columns are `SIGNALS`."""
    if model.estimator is not None:
        learned: Matrix = model.estimator.predict_proba(matrix)[:, 1]
        return learned
    evidence = contributions(model, matrix).sum(axis=1) - _STEEPNESS * _EVEN_SUM
    stated: Matrix = HEURISTIC_FLOOR + (HEURISTIC_CEILING - HEURISTIC_FLOOR) / (1 + np.exp(-evidence))
    return stated


def contributions(model: SpamModel, matrix: Matrix) -> Matrix:
    """How much each signal of each row adds to the evidence (in log-odds), against a usual value of that signal.

    Both kinds of model are additive, so that every verdict can be taken apart.
    """
    if model.estimator is not None:
        learned: Matrix = matrix * model.estimator.coef_[0]
        return learned
    return _rule_scores(matrix)


def strongest_signals(model: SpamModel, matrix: Matrix) -> npt.NDArray[np.intp]:
    """Per row the positions in `NAMES` of up to three signals that speak most for spam, strongest first; -1 fills up."""
    added = contributions(model, matrix).round(6)
    order = np.argsort(-added, axis=1, kind="stable")[:, :MAX_REASONS]
    return np.where(np.take_along_axis(added, order, axis=1) > 0, order, -1)


def _rule_scores(matrix: Matrix) -> Matrix:
    scores = np.zeros_like(matrix)
    for rule in HEURISTIC_RULES:
        column = NAMES.index(rule.signal)
        begins, ends = SIGNALS[column].standardised([rule.begins, rule.ends])
        scores[:, column] = _STEEPNESS * rule.weight * np.clip((matrix[:, column] - begins) / (ends - begins), 0, 1)
    return scores
