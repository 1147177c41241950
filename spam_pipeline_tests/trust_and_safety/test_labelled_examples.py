from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from spam_pipeline.ingestion.contracts import Incidents, Plays
from spam_pipeline.protocol import column_types
from spam_pipeline.trust_and_safety.contracts import EarningPools, EntityFacts, LabelledExamples, PlaySignals
from spam_pipeline.trust_and_safety.incidents import CLEARED, CONFIRMED, declared
from spam_pipeline.trust_and_safety.labelled_examples import (
    MAX_EXAMPLES_OF_INCIDENT,
    WEAK_EXAMPLES,
    examples_of_day,
    pools_of_day,
)
from spam_pipeline.trust_and_safety.signals import signals_of_day
from spam_pipeline.trust_and_safety.signals.catalogue import NAMES, SIGNALS
from spam_pipeline.trust_and_safety.suspicions_contract import SuspectedPlays
from spam_pipeline_tests.contract_helpers import findings_about
from spam_pipeline_tests.trust_and_safety.play_generator import (
    ATTACKED_TRACK,
    ATTACKER,
    FACTS,
    FAN,
    FARM_ACCOUNTS,
    bot_farm,
    day,
    facts_of,
    fan_of_one_track,
    farm_incident,
    incidents_of,
    key,
    loop_bot,
    moment,
    organic,
    plays_of,
    signals_on,
    together,
)

Row = dict[str, Any]

PLAYS = together(organic(0), loop_bot(0), fan_of_one_track(0))
SIGNALS_OF_DAY = signals_on(PLAYS, 0)
NOBODY_SUSPECTED = SuspectedPlays.empty()

plays_of_few = st.lists(
    st.fixed_dictionaries(
        {
            "occurred_at": st.integers(0, 3).map(lambda hour: moment(0, hour)),
            "user_key": st.sampled_from([None, 1, 2, 3]),
            "device_key": st.integers(11, 12),
            "ip_key": st.sampled_from([None, 21]),
            "track_key": st.integers(31, 32),
            "country": st.sampled_from([None, "DE", "US"]),
            "ms_played": st.sampled_from([29_999, 30_000]),
        }
    ),
    max_size=15,
)
incidents_about_few = st.lists(
    st.fixed_dictionaries(
        {
            "incident_id": st.sampled_from(["a", "b"]),
            "entity_key": st.integers(1, 3),
            "status": st.sampled_from(["confirmed", "cleared", "suspected"]),
            "attack_type": st.sampled_from(["bot_farm", "loop_bot"]),
            "starts_at": st.integers(0, 3).map(lambda hour: moment(0, hour)),
        }
    ),
    max_size=4,
)


def incident(user: int, status: str) -> Row:
    return {"incident_id": f"{status} {user}", "entity_key": key(user).item(), "status": status}


def examples(*declarations: Row) -> pl.DataFrame:
    return examples_of_day(PLAYS, SIGNALS_OF_DAY, FACTS, incidents_of(list(declarations)), NOBODY_SUSPECTED).collect()


def examples_about(rows: list[Row], declarations: list[Row], facts: list[Row]) -> list[Row]:
    plays, known = plays_of(rows), facts_of(facts)
    signals = signals_of_day(plays, known, day(0))
    return examples_of_day(plays, signals, known, incidents_of(declarations), NOBODY_SUSPECTED).collect().to_dicts()


def of_users(frame: pl.DataFrame, *users: int) -> pl.DataFrame:
    return frame.filter(pl.col("actor_key").is_in(key(users).tolist()))


# Which plays are examples, and of what


def test_confirmed_plays_are_spam_and_cleared_plays_are_legitimate() -> None:
    found = examples(incident(ATTACKER, "confirmed"), incident(FAN, "cleared"))
    bot, fan = of_users(found, ATTACKER).row(0, named=True), of_users(found, FAN).row(0, named=True)
    assert (bot["is_spam"], bot["is_weak"], bot["incident_id"], bot["plays"]) == (True, False, "confirmed 8001", 2_400)
    assert (fan["is_spam"], fan["is_weak"], fan["incident_id"], fan["plays"]) == (False, False, "cleared 8002", 85)
    assert bot["attack_type"] == fan["attack_type"] == "bot_farm", "what the experts call it"


def test_suspicion_is_no_label_neither_for_spam_nor_for_a_legitimate_play() -> None:
    found = examples(incident(ATTACKER, "suspected"), incident(FAN, "cleared"))
    assert of_users(found, ATTACKER).is_empty()
    assert not found.get_column("is_spam").any()


def test_a_confirmed_suspicion_teaches_nothing_because_its_plays_look_like_those_of_people() -> None:
    suspicion = {**incident(ATTACKER, "confirmed"), "incident_id": "suspected-00000000000000aa"}
    assert examples(suspicion).is_empty()
    beside = examples(suspicion, incident(FAN, "cleared"))
    assert set(beside.filter(~pl.col("is_weak"))["incident_id"]) == {f"cleared {FAN}"}
    assert key(ATTACKER).item() not in beside["actor_key"]


def test_a_device_that_waits_for_a_person_is_no_weak_example_because_a_patient_attacker_fits_no_signature() -> None:
    weak = examples(incident(ATTACKER, "confirmed")).filter("is_weak")
    suspect = weak["device_key"][0]
    suspected = pl.LazyFrame({"device_key": [suspect]})
    declared = incidents_of([incident(ATTACKER, "confirmed")])
    found = examples_of_day(PLAYS, SIGNALS_OF_DAY, FACTS, declared, suspected).collect().filter("is_weak")
    assert suspect not in found["device_key"]
    assert set(weak["device_key"]) - {suspect} <= set(found["device_key"])


def test_unlabelled_plays_join_a_labelled_day_as_weak_examples() -> None:
    found = examples(incident(ATTACKER, "confirmed"))
    weak = found.filter("is_weak")
    assert weak.height == min(WEAK_EXAMPLES, found.height - 1)
    assert weak.select(pl.col("is_spam").any(), pl.col("incident_id", "attack_type").count()).row(0) == (False, 0, 0)


def test_what_nobody_labelled_gets_the_label_of_the_policy() -> None:
    attacked = together(organic(0, listeners=30), bot_farm(0, accounts=2), fan_of_one_track(0))
    found = examples_of_day(
        attacked, signals_on(attacked, 0), FACTS, incidents_of([incident(FAN, "cleared")]), NOBODY_SUSPECTED
    )
    farm = of_users(found.collect(), *FARM_ACCOUNTS)
    assert farm.height > 100
    assert farm.select(pl.col("is_spam", "is_weak").all()).row(0) == (True, True)
    suspected = examples_of_day(
        attacked,
        signals_on(attacked, 0),
        FACTS,
        incidents_of([incident(FAN, "cleared")]),
        farm.lazy().select("device_key"),
    )
    assert_frame_equal(of_users(suspected.collect(), *FARM_ACCOUNTS), farm)


def test_what_the_policy_has_no_opinion_on_is_no_example() -> None:
    """A looped track that is cut off as soon as it pays, for less than half of the hours that a bot would need."""
    rows: list[Row] = [
        {"occurred_at": moment(0, minute / 12), "user_key": 1, "ms_played": 31_000, "track_key": 31}
        for minute in range(130)
    ]
    someone = {"occurred_at": moment(0, 1), "user_key": 2, "device_key": 2, "track_key": 32}
    found = examples_about([*rows, someone], [{"entity_key": 2, "status": "cleared"}], [])
    assert [example["actor_key"] for example in found] == [2]


@pytest.mark.parametrize(
    "incidents",
    [Incidents.empty(), incidents_of([incident(ATTACKER, "suspected")]), incidents_of([incident(99_999, "confirmed")])],
    ids=["no incident", "nothing decided", "a decided incident that no play belongs to"],
)
def test_a_day_on_which_nothing_is_labelled_has_no_examples(incidents: pl.LazyFrame) -> None:
    found = examples_of_day(PLAYS, SIGNALS_OF_DAY, FACTS, incidents, NOBODY_SUSPECTED)
    assert findings_about(LabelledExamples, found) == []
    assert found.collect().is_empty()


def test_a_day_without_plays_has_no_examples() -> None:
    incidents = incidents_of([incident(ATTACKER, "confirmed")])
    found = examples_of_day(Plays.empty(), PlaySignals.empty(), EntityFacts.empty(), incidents, NOBODY_SUSPECTED)
    assert found.collect().is_empty()


# How many


def test_the_largest_campaign_is_sampled_so_that_it_does_not_drown_the_others() -> None:
    plays = together(organic(0), bot_farm(0), loop_bot(0))
    both = pl.concat([farm_incident(), incidents_of([incident(ATTACKER, "confirmed")])])
    found = (
        examples_of_day(plays, signals_on(plays, 0), FACTS, both, NOBODY_SUSPECTED).collect().filter(~pl.col("is_weak"))
    )
    counted = dict(found.get_column("incident_id").value_counts().rows())
    assert counted == {"farm": MAX_EXAMPLES_OF_INCIDENT, f"confirmed {ATTACKER}": 1}


def test_the_examples_are_the_same_whatever_the_order_of_plays_and_incidents() -> None:
    plays = together(organic(0), bot_farm(0))
    signals = signals_on(plays, 0)
    turned, turned_incidents = (frame.collect().reverse().lazy() for frame in (plays, farm_incident()))
    assert_frame_equal(
        examples_of_day(plays, signals, FACTS, farm_incident(), NOBODY_SUSPECTED).collect(),
        examples_of_day(turned, signals, FACTS, turned_incidents, NOBODY_SUSPECTED).collect(),
        check_exact=True,
    )


def test_the_examples_are_the_same_however_few_plays_are_grouped_at_a_time() -> None:
    both = pl.concat([farm_incident(), incidents_of([incident(ATTACKER, "cleared")])])
    whole, in_slices = (
        examples_of_day(PLAYS, SIGNALS_OF_DAY, FACTS, both, NOBODY_SUSPECTED, slice_rows=rows).collect()
        for rows in (PLAYS.collect().height, 700)
    )
    assert_frame_equal(in_slices, whole, check_exact=True)


def test_a_combination_takes_the_most_decided_of_its_plays_labels() -> None:
    rows: list[Row] = [{"occurred_at": moment(0, hour), "user_key": 7} for hour in (1, 2, 3)]
    windows: list[Row] = [
        {"incident_id": "b", "entity_key": 7, "status": "cleared"},
        {"incident_id": "c", "entity_key": 7, "starts_at": moment(0, 2), "ends_at": moment(0, 3)},
    ]
    (found,) = examples_about(rows, windows, [])
    assert (found["incident_id"], found["is_spam"], found["plays"]) == ("c", True, 3)


@settings(max_examples=40)
@given(plays_of_few, incidents_about_few)
def test_examples_of_experts_are_the_combinations_that_a_slow_program_finds(
    rows: list[Row], declarations: list[Row]
) -> None:
    found = examples_about(rows, declarations, [])
    experts = {combination(row): row for row in found if not row["is_weak"]}
    assert len(experts) == sum(not row["is_weak"] for row in found)
    labels = labels_of(rows, declarations)
    assert experts.keys() == labels.keys()
    for named, (rank, incident_id, attack_type) in labels.items():
        mine = [row for row in rows if combination(row) == named]
        example = experts[named]
        assert (example["is_spam"], example["incident_id"]) == (rank == 0, incident_id)
        assert example["attack_type"] == attack_type
        assert (example["plays"], example["earning_plays"]) == (len(mine), sum(r["ms_played"] >= 30_000 for r in mine))


def combination(row: Row) -> tuple[int | None, ...]:
    actor = row.get("actor_key") or row["user_key"] or row["device_key"]
    return (actor, row["device_key"], row["ip_key"], row["track_key"])


def labels_of(rows: list[Row], declarations: list[Row]) -> dict[tuple[int | None, ...], tuple[int, str, str]]:
    """The decided label of each combination, the most decided first: its rank, incident and attack type."""
    plays = plays_of(rows).collect()
    ranks = {CONFIRMED: 0, CLEARED: 1}
    labels: dict[tuple[int | None, ...], tuple[int, str, str]] = {}
    matched = declared(plays, incidents_of(declarations)).to_dicts()
    for play, found in zip(plays.to_dicts(), matched, strict=True):
        if found["incident_status"] in ranks:
            label = (ranks[found["incident_status"]], found["incident_id"], found["incident_attack_type"])
            labels[combination(play)] = min(label, labels.get(combination(play), label))
    return labels


# What they carry


def test_examples_carry_the_signals_of_all_their_entities() -> None:
    found = of_users(examples(incident(ATTACKER, "confirmed")), ATTACKER)
    example = found.row(0, named=True)
    keys = {
        "actor": key(ATTACKER).item(),
        "device": key(ATTACKER + 500_000).item(),
        "address": key(ATTACKER + 600_000).item(),
        "network": key(ATTACKER).item(),
        "track": key(ATTACKED_TRACK).item(),
        "uploader": key(ATTACKED_TRACK // 10 + 800_000).item(),
    }
    known = {(row["entity_kind"], row["entity_key"]): row for row in SIGNALS_OF_DAY.collect().to_dicts()}
    expected = {signal.name: known[signal.kind, keys[signal.kind]][signal.column] for signal in SIGNALS}
    assert {name: example[name] for name in NAMES} == expected
    assert example["device_hours"] == 24
    assert (example["uploader_key"], example["track_age_days"]) == (keys["uploader"], 400)
    assert findings_about(LabelledExamples, found.lazy()) == []


def test_an_example_knows_its_pool_and_how_many_of_its_plays_earned() -> None:
    facts = [
        {"entity_kind": "account", "entity_key": user, "country": "SE", "tier": tier}
        for user, tier in [(1, "premium"), (2, "premium"), (3, "free")]
    ]
    rows: list[Row] = [
        {"occurred_at": moment(0, hour), "user_key": user, "ms_played": heard, "country": "DE"}
        for hour, user, heard in [(1, 1, 30_000), (2, 1, 29_999), (3, 2, 30_000), (4, 3, 30_000)]
    ]
    (found,) = [row for row in examples_about(rows, [{"entity_key": 1}], facts) if not row["is_weak"]]
    assert (found["country"], found["tier"]) == ("SE", "premium"), "of the account, wherever it plays"
    assert (found["plays"], found["earning_plays"]) == (2, 1)


def test_a_listener_without_an_account_is_in_the_free_pool_of_the_country_played_from() -> None:
    row = {"occurred_at": moment(0, 1), "device_key": 5, "country": "NO"}
    named = [{"entity_type": "device", "entity_key": 5}]
    (found,) = examples_about([row], named, [])
    assert (found["actor_key"], found["country"], found["tier"]) == (5, "NO", "free")


def test_the_contract_has_a_column_for_every_signal_that_a_model_may_use() -> None:
    assert tuple(column_types(LabelledExamples))[-len(NAMES) :] == NAMES


# What only money depends on


def test_pools_count_the_plays_that_earn_by_the_accounts_country_and_tier() -> None:
    rows: list[Row] = [
        {"occurred_at": moment(0, hour), "user_key": user, "device_key": 9, "ms_played": heard, "country": "DE"}
        for hour, user, heard in [(1, 1, 30_000), (2, 1, 29_999), (3, 2, 30_000), (4, None, 30_000)]
    ]
    accounts = facts_of(
        [{"entity_kind": "account", "entity_key": user, "country": "SE", "tier": "duo"} for user in (1, 2)]
    )
    found = pools_of_day(plays_of(rows), accounts, LabelledExamples.empty().collect().clear(1).lazy())
    assert findings_about(EarningPools, found) == []
    assert found.select("country", "tier", "pool_plays").collect().rows() == [("DE", "free", 1), ("SE", "duo", 2)]


def test_a_day_without_examples_has_no_pools() -> None:
    assert pools_of_day(PLAYS, FACTS, LabelledExamples.empty()).collect().is_empty()


def test_another_play_of_somebody_in_no_example_changes_pools_and_no_example() -> None:
    known: Row = {"user_key": 1, "device_key": 11, "ip_key": 21, "network_key": 22, "track_key": 31}
    waits: Row = {"user_key": 2, "device_key": 12, "ip_key": 23, "network_key": 24, "track_key": 32}
    declared, suspected = incidents_of([{"incident_id": "a", "entity_key": 1}]), pl.LazyFrame({"device_key": [12]})

    def found(*rows: Row) -> list[pl.DataFrame]:
        plays = plays_of([{"occurred_at": moment(0, hour), **row} for hour, row in enumerate(rows)])
        signals = signals_of_day(plays, FACTS, day(0))
        of_day = examples_of_day(plays, signals, FACTS, declared, suspected.cast(pl.UInt64))
        return [of_day.collect(), pools_of_day(plays, FACTS, of_day).collect()]

    (before, pools_before), (after, pools_after) = found(known, waits), found(known, waits, waits)
    assert_frame_equal(before, after, check_exact=True)
    assert (before.height, pools_before["pool_plays"].to_list(), pools_after["pool_plays"].to_list()) == (1, [2], [3])
