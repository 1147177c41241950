from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from spam_pipeline.simulation import SCENARIOS, simulate
from spam_pipeline_tests.simulation.landing_reader import Week, read_landing

START = date(2026, 1, 1)
A_FRIDAY = date(2026, 1, 2)
"""A school day: classes hear nothing at weekends."""

ATTACKS = {
    "loop_bot",
    "bot_farm",
    "low_and_slow",
    "account_takeover",
    "paid_plays",
    "device_farm",
    "embedded_autoplay",
}
NEIGHBOURS_OF_ATTACKS = (
    *("school_class", "shared_account", "fan_project"),
    *("devoted_small_artist", "viral_embed", "previews"),
)
HONEST = {
    *("viral_release", "sleep_listener", "looping_fan", "super_account", "office_network", "shop_radio"),
    *NEIGHBOURS_OF_ATTACKS,
}


def of(week: Week, scenario: str) -> pl.DataFrame:
    """The plays of a scenario as they landed, in the order of time."""
    ids = week.truth.filter(pl.col("scenario") == scenario).select("event_id")
    return week.events.unique("event_id").join(ids, on="event_id").sort("occurred_at", "event_id")


def accounts(home: Path) -> pl.DataFrame:
    return pl.read_csv(home / "landing" / "reference" / "accounts.csv", try_parse_dates=True)


def artists(home: Path) -> pl.DataFrame:
    return pl.read_csv(home / "landing" / "reference" / "tracks.csv").select("track_id", "artist_id")


def incidents(home: Path) -> pl.DataFrame:
    moments = pl.col("starts_at", "ends_at", "decided_at").str.to_datetime(time_unit="ms", time_zone="UTC")
    return pl.read_csv(home / "landing" / "incidents.csv", infer_schema=False).with_columns(moments)


def test_every_scenario_has_a_name_and_one_sentence() -> None:
    assert set(SCENARIOS) == ATTACKS | HONEST
    assert all(sentence.endswith(".") and sentence.count(". ") == 0 for sentence in SCENARIOS.values())


def test_an_unknown_scenario_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"unknown scenario bot_net: expected any of loop_bot, .*, previews"):
        simulate(tmp_path, start=START, scenarios=["loop_bot", "bot_net"])
    assert not list(tmp_path.iterdir())


def test_a_week_has_every_scenario_and_attacks_that_begin_on_different_days(week: Week) -> None:
    assert set(week.truth["scenario"]) == ATTACKS | HONEST
    begins = week.truth.filter("is_spam").group_by("scenario").agg(pl.col("event_day").min())["event_day"]
    assert begins.n_unique() >= 4


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_each_scenario_runs_alone_and_on_a_single_day(tmp_path: Path, name: str) -> None:
    done = simulate(tmp_path, days=1, plays_per_day=2000, start=A_FRIDAY, scenarios=[name])
    truth = pl.read_parquet(tmp_path / "truth.parquet")
    assert truth["scenario"].unique().to_list() == [name]
    assert done.spam_plays.get(name, 0) == truth["is_spam"].sum()


def test_campaigns_come_again_with_others_every_fifteen_days(tmp_path: Path) -> None:
    simulate(tmp_path, days=20, plays_per_day=300, start=START, scenarios=["loop_bot"])
    truth = pl.read_parquet(tmp_path / "truth.parquet")
    assert truth["user_id"].n_unique() == truth["track_id"].n_unique() == 2
    assert incidents(tmp_path)["incident_id"].to_list() == ["incident-loop_bot-1", "incident-loop_bot-2"]


def test_the_truth_names_plays_that_landed_as_they_landed(week: Week) -> None:
    shared = ["event_id", "occurred_at", "track_id", "user_id", "device_id", "ip"]
    landed = week.events.unique("event_id").select(shared).cast({"occurred_at": pl.Datetime("ms", "UTC")})
    assert week.truth.join(landed, on=shared, nulls_equal=True).height == week.truth.height
    assert week.truth["event_id"].is_unique().all()
    assert (week.truth["event_day"] == week.truth["occurred_at"].dt.date()).all()


def test_attacks_are_spam_with_their_type_and_honest_behaviour_is_not(week: Week) -> None:
    spam, honest = (week.truth.filter(condition) for condition in (pl.col("is_spam"), ~pl.col("is_spam")))
    assert set(spam["attack_type"]) == ATTACKS
    assert (spam["attack_type"] == spam["scenario"]).all()
    assert set(honest["scenario"]) == HONEST
    assert honest["attack_type"].null_count() == honest.height
    counted = dict(spam["attack_type"].value_counts().iter_rows())
    assert counted == dict(week.simulated.spam_plays)


def test_five_to_eight_percent_of_plays_are_spam(week: Week) -> None:
    assert 0.05 < sum(week.simulated.spam_plays.values()) / week.simulated.plays < 0.08


def test_without_scenarios_there_is_an_empty_truth_and_a_header_of_incidents(tmp_path: Path) -> None:
    done = simulate(tmp_path, days=1, plays_per_day=500, start=START, scenarios=[])
    assert sum(done.spam_plays.values()) == 0
    assert pl.read_parquet(tmp_path / "truth.parquet").is_empty()
    assert (tmp_path / "landing" / "incidents.csv").read_text().count("\n") == 1


def test_organic_plays_are_the_same_whatever_scenarios_are_chosen(tmp_path: Path, week: Week) -> None:
    simulate(tmp_path, days=7, plays_per_day=5000, seed=3, start=START, scenarios=[])
    behaviour = ["occurred_at", "track_id", "device_id", "ms_played"]
    alone = pl.DataFrame(
        [
            {name: event[name] for name in ("event_id", *behaviour)}
            for event in read_landing(tmp_path / "landing").events
        ]
    )
    among = week.events.join(week.truth, on="event_id", how="anti").unique("event_id")
    assert alone.unique("event_id").select(behaviour).sort(behaviour).equals(among.select(behaviour).sort(behaviour))


def test_a_loop_bot_keeps_its_gaps_around_the_clock(week: Week) -> None:
    plays = of(week, "loop_bot")
    gaps = plays["occurred_at"].diff().drop_nulls().dt.total_milliseconds()
    assert plays["track_id"].n_unique() == plays["user_id"].n_unique() == 1
    assert gaps.std() < 0.1 * gaps.mean()
    assert plays["occurred_at"].dt.hour().n_unique() == 24
    assert plays["ms_played"].is_between(30_000, 35_000).all()


def test_a_bot_farm_has_few_addresses_in_one_network_and_very_many_tracks(week: Week) -> None:
    plays = of(week, "bot_farm")
    assert plays["ip"].str.split(".").list.head(3).n_unique() == 1
    assert plays["ip"].n_unique() < plays["user_id"].n_unique()
    assert plays["track_id"].n_unique() > 300


def test_low_and_slow_stays_below_any_limit_per_track_and_account(week: Week) -> None:
    plays = of(week, "low_and_slow").with_columns(day=pl.col("occurred_at").dt.date())
    assert plays.group_by("track_id", "day").len()["len"].max() <= 12
    assert plays.group_by("user_id", "day").len()["len"].max() <= 20
    tracks = pl.read_csv(week.home / "landing" / "reference" / "tracks.csv")
    assert tracks.filter(pl.col("track_id").is_in(plays["track_id"].implode()))["artist_id"].n_unique() == 1


def test_taken_accounts_go_on_being_used_by_their_owners_on_other_devices(week: Week) -> None:
    plays = of(week, "account_takeover")
    others = week.events.join(week.truth, on="event_id", how="anti")
    owners = others.filter(pl.col("user_id").is_in(plays["user_id"].unique().implode()))
    assert owners.height > 0
    assert set(owners["device_id"]).isdisjoint(plays["device_id"])
    accounts = pl.read_csv(week.home / "landing" / "reference" / "accounts.csv", try_parse_dates=True)
    assert accounts.filter(pl.col("user_id").is_in(plays["user_id"].unique().implode()))["created_on"].max() < START


def test_paid_plays_are_equal_per_listener_and_hit_a_track_that_others_play_too(week: Week) -> None:
    plays = of(week, "paid_plays")
    per_listener = plays.group_by("user_id", pl.col("occurred_at").dt.date()).len()["len"]
    assert per_listener.max() <= 5
    assert plays["source"].unique().to_list() == ["playlist"]
    assert set(plays["country"]) <= {"ID", "NG", "IN"}
    assert plays["track_id"].n_unique() == 1


def test_a_device_farm_runs_one_build_behind_few_addresses(week: Week) -> None:
    plays = of(week, "device_farm")
    assert plays["user_agent"].n_unique() == 1
    assert plays["device_id"].n_unique() >= 4 * plays["ip"].n_unique()


def test_embedded_autoplay_is_logged_out_with_a_new_device_each_time(week: Week) -> None:
    plays = of(week, "embedded_autoplay")
    assert plays["user_id"].null_count() == plays.height == plays["device_id"].n_unique()
    assert plays["source"].unique().to_list() == ["embed"]
    assert plays["ms_played"].is_between(30_000, 33_000).all()


def test_a_viral_release_brings_many_listeners_spills_over_and_fades(week: Week) -> None:
    plays = of(week, "viral_release")
    release = plays["track_id"].value_counts(sort=True)["track_id"][0]
    per_listener = plays.group_by("user_id").len()["len"]
    by_day = plays.group_by(pl.col("occurred_at").dt.date()).len().sort("occurred_at")["len"]
    assert per_listener.median() <= 3
    assert per_listener.max() > 4 * per_listener.median()
    assert 0.05 < (plays["track_id"] != release).mean() < 0.4
    assert by_day.arg_max() <= 1
    assert by_day[-1] < by_day.max() / 2


def test_a_sleep_listener_never_stops(week: Week) -> None:
    plays = of(week, "sleep_listener")
    gaps = plays["occurred_at"].diff().drop_nulls()
    assert plays["user_id"].n_unique() == 1
    assert gaps.max() < timedelta(minutes=21)
    assert plays["occurred_at"].max() - plays["occurred_at"].min() > timedelta(days=6)


def test_a_sleep_listener_stops_after_354_hours(tmp_path: Path) -> None:
    simulate(tmp_path, days=16, plays_per_day=100, start=START, scenarios=["sleep_listener"])
    truth = pl.read_parquet(tmp_path / "truth.parquet")
    first = truth.filter(pl.col("user_id") == truth["user_id"][0])["occurred_at"]
    assert timedelta(hours=353) < first.max() - first.min() < timedelta(hours=354)


def test_a_looping_fan_plays_one_song_85_times_a_day_to_the_end(week: Week) -> None:
    plays = of(week, "looping_fan")
    assert plays["track_id"].n_unique() == plays["ms_played"].n_unique() == 1
    assert set(plays.group_by(pl.col("occurred_at").dt.date()).len()["len"]) == {85}


def test_an_office_is_many_accounts_behind_one_address_mostly_on_weekdays(week: Week) -> None:
    plays = of(week, "office_network")
    by_weekday = plays.group_by(weekday=pl.col("occurred_at").dt.weekday()).len()
    assert plays["ip"].n_unique() == 1
    assert plays["user_id"].n_unique() >= 8
    assert (
        by_weekday.filter(pl.col("weekday") > 5)["len"].max() < by_weekday.filter(pl.col("weekday") <= 5)["len"].min()
    )


def test_a_super_account_has_a_big_share_of_its_days(week: Week) -> None:
    plays = of(week, "super_account")
    assert plays["user_id"].n_unique() == 1
    assert plays["device_id"].n_unique() == 3
    assert plays.height / week.simulated.plays > 0.02


def test_shops_play_their_list_all_day_long(week: Week) -> None:
    plays = of(week, "shop_radio")
    assert plays["track_id"].n_unique() <= 40
    assert plays["client"].unique().to_list() == ["other"]


@pytest.fixture(scope="module")
def crowds(tmp_path_factory: pytest.TempPathFactory) -> Week:
    """The crowds, classes and families of fifteen days on a platform where they have their full size."""
    home = tmp_path_factory.mktemp("crowds")
    done = simulate(home, days=15, plays_per_day=20_000, seed=3, start=START, scenarios=NEIGHBOURS_OF_ATTACKS)
    read = read_landing(home / "landing")
    columns = ("event_id", "occurred_at", "track_id", "user_id", "device_id", "ip", "country", "ms_played", "arrival")
    rows = [{name: event[name] for name in (*columns, "user_agent", "client", "source")} for event in read.events]
    truth = pl.read_parquet(home / "truth.parquet")
    return Week(home, done, read, pl.DataFrame(rows, infer_schema_length=None), truth)


@pytest.mark.parametrize("name", NEIGHBOURS_OF_ATTACKS)
def test_an_honest_crowd_stays_small_beside_organic_plays(crowds: Week, name: str) -> None:
    assert 0.002 < of(crowds, name).height / (15 * 20_000) < 0.0105


def test_a_fan_project_is_one_single_played_to_the_end_by_fans_of_very_unequal_zeal(crowds: Week) -> None:
    plays = of(crowds, "fan_project")
    per_fan = plays.group_by("user_id").len()["len"]
    assert plays["track_id"].n_unique() == plays["ms_played"].n_unique() == 1
    assert 55 <= len(per_fan) <= 400
    assert per_fan.median() > 14, "several times a day for a week"
    assert per_fan.max() > 8 * per_fan.median()
    assert plays["occurred_at"].max() - plays["occurred_at"].min() <= timedelta(days=7)


def test_fans_have_been_there_for_long_and_go_on_hearing_what_they_heard(crowds: Week) -> None:
    fans = of(crowds, "fan_project")["user_id"].unique().implode()
    single = of(crowds, "fan_project")["track_id"][0]
    others = crowds.events.filter(pl.col("user_id").is_in(fans), pl.col("track_id") != single)
    assert accounts(crowds.home).filter(pl.col("user_id").is_in(fans))["created_on"].max() < START
    assert others["user_id"].n_unique() > 0.9 * len(fans[0])
    assert set(of(crowds, "fan_project")["device_id"]) & set(others["device_id"])


def test_a_small_artist_is_heard_by_few_and_some_of_them_hear_hardly_anything_else(crowds: Week) -> None:
    plays = of(crowds, "devoted_small_artist").join(artists(crowds.home), on="track_id")
    small = plays["artist_id"].value_counts(sort=True).head(3)["artist_id"].implode()
    own = plays.filter(pl.col("artist_id").is_in(small))
    listeners = own.group_by("artist_id").agg(pl.col("user_id").n_unique())["user_id"]
    assert listeners.is_between(6, 30).all()
    everything = crowds.events.unique("event_id").join(artists(crowds.home), on="track_id", how="left")
    devotion = (
        everything.filter(pl.col("user_id").is_in(own["user_id"].unique().implode()))
        .group_by("user_id")
        .agg(pl.col("artist_id").is_in(small).mean())["artist_id"]
    )
    assert devotion.max() > 0.85
    assert devotion.min() < 0.3


def test_listeners_of_small_artists_are_partly_new_and_their_counts_are_uneven(crowds: Week) -> None:
    plays = of(crowds, "devoted_small_artist")
    known = accounts(crowds.home).filter(pl.col("user_id").is_in(plays["user_id"].unique().implode()))
    is_new = known["created_on"] > START - timedelta(days=41)
    assert 0.1 < is_new.mean() < 0.6
    assert known["user_id"].is_unique().all()
    per_listener = plays.group_by("user_id").len()["len"]
    assert per_listener.max() > 5 * per_listener.median()


def test_a_school_class_hears_the_same_songs_in_the_same_lessons_of_school_days(crowds: Week) -> None:
    plays = of(crowds, "school_class").with_columns(day=pl.col("occurred_at").dt.date())
    pupils = plays["user_id"].n_unique()
    assert 25 <= pupils <= 30
    assert plays["ip"].n_unique() == plays["user_agent"].n_unique() == 1
    assert plays["device_id"].n_unique() == pupils
    assert plays["track_id"].n_unique() == 12
    assert plays["occurred_at"].dt.weekday().max() <= 5
    assert plays["occurred_at"].dt.hour().n_unique() <= 4
    assert plays.group_by("day", "track_id").agg(pl.col("user_id").n_unique())["user_id"].min() == pupils
    known = accounts(crowds.home).filter(pl.col("user_id").is_in(plays["user_id"].unique().implode()))
    assert known.height == pupils
    assert known["created_on"].n_unique() == 1


def test_a_viral_embed_is_one_track_for_thousands_who_are_not_logged_in_and_fades(crowds: Week) -> None:
    plays = of(crowds, "viral_embed")
    by_day = plays.group_by(pl.col("occurred_at").dt.date()).len().sort("occurred_at")["len"]
    assert plays["user_id"].null_count() == plays.height == plays["device_id"].n_unique() > 2000
    assert plays["track_id"].n_unique() == 1
    assert plays["client"].unique().to_list() == ["embed"]
    assert 0.28 < plays["ms_played"].is_between(28_500, 30_000).mean() < 0.42
    assert plays["ms_played"].n_unique() > 500
    assert by_day.max() > 2 * by_day.sort()[-3]
    assert by_day[-1] < by_day.max() / 20


def test_a_family_is_one_account_on_five_devices_in_two_countries_at_once(crowds: Week) -> None:
    plays = of(crowds, "shared_account").with_columns(hour=pl.col("occurred_at").dt.truncate("1h"))
    assert plays["user_id"].n_unique() == 1
    assert plays["device_id"].n_unique() == 5
    assert plays["ip"].n_unique() == plays["country"].n_unique() == 2
    assert plays.group_by("hour").agg(pl.col("country").n_unique())["country"].max() == 2


def test_members_of_a_family_hear_different_things(crowds: Week) -> None:
    heard = of(crowds, "shared_account").group_by("device_id").agg(pl.col("track_id").unique())["track_id"].to_list()
    first, second, *_ = (set(tracks) for tracks in heard)
    assert len(first & second) < 0.3 * len(first)


def test_previews_are_thirty_seconds_or_a_little_less_of_many_tracks(crowds: Week) -> None:
    plays = of(crowds, "previews")
    assert plays["user_id"].null_count() == plays.height
    assert plays["client"].unique().to_list() == ["embed"]
    assert plays["ms_played"].is_between(28_500, 30_000).all()
    assert 0.6 < (plays["ms_played"] == 30_000).mean() < 0.8
    assert plays["track_id"].n_unique() > 500
    assert 2 < plays.height / plays["device_id"].n_unique() < 6


def test_a_part_of_the_attacks_is_declared_days_after_they_began(week: Week) -> None:
    declared = incidents(week.home)
    statuses = dict(declared.select("attack_type", "status").unique().filter(pl.col("status") != "cleared").iter_rows())
    assert statuses == {
        "loop_bot": "confirmed",
        "bot_farm": "confirmed",
        "paid_plays": "confirmed",
        "account_takeover": "confirmed",
        "device_farm": "suspected",
    }
    assert declared.filter(pl.col("status") == "cleared")["entity_type"].to_list() == ["track"]
    late = pl.col("decided_at") - pl.col("starts_at")
    assert declared.select(late.min() >= timedelta(days=2)).item()


def test_confirmed_incidents_cover_their_attack_and_no_other_play(week: Week) -> None:
    declared = incidents(week.home).filter(pl.col("status") == "confirmed")
    columns = {"user": "user_id", "device": "device_id", "ip": "ip"}
    labelled = pl.concat(
        [
            week.events.unique("event_id")
            .join(declared.filter(pl.col("entity_type") == kind), left_on=column, right_on="entity_id")
            .filter(
                pl.col("occurred_at") >= pl.col("starts_at"),
                pl.col("occurred_at") < pl.col("ends_at"),
            )
            .select("event_id", "attack_type")
            for kind, column in columns.items()
        ]
    )
    confirmed = ["loop_bot", "bot_farm", "paid_plays", "account_takeover"]
    expected = week.truth.filter(pl.col("attack_type").is_in(confirmed)).select("event_id", "attack_type")
    assert labelled.sort("event_id").equals(expected.sort("event_id"))


def test_honest_behaviour_alone_declares_nothing(tmp_path: Path) -> None:
    simulate(tmp_path, days=1, plays_per_day=500, start=START, scenarios=["viral_release"])
    assert incidents(tmp_path).is_empty()
