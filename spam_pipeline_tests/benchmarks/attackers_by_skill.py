"""What becomes of attackers of every skill: by themselves, in the queue, and when ten accounts of each campaign are declared.

    python -m spam_pipeline_tests.benchmarks.attackers_by_skill [SEEDS] [DAYS] [PLAYS_PER_DAY] [LEVEL ...]

Simulates each level on each seed, converges what suspicions rest on, and compares verdicts with the truth. Nobody declares any campaign that
is measured. Each line is over all seeds; the worst seed stands in brackets.

itself: withheld from royalties (probability of 0.2 or more) or called spam (0.8) by the software alone, without any label.
held: earning plays that wait as part of a suspicion on their own day. queue: plays of the devices of suspicions among the first 20 of the
behaviour and of the automation queue on the last day, where a person confirms those whose slice is at least four fifths spam. the rest of ten:
called of the devices that nobody declared, when ten of each campaign are confirmed; a campaign of few devices has few others. Money is dollars of the pools that go to spam although
a person has been through the queue, and dollars of honest plays that wait or are withheld.
"""

import os
import platform as machine
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from spam_pipeline.simulation import simulate
from spam_pipeline.simulation.skills import SKILLS
from spam_pipeline.trust_and_safety.classification import Groups, classify
from spam_pipeline.trust_and_safety.contracts import REPORTING_TOLERANCE, ROYALTY_TOLERANCE
from spam_pipeline.trust_and_safety.estimators import SpamModel
from spam_pipeline.trust_and_safety.suspicions.carried import carried_of
from spam_pipeline_tests.simulated_weeks import START, Week, observed, opened

SEEDS, FIRST_SEED, DAYS, PLAYS_PER_DAY = 5, 9201, 28, 6_000
PATIENT: Final = ("device_farm", "low_and_slow", "paid_plays", "account_takeover")
"""The attacks that have every skill; the others are only naive."""

FIRST_OF_QUEUE: Final = 20
CONFIRMED_FROM: Final = 0.8
DECLARED: Final = 10
PERIOD: Final = 15
_WEEKS: Final = 28

_BY_ITSELF, _CALLED, _HELD, _QUEUED, _CARRIED = "by itself", "called", "held", "queued", "rest of ten"


class Judged(NamedTuple):
    """One home: its plays with a flag per outcome, the rank of each campaign in its queue, and what its attackers paid."""

    plays: pl.DataFrame
    ranks: dict[str, str]
    cost: dict[str, float]


def judge(folder: Path, seed: int, level: str, days: int, plays_per_day: int) -> Judged:
    """Simulate a home and find every outcome."""
    home = folder / f"{seed} {level}"
    done = simulate(home, start=START, days=days, plays_per_day=plays_per_day, seed=seed, skill=level)
    week = observed(opened(home), "play_signals", "suspected_incidents", "suspected_plays")
    plays = _with_campaigns(week)
    last = max(week.plays)
    confirmed, ranks = _queue(week, plays, last)
    alone = _verdicts(week, week.incidents.clear())
    declared = _declared(week, plays, seed)
    carried = _verdicts(week, declared)
    named = declared.select("entity_key").collect().to_series()
    held = pl.concat([week.pipeline.read("suspected_plays", day).with_columns(day=pl.lit(day)) for day in week.plays])
    pairs = held.select("day", "device_key", "track_key", is_held=pl.lit(value=True)).collect()
    outcomes = (
        plays.join(alone.select("event_id", itself="spam_probability"), on="event_id")
        .join(carried.select("event_id", declared="spam_probability"), on="event_id")
        .join(pairs, on=["day", "device_key", "track_key"], how="left")
        .with_columns(
            (pl.col("itself") >= ROYALTY_TOLERANCE).alias(_BY_ITSELF),
            (pl.col("itself") >= REPORTING_TOLERANCE).alias(_CALLED),
            pl.col("is_held").fill_null(value=False).alias(_HELD),
            pl.col("device_key").is_in(confirmed).alias(_QUEUED),
            # Whether the software finds the rest, and not whether it believes what it was told.
            pl.when(~pl.col("device_key").is_in(named.implode()))
            .then(pl.col("declared") >= REPORTING_TOLERANCE)
            .alias(_CARRIED),
        )
        .with_columns(worth=_worth(week))
    )
    return Judged(outcomes, ranks, dict(done.cost_per_1000_plays))


def _with_campaigns(week: Week) -> pl.DataFrame:
    """All plays with `day`, `scenario`, `is_spam`, and `campaign`: the scenario and the period in which the device began."""
    columns = ("event_id", "device_key", "user_key", "track_key", "occurred_at", "ms_played", "country")
    plays = pl.concat([frame.select(*columns, day=pl.lit(day)) for day, frame in week.plays.items()])
    known = plays.join(week.truth.lazy(), on="event_id", how="left").collect()
    began = (pl.col("occurred_at").min().over("device_key", "scenario").dt.ordinal_day() - 1) // PERIOD
    is_spam = pl.col("is_spam").fill_null(value=False)
    return known.with_columns(
        is_spam=is_spam, campaign=pl.when(is_spam).then(pl.format("{} {}", "scenario", began + 1))
    )


def _queue(week: Week, plays: pl.DataFrame, day: str) -> tuple[list[int], dict[str, str]]:
    """The devices of the suspicions that a person confirms on a day, and the place of each campaign in the queues."""
    queue = week.pipeline.read("suspected_incidents", day).filter(pl.col("rank") <= FIRST_OF_QUEUE)
    listed = queue.select("queue", "rank", "device_keys").sort("queue", "rank", descending=[True, False]).collect()
    earning = plays.filter(pl.col("ms_played") >= 30_000)
    confirmed: set[int] = set()
    ranks: dict[str, str] = {}
    for name, rank, keys in listed.iter_rows():
        theirs = earning.filter(pl.col("device_key").is_in(keys))
        if theirs.get_column("is_spam").sum() >= CONFIRMED_FROM * theirs.height:
            confirmed.update(keys)
            for campaign in theirs.get_column("campaign").drop_nulls().value_counts(sort=True).head(1)["campaign"]:
                ranks.setdefault(campaign, f"{name[0]}{rank}")
    return sorted(confirmed), ranks


def _declared(week: Week, plays: pl.DataFrame, seed: int) -> pl.LazyFrame:
    """Ten devices of each patient campaign as confirmed incidents over all days."""
    devices = (
        plays.filter(pl.col("campaign").is_not_null(), pl.col("scenario").is_in(PATIENT))
        .select("campaign", "scenario", "device_key")
        .unique()
        .sort("campaign", "device_key")
    )
    drawn = devices.with_columns(draw=pl.Series(np.random.default_rng(seed).random(devices.height)))
    chosen = drawn.sort("campaign", "draw").group_by("campaign", maintain_order=True).head(DECLARED)
    columns = week.incidents.drop("day").collect_schema()  # verdicts go by the window
    rows = chosen.select(
        incident_id="campaign",
        status=pl.lit("confirmed"),
        attack_type="scenario",
        entity_type=pl.lit("device"),
        entity_key="device_key",
        starts_at=plays["occurred_at"].min(),
        ends_at=pl.lit(plays["occurred_at"].max()).dt.offset_by("1d"),
        decided_by=pl.lit("benchmark"),
        decided_at=plays["occurred_at"].max(),
    )
    return rows.select(*columns).cast(columns).lazy()


def _verdicts(week: Week, incidents: pl.LazyFrame) -> pl.DataFrame:
    """The verdicts of all days by the policy alone, with these incidents and what they carry to."""
    model, days = SpamModel(), list(week.plays)
    listening = {day: week.pipeline.read("listening", day) for day in days}
    found = []
    for at, day in enumerate(days):
        window = pl.concat([listening[of] for of in days[max(0, at + 1 - _WEEKS) : at + 1]])
        groups = Groups(carried_devices=carried_of(window, incidents))
        verdicts = classify(week.plays[day], week.signals[day], model, incidents, groups)
        found.append(verdicts.select("event_id", "spam_probability").collect())
    return pl.concat(found)


def _worth(week: Week) -> pl.Expr:
    """Dollars of an earning play: the month's net revenue of its currency in dollars, over all earning plays of those countries."""
    revenue = week.pipeline.read("revenue").filter(pl.col("currency") == "USD").collect()
    is_paid = (pl.col("ms_played") >= 30_000) & pl.col("country").is_in(revenue["country"].unique().to_list())
    of_days = revenue["net_revenue_minor"].sum() / 100 / revenue["month"].n_unique() * len(week.plays) / 31
    return pl.when(is_paid).then(of_days / is_paid.sum()).otherwise(0.0)


def _share(plays: pl.DataFrame, outcome: str) -> float:
    """The share of plays with an outcome, of those that can have it: NaN over none."""
    known = plays.get_column(outcome).drop_nulls()
    return known.sum() / len(known) if len(known) else float("nan")


def report(level: str, homes: Sequence[Judged]) -> Iterator[str]:
    """The table of one level: each patient attack, then what the honest lose."""
    yield f"\nlevel {level}"
    columns = (_BY_ITSELF, _CALLED, _HELD, _QUEUED, _CARRIED)
    yield f"  {'':<22}{'$/1000':>9}{'plays':>8}" + "".join(f"{name:>22}" for name in columns) + "  places in the queues"
    for attack in PATIENT:
        parts = [home.plays.filter(pl.col("scenario") == attack, pl.col("is_spam")) for home in homes]
        cost = np.mean([home.cost[attack] for home in homes])
        places = [
            "/".join(place for name, place in sorted(home.ranks.items()) if name.startswith(attack)) or "-"
            for home in homes
        ]
        cells = "".join(_cell(parts, name, min) for name in columns)
        yield f"  {attack:<22}{cost:>9.2f}{sum(map(len, parts)):>8,}{cells}  {' '.join(places)}"
    together = [home.plays.filter(pl.col("scenario").is_in(PATIENT), pl.col("is_spam")) for home in homes]
    yield f"  {'all four':<22}{'':>9}{sum(map(len, together)):>8,}" + "".join(
        _cell(together, name, min) for name in columns
    )
    honest = [home.plays.filter(~pl.col("is_spam")) for home in homes]
    yield f"  {'honest plays':<22}{'':>9}{sum(map(len, honest)):>8,}" + "".join(
        _cell(honest, name, max) for name in columns
    )
    devoted = [part.filter(pl.col("scenario") == "devoted_small_artist") for part in honest]
    yield f"  {'devoted small artists':<22}{'':>9}{sum(map(len, devoted)):>8,}" + "".join(
        _cell(devoted, name, max) for name in columns
    )
    for home in homes:
        spam, plain = home.plays.filter("is_spam"), home.plays.filter(~pl.col("is_spam"))
        is_stopped = pl.col(_BY_ITSELF) | pl.col(_QUEUED)
        paid = spam.filter(~is_stopped)["worth"].sum()
        waiting = plain.filter(is_stopped | pl.col(_HELD))["worth"].sum()
        yield f"  dollars of {home.plays['worth'].sum():,.0f}: {paid:,.0f} to spam, {waiting:,.0f} of honest plays wait"


def _cell(parts: Sequence[pl.DataFrame], outcome: str, worst: type[min] | type[max]) -> str:  # type: ignore[valid-type]
    together = _share(pl.concat(parts), outcome)
    extreme = worst(_share(part, outcome) for part in parts)
    digits = 1 if worst is min else 2
    return f"{f'{together:.{digits}%} ({extreme:.{digits}%})':>22}"


def main(arguments: Sequence[str]) -> None:
    """Simulate, judge and print."""
    sizes = [int(argument) for argument in arguments[:3]]
    seeds, days, plays_per_day = [*sizes, *(SEEDS, DAYS, PLAYS_PER_DAY)[len(sizes) :]]
    sys.stdout.write(
        f"{machine.machine()}, {os.cpu_count()} cores; {seeds} seeds from {FIRST_SEED}, {days} days of {plays_per_day:,}\n"
    )
    for level in arguments[3:] or SKILLS:
        with tempfile.TemporaryDirectory() as folder:
            homes = [judge(Path(folder), FIRST_SEED + at, level, days, plays_per_day) for at in range(seeds)]
        for line in report(level, homes):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
