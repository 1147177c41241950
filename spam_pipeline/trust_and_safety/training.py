"""Training a spam model on labelled examples, and measuring it on held-out days and campaigns.

The estimator is fitted in `model`, which can be replaced; the choice of examples and measurements here is for any model. Examples
are never split by random rows: plays of one campaign, or of one day, are nearly copies, and the figures would flatter.
"""

from typing import Any, Final

import numpy as np
import polars as pl
import polars_hash as plh
import scipy  # type: ignore[import-untyped]  # it ships no types, and loads scipy.special when that is used

from spam_pipeline.protocol import column_types
from spam_pipeline.trust_and_safety.attack_types import fits
from spam_pipeline.trust_and_safety.contracts import ROYALTY_TOLERANCE
from spam_pipeline.trust_and_safety.estimators import Estimator, SpamModel, log_odds
from spam_pipeline.trust_and_safety.evaluation_contract import CAMPAIGNS, TIME, HeldOutExamples
from spam_pipeline.trust_and_safety.model import fitted
from spam_pipeline.trust_and_safety.quality import DIGITS, Labels, at_prevalence, figures
from spam_pipeline.trust_and_safety.scoring import matrix_of_examples, stated_probability
from spam_pipeline.trust_and_safety.signals.catalogue import Matrix

MIN_EXAMPLES: Final = 30
"""With fewer confirmed or fewer legitimate examples nothing is learned, and the policy stands."""

SPAM_PRIOR: Final = 0.03
"""The prior share of spam: platforms report 0.5 to 8 %. Examples are weighted to it."""

WEAK_WEIGHT: Final = 0.25
"""The weight of an example of the policy, where one of the experts has 1."""

DOUBTFUL: Final = 2 * SPAM_PRIOR
CLEANINGS: Final = 2
"""Rounds of refitting without doubtful examples. More begin to remove ordinary plays as well."""

FOLDS: Final = 5
"""The number of folds, by campaign, or by day for examples without a campaign."""

MIN_DAYS_TO_HOLD_OUT: Final = 4
"""With fewer labelled days none is held out to measure later days."""

PROBES: Final = 300
"""The number of examples whose probability is kept with the model, to compare the next model play by play."""

MOST_CAMPAIGNS: Final = 100
"""The number of campaigns whose figures are kept with the model, those with the latest examples."""


def held_out(examples: pl.LazyFrame) -> pl.LazyFrame:
    """Score `examples` (as `LabelledExamples`, in any order) by fits that have not seen them, as `HeldOutExamples`.

    While too little is labelled to learn from, those of experts are scored by the policy, which has seen none.
    """
    known = _in_order(examples)
    is_policy = not _is_enough(known)
    splits = (
        {CAMPAIGNS: _by_policy(known)}
        if is_policy
        else {CAMPAIGNS: held_out_by_campaign(known), TIME: held_out_by_time(known)}
    )
    columns = column_types(HeldOutExamples)
    rows = [scored.with_columns(split=pl.lit(split), is_policy=is_policy) for split, scored in splits.items()]
    return pl.concat(of_split.select(*columns) for of_split in rows).lazy()


def train(examples: pl.LazyFrame, held_out: pl.LazyFrame) -> SpamModel:
    """Train the model on `examples` (as `LabelledExamples`, in any order), and measure it by what `held_out` says of them.

    Its quality has `numbers`: `examples`, `spam_examples` and `incidents`; `is_policy`, 1 when too little is labelled; and, where
    enough is labelled, the figures of `quality.figures` as `held_out_campaigns_*` and `held_out_time_*`. It has `campaigns`, a
    row of figures for each held-out campaign, and `probes`, examples with their probability.
    """
    known, scored = _in_order(examples), held_out.collect()
    experts = known.filter(~pl.col("is_weak"))
    numbers = {
        "examples": float(known.height),
        "spam_examples": float(experts.get_column("is_spam").sum()),
        "incidents": float(experts.get_column("incident_id").n_unique()),
    }
    if not _is_enough(known):
        return SpamModel(None, {"numbers": {"is_policy": 1.0, **numbers}, "campaigns": [], "probes": []})
    estimator = learned(known)
    by_campaign, by_time = (scored.filter(pl.col("split") == split) for split in (CAMPAIGNS, TIME))
    numbers |= {"is_policy": 0.0, **_measured("held_out_campaigns", by_campaign), **_measured("held_out_time", by_time)}
    quality = {"numbers": numbers, "campaigns": _campaigns(by_campaign), "probes": _probes(estimator, known)}
    return SpamModel(estimator, quality)


def learned(examples: pl.DataFrame) -> Estimator:
    """Fit the estimator of `model.fitted` to these examples.

    Weak examples that the policy calls legitimate and a fit gives a probability of at least `DOUBTFUL` are unknown, not
    legitimate: they are removed and it is fitted again, in `CLEANINGS` rounds. Otherwise an attack that nobody has labelled or
    foreseen would be learned as normal listening.

    It runs in one thread, so that sums have the same order on every machine; more threads are slower on a busy one.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # noqa: PLC0415 - it comes with scikit-learn

    matrix, is_spam, weight = matrix_of_examples(examples), _labels(examples), raw_weights(examples)
    is_unsure = examples.get_column("is_weak").to_numpy() & ~is_spam
    with threadpool_limits(limits=1):
        estimator = _fitted(matrix, is_spam, weight)
        for _ in range(CLEANINGS):
            is_kept = ~(is_unsure & (scipy.special.expit(log_odds(estimator, matrix)) >= DOUBTFUL))
            estimator = _fitted(matrix[is_kept], is_spam[is_kept], weight[is_kept])
    return estimator


def probability_of(estimator: Estimator, examples: pl.DataFrame) -> Matrix:
    """Return the spam probability of each example."""
    probability: Matrix = scipy.special.expit(log_odds(estimator, matrix_of_examples(examples)))
    return probability


def held_out_by_campaign(examples: pl.DataFrame) -> pl.DataFrame:
    """Score examples by a fit that has seen neither their campaign nor, if they have none, their day.

    Weak examples of spam are left out, because nobody confirmed them; so are folds that leave too little to learn from.
    """
    fold = (
        pl.coalesce(plh.col("incident_id").nchash.xxh3_64(), pl.col("event_day").to_physical().cast(pl.UInt64)) % FOLDS
    )
    folded = examples.with_columns(fold=fold)
    parts = [
        (folded.filter(pl.col("fold") != number), folded.filter(pl.col("fold") == number)) for number in range(FOLDS)
    ]
    scored = [_scored(seen, unseen) for seen, unseen in parts]
    return pl.concat(scored).drop("fold")


def held_out_by_time(examples: pl.DataFrame) -> pl.DataFrame:
    """Score the last quarter of the labelled days by a fit on the days before, without campaigns that had begun by then."""
    days = examples.get_column("event_day").unique().sort().to_list()
    if len(days) < MIN_DAYS_TO_HOLD_OUT:
        return _scored(examples.clear(), examples.clear())
    first_held_out = days[-(len(days) // MIN_DAYS_TO_HOLD_OUT)]
    earlier = examples.filter(pl.col("event_day") < first_held_out)
    later = examples.filter(pl.col("event_day") >= first_held_out)
    seen = earlier.get_column("incident_id").drop_nulls().unique().implode()
    return _scored(earlier, later.filter(~pl.col("incident_id").is_in(seen).fill_null(value=False)))


def raw_weights(examples: pl.DataFrame) -> Matrix:
    """Return the weight of each example relative to others of its label."""
    return np.where(examples.get_column("is_weak").to_numpy(), WEAK_WEIGHT, 1.0)


def weights_by_play(examples: pl.DataFrame) -> Matrix:
    """Return the weight of each example's plays relative to others of its label."""
    weights: Matrix = raw_weights(examples) * examples.get_column("plays").to_numpy()
    return weights


def _in_order(examples: pl.LazyFrame) -> pl.DataFrame:
    known = examples.collect()
    return known.sort(known.columns)


def _by_policy(examples: pl.DataFrame) -> pl.DataFrame:
    experts = examples.filter(~pl.col("is_weak"))
    stated = stated_probability(fits(matrix_of_examples(experts)).max(axis=1))
    return experts.with_columns(spam_probability=pl.Series(stated, dtype=pl.Float64))


def _scored(seen: pl.DataFrame, unseen: pl.DataFrame) -> pl.DataFrame:
    known = unseen.filter(~(pl.col("is_weak") & pl.col("is_spam")))
    if not _is_enough(seen):
        return known.clear().with_columns(spam_probability=pl.lit(0.0))
    return known.with_columns(spam_probability=pl.Series(probability_of(learned(seen), known), dtype=pl.Float64))


def _is_enough(examples: pl.DataFrame) -> bool:
    spam = examples.filter(pl.col("is_spam") & ~pl.col("is_weak")).height
    return min(spam, examples.filter(~pl.col("is_spam")).height) >= MIN_EXAMPLES


def _labels(examples: pl.DataFrame) -> Labels:
    return examples.get_column("is_spam").to_numpy()


def _fitted(matrix: Matrix, is_spam: Labels, weight: Matrix) -> Estimator:
    return fitted(matrix, is_spam, at_prevalence(is_spam, weight, SPAM_PRIOR))


def _measured(prefix: str, held_out: pl.DataFrame) -> dict[str, float]:
    """Measure held-out examples, weighted by play; no figures unless both labels occur."""
    is_spam = _labels(held_out)
    if is_spam.all() or not is_spam.any():
        return {}
    weight = at_prevalence(is_spam, weights_by_play(held_out), SPAM_PRIOR)
    measured = figures(is_spam, held_out.get_column("spam_probability").to_numpy(), weight)
    return {f"{prefix}_{name}": value for name, value in {"examples": float(held_out.height), **measured}.items()}


def _campaigns(held_out: pl.DataFrame) -> list[dict[str, Any]]:
    """Measure each campaign while it was held out; examples without a campaign are one row without an id."""
    probability, plays = pl.col("spam_probability"), pl.col("plays")
    error = (probability - pl.col("is_spam")) ** 2
    by_campaign = held_out.group_by("incident_id", "is_spam").agg(
        pl.col("attack_type").min(),
        pl.col("event_day").max().alias("last_day"),
        examples=pl.len().cast(pl.Int64),
        plays=plays.sum(),
        brier=((error * plays).sum() / plays.sum()).round(DIGITS),
        withheld_share=((plays * (probability >= ROYALTY_TOLERANCE)).sum() / plays.sum()).round(DIGITS),
    )
    latest = by_campaign.sort("last_day", "incident_id", "is_spam", descending=[True, False, False], nulls_last=False)
    return latest.head(MOST_CAMPAIGNS).with_columns(pl.col("last_day").cast(pl.String)).to_dicts()


def _probes(estimator: Estimator, examples: pl.DataFrame) -> list[dict[str, Any]]:
    """Choose examples deterministically, with their probability in whole percent."""
    mixed = pl.struct("event_day", "actor_key", "device_key", "ip_key", "network_key", "track_key")
    key = pl.concat_str(mixed.struct.unnest(), separator="|", ignore_nulls=True)
    named = examples.with_columns(probe=key).select(plh.col("probe").nchash.xxh3_64().alias("probe"))
    percent = pl.Series("percent", (100 * probability_of(estimator, examples)).round(), dtype=pl.Int64)
    return named.with_columns(percent).sort("probe").head(PROBES).to_dicts()
