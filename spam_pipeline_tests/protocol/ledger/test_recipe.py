"""Recipes: one digest for everything that determines a result, and for nothing else."""

from collections.abc import Mapping
from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from spam_pipeline.protocol.foundation.digest import SCHEME, digest
from spam_pipeline.protocol.ledger import recipe as recipes
from spam_pipeline.protocol.ledger.recipe import InputRef, Recipe, read_line
from spam_pipeline_tests.protocol.selecting_stages import World, graph_of

A = InputRef("plays", "plays", "2026-01-05", "all", "c1", 1)
B = InputRef("plays", "plays", "2026-01-06", "all", "c2", 2)
FILE = InputRef("landed_plays", "landed_plays", "2026-01-05", "plays/2026-01-05/a.jsonl", "d1", 3, is_file=True)
RECIPE = Recipe("daily", "2026-01-05", "code", {"factor": "f1", "limit": "l1"}, (FILE, A, B))

OTHERS = {
    "another stage": replace(RECIPE, stage="weekly"),
    "another partition": replace(RECIPE, partition="2026-01-06"),
    "another code version": replace(RECIPE, code_version="code2"),
    "another value of a setting": replace(RECIPE, configuration={"factor": "f2", "limit": "l1"}),
    "another name of a setting": replace(RECIPE, configuration={"factors": "f1", "limit": "l1"}),
    "values of settings exchanged": replace(RECIPE, configuration={"factor": "l1", "limit": "f1"}),
    "a setting less": replace(RECIPE, configuration={"factor": "f1"}),
    "an input less": replace(RECIPE, inputs=(FILE, A)),
    "an input twice": replace(RECIPE, inputs=(FILE, A, B, B)),
    "inputs in another order": replace(RECIPE, inputs=(FILE, B, A)),
    "groups of inputs in another order": replace(RECIPE, inputs=(A, B, FILE)),
    "an input read by another parameter": replace(RECIPE, inputs=(FILE, A, B._replace(parameter="other"))),
    "an input of another upstream": replace(RECIPE, inputs=(FILE, A, B._replace(upstream="other"))),
    "an input of another partition": replace(RECIPE, inputs=(FILE, A, B._replace(partition="2026-01-07"))),
    "another part": replace(RECIPE, inputs=(FILE, A, B._replace(part="rejected"))),
    "another content": replace(RECIPE, inputs=(FILE, A, B._replace(content="c3"))),
    "another path of a file": replace(RECIPE, inputs=(FILE._replace(part="plays/2026-01-05/b.jsonl"), A, B)),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_whatever_determines_a_result_changes_the_recipe(other: Recipe) -> None:
    assert other.digest != RECIPE.digest


def test_where_the_ledger_keeps_an_input_is_not_part_of_the_recipe() -> None:
    elsewhere = tuple(item._replace(record=item.record + 100) for item in RECIPE.inputs)
    assert replace(RECIPE, inputs=elsewhere).digest == RECIPE.digest


def test_the_contents_read_are_those_of_the_versions_and_files_are_none() -> None:
    parts = (A, A._replace(part="2026-01-04", content="c3"), B, FILE)
    assert replace(RECIPE, inputs=parts).contents() == {
        ("plays", "2026-01-05"): digest({"all": "c1", "2026-01-04": "c3"}),
        ("plays", "2026-01-06"): digest({"all": "c2"}),
    }


def test_the_order_in_which_settings_are_listed_does_not_count() -> None:
    assert replace(RECIPE, configuration={"limit": "l1", "factor": "f1"}).digest == RECIPE.digest


def test_the_number_of_the_hash_scheme_changes_every_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    before = RECIPE.digest
    monkeypatch.setattr(recipes, "SCHEME", SCHEME + 1)
    assert replace(RECIPE).digest != before


def test_the_digest_of_a_known_recipe_stays_what_it_is() -> None:
    assert RECIPE.digest == "1823e0e195097fa1b0575e096c9717e277f1ba471b3314613f714cf896d49ee2"


FRAMES = st.text("1:a\nß\ud800", max_size=4)
"""Texts that try to pass for the frame around them, or for their neighbours."""

INPUTS = st.lists(st.tuples(FRAMES, FRAMES, FRAMES, FRAMES, FRAMES), max_size=3).map(
    lambda several: tuple(InputRef(*texts, record=1) for texts in several)
)

RECIPES = st.builds(Recipe, FRAMES, FRAMES, FRAMES, st.dictionaries(FRAMES, FRAMES, max_size=2), INPUTS)


@settings(max_examples=300)
@given(one=RECIPES, other=RECIPES)
def test_two_recipes_share_a_digest_only_if_they_are_equal(one: Recipe, other: Recipe) -> None:
    assert (one.digest == other.digest) == (one == other)


@settings(max_examples=300)
@given(texts=st.lists(FRAMES, min_size=8, max_size=8), cut=st.integers(0, 6), by=st.integers(1, 3))
def test_a_text_that_moves_to_its_neighbour_changes_the_digest(texts: list[str], cut: int, by: int) -> None:
    moved = texts.copy()
    joined = texts[cut] + texts[cut + 1]
    place = min(len(joined), len(texts[cut]) + by)
    moved[cut : cut + 2] = [joined[:place], joined[place:]]
    assert (_of(texts).digest == _of(moved).digest) == (texts == moved)


def _of(texts: list[str]) -> Recipe:
    stage, partition, code, parameter, upstream, key, part, content = texts
    return Recipe(stage, partition, code, {}, (InputRef(parameter, upstream, key, part, content, 1),))


@pytest.mark.parametrize("path", ["a\nb.txt", "1:a", "10:2026-01-053:all2:c1", "", "ü:\t1"])
def test_a_path_cannot_pass_for_two_inputs(path: str) -> None:
    line = read_line(A.partition, path, A.content)
    whole = A._replace(part=path + line)
    pair = (A._replace(part=path), A._replace(part=path))
    assert replace(RECIPE, inputs=(whole,)).digest != replace(RECIPE, inputs=pair).digest


@pytest.mark.parametrize("configuration", [{}, {"a": ""}, {"": "a"}, {"a": "", "": "a"}])
def test_an_empty_text_is_a_text(configuration: Mapping[str, str]) -> None:
    others = [other for other in ({}, {"a": ""}, {"": "a"}, {"a": "", "": "a"}) if other != configuration]
    digest = replace(RECIPE, configuration=configuration).digest
    assert digest not in {replace(RECIPE, configuration=other).digest for other in others}


def test_what_staleness_wants_is_the_recipe_that_is_computed_whatever_is_selected() -> None:
    world = World(graph_of())
    world.land(f"2026-01-{day:02d}" for day in range(1, 9))
    world.land_accounts()
    report = world.converge()
    statuses = [status for by_partition in report.statuses.values() for status in by_partition.values()]
    assert {status.stage for status in statuses} == set(world.graph.stages)
    for status in statuses:
        recipe = report.recipe(status)
        assert recipe.digest == status.recipe, status
        assert (recipe.stage, recipe.partition) == (status.stage, status.partition)
        assert recipe.inputs, status
