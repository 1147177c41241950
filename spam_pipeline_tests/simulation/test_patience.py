"""What an attacker of each skill level does, as it landed."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from spam_pipeline.simulation import simulate
from spam_pipeline.simulation.patience import FORMS
from spam_pipeline.simulation.skills import SKILLS
from spam_pipeline_tests.simulation.skilled_weeks import DAYS, START, skilled_week

ATTACKS = sorted(FORMS)
OPENED = [name for name in ATTACKS if not FORMS[name].is_takeover]
SKILLED = [level for level, skill in SKILLS.items() if skill]
LOOKING_LIKE_PEOPLE = [level for level, skill in SKILLS.items() if skill and skill.mixes]
HIDING = [level for level, skill in SKILLS.items() if skill and skill.camouflage]

PLANTED = [name for name in ATTACKS if name != "paid_plays"]
"""Attacks for tracks of their own; plays are bought for those of artists who know nothing of it."""

every_attack = pytest.mark.parametrize("attack", ATTACKS)
every_planted = pytest.mark.parametrize("attack", PLANTED)
every_opened = pytest.mark.parametrize("attack", OPENED)


def share(plays: pl.DataFrame, condition: pl.Expr) -> float:
    found = plays.select(condition.mean()).item()
    assert isinstance(found, float)
    return found


def values(plays: pl.DataFrame, column: str) -> list[object]:
    return plays[column].unique().sort().to_list()


def by_account(plays: pl.DataFrame) -> pl.Series:
    return plays.group_by("user_id").len()["len"]


@every_attack
def test_without_a_skill_nobody_listens_for_a_minute(attack: str) -> None:
    assert skilled_week("0").of(attack)["ms_played"].is_between(30_000, 90_000).all()


@every_planted
@pytest.mark.parametrize("level", SKILLED)
def test_with_one_every_paid_play_earns_and_most_run_to_the_end(attack: str, level: str) -> None:
    paid = skilled_week(level).paid(attack)
    assert paid["ms_played"].min() >= 30_000
    assert share(paid, pl.col("ms_played") == pl.col("duration_ms")) > 0.75
    assert (paid["ms_played"] <= paid["duration_ms"]).all()


@every_planted
@pytest.mark.parametrize("level", SKILLED)
def test_a_level_costs_effort_and_buys_the_same_paid_plays(attack: str, level: str) -> None:
    naive, paid = skilled_week("0").of(attack).height, skilled_week(level).paid(attack).height
    assert paid == pytest.approx(naive, rel=0.12)


@every_attack
def test_at_level_1_one_client_one_source_one_user_agent_and_few_addresses_do_it(attack: str) -> None:
    plays = skilled_week("1").of(attack)
    form = FORMS[attack]
    assert [values(plays, name) for name in ("client", "source", "country")] == [[form.client], [form.source], ["IN"]]
    assert plays["user_agent"].n_unique() == 1
    assert plays["ip"].n_unique() <= 2 + plays["user_id"].n_unique() // 20


@pytest.mark.parametrize("level", LOOKING_LIKE_PEOPLE)
def test_from_level_2_on_clients_sources_user_agents_and_countries_are_mixed(level: str) -> None:
    plays = skilled_week(level).attacks
    people = skilled_week(level).organic.filter(pl.col("client") != "embed")
    assert set(plays["client"]) == set(people["client"])
    assert set(plays["source"]) == set(people["source"]) - {"mixtape", "other"}
    assert plays["country"].n_unique() > 8
    for name in ("client", "source"):
        mixes = [
            frame.select("device_id", name).unique()[name].value_counts(normalize=True) for frame in (plays, people)
        ]
        shares = [dict(mix.iter_rows()) for mix in mixes]
        assert all(abs(shares[0][value] - shares[1][value]) < 0.2 for value in shares[0]), name
    assert plays["user_agent"].n_unique() > 0.5 * plays["user_id"].n_unique()


@pytest.mark.parametrize("level", LOOKING_LIKE_PEOPLE)
def test_from_level_2_on_addresses_are_homes_of_the_country_with_listeners_in_them(level: str) -> None:
    week = skilled_week(level)
    homes = week.organic.select("ip", listener="home").drop_nulls().unique("ip")
    known = week.attacks.select("user_id", "ip", "country").unique().join(homes, on="ip", how="left")
    assert share(known, pl.col("listener").is_not_null()) > 0.6, "in the others nobody listens in these days"
    assert share(known.drop_nulls("listener"), pl.col("country") == pl.col("listener")) > 0.9


@pytest.mark.parametrize("level", LOOKING_LIKE_PEOPLE)
def test_from_level_2_on_they_sleep_when_people_do(level: str) -> None:
    at_night = pl.col("hour").is_between(1, 4)
    in_europe = pl.col("country").is_in(["GB", "DE", "FR", "SE", "PL"])
    week = skilled_week(level)
    assert share(week.organic.filter(in_europe), at_night) < 0.08
    assert share(week.attacks.filter(in_europe), at_night) < 0.12
    assert share(skilled_week("1").attacks, at_night) > 0.12, "four hours of 24, around the clock"


@every_opened
@pytest.mark.parametrize("level", SKILLED)
def test_accounts_are_as_old_as_the_level_says(attack: str, level: str) -> None:
    skill = SKILLS[level]
    assert skill is not None
    plays = skilled_week(level).of(attack)
    began = plays["occurred_at"].min().date()
    age = plays.select((pl.lit(began) - pl.col("created_on")).dt.total_days()).to_series()
    youngest, oldest = skill.account_days
    assert age.is_between(youngest - 1, oldest + 1).all()
    assert age.max() - age.min() > (oldest - youngest) / 2


@pytest.mark.parametrize("level", SKILLED)
def test_taken_accounts_are_older_than_the_attack_and_on_devices_of_nobody_else(level: str) -> None:
    week = skilled_week(level)
    plays = week.of("account_takeover")
    assert plays["created_on"].max() < START
    assert set(plays["user_id"]) & set(week.organic["user_id"])
    assert set(plays["device_id"]).isdisjoint(week.organic["device_id"])


@every_planted
@pytest.mark.parametrize("level", HIDING)
def test_from_level_3_on_two_of_three_plays_are_camouflage(attack: str, level: str) -> None:
    week = skilled_week(level)
    assert 1 - week.paid(attack).height / week.of(attack).height == pytest.approx(0.65, abs=0.03)


@pytest.mark.parametrize("level", ["1", "2"])
def test_up_to_level_2_nothing_else_is_heard(level: str) -> None:
    week = skilled_week(level)
    assert all(week.paid(attack).height == week.of(attack).height for attack in PLANTED)
    assert week.of("paid_plays")["track_id"].n_unique() == 1


def test_from_level_3_on_plays_are_bought_for_five_artists_who_know_nothing_of_it() -> None:
    week = skilled_week("3")
    others = week.organic.group_by("track_id").agg(others=pl.len())
    plays = week.of("paid_plays").group_by("track_id").agg(plays=pl.len()).join(others, on="track_id", how="left")
    paid = plays.filter(pl.col("plays") > 0.5 * (pl.col("others").fill_null(0) + 10))
    assert paid.height == 5
    assert paid["plays"].sum() == pytest.approx(0.35 * week.of("paid_plays").height, rel=0.1)


@every_planted
@pytest.mark.parametrize(("level", "uploaders"), [("1", 1), ("2", 1), *((level, 5) for level in HIDING)])
def test_paid_plays_are_of_one_uploader_and_from_level_3_on_of_five(attack: str, level: str, uploaders: int) -> None:
    artists = skilled_week(level).paid(attack)["artist_id"]
    assert artists.n_unique() == uploaders
    assert artists.value_counts()["count"].min() > 0.05 * len(artists)


@pytest.mark.parametrize("level", HIDING)
def test_from_level_3_on_the_quotas_of_accounts_are_unequal(level: str) -> None:
    def inequality(plays: pl.DataFrame) -> float:
        counted = by_account(plays)
        return float(counted.var() / counted.mean())

    for attack in ATTACKS:
        assert inequality(skilled_week("2").of(attack)) < 2.5
        assert inequality(skilled_week(level).of(attack)) > 5


def test_at_level_4_accounts_come_back_to_favourites_as_listeners_do() -> None:
    def again(level: str) -> float:
        """The share of camouflage that its account hears once more."""
        hidden = pl.concat([skilled_week(level).of(attack) for attack in ("low_and_slow", "device_farm")]).filter(
            pl.col("number") < skilled_week(level).own_tracks
        )
        return share(hidden, (pl.len().over("user_id", "track_id") > 1).cast(pl.Float64))

    assert again("4") > 1.3 * again("3")


@every_attack
def test_a_ramp_runs_on_all_days_and_grows_from_a_third_to_five_thirds(attack: str) -> None:
    plays = skilled_week("ramp").of(attack)
    by_day = plays.group_by(pl.col("occurred_at").dt.date()).len().sort("occurred_at")["len"].to_list()
    assert len(by_day) == DAYS
    mean = sum(by_day) / DAYS
    assert by_day[0] == pytest.approx(mean * (1 / 3 + 4 / 3 * 0 / DAYS), rel=0.35)
    assert by_day[-1] == pytest.approx(mean * (1 / 3 + 4 / 3 * (DAYS - 1) / DAYS), rel=0.35)
    assert sum(by_day[4:]) > 2 * sum(by_day[:4])


def test_whoever_has_a_skill_is_not_declared_by_anybody() -> None:
    assert all(attack in skilled_week("0").incidents for attack in ("paid_plays", "account_takeover", "device_farm"))
    for level in SKILLED:
        assert skilled_week(level).incidents.count("\n") == 1, "the header"


def test_ordinary_listeners_hear_the_same_whatever_the_skill() -> None:
    heard = [
        skilled_week(level).organic.select("occurred_at", "track_id", "device_id", "ms_played").sort(pl.all())
        for level in SKILLS
    ]
    assert all(plays.equals(heard[0]) for plays in heard)


def test_a_skill_that_is_unknown_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown skill 9: expected any of 0, 1, 2, 3, 4, ramp"):
        simulate(tmp_path, start=START, skill="9")
    assert not list(tmp_path.iterdir())


def test_attacks_that_are_their_own_crudeness_have_no_skill(tmp_path: Path) -> None:
    naive, skilled = (tmp_path / level for level in "03")
    for level, home in (("0", naive), ("3", skilled)):
        simulate(home, start=START, days=1, plays_per_day=500, scenarios=["loop_bot", "bot_farm"], skill=level)
    truth = [pl.read_parquet(home / "truth.parquet") for home in (naive, skilled)]
    assert truth[0].equals(truth[1])
    assert truth[0]["occurred_at"].max() - truth[0]["occurred_at"].min() < timedelta(days=1)
