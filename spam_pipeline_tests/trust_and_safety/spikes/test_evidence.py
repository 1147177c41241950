"""What is counted of the most conspicuous tracks, on frames small enough to count by hand."""

import math
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from spam_pipeline.trust_and_safety import contracts, incidents
from spam_pipeline.trust_and_safety.signals.known_plays import JUST_PAID_TO_MS, PAID_FROM_MS
from spam_pipeline.trust_and_safety.spikes import evidence
from spam_pipeline.trust_and_safety.spikes.evidence import CUT_OFF_TRACKS, MOST_TRACKS, evidence_of_tracks

MIDNIGHT = datetime(2026, 1, 5, tzinfo=UTC)
TYPES = {
    "track_key": pl.UInt64,
    "track_id": pl.String,
    "user_key": pl.UInt64,
    "device_key": pl.UInt64,
    "network_key": pl.UInt64,
    "user_agent_key": pl.UInt64,
    "source": pl.String,
    "country": pl.String,
    "occurred_at": pl.Datetime("ms", "UTC"),
    "ms_played": pl.Int64,
    "class": pl.String,
    "incident_status": pl.String,
}


def frame_of(*plays: dict[str, object]) -> pl.LazyFrame:
    """Plays that name only what matters."""
    usual = {
        "track_key": 1,
        "user_key": 1,
        "device_key": 9,
        "network_key": 1,
        "user_agent_key": 1,
        "source": "feed",
        "country": "SE",
        "occurred_at": MIDNIGHT,
        "ms_played": 200_000,
        "class": "legitimate",
    }
    rows = [{**usual, **play} for play in plays]
    named = [{**row, "track_id": f"t{row['track_key']}"} for row in rows]
    return pl.DataFrame(named, schema=TYPES).lazy()


def first_row(*plays: dict[str, object]) -> dict[str, object]:
    row: dict[str, object] = evidence_of_tracks(frame_of(*plays)).collect().row(0, named=True)
    return row


def test_listeners_are_accounts_and_devices_that_are_logged_out() -> None:
    row = first_row(
        *[{}] * 3, {"user_key": 2}, {"user_key": None, "device_key": 5}, {"user_key": None, "device_key": 5}
    )
    assert (row["plays"], row["listeners"], row["plays_per_listener"]) == (6, 3, 2.0)
    assert row["listener_variation"] == pytest.approx((2 / 3) ** 0.5 / 2, abs=1e-6)
    assert row["few_listeners_plays"] == 6


def test_plays_that_somebody_decided_about_do_not_count() -> None:
    decided = [{"class": "spam"}, {"incident_status": "confirmed"}, {"incident_status": "cleared"}]
    row = first_row({}, {"incident_status": "suspected"}, {"class": "unknown"}, *decided)
    assert (row["plays"], row["day_plays"]) == (3, 6)


def test_the_words_and_the_limits_are_those_of_the_context() -> None:
    frame = frame_of(
        {"class": contracts.SPAM}, {"incident_status": incidents.CONFIRMED}, {"incident_status": incidents.CLEARED}
    )
    assert evidence_of_tracks(frame).collect().is_empty()
    assert evidence.PAID_FROM_MS == PAID_FROM_MS
    assert evidence.JUST_PAID_TO_MS == JUST_PAID_TO_MS


def test_hours_are_counted_in_utc() -> None:
    counts = first_row(
        {}, {"occurred_at": MIDNIGHT + timedelta(hours=5)}, {"occurred_at": MIDNIGHT + timedelta(hours=5)}
    )
    assert counts["hour_counts"] == [1, 0, 0, 0, 0, 2, *[0] * 18]


def test_effective_numbers_are_corrected_for_the_size_of_the_sample() -> None:
    tracks = [{"network_key": key} for key in (1, 1, 1, 2, 2, 3)]
    others = [{"track_key": 100 + number, "network_key": number % 7} for number in range(300)]
    row = evidence_of_tracks(frame_of(*tracks, *others)).collect().filter(pl.col("track_key") == 1)
    plug_in_nats = -sum(share * math.log(share) for share in (3 / 6, 2 / 6, 1 / 6))
    assert row["effective_networks"].item() == pytest.approx(math.exp(plug_in_nats + (3 - 1) / (2 * 6)), abs=1e-5)


def test_what_is_usual_comes_from_equally_many_plays_of_other_tracks() -> None:
    tracks = [{"ms_played": 31_000}] * 40
    others = [
        {"track_key": 100 + number, "network_key": number, "ms_played": 31_000 if number % 2 else 200_000}
        for number in range(2000)
    ]
    row = first_row(*tracks, *others)
    assert row["usual_effective_networks"] > 40  # type: ignore[operator]
    assert (row["short_share"], row["usual_short_share"]) == (1.0, pytest.approx(0.5, abs=0.1))


def test_spill_over_counts_what_listeners_play_besides_conspicuous_tracks() -> None:
    tracks = [{"user_key": user} for user in (1, 2, 3, 4) for _ in range(9)]
    listed = [
        {"track_key": 10 + number, "user_key": 50} for number in range(MOST_TRACKS + CUT_OFF_TRACKS) for _ in range(3)
    ]
    others = [{"track_key": 500 + number, "user_key": user} for number, user in enumerate((1, 1, 1, 2))]
    row = first_row(*tracks, *listed, *others)
    assert (row["spill_over"], row["stranger_share"]) == (1.0, 0.5)


def test_a_track_that_ends_before_60_s_is_not_cut_off() -> None:
    row = first_row(*[{"ms_played": 45_200}] * 6, {"ms_played": 10_000}, {"ms_played": 38_000})
    assert row["cut_off_share"] == pytest.approx(1 / 8)


def test_plays_that_stop_anywhere_before_60_s_are_cut_off() -> None:
    row = first_row(*[{"ms_played": 31_000 + 1500 * number} for number in range(8)], *[{}] * 2)
    assert row["cut_off_share"] == pytest.approx(0.8)


def test_tracks_that_are_often_cut_off_are_looked_at_though_they_are_not_among_the_most_played() -> None:
    most = [{"track_key": 100 + number} for number in range(MOST_TRACKS) for _ in range(5)]
    cut_off = [{"track_key": 7, "ms_played": 32_000 + 1000 * number} for number in range(4)]
    rest = [{"track_key": 1000 + number} for number in range(50) for _ in range(4)]
    rows = evidence_of_tracks(frame_of(*most, *cut_off, *rest)).collect()
    assert rows.height == MOST_TRACKS + CUT_OFF_TRACKS
    assert 7 in rows["track_key"]
    assert rows["plays"].is_sorted(descending=True)


def test_the_most_frequent_networks_are_named_with_their_share() -> None:
    keys = [*[2**63 + 1] * 6, *[3] * 3, 4, 5]
    row = first_row(*[{"network_key": key} for key in keys], *[{"track_key": 2000 + n} for n in range(500)])
    assert row["top_networks"] == [
        {"network_key": 2**63 + 1, "share": pytest.approx(6 / 11, abs=1e-6)},
        {"network_key": 3, "share": pytest.approx(3 / 11, abs=1e-6)},
        {"network_key": 4, "share": pytest.approx(1 / 11, abs=1e-6)},
    ]


def test_a_day_without_plays_has_no_tracks() -> None:
    assert evidence_of_tracks(frame_of()).collect().is_empty()


def test_a_day_of_one_track_has_nothing_to_compare_it_with() -> None:
    row = first_row(*[{}] * 30)
    assert row["usual_effective_networks"] is None
    assert row["usual_hour_counts"] is None
