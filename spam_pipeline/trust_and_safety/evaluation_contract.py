"""The contract of a model's evaluation, its splits and slices, and the tables of it for people.

Nobody outside trust & safety reads it, so it is not in `contracts`. The figures are computed in `evaluation`.
"""

from typing import Final

import dataframely as dy
import polars as pl

from spam_pipeline.protocol import Contract, Limit, Severity
from spam_pipeline.protocol.fingerprint import Count, Figure, Measure, Records

CAMPAIGNS, TIME = "campaigns", "time"
"""The splits: whole campaigns were held out, or the last days."""

ALL, ATTACK_TYPE, COUNTRY, TIER, TRACK_AGE, LISTENER, NETWORK, ARTIST, RELIABILITY, CURRENCY = (
    *("all", "attack_type", "country", "tier", "track_age", "listener", "network"),
    *("artist", "reliability", "currency"),
)
"""The kinds of slices. Those of each kind up to `network` hold every example of their split exactly once."""

USUAL_PREVALENCE: Final = 0.03
"""The share of spam that slices are weighted to, the same as in training."""

PREVALENCES: Final = (0.01, USUAL_PREVALENCE, 0.08)
"""The shares of spam that all examples are weighted to: what platforms report, from the best year to the worst."""

MOST_ROWS: Final = 60
"""The most rows of a table for people."""

FIGURES: Final = (
    *("called_spam_share", "withheld_spam_share", "called_legitimate_share", "withheld_legitimate_share"),
    *("called_precision", "withheld_precision", "pr_auc", "brier", "calibration_error"),
)
"""The figures of a slice, named as by `quality.figures`."""

MONEY: Final = ("legitimate_minor", "spam_minor", "wrongly_withheld_minor", "wrongly_paid_minor")

_PLAYS: Final = ("spam_plays", "legitimate_plays")

MOST_CALIBRATION_ERROR = 0.02
"""The largest mean error of probabilities on held-out campaigns that still passes as calibrated."""


class HeldOutExamples(Contract):
    """Labelled examples with the spam probability of a fit that has not seen them, in the order in which they were held out.

    `split`: neither the example's campaign nor, without one, its day was seen (`campaigns`), or neither its day nor a later one
    (`time`). `is_policy`: too little is labelled to learn from, and experts' examples have the policy's probability. The other
    columns are those of `LabelledExamples`; weak examples of spam are left out, because nobody confirmed them.
    """

    split = dy.String()
    is_policy = dy.Bool()
    event_day = dy.Date()
    incident_id = dy.String(nullable=True)
    attack_type = dy.String(nullable=True)
    is_spam = dy.Bool()
    is_weak = dy.Bool()
    spam_probability = dy.Float64(min=0.0, max=1.0)
    plays = dy.Int64()
    earning_plays = dy.Int64()
    country = dy.String(nullable=True)
    tier = dy.String()
    actor_key = dy.UInt64()
    device_key = dy.UInt64()
    ip_key = dy.UInt64(nullable=True)
    network_key = dy.UInt64(nullable=True)
    track_key = dy.UInt64()
    uploader_key = dy.UInt64(nullable=True)
    track_age_days = dy.Int64(nullable=True)
    actor_plays = dy.Float64(nullable=True)
    network_actors = dy.Float64(nullable=True)

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Number of examples of each split; how well they are told apart is measured by the model and its evaluation."""
        return {name: Count(pl.col("split") == name) for name in (CAMPAIGNS, TIME)}


class ModelEvaluation(Contract):
    """Evaluation of the model of all examples on held-out data: one row per split, slice and prevalence.

    `split`: whole `campaigns` were held out, or the last days (`time`). A slice is weighted as if `prevalence` of its
    plays were spam; shares within one label, counts of plays and money do not depend on that. `called_*` is at the reporting
    tolerance, `withheld_*` at the royalty tolerance; `*_spam_share` is recall, `*_legitimate_share` the false positive rate,
    an upper bound because undeclared plays may be spam. `artist` slices, named by `uploader_key` in hexadecimal, hold only
    legitimate plays. `reliability` slices are bins of probabilities. `currency` slices are earning plays and money, estimated
    over the examples and before the payout share. A figure is null where there is nothing to compute it from. `is_policy`:
    nothing was learned yet, and the policy is evaluated on experts' labels. `is_published` is false for a refused model.
    """

    split = dy.String(primary_key=True)
    slice_kind = dy.String(primary_key=True)
    slice = dy.String(primary_key=True)
    prevalence = dy.Float64(primary_key=True)
    is_policy = dy.Bool()
    is_published = dy.Bool()
    spam_plays = dy.Int64()
    legitimate_plays = dy.Int64()
    called_spam_share = dy.Float64(nullable=True)
    withheld_spam_share = dy.Float64(nullable=True)
    called_legitimate_share = dy.Float64(nullable=True)
    withheld_legitimate_share = dy.Float64(nullable=True)
    called_precision = dy.Float64(nullable=True)
    withheld_precision = dy.Float64(nullable=True)
    pr_auc = dy.Float64(nullable=True)
    brier = dy.Float64(nullable=True)
    calibration_error = dy.Float64(nullable=True)
    mean_probability = dy.Float64(nullable=True)
    spam_share = dy.Float64(nullable=True)
    legitimate_minor = dy.Int64(nullable=True)
    spam_minor = dy.Int64(nullable=True)
    wrongly_withheld_minor = dy.Int64(nullable=True)
    wrongly_paid_minor = dy.Int64(nullable=True)

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """The figures over all examples at the usual prevalence, and the tables for people."""
        headline = {
            f"held_out_{split}_{name}": _headline(split, name) for split in (CAMPAIGNS, TIME) for name in FIGURES
        }
        lost = pl.col("withheld_legitimate_share").filter(_is_row(CAMPAIGNS, ARTIST))
        return {
            **headline,
            "is_policy": Figure(pl.col("is_policy").any()),
            "is_published": Figure(pl.col("is_published").all()),
            "worst_artist_withheld_share": Figure(lost.max()),
            "prevalences": Records(prevalence_table),
            "attack_types": Records(attack_type_table),
            "slices": Records(slice_table),
            "reliability": Records(reliability_table),
            "artists": Records(artist_table),
            "money": Records(money_table),
        }

    @classmethod
    def limits(cls) -> tuple[Limit, ...]:
        """Require calibration, as a warning: over few campaigns an error can be chance, and no consumer depends on it."""
        return (Limit("held_out_campaigns_calibration_error", at_most=MOST_CALIBRATION_ERROR, severity=Severity.WARN),)


def prevalence_table(evaluation: pl.LazyFrame) -> pl.LazyFrame:
    """Select all examples of each split, at each prevalence."""
    return _of(evaluation, ALL).select("split", "prevalence", *_PLAYS, *FIGURES)


def attack_type_table(evaluation: pl.LazyFrame) -> pl.LazyFrame:
    """Select the declared attack types, with the results on their plays while held out."""
    of_campaigns = _of(evaluation, ATTACK_TYPE).filter(pl.col("split") == CAMPAIGNS)
    return of_campaigns.select(pl.col("slice").alias("attack_type"), *_PLAYS, *_shares("called", "withheld"), "brier")


def slice_table(evaluation: pl.LazyFrame) -> pl.LazyFrame:
    """Select tiers, new and old tracks, super-fans, shared networks, and the countries with the most plays."""
    kinds = [TIER, TRACK_AGE, LISTENER, NETWORK, COUNTRY]
    of_campaigns = evaluation.filter(pl.col("slice_kind").is_in(kinds), pl.col("split") == CAMPAIGNS)
    largest_last = pl.sum_horizontal(*_PLAYS)
    order = pl.col("slice_kind").replace_strict(kinds, range(len(kinds)), return_dtype=pl.Int64)
    listed = of_campaigns.sort(order, -largest_last, "slice").head(MOST_ROWS)
    return listed.select("slice_kind", "slice", *_PLAYS, *_shares("called", "withheld"), "withheld_precision", "brier")


def reliability_table(evaluation: pl.LazyFrame) -> pl.LazyFrame:
    """Select the reliability curve: predicted and observed spam, for each tenth of probabilities on each split."""
    named = pl.col("slice").alias("probability")
    return _of(evaluation, RELIABILITY).select("split", named, *_PLAYS, "mean_probability", "spam_share")


def artist_table(evaluation: pl.LazyFrame) -> pl.LazyFrame:
    """Select the artists who would lose the largest share of legitimate plays, the worst first."""
    of_campaigns = _of(evaluation, ARTIST).filter(pl.col("split") == CAMPAIGNS)
    worst = of_campaigns.sort("withheld_legitimate_share", "legitimate_plays", "slice", descending=[True, True, False])
    named = pl.col("slice").alias("artist_key")
    return worst.select(named, "legitimate_plays", "withheld_legitimate_share", "called_legitimate_share")


def money_table(evaluation: pl.LazyFrame) -> pl.LazyFrame:
    """Select the value of the examples, and the errors in it at the royalty tolerance."""
    return _of(evaluation, CURRENCY).select("split", pl.col("slice").alias("currency"), *MONEY)


def _of(evaluation: pl.LazyFrame, slice_kind: str) -> pl.LazyFrame:
    return evaluation.filter(pl.col("slice_kind") == slice_kind)


def _shares(*tolerances: str) -> list[str]:
    return [f"{tolerance}_{label}_share" for label in ("spam", "legitimate") for tolerance in tolerances]


def _is_row(split: str, slice_kind: str) -> pl.Expr:
    return (pl.col("split") == split) & (pl.col("slice_kind") == slice_kind)


def _headline(split: str, name: str) -> Figure:
    """The figure of all examples of a split at the usual prevalence, which is one row."""
    is_it = _is_row(split, ALL) & (pl.col("prevalence") == USUAL_PREVALENCE)
    return Figure(pl.col(name).filter(is_it).max())
