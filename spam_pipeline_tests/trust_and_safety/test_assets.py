from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from spam_pipeline.ingestion.contracts import Incidents
from spam_pipeline.protocol.code_version import code_version
from spam_pipeline.protocol.contract import Contract
from spam_pipeline.protocol.selection import EveryPartition, PartNamedAlike, SamePartition, TrailingDays
from spam_pipeline.trust_and_safety.assets import STAGES, classified_plays, labelled_examples, play_signals, spam_model
from spam_pipeline_tests.kept_promises import as_declared, findings_about, needless_columns
from spam_pipeline_tests.trust_and_safety.play_generator import bot_farm, day, farm_incident, organic, together


def test_the_stages_run_after_one_another_as_plain_functions() -> None:
    plays = together(organic(1), bot_farm(1))
    signals = play_signals(plays, day(1))
    examples = labelled_examples(signals, plays, farm_incident())
    verdicts = classified_plays(plays, signals, spam_model(examples), Incidents.empty())
    frames = {"play_signals": signals, "labelled_examples": examples, "classified_plays": verdicts}
    for stage in STAGES:
        if stage.name in frames:
            assert isinstance(stage.contract, type)
            assert issubclass(stage.contract, Contract)
            assert findings_about(stage.contract, frames[stage.name]) == []
    assert verdicts.select(pl.col("class").eq("spam").any()).collect().item()


@pytest.mark.parametrize("stage", [play_signals, labelled_examples, classified_plays], ids=lambda stage: stage.name)
def test_a_stage_reads_the_columns_that_it_declares_and_no_others(stage: Any) -> None:
    plays, incidents = together(organic(1), bot_farm(1)), farm_incident()
    signals = play_signals(plays, day(1))
    known = {"plays": plays, "play_signals": signals, "incidents": incidents, "partition": day(1)}
    known["spam_model"] = spam_model(labelled_examples(signals, plays, incidents))
    inputs = {name: known[name] for name in stage.parameters}
    assert stage.reads.keys() == {"plays", "incidents"} & inputs.keys()
    assert_frame_equal(stage(**as_declared(stage, inputs)).collect(), stage(**inputs).collect(), check_exact=True)
    assert needless_columns(stage, inputs) == []


def test_the_same_inputs_give_the_same_rows() -> None:
    plays = together(organic(1), bot_farm(1))
    runs = []
    for _ in range(2):
        signals = play_signals(plays, day(1))
        model = spam_model(labelled_examples(signals, plays, farm_incident()))
        runs.append(classified_plays(plays, signals, model, farm_incident("suspected")).collect())
    assert_frame_equal(*runs, check_exact=True)


def test_the_stages_read_what_their_consumers_were_told() -> None:
    read = {stage.name: dict(stage.selections) for stage in STAGES}
    same, alike = SamePartition(), PartNamedAlike()
    assert read == {
        "play_signals": {"plays": TrailingDays(7)},
        "labelled_examples": {"play_signals": same, "plays": same, "incidents": alike},
        "spam_model": {"labelled_examples": EveryPartition()},
        "classified_plays": {"plays": same, "play_signals": same, "spam_model": same, "incidents": alike},
    }


def test_verdicts_are_stale_when_the_heuristic_or_the_way_of_scoring_changes() -> None:
    reached = code_version(classified_plays.function).definitions
    model = "spam_pipeline.trust_and_safety.model"
    assert {f"{model}.HEURISTIC_RULES", f"{model}.spam_probability", f"{model}.strongest_signals"} <= reached.keys()


def test_every_stage_is_owned_by_trust_and_safety_and_says_what_it_is() -> None:
    assert {(stage.context, stage.owner) for stage in STAGES} == {("trust_and_safety", "team:trust-and-safety")}
    assert all(stage.description for stage in STAGES)
