"""How stages are connected, and what is refused when they are defined."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from spam_pipeline.partitions import event_days
from spam_pipeline.protocol.definition.graph import StageGraph
from spam_pipeline.protocol.definition.stage import stage
from spam_pipeline.protocol.foundation.errors import UnknownStage, WrongDefinition
from spam_pipeline_tests.protocol.toy_pipeline import (
    STAGES,
    Numbers,
    landed_numbers,
    numbers,
    received_numbers,
    toy_graph,
)


@stage(partitions=event_days, contract=Numbers, owner="team:toys", libraries=["polars"])
def one(another: pl.LazyFrame) -> pl.LazyFrame:
    """Reads the other."""
    return another


@stage(partitions=event_days, contract=Numbers, owner="team:toys", libraries=["polars"])
def another(one: pl.LazyFrame) -> pl.LazyFrame:
    """Reads the one."""
    return one


@stage(partitions=event_days, contract=Numbers, owner="team:toys", libraries=["polars"])
def lost(nowhere: pl.LazyFrame) -> pl.LazyFrame:
    """Reads what does not exist."""
    return nowhere


def test_stages_come_after_everything_they_read(tmp_path: Path) -> None:
    graph = toy_graph(tmp_path)
    order = list(graph.stages)
    for stage_ in graph.stages.values():
        assert all(order.index(upstream) < order.index(stage_.name) for upstream in graph.upstreams(stage_))


def test_a_stage_of_the_whole_catalogue_reads_every_stage_of_frames_that_is_not_delivered(tmp_path: Path) -> None:
    graph = toy_graph(tmp_path)
    assert set(graph.upstreams(graph.stages["board"])) == set(graph.stages) - {"board", "model"}


def test_a_stage_brings_what_it_rests_on(tmp_path: Path) -> None:
    assert [item.name for item in toy_graph(tmp_path).with_upstreams(["numbers"])] == ["received_numbers", "numbers"]


def test_a_level_has_what_does_not_wait_for_each_other(tmp_path: Path) -> None:
    graph = toy_graph(tmp_path)
    levels = [[item.name for item in level] for level in graph.levels(graph.stages.values())]
    assert levels == [
        ["received_numbers"],
        ["rejected_numbers", "numbers"],
        ["two_day_total", "model", "monthly_total", "settled_total"],
        ["share"],
        ["board"],
    ]


def test_stages_in_a_circle_are_refused() -> None:
    with pytest.raises(WrongDefinition, match=r"in a circle: .*one"):
        StageGraph([one, another], [], {})


def test_a_stage_that_reads_nothing_known_is_refused_with_what_there_is() -> None:
    with pytest.raises(
        WrongDefinition,
        match=r"lost reads 'nowhere', which is no stage, source or setting; there are contents_read, lost, partition",
    ):
        StageGraph([lost], [], {})


def test_what_needs_the_source_is_derived_when_it_is_asked_for(tmp_path: Path) -> None:
    hidden = StageGraph([replace(received_numbers, libraries=("no-such-library",)), numbers], [landed_numbers], {})
    assert list(hidden.code_versions) == list(hidden.contract_digests) == ["received_numbers", "numbers"]
    assert hidden.code_versions["numbers"] == toy_graph(tmp_path).code_versions["numbers"]
    with pytest.raises(WrongDefinition, match="the declared library no-such-library isn't installed"):
        hidden.code_versions.get("received_numbers")


def test_two_stages_of_one_name_are_refused() -> None:
    with pytest.raises(WrongDefinition, match="two things are called numbers"):
        StageGraph([*STAGES, numbers], [landed_numbers], {"factor": 1, "board": ""})


def test_an_unknown_stage_is_answered_with_the_ones_there_are(tmp_path: Path) -> None:
    with pytest.raises(UnknownStage, match=r"no stage is called play; there are .*received_numbers"):
        toy_graph(tmp_path).find(["play"])
    with pytest.raises(UnknownStage, match=r"no stage is called number; did you mean numbers.*\?$"):
        toy_graph(tmp_path).find(["number"])


def test_a_selection_for_no_parameter_is_refused() -> None:
    define = stage(
        partitions=event_days, contract=Numbers, owner="team:toys", libraries=["polars"], partitioned_by=["other"]
    )
    with pytest.raises(WrongDefinition, match=r"declarations for other: it takes \(numbers\)"):
        define(lambda numbers: numbers)


def test_a_stage_stays_a_function() -> None:
    frame = pl.LazyFrame({"day": ["2026-01-01"] * 2, "number": [2, 2]})
    assert numbers(frame).collect()["number"].to_list() == [2]


def test_only_the_settings_that_a_stage_takes_count_for_it(tmp_path: Path) -> None:
    small, large = toy_graph(tmp_path, factor=1), toy_graph(tmp_path, factor=2)
    changed = [
        name
        for name in small.stages
        if small.configuration_digests(small.stages[name]) != large.configuration_digests(large.stages[name])
    ]
    assert changed == ["two_day_total"]


def test_what_reads_a_stage_is_known_once_for_all_in_the_order_of_stages(tmp_path: Path) -> None:
    graph = toy_graph(tmp_path)
    assert graph.read_by["received_numbers"] == ("rejected_numbers", "numbers", "board")
    assert graph.read_by["board"] == ()
    assert graph.read_by is graph.read_by
