from datetime import date
from pathlib import Path

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from spam_pipeline.simulation.organic import organic_volume
from spam_pipeline_tests.simulation.landing_reader import Week


def organic(week: Week) -> pl.DataFrame:
    return week.events.unique("event_id").join(week.truth, on="event_id", how="anti")


def test_a_few_accounts_listen_very_much_and_most_little(week: Week) -> None:
    per_account = organic(week).drop_nulls("user_id").group_by("user_id").len()["len"].sort(descending=True)
    busiest_tenth = per_account.head(len(per_account) // 10).sum() / per_account.sum()
    assert 0.25 < busiest_tenth < 0.75
    assert per_account.median() < per_account.mean()


def test_a_few_tracks_are_played_very_much_and_most_little(week: Week) -> None:
    per_track = organic(week).group_by("track_id").len()["len"].sort(descending=True)
    assert per_track.head(len(per_track) // 10).sum() / per_track.sum() > 0.35


def test_people_skip_and_people_finish(week: Week) -> None:
    played = organic(week)["ms_played"]
    assert 0.2 < (played < 30_000).mean() < 0.3
    assert played.min() >= 0


def test_countries_listen_by_their_own_day(week: Week) -> None:
    by_hour = organic(week).group_by("country", hour=pl.col("occurred_at").dt.hour()).len()

    def share(country: str, hours: list[int]) -> float:
        plays = by_hour.filter(pl.col("country") == country)
        return float(plays.filter(pl.col("hour").is_in(hours))["len"].sum() / plays["len"].sum())

    night_in_japan = [17, 18, 19, 20]
    assert share("JP", night_in_japan) < 0.08
    assert share("GB", night_in_japan) > 0.2


def test_about_one_play_in_sixteen_is_a_logged_out_one_in_a_widget(week: Week) -> None:
    plays = organic(week)
    logged_out = plays.filter(pl.col("user_id").is_null())
    assert 0.05 < logged_out.height / plays.height < 0.07
    assert logged_out["client"].unique().to_list() == ["embed"]


def test_user_agents_and_networks_are_mixed(week: Week) -> None:
    plays = organic(week)
    assert plays["user_agent"].n_unique() > 150
    assert plays["ip"].n_unique() > 300
    assert plays.filter(pl.col("ip").str.contains(":"))["ip"].n_unique() > 20
    assert plays.group_by("ip").agg(pl.col("user_id").n_unique())["user_id"].max() > 5


@settings(max_examples=50)
@given(st.integers(0, 5_000_000))
def test_a_week_has_seven_times_the_mean_volume(plays_per_day: int) -> None:
    week = sum(organic_volume(plays_per_day, date(2026, 1, day)) for day in range(5, 12))
    assert abs(week - 7 * plays_per_day) <= 4


def test_accounts_lack_a_few_listeners_and_have_every_tier_and_many_countries(week: Week) -> None:
    accounts = pl.read_csv(week.home / "landing" / "reference" / "accounts.csv", try_parse_dates=True)
    assert accounts.columns == ["user_id", "country", "tier", "created_on"]
    assert accounts["user_id"].is_unique().all()
    assert set(accounts["tier"]) == {"free", "premium"}
    assert accounts["country"].n_unique() == 16
    unknown = week.events.drop_nulls("user_id").join(accounts, on="user_id", how="anti")["user_id"].n_unique()
    assert unknown <= 0.01 * accounts.height


def reference(week: Week, name: str) -> Path:
    return week.home / "landing" / "reference" / name


def test_revenue_covers_the_months_in_the_currencies_of_the_countries(week: Week) -> None:
    revenue = pl.read_csv(reference(week, "revenue.csv"))
    assert revenue.columns == ["month", "country", "tier", "currency", "net_revenue_minor"]
    assert revenue.select("month", "country", "tier").is_unique().all()
    assert set(revenue["month"]) == {"2026-01"}
    assert {"USD", "EUR", "JPY", "KWD"} <= set(revenue["currency"])
    assert (revenue["net_revenue_minor"] >= 0).all()


def test_rights_sum_to_the_whole_on_any_day_but_for_two_tracks(week: Week) -> None:
    rights = pl.read_csv(reference(week, "rights.csv"), try_parse_dates=True, infer_schema_length=None)
    assert rights.columns == ["track_id", "payee_id", "share_ppm", "valid_from", "valid_to"]
    for day in (date(2026, 1, 1), date(2026, 1, 4), date(2026, 1, 7)):
        is_valid = (pl.col("valid_from") <= day) & (pl.col("valid_to").is_null() | (pl.col("valid_to") >= day))
        shares = rights.filter(is_valid).group_by("track_id").agg(pl.col("share_ppm").sum())
        assert sorted(shares.filter(pl.col("share_ppm") != 1_000_000)["share_ppm"]) == [950_000, 1_100_000]
    assert rights["valid_to"].null_count() < rights.height
    assert rights["share_ppm"].is_between(1, 1_000_000).all()


def test_about_a_third_of_the_payees_agreed_to_be_paid_user_centric(week: Week) -> None:
    agreements = pl.read_csv(reference(week, "agreements.csv"), try_parse_dates=True)
    payees = pl.read_csv(reference(week, "rights.csv"))["payee_id"].unique()
    assert agreements.columns == ["payee_id", "rule", "valid_from"]
    assert agreements["payee_id"].is_unique().all()
    assert set(agreements["payee_id"]) < set(payees)
    assert set(agreements["rule"]) == {"pro_rata", "user_centric"}
    counted = agreements.filter(pl.col("valid_from") <= date(2026, 1, 1))
    assert 0 < counted.height < agreements.height
    assert 0.2 < (counted["rule"] == "user_centric").sum() / len(payees) < 0.45


def test_nearly_every_track_that_is_played_is_in_the_catalogue_and_was_uploaded_before(week: Week) -> None:
    tracks = pl.read_csv(reference(week, "tracks.csv"), try_parse_dates=True)
    assert tracks.columns == ["track_id", "artist_id", "title", "isrc", "duration_ms", "uploaded_at"]
    assert tracks["track_id"].is_unique().all()
    assert (tracks["isrc"].str.len_chars() == 12).all()
    played = week.events.join(tracks, on="track_id", how="left")
    assert played["duration_ms"].is_null().mean() < 0.05
    known = played.drop_nulls("duration_ms")
    assert known.select((pl.col("occurred_at") >= pl.col("uploaded_at")).all()).item()
    assert (known["ms_played"] <= known["duration_ms"]).mean() > 0.99
