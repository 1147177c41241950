import math
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from spam_pipeline.ingestion.contracts import Plays
from spam_pipeline.trust_and_safety.contracts import PlaySignals
from spam_pipeline.trust_and_safety.signals import MIN_ACTORS, MIN_PLAYS, signals_of_day
from spam_pipeline_tests.kept_promises import findings_about, numbers_of
from spam_pipeline_tests.trust_and_safety.play_generator import bot_farm, day, moment, organic, plays_of, together

Row = dict[str, Any]

one_play = st.fixed_dictionaries(
    {
        "occurred_at": st.builds(
            lambda number, hour, minutes: moment(number, hour + minutes / 60),
            st.sampled_from([0, 1, 2, 2, 2]),
            st.sampled_from([0, 0, 22]),
            st.integers(0, 100),
        ),
        "track_key": st.integers(1, 3),
        "user_key": st.sampled_from([None, 11, 11, 11, 12, 13, 14]),
        "device_key": st.integers(21, 22),
        "network_key": st.sampled_from([None, 31, 31]),
        "user_agent_key": st.sampled_from([None, 41, 42]),
        "country": st.sampled_from([None, "DE", "US", "US"]),
        "client": st.sampled_from(["web", "embed"]),
        "source": st.sampled_from(["search", "embed", "playlist"]),
        "ms_played": st.sampled_from([0, 29_999, 30_000, 35_999, 36_000, 200_000]),
    }
)
some_plays = st.one_of(st.lists(one_play, max_size=12), st.lists(one_play, min_size=70, max_size=110))


def naive_signals(rows: list[Row]) -> dict[tuple[str, int], Row]:
    for row in rows:
        row["actor_key"] = row["user_key"] or row["device_key"]
    today = [row for row in rows if row["occurred_at"].date() == moment(2).date()]
    before = [row for row in rows if row["occurred_at"].date() < moment(2).date()]
    signals = {}
    for kind, column in naive_columns.items():
        for entity in {row[f"{kind}_key"] for row in today} - {None}:
            mine = [row for row in today if row[f"{kind}_key"] == entity]
            past = [row for row in before if row[f"{kind}_key"] == entity]
            signals[kind, entity] = column(mine, past, len({row["occurred_at"].date() for row in before}))
    return signals


def counts_of(rows: list[Row], column: str) -> Counter[Any]:
    return Counter(row[column] for row in rows if row[column] is not None)


def members(rows: list[Row], column: str) -> int | None:
    return len(counts_of(rows, column)) or None


def top_share(rows: list[Row], column: str) -> float | None:
    counts = counts_of(rows, column)
    return max(counts.values()) / counts.total() if counts.total() >= MIN_PLAYS else None


def effective(rows: list[Row], column: str) -> float | None:
    counts = counts_of(rows, column)
    total = counts.total()
    if total < MIN_PLAYS:
        return None
    entropy = -sum(count / total * math.log2(count / total) for count in counts.values())
    return float(2 ** (entropy + (len(counts) - 1) / (2 * total * math.log(2))))


def shares(rows: list[Row]) -> Row:
    def share(is_so: Callable[[Row], bool]) -> float | None:
        return sum(map(is_so, rows)) / len(rows) if len(rows) >= MIN_PLAYS else None

    return {
        "plays": len(rows),
        "short_share": share(lambda row: 30_000 <= row["ms_played"] < 36_000),
        "embed_share": share(lambda row: "embed" in {row["client"], row["source"]}),
        "logged_out_share": share(lambda row: row["user_key"] is None),
    }


def rhythm(rows: list[Row]) -> Row:
    times = sorted(row["occurred_at"] for row in rows)
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    gaps = [gap for gap in gaps if gap <= 600]
    if len(gaps) < MIN_PLAYS or sum(gaps) == 0:
        return {}
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    return {"gap_mean_s": mean, "gap_variation": math.sqrt(variance) / mean}


def naive_actor(rows: list[Row], past: list[Row], _days: int) -> Row:
    known = {row["country"] for row in past} - {None}
    abroad = [row["country"] for row in rows if row["country"] is not None]
    return {
        **shares(rows),
        **rhythm(rows),
        "tracks": members(rows, "track_key"),
        "networks": members(rows, "network_key"),
        "countries": members(rows, "country"),
        "hours": len({row["occurred_at"].hour for row in rows}),
        "top_track_share": top_share(rows, "track_key"),
        "new_country_share": sum(c not in known for c in abroad) / len(abroad) if known and abroad else None,
    }


def naive_device(rows: list[Row], _past: list[Row], _days: int) -> Row:
    return {**shares(rows), "actors": members(rows, "actor_key"), "networks": members(rows, "network_key")}


def naive_network(rows: list[Row], _past: list[Row], _days: int) -> Row:
    actors, agents = members(rows, "actor_key") or 0, effective(rows, "user_agent_key")
    return {
        **shares(rows),
        "actors": actors,
        "top_track_share": top_share(rows, "track_key"),
        "effective_user_agents": agents,
        "plays_per_actor": len(rows) / actors if actors >= MIN_ACTORS else None,
        "actors_per_user_agent": actors / agents if agents else None,
    }


def naive_track(rows: list[Row], past: list[Row], days: int) -> Row:
    actors = members(rows, "actor_key") or 0
    hours = [{"hour": row["occurred_at"].hour} for row in rows]
    return {
        **shares(rows),
        "actors": actors,
        "plays_per_actor": len(rows) / actors if len(rows) >= MIN_PLAYS else None,
        "top_network_share": top_share(rows, "network_key"),
        "effective_networks": effective(rows, "network_key"),
        "top_source_share": top_share(rows, "source"),
        "effective_hours": effective(hours, "hour"),
        "spike": len(rows) / (len(past) / days + 1) if days else None,
    }


naive_columns: dict[str, Callable[[list[Row], list[Row], int], Row]] = {
    "actor": naive_actor,
    "device": naive_device,
    "network": naive_network,
    "track": naive_track,
}


@settings(max_examples=40, deadline=None)
@given(some_plays)
def test_signals_are_what_a_slow_program_that_is_easy_to_check_computes(rows: list[Row]) -> None:
    found = signals_of_day(plays_of(rows), day(2)).collect()
    expected = naive_signals(rows)
    names = [name for name in found.columns if not name.startswith("entity_")]
    assert {(row["entity_kind"], row["entity_key"]) for row in found.to_dicts()} == expected.keys()
    for row in found.to_dicts():
        wanted = expected[row["entity_kind"], row["entity_key"]]
        assert {name: row[name] for name in names} == pytest.approx(
            {name: wanted.get(name) for name in names}, abs=2e-5, nan_ok=False
        )


@settings(max_examples=15, deadline=None)
@given(some_plays, st.randoms(use_true_random=False))
def test_the_order_of_plays_does_not_matter(rows: list[Row], random: Any) -> None:
    plays = plays_of(rows).collect()
    shuffled = plays[random.sample(range(plays.height), plays.height)]
    assert_frame_equal(
        signals_of_day(plays.lazy(), day(2)).collect(),
        signals_of_day(shuffled.lazy(), day(2)).collect(),
        check_exact=True,
    )


def test_a_day_keeps_its_contract_in_canonical_order() -> None:
    plays = together(organic(0), organic(1), bot_farm(1))
    signals = signals_of_day(plays, day(1))
    assert findings_about(PlaySignals, signals) == []
    assert_frame_equal(signals.collect(), signals.collect().sort("entity_kind", "entity_key"))


def test_what_happened_after_the_day_is_not_read() -> None:
    known = together(organic(0), organic(1))
    with_future = together(known, organic(2), bot_farm(2))
    assert_frame_equal(signals_of_day(known, day(1)).collect(), signals_of_day(with_future, day(1)).collect())


@pytest.mark.parametrize("plays", [Plays.empty(), organic(0)], ids=["no plays at all", "plays of days before only"])
def test_a_day_without_plays_has_no_signals(plays: pl.LazyFrame) -> None:
    signals = signals_of_day(plays, day(1))
    assert findings_about(PlaySignals, signals) == []
    assert signals.collect().is_empty()


def test_the_fingerprint_counts_entities_and_tells_chaos_from_structure() -> None:
    calm, attacked = (
        numbers_of(PlaySignals, signals_of_day(plays, day(0)))
        for plays in (organic(0), together(organic(0), bot_farm(0)))
    )
    assert calm["actors"] == 300
    assert calm["networks"] == 100
    assert attacked["effective_networks"] < calm["effective_networks"] / 2
    assert attacked["top_share_of_networks"] > 0.5


def test_the_fingerprint_of_a_day_without_plays_claims_nothing() -> None:
    assert numbers_of(PlaySignals, PlaySignals.empty()) == {}
