from collections.abc import Mapping
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from spam_pipeline.ingestion.contracts import Revenue
from spam_pipeline.protocol import (
    WHOLE,
    Contract,
    EveryPartition,
    PartForPartition,
    PartsOfTrailingDays,
    PartsUpToMonth,
    SamePartition,
    TrailingDays,
    code_version_of,
)
from spam_pipeline.trust_and_safety.assets import (
    STAGES,
    classified_plays,
    entity_facts,
    held_out_examples,
    labelled_examples,
    play_signals,
    spam_model,
)
from spam_pipeline.trust_and_safety.contracts import ACCOUNT, TRACK
from spam_pipeline_tests.contract_helpers import (
    as_declared,
    findings_about,
    needless_columns,
    partitions_read,
    with_columns_declared,
)
from spam_pipeline_tests.trust_and_safety.play_generator import (
    FACTS,
    bot_farm,
    day,
    farm_incident,
    incidents_of,
    key,
    moment,
    organic,
    plays_of,
    together,
)

FRAMES = tuple(stage for stage in STAGES if stage is not spam_model)
ACCOUNTS = FACTS.filter(pl.col("entity_kind") == ACCOUNT).select(
    "country", "tier", user_key="entity_key", created_on="since"
)
TRACKS = FACTS.filter(pl.col("entity_kind") == TRACK).select(
    "duration_ms", track_key="entity_key", uploaded_on="since", artist_id=pl.col("artist_key").cast(pl.String)
)


RING, RING_TRACKS = key(range(20_100, 20_108)).tolist(), key(range(9_200, 9_203)).tolist()


def ring() -> pl.LazyFrame:
    """Eight accounts, each with a device of its own, that hear the same three tracks over and over."""
    heard = [(user, track, time) for user in RING for track in RING_TRACKS for time in range(4)]
    return plays_of(
        [
            {"user_key": user, "device_key": user, "track_key": track, "occurred_at": moment(1, 10 + time)}
            for user, track, time in heard
        ]
    )


def several_incidents() -> pl.LazyFrame:
    """The farm's tracks, as if experts had taken them for several campaigns, and half of the ring."""
    number = (pl.col("entity_key") % 5).cast(pl.String)
    farms = farm_incident().with_columns(incident_id="farm " + number)
    return pl.concat([farms, incidents_of([{"incident_id": "ring", "entity_key": user} for user in RING[::2]])])


@pytest.fixture(scope="module")
def known() -> dict[str, Any]:
    """What the stages gave for one day, by name, beside what they were given."""
    found: dict[str, Any] = {"plays": together(organic(1), bot_farm(1), ring()), "tracks": TRACKS, "accounts": ACCOUNTS}
    found |= {"incidents": several_incidents(), "revenue": Revenue.empty(), "partition": day(1)}
    for stage in STAGES:
        found[stage.name] = computed(stage(**given_to(stage, found)))
    return found


def computed(result: Any) -> Any:
    """What a stage gave, as the next one reads it: a plan would be computed again by each of them."""
    if isinstance(result, Mapping):
        return {name: computed(part) for name, part in result.items()}
    return result.collect().lazy() if isinstance(result, pl.LazyFrame) else result


def whole(result: Any) -> Any:
    """The data of a stage, without parts that only some consumers read."""
    return result[WHOLE] if isinstance(result, Mapping) else result


def given_to(stage: Any, known: dict[str, Any]) -> dict[str, Any]:
    return {name: part_read(stage, name, known[name]) for name in stage.parameters}


def part_read(stage: Any, name: str, value: Any) -> Any:
    """Of a result in parts, the one that a stage asks for."""
    return value[stage.inputs[name].partitions.side_part or WHOLE] if isinstance(value, Mapping) else value


def test_the_stages_run_after_one_another_as_plain_functions(known: dict[str, Any]) -> None:
    for stage in FRAMES:
        assert isinstance(stage.contract, type)
        assert issubclass(stage.contract, Contract)
        assert findings_about(stage.contract, whole(known[stage.name])) == []
        assert whole(known[stage.name]).collect().height > 0, stage.name
    assert known["spam_model"].estimator is not None
    assert known["classified_plays"].select(pl.col("class").eq("spam").any()).collect().item()


@pytest.mark.parametrize("stage", FRAMES, ids=lambda stage: stage.name)
def test_a_stage_reads_the_columns_that_it_declares_and_no_others(stage: Any, known: dict[str, Any]) -> None:
    inputs = given_to(stage, known)
    references = {"plays", "incidents", "tracks", "accounts", "revenue"}
    assert references & inputs.keys() == references & with_columns_declared(stage)
    found = whole(stage(**as_declared(stage, inputs)))
    assert_frame_equal(found.collect(), whole(known[stage.name]).collect(), check_exact=True)
    assert needless_columns(stage, inputs) == []


def test_the_same_inputs_give_the_same_rows(known: dict[str, Any]) -> None:
    again = dict(known)
    for stage in STAGES:
        again[stage.name] = computed(stage(**given_to(stage, again)))
    for stage in FRAMES:
        assert_frame_equal(whole(again[stage.name]).collect(), whole(known[stage.name]).collect(), check_exact=True)


def test_the_stages_read_what_their_consumers_were_told() -> None:
    read = {stage.name: partitions_read(stage) for stage in STAGES}
    same, alike, week, weeks = SamePartition(), PartForPartition(), TrailingDays(7), TrailingDays(28)
    remembered, decided = TrailingDays(84), PartsOfTrailingDays(84)
    assert read == {
        "entity_facts": {"plays": same, "tracks": PartsUpToMonth(), "accounts": PartsUpToMonth()},
        "play_signals": {"plays": week, "entity_facts": week},
        "listening": {"plays": same, "entity_facts": same},
        "suspicious_groups": {"listening": weeks},
        "suspected_plays": {"suspicious_groups": remembered, "incidents": decided, "listening": same},
        "suspected_incidents": {
            "suspicious_groups": remembered,
            "incidents": decided,
            "listening": same,
            "suspected_plays": same,
            "revenue": EveryPartition(),
        },
        "carried_devices": {"listening": weeks, "incidents": PartsOfTrailingDays(28)},
        "labelled_examples": {
            "plays": same,
            "play_signals": same,
            "entity_facts": same,
            "incidents": alike,
            "suspected_plays": same,
        },
        "held_out_examples": {"labelled_examples": EveryPartition()},
        "spam_model": {"labelled_examples": EveryPartition(), "held_out_examples": same},
        "model_evaluation": {
            "held_out_examples": same,
            "labelled_examples": EveryPartition(side_part="pools"),
            "spam_model": same,
            "revenue": EveryPartition(),
        },
        "classified_plays": {
            "plays": same,
            "play_signals": same,
            "spam_model": same,
            "incidents": alike,
            "carried_devices": same,
            "suspected_plays": same,
        },
    }


def test_verdicts_are_stale_when_the_policy_a_signals_scale_or_the_way_of_scoring_changes() -> None:
    reached = code_version_of(classified_plays.function).definitions
    package = "spam_pipeline.trust_and_safety"
    assert {
        f"{package}.attack_types.SIGNATURES",
        f"{package}.signals.catalogue.SIGNALS",
        f"{package}.estimators.evidence",
        f"{package}.scoring.spam_probability",
        f"{package}.reasons.explained",
    } <= reached.keys()


def test_another_way_of_learning_makes_the_model_stale_and_no_signals_or_examples() -> None:
    learns = {"spam_pipeline.trust_and_safety.model.fitted", "spam_pipeline.trust_and_safety.training.learned"}
    for stage in (held_out_examples, spam_model):
        assert learns <= code_version_of(stage.function).definitions.keys()
    for stage in (entity_facts, play_signals, labelled_examples, classified_plays):
        assert not learns & code_version_of(stage.function).definitions.keys()


def test_every_stage_is_owned_by_trust_and_safety_and_says_what_it_is() -> None:
    assert {(stage.context, stage.owner) for stage in STAGES} == {("trust_and_safety", "team:trust-and-safety")}
    assert all(stage.description for stage in STAGES)
