"""What a day leaves for suspicions: plays that earn, by device and track."""

from datetime import date
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from spam_pipeline.trust_and_safety.contracts import ACCOUNT, TRACK, EntityFacts
from spam_pipeline.trust_and_safety.suspicions.listening import listening_of_day
from spam_pipeline.trust_and_safety.suspicions_contract import Listening
from spam_pipeline_tests.contract_helpers import findings_about
from spam_pipeline_tests.trust_and_safety.play_generator import facts_of, moment, plays_of
from spam_pipeline_tests.trust_and_safety.suspicions.made_up_listening import SPREAD

SHORT_TRACK = 2
FACTS = facts_of(
    [
        {"entity_kind": TRACK, "entity_key": 1, "artist_key": 11, "duration_ms": 200_000},
        {"entity_kind": TRACK, "entity_key": SHORT_TRACK, "artist_key": 11, "duration_ms": 45_000},
        {
            "entity_kind": ACCOUNT,
            "entity_key": 7,
            "since": date(2025, 3, 1),
            "country": "DE",
            "tier": "premium",
        },
    ]
)


def played(**values: Any) -> dict[str, Any]:
    return {"occurred_at": moment(0, 9)} | values


def heard_on_the_day(*plays: dict[str, Any], facts: pl.LazyFrame = FACTS) -> pl.DataFrame:
    return listening_of_day(plays_of(list(plays)), facts).collect()


def test_plays_from_30_seconds_on_are_summed_by_device_and_track() -> None:
    found = heard_on_the_day(
        played(ms_played=30_000),
        played(ms_played=29_999),
        played(ms_played=200_000),
        played(track_key=SHORT_TRACK),
        played(device_key=2),
    )
    assert found.select("device_key", "track_key", "plays").rows() == [(1, 1, 2), (1, SHORT_TRACK, 1), (2, 1, 1)]
    assert findings_about(Listening, found.lazy()) == []


def test_a_play_is_cut_off_that_ends_within_a_minute_of_a_longer_track() -> None:
    found = heard_on_the_day(
        played(ms_played=59_999),
        played(ms_played=60_000),
        played(ms_played=45_000, track_key=SHORT_TRACK),
    )
    assert found.select("track_key", "plays", "cut_off").rows() == [(1, 2, 1), (SHORT_TRACK, 1, 0)]


def test_country_and_tier_are_the_accounts_wherever_it_is() -> None:
    found = heard_on_the_day(played(user_key=7, country="SE"))
    assert found.select("country", "tier", "account_since").row(0) == ("DE", "premium", date(2025, 3, 1))


def test_a_logged_out_listener_is_of_the_plays_country_and_the_free_tier() -> None:
    found = heard_on_the_day(played(country="SE"))
    assert found.select("country", "tier", "user_key", "account_since").row(0) == ("SE", "free", None, None)


def test_a_setting_is_client_and_source_and_the_hour_is_that_of_the_first_play() -> None:
    found = heard_on_the_day(
        played(occurred_at=moment(0, 23), client="web", source="search"),
        played(occurred_at=moment(0, 4.5), client="web", source="search"),
    )
    assert found.select("setting", "hour", "day").row(0) == ("web search", 4, moment(0).date())


def test_what_is_unknown_is_null() -> None:
    found = heard_on_the_day(played(), facts=EntityFacts.empty())
    unknown = ["uploader_key", "user_key", "ip_key", "account_since", "country"]
    assert found.select(unknown).row(0) == (None,) * len(unknown)


def test_a_day_without_plays_leaves_nothing() -> None:
    assert heard_on_the_day().is_empty()


MIXED = plays_of(
    [
        played(
            occurred_at=moment(0, number % 24),
            device_key=number % 3,
            track_key=number % 2,
            user_key=7 if number % 5 else None,
            client=("web", "ios")[number % 2],
            ms_played=25_000 + 9_000 * number,
        )
        for number in range(12)
    ]
).collect()


@settings(max_examples=10)
@given(st.integers(1, 13))
def test_a_day_of_more_plays_than_fit_into_memory_is_summed_alike(plays_at_once: int) -> None:
    spread = MIXED.with_columns(pl.col("device_key") * SPREAD).lazy()
    expected = listening_of_day(spread, FACTS).collect()
    assert_frame_equal(listening_of_day(spread, FACTS, plays_at_once).collect(), expected, check_exact=True)


@settings(max_examples=30)
@given(st.permutations(range(MIXED.height)))
def test_the_order_of_plays_is_of_no_account(order: list[int]) -> None:
    expected = listening_of_day(MIXED.lazy(), FACTS).collect()
    assert_frame_equal(listening_of_day(MIXED[order].lazy(), FACTS).collect(), expected, check_exact=True)
