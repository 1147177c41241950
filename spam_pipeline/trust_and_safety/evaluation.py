"""The evaluation of a model version on held-out examples, slice by slice, and the cost of its errors.

The examples are those of `training.held_out`, with the probabilities that the model's quality is measured by too. It is a stage
apart from the model because it reads revenue, and revenue that lands must not change a model.
Legitimate are plays of cleared incidents, and a sample of undeclared plays that no signature fits. The latter may hold
undetected attacks, so false positives are an upper bound. The policy is evaluated on experts' labels alone.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import polars as pl

from spam_pipeline.protocol import column_types
from spam_pipeline.trust_and_safety.contracts import REPORTING_TOLERANCE, ROYALTY_TOLERANCE
from spam_pipeline.trust_and_safety.estimators import SpamModel
from spam_pipeline.trust_and_safety.evaluation_contract import (
    ALL,
    ARTIST,
    ATTACK_TYPE,
    CAMPAIGNS,
    COUNTRY,
    CURRENCY,
    LISTENER,
    NETWORK,
    PREVALENCES,
    RELIABILITY,
    TIER,
    TRACK_AGE,
    USUAL_PREVALENCE,
    ModelEvaluation,
)
from spam_pipeline.trust_and_safety.quality import BINS, DIGITS, Labels, at_prevalence, figures, reliability
from spam_pipeline.trust_and_safety.signals.catalogue import Matrix
from spam_pipeline.trust_and_safety.training import weights_by_play

NEW_TRACK_DAYS: Final = 30
"""A track counts as new until so many days after its upload."""

SUPER_FAN_PLAYS: Final = 50
"""The plays on one day, three hours of music, from which a listener counts as a super-fan."""

SHARED_BY: Final = 10
"""From so many listeners on one day, a network counts as shared: an office or a school rather than a household."""

WORST_ARTISTS: Final = 20
MIN_ARTIST_PLAYS: Final = 20
"""The fewest plays of an artist in the table; a share of fewer is chance."""

UNKNOWN, UNDECLARED = "unknown", "undeclared"

PER_MINOR: Final = 1_000_000_000
"""Value is summed in billionths of a minor unit, rounded down for each pool and day, and rounded to minor units once."""

_NEEDS_BOTH_LABELS: Final = ("called_precision", "withheld_precision", "calibration_error")

_Row = dict[str, Any]


def evaluation_of(held_out: pl.LazyFrame, pools: pl.LazyFrame, model: SpamModel, revenue: pl.LazyFrame) -> pl.LazyFrame:
    """Evaluate the model that `held_out` examples are of, as `ModelEvaluation`; empty without examples.

    If the published `model` has other errors, a challenger was refused: then the challenger is evaluated, with `is_published`
    false.
    """
    scored = held_out.collect()
    splits = scored.partition_by("split", as_dict=True, maintain_order=True)
    rows = [row for (split,), examples in splits.items() for row in rows_of(split, examples, pools, revenue)]
    columns = column_types(ModelEvaluation)
    evaluation = pl.DataFrame(rows, schema={name: columns[name] for name in columns if name not in _ABOUT_MODEL})
    is_policy = scored["is_policy"].any()
    about = {"is_policy": is_policy, "is_published": _is_published(rows, model, is_policy=is_policy)}
    described = evaluation.with_columns(**{name: pl.lit(value) for name, value in about.items()})
    return described.select(*columns).sort(ModelEvaluation.primary_key()).lazy()


_ABOUT_MODEL: Final = ("is_policy", "is_published")


def _is_published(rows: list[_Row], model: SpamModel, *, is_policy: bool) -> bool:
    """Return true if the published model came from the same fits: then both have exactly the same errors."""
    all_examples = (CAMPAIGNS, ALL, USUAL_PREVALENCE)
    found = [row for row in rows if (row["split"], row["slice_kind"], row["prevalence"]) == all_examples]
    recorded = model.quality["numbers"].get("held_out_campaigns_brier")
    is_same_kind = not rows or is_policy is (model.estimator is None)
    return is_same_kind and (recorded is None or [row.get("brier") for row in found] == [recorded])


def rows_of(split: str, held_out: pl.DataFrame, pools: pl.LazyFrame, revenue: pl.LazyFrame) -> Iterator[_Row]:
    """Yield the rows of a split, with their applicable columns; `held_out` is as `HeldOutExamples`, `pools` as `EarningPools`."""
    if held_out.is_empty():
        return
    for prevalence in PREVALENCES:
        found = {"prevalence": prevalence, **_plays(held_out), **_figures(held_out, prevalence)}
        yield _row(split, ALL, ALL, found)
    for kind, label in _LABELS.items():
        for name, part in _cut(held_out, label):
            yield _row(split, kind, name, {**_plays(part), **_figures(part, USUAL_PREVALENCE)})
    for name, part in _cut(_with_weight(held_out), _bin()):
        yield _row(split, RELIABILITY, name, {**_plays(part), **_bin_figures(part)})
    for name, part in _worst_artists(held_out):
        yield _row(split, ARTIST, name, {**_plays(part), **_plain_shares(part)})
    for money in _money(held_out, pools, revenue).iter_rows(named=True):
        yield _row(split, CURRENCY, str(money.pop("currency")), money)


def _row(split: str, slice_kind: str, name: str, found: Mapping[str, Any]) -> _Row:
    return {"split": split, "slice_kind": slice_kind, "slice": name, "prevalence": USUAL_PREVALENCE, **found}


def _plays(part: pl.DataFrame) -> dict[str, int]:
    is_spam, plays = pl.col("is_spam"), pl.col("plays")
    counts = part.select(spam_plays=plays.filter(is_spam).sum(), legitimate_plays=plays.filter(~is_spam).sum())
    return counts.row(0, named=True)


def _figures(part: pl.DataFrame, prevalence: float) -> dict[str, float]:
    """Compute the figures of a slice, weighted to a `prevalence` of spam; without precision where a label is missing."""
    is_spam, probability = _known(part)
    found = figures(is_spam, probability, at_prevalence(is_spam, weights_by_play(part), prevalence))
    has_both = is_spam.any() and not is_spam.all()
    return {name: value for name, value in found.items() if has_both or name not in _NEEDS_BOTH_LABELS}


def _bin_figures(part: pl.DataFrame) -> dict[str, float]:
    is_spam, probability = _known(part)
    ((_, mean, rate),) = reliability(is_spam, probability, part.get_column("weight").to_numpy())
    return {"mean_probability": round(mean, DIGITS), "spam_share": round(rate, DIGITS)}


def _plain_shares(part: pl.DataFrame) -> dict[str, float]:
    """Compute unweighted shares of an artist's plays, because artists lose plays and not weights."""
    _, probability = _known(part)
    plays = part.get_column("plays").to_numpy()
    return {
        f"{name}_legitimate_share": round(float(plays[probability >= tolerance].sum() / plays.sum()), DIGITS)
        for name, tolerance in (("called", REPORTING_TOLERANCE), ("withheld", ROYALTY_TOLERANCE))
    }


def _known(part: pl.DataFrame) -> tuple[Labels, Matrix]:
    return part.get_column("is_spam").to_numpy(), part.get_column("spam_probability").to_numpy()


def _with_weight(held_out: pl.DataFrame) -> pl.DataFrame:
    """Add the weight of each example among all of them, which need not be of both labels."""
    is_spam, _ = _known(held_out)
    return held_out.with_columns(weight=pl.Series(at_prevalence(is_spam, weights_by_play(held_out), USUAL_PREVALENCE)))


def _cut(examples: pl.DataFrame, label: pl.Expr) -> list[tuple[str, pl.DataFrame]]:
    """Group examples by label, in the order of labels, keeping their order in each group."""
    named = examples.with_columns(slice=label)
    parts = named.partition_by("slice", as_dict=True, maintain_order=True)
    return sorted((str(name), part) for (name,), part in parts.items())


def _bin() -> pl.Expr:
    """The bin of `quality.reliability` of a probability, as a range."""
    position = (pl.col("spam_probability") * BINS).cast(pl.Int64).clip(upper_bound=BINS - 1)
    names = [f"{at / BINS:.1f} to {(at + 1) / BINS:.1f}" for at in range(BINS)]
    return position.replace_strict(range(BINS), names, return_dtype=pl.String)


def _either(is_so: pl.Expr, name: str, other: str) -> pl.Expr:
    return pl.when(is_so).then(pl.lit(name)).when(is_so.is_null()).then(pl.lit(UNKNOWN)).otherwise(pl.lit(other))


_LABELS: Final = {
    ATTACK_TYPE: pl.col("attack_type").fill_null(UNDECLARED),
    COUNTRY: pl.col("country").fill_null(UNKNOWN),
    TIER: pl.col("tier"),
    TRACK_AGE: _either(pl.col("track_age_days") < NEW_TRACK_DAYS, "new", "old"),
    LISTENER: _either(pl.col("actor_plays") >= SUPER_FAN_PLAYS, "super_fan", "ordinary"),
    NETWORK: _either(pl.col("network_actors") >= SHARED_BY, "shared", "private"),
}
"""The label of each kind of slices that partitions the examples."""


def _worst_artists(held_out: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    """Return the legitimate plays of the artists who would lose the largest share of them, by artist key in hexadecimal."""
    legitimate = held_out.filter(~pl.col("is_spam"))
    plays = pl.col("plays")
    lost = (plays * (pl.col("spam_probability") >= ROYALTY_TOLERANCE)).sum()
    by_artist = legitimate.group_by("uploader_key").agg(plays.sum(), lost=lost).drop_nulls("uploader_key")
    listed = by_artist.filter(plays >= MIN_ARTIST_PLAYS).sort(-pl.col("lost") / plays, -plays, "uploader_key")
    keys = listed.head(WORST_ARTISTS).get_column("uploader_key").to_list()
    return [(f"{key:016x}", legitimate.filter(pl.col("uploader_key") == key)) for key in keys]


def _money(held_out: pl.DataFrame, pools: pl.LazyFrame, revenue: pl.LazyFrame) -> pl.DataFrame:
    """Estimate the value of the examples' earning plays by currency, and the errors at the royalty tolerance.

    A play is worth net revenue / (days of the month x earning plays of its day) in its country and tier, before the payout
    share. It is an estimate, because plays are not spread evenly over a month and examples are not all plays. Plays of a pool
    without revenue are worth nothing.
    """
    pool = ["event_day", "country", "tier"]
    earning = (
        held_out.lazy()
        .filter(pl.col("earning_plays") > 0)
        .with_columns(is_withheld=pl.col("spam_probability") >= ROYALTY_TOLERANCE)
        .group_by(*pool, "is_spam", "is_withheld")
        .agg(pl.col("earning_plays").sum().cast(pl.Int128))
        .join(pools, on=pool)
        .with_columns(month=pl.col("event_day").dt.strftime("%Y-%m"))
    )
    net = pl.col("net_revenue_minor").clip(lower_bound=0).cast(pl.Int128) * PER_MINOR
    shared_by = pl.col("event_day").dt.days_in_month().cast(pl.Int64) * pl.col("pool_plays")
    worth = earning.join(revenue, on=["month", "country", "tier"]).with_columns(
        worth=pl.col("earning_plays") * net // shared_by
    )
    is_spam, is_withheld = pl.col("is_spam"), pl.col("is_withheld")
    return (
        worth.group_by("currency")
        .agg(
            spam_plays=pl.col("earning_plays").filter(is_spam).sum().cast(pl.Int64),
            legitimate_plays=pl.col("earning_plays").filter(~is_spam).sum().cast(pl.Int64),
            legitimate_minor=_minor(~is_spam),
            spam_minor=_minor(is_spam),
            wrongly_withheld_minor=_minor(~is_spam & is_withheld),
            wrongly_paid_minor=_minor(is_spam & ~is_withheld),
        )
        .sort("currency")
        .collect()
    )


def _minor(counted: pl.Expr) -> pl.Expr:
    """Round the value of the counted plays to minor units, half a unit up."""
    total = pl.col("worth").filter(counted).sum()
    return ((total + PER_MINOR // 2) // PER_MINOR).cast(pl.Int64)
