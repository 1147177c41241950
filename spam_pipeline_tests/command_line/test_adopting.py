"""`adopt`, and how `versions` shows what was adopted."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from spam_pipeline.operations import pipeline as pipeline_module
from spam_pipeline.reporting.assets import top_countries
from spam_pipeline.settings import PREFIX
from spam_pipeline_tests.conftest import DAYS, CommandLine

SAMPLE = [DAYS[-1], DAYS[0]]
PLACE = next(place for place, stage in enumerate(pipeline_module.STAGES) if stage.name == "top_countries")


def refactored(classified_plays: pl.LazyFrame) -> pl.LazyFrame:
    """The top countries, by a detour."""
    return top_countries(classified_plays.filter(pl.lit(value=True)))


def without_the_first(classified_plays: pl.LazyFrame) -> pl.LazyFrame:
    """The top countries but for one."""
    return top_countries(classified_plays).filter(pl.col("rank") > 1)


@pytest.fixture
def deploy(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., pl.LazyFrame]], None]:
    """Let every pipeline of the test rank countries by another function."""
    monkeypatch.setenv(f"{PREFIX}OWN_PACKAGES", "spam_pipeline")

    def deployed(function: Callable[..., pl.LazyFrame]) -> None:
        stages = list(pipeline_module.STAGES)
        stages[PLACE] = replace(top_countries, function=function)
        monkeypatch.setattr(pipeline_module, "STAGES", tuple(stages))

    return deployed


def test_a_refactored_stage_is_adopted_and_its_versions_say_so(
    spam_pipeline: CommandLine, own_home: Path, deploy: Callable[..., None]
) -> None:
    deploy(refactored)
    ended = spam_pipeline("adopt", "--by", "Ada", "--sample", "2", "--json", home=own_home)
    assert ended.status == 0
    assert json.loads(ended.out) == [
        {"stage": "top_countries", "computed": SAMPLE, "adopted": list(DAYS[1:-1]), "difference": None}
    ]
    assert spam_pipeline("adopt", "--by", "Ada", home=own_home).out == "nothing is stale by its code alone\n"
    old, new = json.loads(spam_pipeline("versions", "top_countries", DAYS[1], "--json", home=own_home).out)
    assert (old["adopted_from"], new["adopted_from"], new["adopted_by"]) == (None, old["recipe"], "Ada")
    assert [item["partition"] for item in new["evidence_of_adoption"]] == SAMPLE
    shown = spam_pipeline("versions", "top_countries", DAYS[1], home=own_home).out
    assert f"adopted from {old['recipe'][:16]} by Ada at " in shown
    assert f"not computed: the same code led to the same of {', '.join(SAMPLE)}" in shown


def test_where_the_code_makes_something_else_the_difference_is_printed_and_nothing_adopted(
    spam_pipeline: CommandLine, own_home: Path, deploy: Callable[..., None]
) -> None:
    deploy(without_the_first)
    ended = spam_pipeline("adopt", "top_countries", "--by", "Ada", home=own_home)
    assert ended.status == 1
    assert "top_countries: the code makes something else, nothing of it is adopted" in ended.out
    assert "rows: 0 added, " in ended.out
    assert len(json.loads(spam_pipeline("versions", "top_countries", DAYS[0], "--json", home=own_home).out)) == 1


@pytest.mark.parametrize(
    ("options", "status", "problem"),
    [
        pytest.param(["--by", "WHO"], 1, "WHO stands for that", id="placeholder"),
        pytest.param(["--by", "Ada", "--sample", "0"], 2, "--sample", id="no sample"),
        pytest.param([], 2, "--by", id="nobody"),
        pytest.param(["top_country", "--by", "Ada"], 2, "did you mean top_countries?", id="mistyped"),
    ],
)
def test_who_adopts_says_so_and_at_least_one_partition_is_computed(
    spam_pipeline: CommandLine, converged_home: Path, options: list[str], status: int, problem: str
) -> None:
    ended = spam_pipeline("adopt", *options, home=converged_home)
    assert (ended.status, problem in ended.err) == (status, True)
