"""Simulated weeks with every attack in them, their verdicts under any labels, and the truth beside them.

What comes out is tabulated in `benchmarks.verdicts_against_truth` and held to what was promised in `stories.test_unseen_weeks`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.protocol.operating import converge
from spam_pipeline.settings import Settings
from spam_pipeline.simulation import simulate
from spam_pipeline.trust_and_safety.classification import Groups, classify
from spam_pipeline.trust_and_safety.contracts import REPORTING_TOLERANCE, ROYALTY_TOLERANCE
from spam_pipeline.trust_and_safety.estimators import SpamModel
from spam_pipeline.trust_and_safety.incidents import CLEARED, CONFIRMED, SUSPECTED
from spam_pipeline.trust_and_safety.labelled_examples import examples_of_day
from spam_pipeline_tests.trust_and_safety.made_up_examples import trained_on

START = date(2026, 1, 1)
DAYS, PLAYS_PER_DAY = 10, 6_000
MONTH = "2026-01"
ORGANIC = "organic"

WELL_HEARD = 40
"""An artist with so many legitimate plays is one whose share of errors means something: one error is not 5 % yet."""

DECLARED_ATTACKS = ("loop_bot", "bot_farm", "account_takeover", "paid_plays", "device_farm")
UNDECLARED_ATTACKS = ("low_and_slow", "embedded_autoplay")
"""Attacks of which the simulated experts never hear."""

HARD_NEGATIVES = (
    *("viral_release", "sleep_listener", "looping_fan", "super_account", "office_network", "shop_radio"),
    *("school_class", "shared_account", "fan_project", "devoted_small_artist", "viral_embed", "previews"),
)

STATUS = pl.col("incident_status").fill_null("")

IS_WITHHELD = (
    ((pl.col("spam_probability") >= ROYALTY_TOLERANCE) & (STATUS != CLEARED)) | STATUS.is_in([CONFIRMED, SUSPECTED])
).alias("is_withheld")
"""Whether royalties don't pay a play for what it is taken to be, whatever its length."""

IS_CALLED = (pl.col("spam_probability") >= REPORTING_TOLERANCE).alias("is_called")
"""Whether reports drop a play."""


@dataclass(frozen=True)
class Week:
    """Days by name with their plays, facts, signals and suspected plays, what experts declared, the known tracks, and the truth.

    `truth` has `event_id`, `scenario` and `is_spam` of what is not organic.
    """

    pipeline: Pipeline
    plays: Mapping[str, pl.LazyFrame]
    facts: Mapping[str, pl.LazyFrame]
    signals: Mapping[str, pl.LazyFrame]
    suspected: Mapping[str, pl.LazyFrame]
    incidents: pl.LazyFrame
    tracks: pl.DataFrame
    truth: pl.DataFrame

    def without(self, attack_type: str) -> pl.LazyFrame:
        """What experts would have declared if they knew nothing of attacks of one type."""
        is_attack = (pl.col("status") != CLEARED) & (pl.col("attack_type") == attack_type)
        return self.incidents.filter(~is_attack)

    def examples(self, incidents: pl.LazyFrame) -> pl.LazyFrame:
        """What these incidents teach."""
        of_days = [
            examples_of_day(plays, self.signals[day], self.facts[day], incidents, self.suspected[day])
            for day, plays in self.plays.items()
        ]
        return pl.concat(of_days)

    def classified(self, model: SpamModel, incidents: pl.LazyFrame) -> pl.DataFrame:
        """All verdicts with the truth beside them."""
        of_days = [classify(plays, self.signals[day], model, incidents, Groups()) for day, plays in self.plays.items()]
        return self.with_truth(pl.concat(of_days))

    def verdicts(self, incidents: pl.LazyFrame) -> tuple[SpamModel, pl.DataFrame]:
        """The model that these incidents give, and its verdicts with the truth beside them."""
        model = trained_on(self.examples(incidents))
        return model, self.classified(model, incidents)

    def with_truth(self, classified: pl.LazyFrame) -> pl.DataFrame:
        """Classified plays with `scenario`, `is_spam`, `artist_id`, `is_withheld` and `is_called`."""
        tracks = self.tracks.lazy().select("track_id", "artist_id")
        joined = classified.join(self.truth.lazy(), on="event_id", how="left").join(tracks, on="track_id", how="left")
        return joined.with_columns(
            IS_WITHHELD, IS_CALLED, pl.col("scenario").fill_null(ORGANIC), pl.col("is_spam").fill_null(value=False)
        ).collect()


def opened(home: Path) -> Pipeline:
    return Pipeline(Settings(home=home, start_date=START, identifier_key="the key of simulated weeks"))


def simulated(home: Path, seed: int, days: int = DAYS, plays_per_day: int = PLAYS_PER_DAY) -> Pipeline:
    """Simulate every scenario below `home`; nothing is observed yet."""
    simulate(home, start=START, days=days, plays_per_day=plays_per_day, seed=seed)
    return opened(home)


def observed(pipeline: Pipeline, *stages: str) -> Week:
    """Converge these stages, or all of them, and what is asked here, and read it."""
    pipeline.engine.observe()
    asked = {"play_signals", "suspected_plays", "incidents", "tracks", "accounts", "rights", "revenue", *stages}
    done = converge(pipeline.engine, asked if stages else None)
    assert done.converged, done.failed
    days = sorted(pipeline.engine.planner.statuses(["play_signals"])["play_signals"])
    read = ("plays", "entity_facts", "play_signals", "suspected_plays")
    plays, facts, signals, suspected = ({day: pipeline.read(stage, day) for day in days} for stage in read)
    truth = pl.read_parquet(pipeline.settings.home / "truth.parquet", columns=["event_id", "scenario", "is_spam"])
    return Week(
        pipeline=pipeline,
        plays=plays,
        facts=facts,
        signals=signals,
        suspected=suspected,
        incidents=pipeline.read("incidents").unique(maintain_order=True),
        tracks=pipeline.read("tracks").collect(),
        truth=truth,
    )


def shares(judged: pl.DataFrame) -> dict[str, float]:
    """What consumers get at their tolerances: shares of spam and of legitimate plays, and precision; NaN over nothing."""
    spam, legitimate = judged.filter("is_spam"), judged.filter(~pl.col("is_spam"))
    called = judged.filter("is_called")
    return {
        "spam_withheld": share(spam, "is_withheld"),
        "legitimate_withheld": share(legitimate, "is_withheld"),
        "spam_called": share(spam, "is_called"),
        "legitimate_called": share(legitimate, "is_called"),
        "precision_called": share(called, "is_spam"),
        "worst_artist": worst_artist(judged),
    }


def share(plays: pl.DataFrame, column: str) -> float:
    return plays.get_column(column).sum() / plays.height if plays.height else float("nan")


def worst_artist(judged: pl.DataFrame) -> float:
    """The largest share of legitimate plays that an artist with `WELL_HEARD` of them is not paid for."""
    legitimate = judged.filter(~pl.col("is_spam"), pl.col("artist_id").is_not_null())
    by_artist = legitimate.group_by("artist_id").agg(pl.len(), pl.col("is_withheld").mean())
    worst = by_artist.filter(pl.col("len") >= WELL_HEARD)["is_withheld"].max()
    assert isinstance(worst, float)
    return worst
