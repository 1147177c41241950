"""Comparisons as Markdown: what matters on top, everything else folded, and data is text."""

from dataclasses import replace

import pytest

from spam_pipeline.pages.comparison_markdown import markdown_of
from spam_pipeline.protocol.operating import Comparison
from spam_pipeline_tests.compared_versions import COMPARISON, SAME, SEVERAL

_PARTITION = COMPARISON.partitions[0]
assert _PARTITION.new is not None
DIFFERENT = replace(COMPARISON, partitions=(replace(_PARTITION, new=replace(_PARTITION.new, content="e" * 64)),))


def test_a_stage_that_differs_has_a_row_and_its_details() -> None:
    text = markdown_of([DIFFERENT, SAME], "mine compared with production")
    lines = text.splitlines()
    assert lines[0] == "### mine compared with production"
    assert r"| classified\_plays | 1 of 1: 2026-01-05 | 2 added, 0 removed, 60 changed | " in text
    assert r"| spam\_share | 3 % | 9 % | +6 points | significant" in text
    assert "- why: code: model.score, polars 2.0 -\\> 2.1" in lines
    assert r"US \<b\> 40.00% -\> 60.00%" in text, "what people wrote is text"
    assert [line for line in lines if line.startswith("- 2026-01-05: ")] == [
        "- 2026-01-05: warn: countries: 20 % elsewhere, expected the usual mix",
        "- 2026-01-05: refuse: it breaks the rule spike",
    ], "names stay in the ledger"
    assert lines[-1] == "Equal data: 1 stages."
    assert text.count("<details>") == text.count("</details>") == 1


def test_figures_that_could_differ_by_chance_are_left_out() -> None:
    text = markdown_of([DIFFERENT], "x")
    chance = [move.name for move in DIFFERENT.figures.moves if move.mark.value in {"same", "could be chance"}]
    assert chance
    assert not [name for name in chance if f"| {name.replace('_', chr(92) + '_')} |" in text]


@pytest.mark.parametrize("comparisons", [[], [SAME]])
def test_where_nothing_differs_it_says_so(comparisons: list[Comparison]) -> None:
    assert markdown_of(comparisons, "plays") == "### plays\n\nNothing differs."


def test_a_partition_on_one_side_alone_differs() -> None:
    assert (DIFFERENT.differs, SAME.differs, SEVERAL.differs) == (True, False, True)
