from datetime import datetime

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from spam_pipeline.ingestion.contracts import Incidents, Plays
from spam_pipeline.protocol.contract import audit
from spam_pipeline.trust_and_safety.classification import classify
from spam_pipeline.trust_and_safety.contracts import ClassifiedPlays, PlaySignals
from spam_pipeline.trust_and_safety.model import SpamModel
from spam_pipeline.trust_and_safety.model_signals import NAMES
from spam_pipeline.trust_and_safety.signals import signals_of_day
from spam_pipeline.trust_and_safety.training import train
from spam_pipeline_tests.trust_and_safety.play_generator import (
    ATTACKER,
    FAN,
    bot_farm,
    day,
    fan_of_one_track,
    farm_examples,
    heuristic,
    incidents_of,
    key,
    loop_bot,
    moment,
    office,
    organic,
    plays_of,
    release,
    sleeper,
    together,
)

LAST = 5
PLAYS = together(
    organic(LAST), loop_bot(LAST), fan_of_one_track(LAST), sleeper(LAST), office(LAST), release(LAST), bot_farm(LAST)
)
SIGNALS = signals_of_day(together(organic(LAST - 1), PLAYS), day(LAST))
BOT, LOYAL = pl.col("user_key") == key(ATTACKER).item(), pl.col("user_key") == key(FAN).item()
FARM = pl.col("track_id").is_in([f"t{track}" for track in range(5_000, 5_200)])


@pytest.fixture(scope="module")
def trained() -> SpamModel:
    return train(farm_examples(3))


def incident(user: int, status: str, starts_at: datetime | None = None) -> pl.LazyFrame:
    named: dict[str, object] = {"incident_id": f"about {user}", "entity_key": key(user).item(), "status": status}
    return incidents_of([named | ({"starts_at": starts_at} if starts_at else {})])


def verdicts(model: SpamModel, incidents: pl.LazyFrame | None = None) -> pl.DataFrame:
    return classify(PLAYS, SIGNALS, model, Incidents.empty() if incidents is None else incidents).collect()


def test_every_play_is_kept_in_its_order_with_its_own_values() -> None:
    found = verdicts(heuristic())
    shared = [name for name in found.columns if name in Plays.columns()]
    assert_frame_equal(found.select(shared), PLAYS.select(shared).collect())
    assert audit(ClassifiedPlays, found.lazy()) == []


def test_the_class_follows_from_the_probability_and_the_consumers_tolerances(trained: SpamModel) -> None:
    for found in (verdicts(heuristic()), verdicts(trained)):
        probability = found.get_column("spam_probability").cast(pl.Float64).round(4).to_numpy()
        expected = np.select([probability >= 0.8, probability < 0.2], ["spam", "legitimate"], "unknown")
        assert found.get_column("class").to_list() == expected.tolist()


def test_a_verdict_without_labels_says_that_it_is_heuristic() -> None:
    found = verdicts(heuristic())
    assert found.select(pl.col("reasons").list.last().eq("heuristic").all()).item()
    assert found.filter(BOT).get_column("reasons").list.first().unique().to_list() == ["actor_short_share"]
    assert found.filter(LOYAL).get_column("reasons").unique().to_list() == [["heuristic"]]


def test_a_trained_verdict_names_up_to_three_signals_where_it_withholds_and_none_where_it_does_not(
    trained: SpamModel,
) -> None:
    found = verdicts(trained)
    assert found.filter(pl.col("class") == "legitimate").get_column("reasons").list.len().max() == 0
    suspicious = found.filter(pl.col("class") != "legitimate").get_column("reasons")
    assert suspicious.list.len().is_between(1, 3).all()
    assert set(suspicious.explode(empty_as_null=False, keep_nulls=False)) <= set(NAMES)


def test_what_was_confirmed_on_other_days_is_recognised_and_hard_negatives_are_still_paid(trained: SpamModel) -> None:
    found = verdicts(trained)
    assert found.filter(FARM).select(pl.col("class").eq("spam").mean()).item() > 0.95
    assert found.filter(~FARM & ~BOT).select(pl.col("class").eq("legitimate").mean()).item() > 0.98


def test_a_confirmed_incident_makes_its_plays_spam_and_leaves_those_before_it(trained: SpamModel) -> None:
    found = verdicts(trained, incident(FAN, "confirmed", starts_at=moment(LAST, 12))).filter(LOYAL)
    inside = pl.col("occurred_at") >= moment(LAST, 12)
    declared = found.filter(inside).select("class", "spam_probability", "reasons", "incident_id", "incident_status")
    assert declared.unique().rows() == [("spam", 1.0, ["declared"], "about 8002", "confirmed")]
    assert found.filter(~inside).select("incident_id", "incident_status").unique().rows() == [(None, None)]
    assert found.filter(~inside).height > 0


def test_a_cleared_incident_makes_its_plays_legitimate_whatever_the_model_says() -> None:
    found = verdicts(heuristic(), incident(ATTACKER, "cleared")).filter(BOT)
    assert found.select("class", "spam_probability", "reasons").unique().rows() == [("legitimate", 0.0, ["declared"])]


def test_a_suspected_incident_is_named_and_leaves_the_verdict_to_the_model() -> None:
    columns = ["class", "spam_probability", "reasons"]
    suspected, undeclared = verdicts(heuristic(), incident(ATTACKER, "suspected")), verdicts(heuristic())
    assert_frame_equal(suspected.select(columns), undeclared.select(columns))
    assert suspected.filter(BOT).get_column("incident_status").unique().to_list() == ["suspected"]


def test_a_day_without_plays_has_no_verdicts() -> None:
    found = classify(Plays.empty(), PlaySignals.empty(), heuristic(), incident(FAN, "confirmed"))
    assert audit(ClassifiedPlays, found) == []
    assert found.collect().is_empty()


def test_plays_without_signals_account_network_or_country_still_get_a_verdict(trained: SpamModel) -> None:
    plays = plays_of([{"occurred_at": moment(LAST, hour)} for hour in (1, 2, 3)])
    for model in (heuristic(), trained):
        found = classify(plays, PlaySignals.empty(), model, Incidents.empty())
        assert audit(ClassifiedPlays, found) == []
        assert found.collect().get_column("spam_probability").is_between(0, 1).all()


def test_the_fingerprint_tells_an_attacked_day_from_a_calm_one(trained: SpamModel) -> None:
    calm = classify(organic(LAST), signals_of_day(organic(LAST), day(LAST)), trained, Incidents.empty())
    shares = [
        frame.lazy().select(**ClassifiedPlays.fingerprint()).collect().row(0, named=True)["spam_share"]
        for frame in (calm, verdicts(trained))
    ]
    assert shares[0] < 0.02
    assert shares[1] > 0.4
