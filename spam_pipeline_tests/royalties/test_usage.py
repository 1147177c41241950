from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from spam_pipeline.ingestion.contracts import Accounts
from spam_pipeline.protocol import column_types
from spam_pipeline.royalties.assets import royalty_usage
from spam_pipeline.royalties.contracts import EARNING, SHORT, SPAM, WITHHELD, RoyaltyUsage
from spam_pipeline.royalties.usage import usage_of
from spam_pipeline.trust_and_safety.contracts import LONGEST_PLAY_MS, ClassifiedPlays
from spam_pipeline_tests.contract_helpers import findings_about, numbers_of

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
A_PLAY = {
    "event_id": "e",
    "occurred_at": NOON,
    "arrival_hour": NOON,
    "track_id": "t",
    "track_key": 1,
    "user_key": 7,
    "device_key": 8,
    "country": "SE",
    "client": "web",
    "source": "search",
    "ms_played": 40_000,
    "class": "legitimate",
    "spam_probability": 0.01,
    "reasons": [],
    "incident_id": None,
    "incident_status": None,
}


def plays(*changes: dict[str, Any]) -> pl.LazyFrame:
    rows = [A_PLAY | {"event_id": f"e{number}"} | change for number, change in enumerate(changes)]
    return pl.LazyFrame(rows, schema=column_types(ClassifiedPlays))


def accounts(*rows: tuple[int, str, str]) -> pl.LazyFrame:
    return pl.LazyFrame(
        [(key, country, tier, date(2025, 1, 1)) for key, country, tier in rows],
        schema=column_types(Accounts),
        orient="row",
    )


def only_row(usage: pl.LazyFrame) -> dict[str, Any]:
    return usage.collect().row(0, named=True)


@pytest.mark.parametrize(
    ("play", "status"),
    [
        ({}, EARNING),
        ({"ms_played": 30_000}, EARNING),
        ({"ms_played": 29_999}, SHORT),
        ({"spam_probability": 0.19}, EARNING),
        ({"spam_probability": 0.2}, WITHHELD),
        ({"spam_probability": float("nan")}, WITHHELD),
        ({"spam_probability": 0.9, "ms_played": 5}, SHORT),
        ({"class": "unknown"}, EARNING),
        ({"class": "spam", "spam_probability": 0.9}, SPAM),
        ({"class": "spam", "spam_probability": 0.9, "ms_played": 5}, SPAM),
        ({"incident_id": "i", "incident_status": "suspected"}, WITHHELD),
        ({"incident_id": "i", "incident_status": "suspected", "ms_played": 5}, SHORT),
        ({"incident_id": "i", "incident_status": "suspected", "class": "spam"}, WITHHELD),
        ({"incident_id": "i", "incident_status": "confirmed"}, SPAM),
        ({"incident_id": "i", "incident_status": "confirmed", "ms_played": 5}, SPAM),
        ({"incident_id": "i", "incident_status": "cleared", "class": "spam", "spam_probability": 0.9}, EARNING),
        ({"incident_id": "i", "incident_status": "cleared", "ms_played": 5}, SHORT),
    ],
)
def test_a_person_outweighs_the_software_and_both_outweigh_the_length(play: dict[str, Any], status: str) -> None:
    assert only_row(usage_of(plays(play), accounts((7, "DE", "premium"))))["status"] == status


def test_withheld_usage_keeps_its_incident() -> None:
    suspected = {"incident_id": "i", "incident_status": "suspected"}
    assert only_row(usage_of(plays(suspected), accounts()))["incident_id"] == "i"


def test_usage_without_an_incident_has_an_empty_incident_id() -> None:
    assert only_row(usage_of(plays({}), accounts()))["incident_id"] == ""


@pytest.mark.parametrize(
    ("play", "known", "counted"),
    [
        ({}, [(7, "DE", "premium")], ("DE", "premium", 7, True)),
        ({}, [], ("SE", "free", 7, False)),
        ({"country": None}, [], ("ZZ", "free", 7, False)),
        ({"user_key": None}, [(7, "DE", "premium")], ("SE", "free", 8, False)),
        ({"user_key": None, "country": None}, [(8, "DE", "premium")], ("ZZ", "free", 8, False)),
    ],
)
def test_a_play_counts_where_its_account_is_or_else_where_it_was_played(
    play: dict[str, Any], known: list[tuple[int, str, str]], counted: tuple[str, str, int, bool]
) -> None:
    row = only_row(usage_of(plays(play), accounts(*known)))
    assert (row["country"], row["tier"], row["listener_key"], row["is_account"]) == counted


def test_plays_are_summed_per_arrival_day_and_keep_their_event_day() -> None:
    late = {"arrival_hour": NOON + timedelta(days=40)}
    usage = usage_of(plays({}, {"ms_played": 50_000}, late), accounts()).collect()
    assert usage.select("event_day", "arrival_day", "plays", "ms_played").rows() == [
        (date(2026, 1, 5), date(2026, 1, 5), 2, 90_000),
        (date(2026, 1, 5), date(2026, 2, 14), 1, 40_000),
    ]


def test_what_a_client_claims_beyond_a_day_of_listening_is_not_counted() -> None:
    absurd = {"ms_played": 2**63 - 1}
    row = only_row(usage_of(plays(absurd, absurd), accounts()))
    assert (row["plays"], row["ms_played"]) == (2, 2 * LONGEST_PLAY_MS)


some_play = st.fixed_dictionaries(
    {
        "user_key": st.sampled_from([None, 1, 2, 7]),
        "country": st.sampled_from([None, "SE", "DE"]),
        "track_id": st.sampled_from(["a", "b"]),
        "ms_played": st.integers(0, 10**6),
        "class": st.sampled_from(["legitimate", "spam", "unknown"]),
        "spam_probability": st.floats(0, 1, width=32),
        "incident_status": st.sampled_from([None, "suspected", "confirmed", "cleared"]),
    }
)


@given(st.lists(some_play, max_size=20))
@settings(max_examples=40)
def test_usage_reconciles_to_the_plays_it_comes_from_in_any_order(listened: list[dict[str, Any]]) -> None:
    members = accounts((1, "DE", "premium"), (2, "SE", "free"))
    usage = royalty_usage(plays(*listened), members).collect()
    assert usage["plays"].sum() == len(listened)
    assert usage["ms_played"].sum() == sum(play["ms_played"] for play in listened)
    assert usage.equals(royalty_usage(plays(*reversed(listened)), members).collect())
    assert findings_about(RoyaltyUsage, usage.lazy()) == []


def test_the_fingerprint_counts_plays_by_what_they_are_worth() -> None:
    usage = usage_of(plays({}, {}, {"ms_played": 1}, {"class": "spam"}, {"spam_probability": 0.5}), accounts())
    fingerprint = numbers_of(RoyaltyUsage, usage)
    counted = {"plays": 5, "earning_plays": 2, "withheld_plays": 1, "spam_plays": 1, "short_plays": 1}
    assert {name: fingerprint[name] for name in counted} == counted
    assert (fingerprint["statuses"], fingerprint["account_share"]) == (4, 0)


def test_a_day_without_plays_has_no_usage() -> None:
    usage = royalty_usage(ClassifiedPlays.empty(), Accounts.empty()).collect()
    assert usage.is_empty()
    assert findings_about(RoyaltyUsage, usage.lazy()) == []


@settings(max_examples=15)
@given(st.integers(1, 40))
def test_a_day_of_more_plays_than_fit_into_memory_is_counted_alike(plays_at_once: int) -> None:
    many = plays(
        *(
            {
                "user_key": number * number * 0x9E3779B97F4A7C15 % 2**64 if number % 4 else None,
                "device_key": number % 7 * 0x9E3779B97F4A7C15 % 2**64,
                "country": [None, "SE", "US"][number % 3],
                "track_id": f"t{number % 5}",
                "ms_played": 25_000 + 1_000 * number,
            }
            for number in range(40)
        )
    )
    known = accounts(*((number * number * 0x9E3779B97F4A7C15 % 2**64, "US", "premium") for number in range(1, 40, 3)))
    expected = usage_of(many, known).collect()
    assert_frame_equal(usage_of(many, known, plays_at_once).collect(), expected)
