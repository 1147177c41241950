"""Reports over classified plays: daily plays, top countries, and counts per track."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spam_pipeline.protocol.fingerprint import numbers
from spam_pipeline.reporting import assets
from spam_pipeline.reporting.contracts import (
    DailyPlays,
    IncidentListeners,
    IncidentPlays,
    SpamByType,
    TopCountries,
    TrackPlayCounts,
    WidgetCounts,
)
from spam_pipeline.reporting.daily_plays import plays_by_country
from spam_pipeline.trust_and_safety.contracts import LONGEST_PLAY_MS, REPORTING_TOLERANCE
from spam_pipeline_tests.contract_helpers import findings_about, fingerprint_of, numbers_of

Play = Mapping[str, Any]
PlaysOf = Callable[[Iterable[Play]], pl.LazyFrame]

DAY = date(2026, 1, 5)

plays = st.lists(
    st.fixed_dictionaries(
        {
            "occurred_at": st.sampled_from([datetime(2026, 1, day, 23, 59, 59, tzinfo=UTC) for day in (5, 6)]),
            "track_key": st.integers(1, 4),
            "user_key": st.none() | st.integers(1, 3),
            "device_key": st.integers(1, 3),
            "country": st.none() | st.sampled_from([f"{first}{second}" for first in "ABCD" for second in "XYZ"]),
            "ms_played": st.integers(0, LONGEST_PLAY_MS) | st.just(2**63 - 1),
            "attack_type": st.none() | st.sampled_from(["bot_farm", "loop_bot"]),
            "incident_id": st.none() | st.sampled_from(["incident-1", "incident-2"]),
            "spam_probability": st.sampled_from([0.0, 0.5, 0.79, 0.8, 0.81, 1.0]),
        }
    ),
    max_size=60,
)


def is_kept(play: Play) -> bool:
    return bool(np.float32(play["spam_probability"]) < np.float32(REPORTING_TOLERANCE))


def who(play: Play) -> tuple[str, int]:
    return ("device", play["device_key"]) if play["user_key"] is None else ("user", play["user_key"])


def grouped(given_plays: list[dict[str, Any]], *names: str) -> dict[tuple[Any, ...], list[Play]]:
    groups = defaultdict(list)
    for play in given_plays:
        told = {
            **play,
            "day": play["occurred_at"].date(),
            "country": play["country"] or "ZZ",
            "attack_type": play["attack_type"] or "",
        }
        groups[tuple(told[name] for name in names)].append(told)
    return dict(groups)


@given(given_plays=plays)
@settings(max_examples=60, deadline=None)
def test_daily_plays_count_what_a_person_would_count(plays_of: PlaysOf, given_plays: list[dict[str, Any]]) -> None:
    expected = [
        (
            *key,
            len(group),
            len(kept),
            len({who(play) for play in group}),
            len({who(play) for play in kept}),
            sum(min(play["ms_played"], LONGEST_PLAY_MS) for play in group),
            sum(min(play["ms_played"], LONGEST_PLAY_MS) for play in kept),
        )
        for key, group in sorted(grouped(given_plays, "day", "country").items())
        for kept in [[play for play in group if is_kept(play)]]
    ]
    counted = assets.daily_plays(plays_of(given_plays))
    assert counted.collect().rows() == expected
    assert plays_by_country(plays_of(given_plays), plays_at_once=7).collect().rows() == expected
    assert findings_about(DailyPlays, counted) == []


@given(given_plays=plays)
@settings(max_examples=60, deadline=None)
def test_top_countries_rank_what_a_person_would_rank(plays_of: PlaysOf, given_plays: list[dict[str, Any]]) -> None:
    known = [play for play in given_plays if play["country"]]
    expected = []
    for (day,), group in sorted(grouped(known, "day").items()):
        for measure, counted in (
            ("with_spam", group),
            ("without_spam", [play for play in group if is_kept(play)]),
        ):
            counts = Counter(play["country"] for play in counted)
            best = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:10]
            expected += [(day, measure, rank, *item) for rank, item in enumerate(best, start=1)]
    ranked = assets.top_countries(plays_of(given_plays))
    assert ranked.collect().rows() == expected
    assert findings_about(TopCountries, ranked) == []


@given(given_plays=plays)
@settings(max_examples=60, deadline=None)
def test_track_counts_add_up_to_widget_counts(plays_of: PlaysOf, given_plays: list[dict[str, Any]]) -> None:
    by_track = grouped(given_plays, "day", "track_key")
    expected = [
        (day, f"track-{track}", len(group), sum(map(is_kept, group)))
        for (day, track), group in sorted(by_track.items())
    ]
    per_day = assets.track_play_counts(plays_of(given_plays))
    assert per_day.collect().rows() == expected
    assert findings_about(TrackPlayCounts, per_day) == []

    totals: Counter[str] = Counter()
    for _, track, _, kept in expected:
        totals[track] += kept
    widgets = assets.widget_counts(per_day)
    assert widgets.collect().rows() == sorted(totals.items())
    assert findings_about(WidgetCounts, widgets) == []


@given(given_plays=plays)
@settings(max_examples=60, deadline=None)
def test_spam_by_type_counts_what_reports_drop(plays_of: PlaysOf, given_plays: list[dict[str, Any]]) -> None:
    dropped = [play for play in given_plays if not is_kept(play)]
    groups = grouped(dropped, "day", "country", "attack_type")
    counted = assets.spam_by_type(plays_of(given_plays))
    assert counted.collect().rows() == [(*key, len(group)) for key, group in sorted(groups.items())]
    assert findings_about(SpamByType, counted) == []
    assert numbers_of(SpamByType, counted)["spam_plays"] == len(dropped)


@given(given_plays=plays)
@settings(max_examples=60, deadline=None)
def test_plays_of_incidents_are_those_that_belong_to_one(plays_of: PlaysOf, given_plays: list[dict[str, Any]]) -> None:
    declared = [play for play in given_plays if play["incident_id"]]
    expected = [
        (day, incident, country, f"track-{track}", len(group), sum(map(is_kept, group)))
        for (day, incident, country, track), group in sorted(
            grouped(declared, "day", "incident_id", "country", "track_key").items()
        )
    ]
    counted = assets.incident_plays(plays_of(given_plays))
    assert counted.collect().rows() == expected
    assert findings_about(IncidentPlays, counted) == []


def test_plays_of_incidents_are_counted_by_hour_and_by_user_or_by_device_while_logged_out(plays_of: PlaysOf) -> None:
    def at(hour: int, user: int | None, incident: str | None = "incident-7") -> dict[str, Any]:
        return {
            "occurred_at": datetime(2026, 1, 5, hour, 59, tzinfo=UTC),
            "user_key": user,
            "device_key": 8,
            "incident_id": incident,
        }

    counted = assets.incident_listeners(plays_of([at(3, 7), at(3, 7), at(4, 7), at(3, None), at(3, 7, None)]))
    assert counted.collect().rows() == [
        (DAY, "incident-7", 3, "device", 8, 1),
        (DAY, "incident-7", 3, "user", 7, 2),
        (DAY, "incident-7", 4, "user", 7, 1),
    ]
    assert findings_about(IncidentListeners, counted) == []


@given(given_plays=plays, shuffled=st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_the_order_of_plays_does_not_matter(
    plays_of: PlaysOf, given_plays: list[dict[str, Any]], shuffled: Any
) -> None:
    others = shuffled.sample(given_plays, len(given_plays))
    for report in (assets.daily_plays, assets.top_countries, assets.spam_by_type, assets.track_play_counts):
        assert report(plays_of(given_plays)).collect().equals(report(plays_of(others)).collect())


def test_a_spam_attack_leads_one_ranking_and_is_absent_from_the_other(plays_of: PlaysOf) -> None:
    attack = [{"country": "XA", "spam_probability": 0.99}] * 5
    honest = [{"country": "DE"}] * 3 + [{"country": "FR"}]
    ranked = assets.top_countries(plays_of([*attack, *honest])).collect()
    assert ranked.rows() == [
        (DAY, "with_spam", 1, "XA", 5),
        (DAY, "with_spam", 2, "DE", 3),
        (DAY, "with_spam", 3, "FR", 1),
        (DAY, "without_spam", 1, "DE", 3),
        (DAY, "without_spam", 2, "FR", 1),
    ]
    numbers = numbers_of(TopCountries, ranked.lazy())
    assert numbers["countries_there_only_with_spam"] == 1
    assert (numbers["plays_of_top_countries"], numbers["plays_of_top_countries_without_spam"]) == (9, 4)
    assert numbers["top_countries_without_spam"] == 2


def test_countries_with_equal_counts_rank_by_code_and_the_eleventh_is_left_out(plays_of: PlaysOf) -> None:
    codes = [f"{letter}A" for letter in "KBCDEFGHIJA"]
    ranked = assets.top_countries(plays_of([{"country": code} for code in codes])).collect()
    assert ranked.filter(measure="with_spam")["country"].to_list() == sorted(codes)[:10]


def test_plays_of_unknown_country_count_for_the_day_but_rank_nowhere(plays_of: PlaysOf) -> None:
    classified = plays_of([{"country": None}] * 2)
    assert assets.daily_plays(classified).select("country", "plays").collect().rows() == [("ZZ", 2)]
    assert assets.top_countries(classified).collect().is_empty()


def test_a_logged_out_listener_is_the_device_and_never_a_user_with_the_same_key(plays_of: PlaysOf) -> None:
    classified = plays_of([{"user_key": 7}, {"user_key": 7}, {"user_key": None, "device_key": 7}])
    assert assets.daily_plays(classified).select("listeners").collect().item() == 2


def test_a_play_at_the_tolerance_is_spam(plays_of: PlaysOf) -> None:
    classified = plays_of([{"spam_probability": REPORTING_TOLERANCE}, {"spam_probability": 0.79}])
    assert assets.daily_plays(classified).select("plays", "plays_without_spam").collect().rows() == [(2, 1)]


@pytest.mark.parametrize(
    ("report", "contract"),
    [
        (assets.daily_plays, DailyPlays),
        (assets.top_countries, TopCountries),
        (assets.spam_by_type, SpamByType),
        (assets.track_play_counts, TrackPlayCounts),
        (assets.incident_plays, IncidentPlays),
        (assets.incident_listeners, IncidentListeners),
    ],
)
def test_a_day_without_plays_gives_an_empty_report(plays_of: PlaysOf, report: Any, contract: Any) -> None:
    empty = report(plays_of([]))
    assert empty.collect().is_empty()
    assert findings_about(contract, empty) == []
    measured = fingerprint_of(contract, empty)
    assert measured.keys() == contract.fingerprint().keys()
    assert set(numbers(measured).values()) == {0}


def test_the_fingerprint_tells_an_even_day_from_one_that_a_single_country_fills(plays_of: PlaysOf) -> None:
    def effective(codes: list[str]) -> float:
        report = assets.daily_plays(plays_of([{"country": code} for code in codes]))
        return numbers_of(DailyPlays, report)["effective_countries"]

    assert effective(["DE", "FR", "US", "BR"] * 500) == pytest.approx(4, rel=0.001)
    assert effective(["DE"] * 97 + ["FR", "US", "BR"]) < 1.3
