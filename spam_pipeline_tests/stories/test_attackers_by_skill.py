"""Attackers of the second level listen like people, play by play: software calls none of them, and a person finds all of them.

`benchmarks.attackers_by_skill` tabulates every level over more seeds; this is one home of its own, at toy size.
"""

import polars as pl
import pytest

from spam_pipeline_tests.benchmarks.attackers_by_skill import PATIENT, Judged, judge, report

SEED, DAYS, PLAYS_PER_DAY = 9177, 15, 6_000


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    return judge(tmp_path_factory.mktemp("second level"), SEED, "2", DAYS, PLAYS_PER_DAY)


def shares(judged: Judged, *, is_spam: bool) -> dict[str, float]:
    of = judged.plays.filter(pl.col("is_spam") == is_spam, pl.col("scenario").is_in(PATIENT) | (not is_spam))
    return {name: of[name].mean() or 0.0 for name in ("by itself", "called", "held", "queued", "rest of ten")}  # type: ignore[misc]  # of booleans


def test_a_person_who_goes_through_the_queues_finds_every_campaign_and_no_listener(judged: Judged) -> None:
    assert {name.split()[0] for name in judged.ranks} >= set(PATIENT)
    assert shares(judged, is_spam=True)["queued"] > 0.9
    assert shares(judged, is_spam=False)["queued"] < 0.0025


def test_ten_declared_accounts_give_their_campaign_away(judged: Judged) -> None:
    assert shares(judged, is_spam=True)["rest of ten"] > 0.9
    assert shares(judged, is_spam=False)["rest of ten"] < 0.0025


def test_until_somebody_decides_most_of_it_waits_and_hardly_any_listener_does(judged: Judged) -> None:
    assert shares(judged, is_spam=True)["called"] < 0.1, "it is no second level if software calls it"
    assert shares(judged, is_spam=True)["held"] > 0.4
    assert shares(judged, is_spam=False)["held"] < 0.08
    assert shares(judged, is_spam=False)["called"] < 0.001


def test_the_table_has_each_attack_and_what_the_honest_lose(judged: Judged) -> None:
    lines = list(report("2", [judged]))
    assert [line.split()[0] for line in lines[2 : 2 + len(PATIENT)]] == list(PATIENT)
    assert lines[-1].strip().startswith("dollars of ")
