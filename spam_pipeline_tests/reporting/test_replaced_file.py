"""Replacing a file as one step."""

import os
import time
from pathlib import Path

import pytest
from upath import UPath

from spam_pipeline.reporting.replaced_file import replaced


def test_a_new_file_takes_the_place_of_the_old_one_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file"
    for text in ("old", "new"):
        with replaced(target) as building:
            building.write_text(text)
    assert target.read_text() == "new"
    assert list(target.parent.iterdir()) == [target]


def test_a_failure_while_building_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")

    def fail() -> None:
        with replaced(target) as building:
            building.write_text("half of the n")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_journals_of_the_old_file_go_with_it(tmp_path: Path) -> None:
    target, journal, bystander = (tmp_path / name for name in ("file", "file.wal", "file.txt"))
    for path in (target, journal, bystander):
        path.write_text("old")
    with replaced(target, leftovers=[".wal"]) as building:
        building.write_text("new")
    assert sorted(tmp_path.iterdir()) == [target, bystander]


def test_a_link_stays_one_and_the_file_behind_it_is_replaced(tmp_path: Path) -> None:
    named, target = tmp_path / "home" / "file", tmp_path / "disk" / "data"
    for path in (named, target):
        path.parent.mkdir()
    named.symlink_to(target)
    for journal in (named.with_name("file.wal"), target.with_name("data.wal")):
        journal.write_text("old")
    for text in ("old", "new"):
        with replaced(named, leftovers=[".wal"]) as building:
            building.write_text(text)
    assert named.is_symlink()
    assert target.read_text() == "new"
    assert [*named.parent.iterdir(), *target.parent.iterdir()] == [named, target]


def test_a_reader_keeps_the_file_that_it_opened(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")
    with target.open() as reader:
        with replaced(target) as building:
            building.write_text("new")
        assert reader.read() == "old"
    assert target.read_text() == "new"


def test_of_two_builders_at_once_the_last_to_finish_wins(tmp_path: Path) -> None:
    target = tmp_path / "file"
    with replaced(target) as first:
        with replaced(target) as second:
            first.write_text("first")
            second.write_text("second")
        assert target.read_text() == "second"
    assert target.read_text() == "first"


def test_what_a_killed_builder_left_goes_after_a_day(tmp_path: Path) -> None:
    target = tmp_path / "file"
    old, young, of_another = (tmp_path / name for name in (".file.old", ".file.young", ".file2.old"))
    for folder in (old, young, of_another):
        folder.mkdir()
        (folder / "building").write_text("half")
    two_days_ago = time.time() - 2 * 86_400
    for folder in (old, of_another):
        os.utime(folder, (two_days_ago, two_days_ago))
    with replaced(target) as building:
        building.write_text("new")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".file.young", ".file2.old", "file"]


def test_a_file_at_a_url_is_uploaded_as_a_whole(tmp_path: Path) -> None:
    target = UPath(f"memory://{tmp_path}/deep/file")
    for text in ("old", "new"):
        with replaced(target) as building:
            building.write_text(text)
    assert target.read_text() == "new"
    assert [item.name for item in target.parent.iterdir()] == ["file"]


def test_a_failure_while_building_leaves_a_file_at_a_url_as_it_was(tmp_path: Path) -> None:
    target = UPath(f"memory://{tmp_path}/file")
    with replaced(target) as building:
        building.write_text("old")
    with pytest.raises(ZeroDivisionError), replaced(target) as building:
        building.write_text(str(1 // 0))
    assert target.read_text() == "old"
    assert [item.name for item in target.parent.iterdir()] == ["file"]
