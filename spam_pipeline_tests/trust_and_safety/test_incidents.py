from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spam_pipeline.ingestion.contracts import Incidents
from spam_pipeline.trust_and_safety.incidents import ENTITY_COLUMNS, declared
from spam_pipeline_tests.trust_and_safety.play_generator import incidents_of, moment, plays_of

Row = dict[str, Any]
Found = list[tuple[str | None, str | None, str | None]]
NOTHING = (None, None, None)

CONFIRMED = ("i1", "confirmed", "bot_farm")
RANKS = {"confirmed": 0, "cleared": 1, "suspected": 2}

plays = st.lists(
    st.fixed_dictionaries(
        {
            "occurred_at": st.integers(0, 9).map(lambda hour: moment(0, hour)),
            **{column: st.integers(1, 3) for column in ("track_key", "device_key")},
            **{column: st.sampled_from([None, 1, 2]) for column in ("user_key", "ip_key", "user_agent_key")},
        }
    ),
    max_size=20,
)
incidents = st.lists(
    st.fixed_dictionaries(
        {
            "incident_id": st.sampled_from(["a", "b", "c"]),
            "entity_type": st.sampled_from(sorted(ENTITY_COLUMNS)),
            "entity_key": st.integers(1, 3),
            "status": st.sampled_from(sorted(RANKS)),
            "attack_type": st.sampled_from(["bot_farm", "loop_bot"]),
            "starts_at": st.integers(0, 9).map(lambda hour: moment(0, hour)),
            "ends_at": st.integers(0, 10).map(lambda hour: moment(0, hour)),
        }
    ),
    max_size=12,
)


def found_for(rows: list[Row], declarations: list[Row]) -> Found:
    return declared(plays_of(rows).collect(), incidents_of(declarations)).rows()


def naive(play: Row, declarations: list[Row]) -> tuple[str | None, str | None, str | None]:
    matching = [
        (RANKS[incident["status"]], incident["incident_id"], incident["status"], incident["attack_type"])
        for incident in declarations
        if play[ENTITY_COLUMNS[incident["entity_type"]]] == incident["entity_key"]
        and incident["starts_at"] <= play["occurred_at"] < incident["ends_at"]
    ]
    return min(matching)[1:] if matching else NOTHING


@settings(max_examples=80)
@given(plays, incidents)
def test_every_play_gets_the_most_decided_incident_that_names_one_of_its_entities(
    rows: list[Row], declarations: list[Row]
) -> None:
    ordered = plays_of(rows).collect().to_dicts()
    assert found_for(rows, declarations) == [naive(play, declarations) for play in ordered]


@pytest.mark.parametrize(("entity_type", "column"), ENTITY_COLUMNS.items())
def test_an_incident_may_name_any_kind_of_entity(entity_type: str, column: str) -> None:
    rows = [{"occurred_at": moment(0, 1), column: 5}, {"occurred_at": moment(0, 2), column: 6}]
    assert found_for(rows, [{"entity_type": entity_type, "entity_key": 5}]) == [CONFIRMED, NOTHING]


def test_the_entities_of_an_incident_are_a_set_of_which_any_one_is_enough() -> None:
    rows = [
        {"occurred_at": moment(0, hour), "track_key": track, "ip_key": ip} for hour, track, ip in [(1, 5, 1), (2, 1, 6)]
    ]
    named = [{"entity_type": "track", "entity_key": 5}, {"entity_type": "ip", "entity_key": 6}]
    assert found_for(rows, named) == [CONFIRMED] * 2


def test_a_window_holds_its_first_instant_and_not_its_last() -> None:
    second = timedelta(seconds=1)
    times = [moment(0, 3) - second, moment(0, 3), moment(0, 4) - second, moment(0, 4)]
    window = {"entity_key": 7, "starts_at": moment(0, 3), "ends_at": moment(0, 4)}
    found = found_for([{"occurred_at": time, "user_key": 7} for time in times], [window])
    assert [incident for incident, _, _ in found] == [None, "i1", "i1", None]


def test_a_confirmed_incident_comes_before_a_cleared_one_and_both_before_a_suspected_one() -> None:
    named = [
        {"incident_id": f"{order}-{status}", "entity_key": 7, "status": status}
        for order, status in enumerate(["suspected", "cleared", "confirmed"])
    ]
    row = {"occurred_at": moment(0, 1), "user_key": 7}
    assert found_for([row], named) == [("2-confirmed", "confirmed", "bot_farm")]
    assert found_for([row], named[:2]) == [("1-cleared", "cleared", "bot_farm")]


def test_a_play_gets_the_attack_type_of_its_incident_and_of_no_other() -> None:
    named = [
        {"incident_id": name, "entity_key": user, "attack_type": attack}
        for name, user, attack in [("a", 7, "loop_bot"), ("b", 8, "device_farm"), ("c", 7, "paid_plays")]
    ]
    rows = [{"occurred_at": moment(0, hour), "user_key": user} for hour, user in [(1, 8), (2, 7)]]
    assert found_for(rows, named) == [("b", "confirmed", "device_farm"), ("a", "confirmed", "loop_bot")]


def test_without_incidents_or_without_plays_nothing_is_declared() -> None:
    some = plays_of([{"occurred_at": moment(0, 1), "user_key": 7}])
    assert declared(some.collect(), Incidents.empty()).rows() == [NOTHING]
    nobody = declared(some.filter(pl.lit(value=False)).collect(), incidents_of([{"entity_key": 7}]))
    assert nobody.is_empty()
