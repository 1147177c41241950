from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from spam_pipeline.ingestion.contracts import Plays
from spam_pipeline.trust_and_safety.contracts import EntityFacts, PlaySignals
from spam_pipeline.trust_and_safety.signals import signals_of_day
from spam_pipeline.trust_and_safety.signals.catalogue import SIGNALS, USUAL
from spam_pipeline_tests.contract_helpers import findings_about, numbers_of
from spam_pipeline_tests.trust_and_safety.play_generator import (
    bot_farm,
    day,
    facts_of,
    moment,
    organic,
    plays_of,
    signals_on,
    together,
)
from spam_pipeline_tests.trust_and_safety.signals.slow_program import KEYS, slow_signals

Row = dict[str, Any]

DAY = date.fromisoformat(day(2))
FACTS: list[Row] = [
    {"entity_kind": "account", "entity_key": 11, "since": DAY - timedelta(90), "country": "US"},
    {"entity_kind": "account", "entity_key": 12, "since": DAY - timedelta(89), "country": "DE"},
    {"entity_kind": "account", "entity_key": 13, "since": DAY + timedelta(1), "country": "DE"},
    {"entity_kind": "track", "entity_key": 1, "since": DAY, "artist_key": 61, "duration_ms": 200_000},
    {"entity_kind": "track", "entity_key": 2, "since": DAY + timedelta(1), "artist_key": 61, "duration_ms": 40_000},
    {"entity_kind": "track", "entity_key": 3, "since": DAY - timedelta(9), "artist_key": 62, "duration_ms": 100_000},
    {"entity_kind": "user_agent", "entity_key": 41, "is_automated": True, "platform": "other"},
    {"entity_kind": "user_agent", "entity_key": 42, "is_automated": False, "platform": "Android"},
    {"entity_kind": "user_agent", "entity_key": 43, "is_automated": False, "platform": "iOS"},
]
BY_ENTITY = {(fact["entity_kind"], fact["entity_key"]): fact for fact in FACTS}

one_play = st.fixed_dictionaries(
    {
        "occurred_at": st.builds(
            lambda number, hour, minutes: moment(number, hour + minutes / 60),
            st.sampled_from([0, 1, 2, 2, 2, 3]),
            st.sampled_from([0, 0, 22]),
            st.integers(0, 100),
        ),
        "track_key": st.sampled_from([1, 1, 2, 3, 4]),
        "user_key": st.sampled_from([None, 11, 11, 11, 12, 13, 14]),
        "device_key": st.integers(21, 22),
        "ip_key": st.sampled_from([None, 51, 51, 52]),
        "network_key": st.sampled_from([None, 31, 31, 32]),
        "is_hosting": st.sampled_from([None, False, True]),
        "user_agent_key": st.sampled_from([None, 41, 42, 43, 44]),
        "country": st.sampled_from([None, "DE", "US", "US"]),
        "client": st.sampled_from(["web", "embed", "ios", "android"]),
        "source": st.sampled_from(["search", "embed", "playlist"]),
        "ms_played": st.sampled_from([0, 29_999, 30_000, 35_999, 36_000, 38_000, 59_999, 60_000, 189_999, 190_000]),
    }
)
some_plays = st.one_of(st.lists(one_play, max_size=12), st.lists(one_play, min_size=70, max_size=110))
some_facts = st.lists(st.sampled_from(FACTS), unique_by=id)


def signals(rows: Sequence[Row], facts: Sequence[Row] = FACTS) -> pl.DataFrame:
    return signals_of_day(plays_of(list(rows)), facts_of(list(facts)), day(2)).collect()


def spread(frame: pl.LazyFrame) -> pl.LazyFrame:
    """The same with keys all over the 64 bits, as hashes are; so small ones would all be in the first slice."""
    keys = [name for name in frame.collect_schema() if name.endswith("_key")]
    return frame.with_columns(
        pl.col(keys).replace_strict({n: n * 0x9E37_79B9_7F4A_7C15 % 2**64 for n in range(100)}, return_dtype=pl.UInt64)
    )


def signals_by_entity(rows: Sequence[Row], facts: Sequence[Row] = FACTS) -> dict[tuple[str, int], Row]:
    """The signals of each entity that are not null."""
    return {
        (row.pop("entity_kind"), row.pop("entity_key")): {k: v for k, v in row.items() if v is not None}
        for row in signals(rows, facts).to_dicts()
    }


# What is computed


@settings(max_examples=60)
@given(some_plays, some_facts)
def test_signals_are_what_a_slow_program_that_is_easy_to_check_computes(rows: list[Row], facts: list[Row]) -> None:
    expected = slow_signals(rows, {(fact["entity_kind"], fact["entity_key"]): fact for fact in facts}, DAY)
    found = signals_by_entity(rows, facts)
    assert found.keys() == expected.keys()
    for entity, wanted in expected.items():
        assert found[entity] == pytest.approx(wanted, abs=2e-5), entity


@settings(max_examples=10)
@given(some_plays, some_facts, st.sampled_from([3, 30]))
def test_signals_are_the_same_however_small_the_slices_in_which_plays_are_grouped(
    rows: list[Row], facts: list[Row], slice_rows: int
) -> None:
    plays, known = (spread(frame) for frame in (plays_of(list(rows)), facts_of(list(facts))))
    in_slices = signals_of_day(plays, known, day(2), slice_rows).collect()
    assert_frame_equal(in_slices, signals_of_day(plays, known, day(2)).collect(), check_exact=True)


def test_the_slow_program_computes_every_signal_of_the_catalogue() -> None:
    rows = [
        {"occurred_at": moment(number, minute / 60), "user_key": 11, "device_key": 21, "ip_key": 51}
        | {"network_key": 31, "user_agent_key": 42, "country": "US", "track_key": 1, "ms_played": 31_000}
        | {"client": "ios", "source": "search", "is_hosting": True}
        for number in (1, 2)
        for minute in range(12)
    ]
    computed = slow_signals(rows, BY_ENTITY, DAY)
    entities = {"actor": 11, "device": 21, "address": 51, "network": 31, "track": 1, "uploader": 61}
    assert entities.keys() == KEYS.keys()
    found = {f"{kind}_{column}" for kind, key in entities.items() for column in computed[kind, key]}
    assert {signal.name for signal in SIGNALS} <= found


def test_every_signal_of_the_catalogue_is_a_column() -> None:
    assert {signal.column for signal in SIGNALS} <= set(signals([]).columns)


# What is not known


def test_what_is_not_in_the_reference_leaves_the_signals_about_it_usual() -> None:
    rows = [
        {"occurred_at": moment(2, minute / 60), "user_key": 14, "track_key": 4, "country": "US", "ms_played": 200_000}
        for minute in range(50)
    ]
    found = signals_by_entity(rows)
    assert found["track", 4]["complete_share"] == found["device", 1]["complete_share"] == pytest.approx(0.63)
    assert found["device", 1]["abroad_share"] < 0.01
    assert "age_days" not in found["actor", 14].keys() | found["track", 4].keys()
    assert "top_uploader_share" not in found["device", 1]
    assert not {kind for kind, _ in found} & {"uploader", "address", "network"}


def test_a_play_that_is_logged_out_speaks_for_its_device() -> None:
    rows = [{"occurred_at": moment(2, hour), "device_key": 21, "ip_key": 51} for hour in range(3)]
    found = signals_by_entity(rows)
    assert found["actor", 21]["plays"] == 3
    assert "age_days" not in found["actor", 21]
    assert found["device", 21]["actors"] == found["address", 51]["actors"] == 1
    assert found["address", 51]["new_account_share"] < 0.06


def test_of_an_actor_with_no_past_no_country_is_new() -> None:
    today = {"occurred_at": moment(2, 1), "user_key": 11, "country": "US"}
    assert "new_country_share" not in signals_by_entity([today])["actor", 11]
    without = {"occurred_at": moment(1, 1), "user_key": 11, "country": None}
    assert "new_country_share" not in signals_by_entity([today, without])["actor", 11]
    elsewhere = {"occurred_at": moment(1, 1), "user_key": 11, "country": "DE"}
    assert signals_by_entity([today, elsewhere])["actor", 11]["new_country_share"] > 0.2


def test_without_days_before_nothing_is_a_spike() -> None:
    today = [{"occurred_at": moment(2, 1), "track_key": 1}] * 6
    assert "spike" not in signals_by_entity(today)["track", 1]
    others = [{"occurred_at": moment(number, 1), "track_key": 3} for number in (0, 1)]
    assert signals_by_entity([*today, *others])["track", 1]["spike"] == 6
    same = [{"occurred_at": moment(number, 1), "track_key": 1} for number in (0, 1)]
    assert signals_by_entity([*today, *same])["track", 1]["spike"] == 3


def test_the_spike_of_an_uploader_counts_all_of_its_tracks() -> None:
    rows = [{"occurred_at": moment(2, 1), "track_key": 1}] * 4
    other_track = [{"occurred_at": moment(1, 1), "track_key": 2}] * 3
    assert signals_by_entity([*rows, *other_track])["uploader", 61]["spike"] == 1
    assert signals_by_entity([*rows, *other_track])["track", 1]["spike"] == 4


@pytest.mark.parametrize(
    ("user", "ours", "others", "is_devoted"),
    [(12, 4, 1, True), (12, 3, 1, False), (12, 2, 0, True), (12, 1, 0, False), (11, 4, 1, False)],
    ids=["four of five", "three of four", "both", "a single play", "an account that is not new"],
)
def test_a_new_account_is_devoted_to_the_uploader_of_most_of_its_plays_in_the_window(
    user: int, ours: int, others: int, *, is_devoted: bool
) -> None:
    rows = [{"occurred_at": moment(2, 1), "user_key": user, "track_key": 1}]
    rows += [{"occurred_at": moment(1, 1), "user_key": user, "track_key": 2}] * (ours - 1)
    rows += [{"occurred_at": moment(0, 1), "user_key": user, "track_key": 3}] * others
    expected = (ours * is_devoted + 4 * USUAL["uploader", "devoted_share"]) / (ours + 4)
    assert signals_by_entity(rows)["uploader", 61]["devoted_share"] == pytest.approx(expected, abs=1e-6)


# What does not matter


@settings(max_examples=15)
@given(some_plays, st.randoms(use_true_random=False))
def test_the_order_of_plays_and_of_facts_does_not_matter(rows: list[Row], random: Any) -> None:
    plays = plays_of(rows).collect()
    shuffled = plays[random.sample(range(plays.height), plays.height)]
    assert_frame_equal(
        signals_of_day(plays.lazy(), facts_of(FACTS), day(2)).collect(),
        signals_of_day(shuffled.lazy(), facts_of(random.sample(FACTS, len(FACTS))), day(2)).collect(),
        check_exact=True,
    )


@settings(max_examples=15)
@given(some_plays)
def test_plays_after_the_day_change_nothing(rows: list[Row]) -> None:
    until = [row for row in rows if row["occurred_at"].date() <= DAY]
    assert_frame_equal(signals(rows), signals(until), check_exact=True)


def test_what_happened_after_the_day_is_not_read() -> None:
    known = together(organic(0), organic(1))
    with_future = together(known, organic(2), bot_farm(2))
    assert_frame_equal(signals_on(known, 1).collect(), signals_on(with_future, 1).collect(), check_exact=True)


def test_facts_that_every_day_of_the_window_tells_are_taken_once() -> None:
    rows = [{"occurred_at": moment(number, 1), "user_key": 11, "track_key": 1} for number in (0, 1, 2)]
    assert_frame_equal(signals(rows, FACTS * 3), signals(rows), check_exact=True)


def test_where_days_differ_about_an_entity_the_last_one_knows_better() -> None:
    rows = [{"occurred_at": moment(2, 1), "user_key": 11, "track_key": 1}]
    corrected = [BY_ENTITY["account", 11] | {"since": DAY - timedelta(5)}, BY_ENTITY["track", 1] | {"artist_key": 63}]
    found = signals_by_entity(rows, [*FACTS, *corrected])
    assert found["actor", 11]["age_days"] == 5
    assert found["track", 1]["uploader_key"] == 63


# What a day is


def test_a_day_keeps_its_contract_in_canonical_order_however_it_is_collected() -> None:
    frame = signals_on(together(organic(0), organic(1), bot_farm(1)), 1)
    assert findings_about(PlaySignals, frame) == []
    assert_frame_equal(frame.collect(), frame.collect().sort("entity_kind", "entity_key"), check_exact=True)
    assert_frame_equal(frame.collect(engine="streaming"), frame.collect(), check_exact=True)


@pytest.mark.parametrize("plays", [Plays.empty(), organic(0)], ids=["no plays at all", "plays of days before only"])
def test_a_day_without_plays_has_no_signals(plays: pl.LazyFrame) -> None:
    frame = signals_on(plays, 1)
    assert findings_about(PlaySignals, frame) == []
    assert frame.collect().is_empty()


def test_a_day_of_which_nothing_is_known_keeps_its_contract() -> None:
    frame = signals_of_day(organic(0), EntityFacts.empty(), day(0))
    assert findings_about(PlaySignals, frame) == []
    assert set(frame.collect().get_column("entity_kind")) == {"actor", "address", "device", "network", "track"}


def test_the_fingerprint_counts_entities_and_tells_chaos_from_structure() -> None:
    calm, attacked = (
        numbers_of(PlaySignals, signals_on(plays, 0)) for plays in (organic(0), together(organic(0), bot_farm(0)))
    )
    assert calm["actors"] == 300
    assert calm["networks"] == 100
    assert attacked["effective_networks"] < calm["effective_networks"] / 2
    assert attacked["top_share_of_networks"] > 0.5


def test_the_fingerprint_of_a_day_without_plays_claims_nothing() -> None:
    assert numbers_of(PlaySignals, PlaySignals.empty()) == {}
