import polars as pl
import pytest
from polars.testing import assert_frame_equal

from spam_pipeline.ingestion.contracts import Incidents, Plays
from spam_pipeline.protocol.contract import column_types
from spam_pipeline.trust_and_safety.contracts import LabelledExamples, PlaySignals
from spam_pipeline.trust_and_safety.labelled_examples import MAX_EXAMPLES_OF_INCIDENT, WEAK_EXAMPLES, examples_of_day
from spam_pipeline.trust_and_safety.model_signals import NAMES
from spam_pipeline.trust_and_safety.signals import signals_of_day
from spam_pipeline_tests.kept_promises import findings_about
from spam_pipeline_tests.trust_and_safety.play_generator import (
    ATTACKER,
    FAN,
    bot_farm,
    day,
    fan_of_one_track,
    farm_incident,
    incidents_of,
    key,
    loop_bot,
    moment,
    organic,
    plays_of,
    together,
)

PLAYS = together(organic(0), loop_bot(0), fan_of_one_track(0))
SIGNALS = signals_of_day(PLAYS, day(0))


def incident(user: int, status: str) -> dict[str, object]:
    return {"incident_id": f"{status} {user}", "entity_key": key(user).item(), "status": status}


def examples(*declarations: dict[str, object]) -> pl.DataFrame:
    return examples_of_day(PLAYS, SIGNALS, incidents_of(list(declarations))).collect()


def of_user(frame: pl.DataFrame, user: int) -> pl.DataFrame:
    return frame.filter(pl.col("actor_key") == key(user).item())


def test_confirmed_plays_are_spam_and_cleared_plays_are_legitimate() -> None:
    found = examples(incident(ATTACKER, "confirmed"), incident(FAN, "cleared"))
    bot, fan = of_user(found, ATTACKER).row(0, named=True), of_user(found, FAN).row(0, named=True)
    assert (bot["is_spam"], bot["is_weak"], bot["incident_id"], bot["plays"]) == (True, False, "confirmed 8001", 2_400)
    assert (fan["is_spam"], fan["is_weak"], fan["incident_id"], fan["plays"]) == (False, False, "cleared 8002", 85)


def test_suspicion_is_no_label_neither_for_spam_nor_for_a_legitimate_play() -> None:
    found = examples(incident(ATTACKER, "suspected"), incident(FAN, "cleared"))
    assert of_user(found, ATTACKER).is_empty()
    assert not found.get_column("is_spam").any()


def test_unlabelled_plays_join_a_labelled_day_as_weak_examples() -> None:
    found = examples(incident(ATTACKER, "confirmed"))
    weak = found.filter("is_weak")
    assert weak.height == min(WEAK_EXAMPLES, found.height - 1)
    assert weak.select(pl.col("is_spam").any(), pl.col("incident_id").count()).row(0) == (False, 0)


@pytest.mark.parametrize(
    "incidents",
    [Incidents.empty(), incidents_of([incident(ATTACKER, "suspected")]), incidents_of([incident(99_999, "confirmed")])],
    ids=["no incident", "nothing decided", "a decided incident that no play belongs to"],
)
def test_a_day_on_which_nothing_is_labelled_has_no_examples(incidents: pl.LazyFrame) -> None:
    found = examples_of_day(PLAYS, SIGNALS, incidents)
    assert findings_about(LabelledExamples, found) == []
    assert found.collect().is_empty()


def test_a_day_without_plays_has_no_examples() -> None:
    found = examples_of_day(Plays.empty(), PlaySignals.empty(), incidents_of([incident(ATTACKER, "confirmed")]))
    assert found.collect().is_empty()


def test_the_largest_campaign_is_sampled_so_that_it_does_not_drown_the_others() -> None:
    plays = together(organic(0), bot_farm(0))
    found = examples_of_day(plays, signals_of_day(plays, day(0)), farm_incident())
    assert found.collect().get_column("is_spam").sum() == MAX_EXAMPLES_OF_INCIDENT


def test_the_examples_are_the_same_whatever_the_order_of_plays() -> None:
    plays = together(organic(0), bot_farm(0))
    signals = signals_of_day(plays, day(0))
    turned = plays.collect().reverse().lazy()
    assert_frame_equal(
        examples_of_day(plays, signals, farm_incident()).collect(),
        examples_of_day(turned, signals, farm_incident()).collect(),
    )


def test_examples_carry_the_signals_of_all_their_entities() -> None:
    found = of_user(examples(incident(ATTACKER, "confirmed")), ATTACKER)
    actor = SIGNALS.filter(entity_kind="actor", entity_key=key(ATTACKER).item()).collect().row(0, named=True)
    assert found.item(0, "actor_short_share") == actor["short_share"] == 1.0
    assert found.item(0, "actor_hours") == actor["hours"] == 24
    assert findings_about(LabelledExamples, found.lazy()) == []


def test_a_combination_takes_the_most_decided_of_its_plays_labels() -> None:
    rows = [{"occurred_at": moment(0, hour), "user_key": 7} for hour in (1, 2, 3)]
    windows: list[dict[str, object]] = [
        {"incident_id": "b", "entity_key": 7, "status": "cleared"},
        {
            "incident_id": "c",
            "entity_key": 7,
            "status": "confirmed",
            "starts_at": moment(0, 2),
            "ends_at": moment(0, 3),
        },
    ]
    plays = plays_of(rows)
    found = examples_of_day(plays, signals_of_day(plays, day(0)), incidents_of(windows)).collect()
    assert found.select("incident_id", "is_spam", "plays").rows() == [("c", True, 3)]


def test_the_contract_has_a_column_for_every_signal_that_a_model_may_use() -> None:
    assert tuple(column_types(LabelledExamples))[-len(NAMES) :] == NAMES
