"""Observing the landing zone."""

import os
from pathlib import Path

import pytest

from spam_pipeline.protocol.digest import digest_of_file
from spam_pipeline.protocol.errors import LandingChanged
from spam_pipeline.protocol.landed_file import LandedFile
from spam_pipeline.protocol.observation import observe
from spam_pipeline_tests.protocol.toy_pipeline import classify, land


def test_a_new_file_is_seen_with_its_digest(tmp_path: Path) -> None:
    file = land(tmp_path, "2026-01-01", "a", "x")
    (seen,) = observe(tmp_path / "landing", classify, [])
    assert (seen.source, seen.partition, seen.path) == ("landed_numbers", "2026-01-01", "2026-01-01/a.txt")
    assert (seen.digest, seen.size) == (digest_of_file(file), 2)


def test_a_file_that_did_not_change_is_not_seen_again(tmp_path: Path) -> None:
    land(tmp_path, "2026-01-01", "a", "x")
    known = observe(tmp_path / "landing", classify, [])
    assert observe(tmp_path / "landing", classify, known) == []


def test_a_replaced_file_is_seen_again(tmp_path: Path) -> None:
    file = land(tmp_path, "2026-01-01", "a", "x")
    known = observe(tmp_path / "landing", classify, [])
    land(tmp_path, "2026-01-01", "a", "y")
    os.utime(file, ns=(0, known[0].modified + 1))
    (seen,) = observe(tmp_path / "landing", classify, known)
    assert seen.digest == digest_of_file(file)


def test_a_file_that_has_gone_is_seen_once_as_gone(tmp_path: Path) -> None:
    land(tmp_path, "2026-01-01", "a", "x").unlink()
    land(tmp_path, "2026-01-01", "b", "y")
    known = observe(tmp_path / "landing", classify, [])
    (tmp_path / "landing/2026-01-01/b.txt").unlink()
    (gone,) = observe(tmp_path / "landing", classify, known)
    assert (gone.path, gone.digest) == ("2026-01-01/b.txt", None)
    assert observe(tmp_path / "landing", classify, [gone]) == []


def test_files_of_no_source_and_links_are_passed_over(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("x", encoding="utf-8")
    folder = land(tmp_path, "2026-01-01", "a", "x").parent
    (folder / "notes.md").write_text("x", encoding="utf-8")
    (folder / "link.txt").symlink_to(secret)
    assert [seen.path for seen in observe(tmp_path / "landing", classify, [])] == ["2026-01-01/a.txt"]


def landed(tmp_path: Path) -> LandedFile:
    (seen,) = observe(tmp_path / "landing", classify, [])
    return LandedFile(
        seen.source, seen.partition, seen.path, str(seen.digest), seen.size, seen.modified, tmp_path / "landing"
    )


def test_a_landed_file_opens_as_it_was_observed(tmp_path: Path) -> None:
    land(tmp_path, "2026-01-01", "a", "x")
    with landed(tmp_path).open() as file:
        assert file.read() == b"x\n"


def test_a_landed_file_that_was_replaced_or_removed_does_not_open(tmp_path: Path) -> None:
    location = land(tmp_path, "2026-01-01", "a", "x")
    file = landed(tmp_path)
    land(tmp_path, "2026-01-01", "a", "longer")
    with pytest.raises(LandingChanged, match="replaced since it was observed"):
        file.open()
    location.unlink()
    with pytest.raises(LandingChanged, match="is gone"):
        file.open()
