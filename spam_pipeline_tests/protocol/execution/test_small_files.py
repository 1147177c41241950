"""Small landed files are decoded together: the same rows in fewer files, and one more file touches its neighbours alone."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from spam_pipeline.protocol.definition.landed_file import LandedFile
from spam_pipeline.protocol.execution.convergence import converge
from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.execution.small_files import decoded_together
from spam_pipeline.protocol.ledger.recipe import InputRef
from spam_pipeline.protocol.storage.landing_zone import LandingZone
from spam_pipeline_tests.protocol.toy_pipeline import land, received_numbers, toy_engine

DAY = "2026-01-01"
MIB = 1024 * 1024
TOGETHER = replace(received_numbers, small_files_together=True)


def groups_of(sizes: Sequence[int], names: Sequence[int] | None = None) -> list[list[str]]:
    """The paths of each group of files of these sizes; a file's name is its position unless `names` has others."""
    items, landed = [], {}
    zone = LandingZone("nowhere")
    for number, size in zip(names or range(len(sizes)), sizes, strict=True):
        items.append(InputRef("landed", "landed", DAY, f"{DAY}/{number:06}.jsonl", f"{number}", number, is_file=True))
        landed[number] = LandedFile("landed", DAY, items[-1].part, f"{number}", size, zone)
    return [[item.part for item in group] for group in decoded_together(tuple(items), landed)]


@given(st.lists(st.integers(0, 3 * MIB), max_size=60))
def test_every_file_is_in_one_group_in_its_order_and_groups_are_bounded(sizes: list[int]) -> None:
    groups = groups_of(sizes)
    assert [path for group in groups for path in group] == [f"{DAY}/{number:06}.jsonl" for number in range(len(sizes))]
    size_of = {f"{DAY}/{number:06}.jsonl": size for number, size in enumerate(sizes)}
    for group in groups:
        assert len(group) == 1 or max(size_of[path] for path in group) < MIB
        assert sum(size_of[path] for path in group[:-1]) < 4 * MIB


@given(st.integers(1, 998))
def test_another_file_among_a_thousand_changes_the_group_around_it(added: int) -> None:
    without = [number for number in range(1000) if number != added]
    before, after = groups_of([100] * 999, without), groups_of([100] * 1000)
    assert len(before) < 150
    assert 1 <= len([group for group in after if group not in before]) <= 2


def shards(home: Path) -> int:
    with closing(sqlite3.connect(home / "ledger.db")) as ledger:
        return int(ledger.execute("select count(*) from shards").fetchone()[0])


def received(engine: Engine) -> tuple[pl.DataFrame, int]:
    """The numbers that have arrived, and how many files they are in."""
    engine.observe()
    assert not converge(engine).failed
    version = engine.reader.version("received_numbers", DAY)
    return engine.reader.rows(version).collect(), sum(len(part.files) for part in version.parts)


def test_the_rows_are_those_of_files_that_are_decoded_one_by_one(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for hour in range(60):
        land(home, DAY, f"{hour:02}", f"{DAY} {hour}", "broken", f"2026-01-02 {hour}")
    together, files = received(toy_engine(home, stages=(TOGETHER,)))
    one_by_one, more_files = received(
        toy_engine(tmp_path / "other", stages=(received_numbers,), landing_url=str(home / "landing"))
    )
    assert together.rows() == one_by_one.rows()
    assert (more_files, shards(tmp_path / "other")) == (120, 60)
    assert files == 2 * shards(home) < 20


def test_one_more_file_has_its_group_decoded_again_and_no_other(tmp_path: Path) -> None:
    for hour in range(60):
        land(tmp_path, DAY, f"{hour:02}", f"{DAY} {hour}")
    engine = toy_engine(tmp_path, stages=(TOGETHER,))
    received(engine)
    before = shards(tmp_path)
    land(tmp_path, DAY, "31-late", f"{DAY} 100")
    rows, _ = received(engine)
    assert 100 in rows["number"].to_list()
    assert 1 <= shards(tmp_path) - before <= 2
