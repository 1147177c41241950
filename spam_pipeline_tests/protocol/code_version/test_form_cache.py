"""What is kept of source files is read again, and never believed when it may be of something else."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from spam_pipeline.protocol.code_version.form_cache import kept_module
from spam_pipeline.protocol.code_version.normal_form import read_module

SOURCE = """
from p.b import scale
from p.contract import Contract


class Plays(Contract):
    schema_version = 2


def f(n):
    return scale(n), "daily.sql"


scale.register(f)
"""
LONG_AGO = 1_000_000_000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A source file of which the forms are kept."""
    path = tmp_path / "a.py"
    path.write_text(SOURCE, encoding="utf-8")
    assert read(path) == read_module("p.a", path, SOURCE)
    os.utime(kept(path), (LONG_AGO, LONG_AGO))
    return path


def read(path: Path, source: str = SOURCE) -> object:
    """Read a module as a process of its own would, which remembers none."""
    kept_module.cache_clear()
    return kept_module("p.a", path, source)


def kept(path: Path) -> Path:
    return next((path.parent / "__pycache__").glob("a.*.forms"))


def was_believed(path: Path) -> bool:
    return kept(path).stat().st_mtime == LONG_AGO


def test_another_process_parses_nothing(file: Path) -> None:
    assert read(file) == read_module("p.a", file, SOURCE)
    assert was_believed(file)


def test_what_was_kept_for_other_own_packages_is_not_believed(file: Path) -> None:
    source = SOURCE.replace("scale.register(f)", "import q.numbers\nq.numbers.LIMITS[0] = 1\n")
    file.write_text(source, encoding="utf-8")
    read(file, source)
    own = frozenset({"q"})
    assert kept_module("p.a", file, source, own) == read_module("p.a", file, source, own) != read(file, source)


DAMAGES: dict[str, Callable[[str], str]] = {
    "it is empty": lambda _: "",
    "it is no JSON": lambda _: "[[[",
    "it is torn": lambda text: text[:-20],
    "it has lost its seal": lambda text: text.partition("\n")[2],
    "a digest in it was changed": lambda text: text.replace('"tree":"', '"tree":"0', 1),
    "a reference in it was changed": lambda text: text.replace("p.b:scale", "p.c:scale"),
    "two processes of different releases wrote at once": lambda text: text + text[-20:],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_was_damaged_is_made_again(file: Path, damage: Callable[[str], str]) -> None:
    before = kept(file).read_text(encoding="utf-8")
    after = damage(before)
    assert after != before
    kept(file).write_text(after, encoding="utf-8")
    assert read(file) == read_module("p.a", file, SOURCE)
    assert kept(file).read_text(encoding="utf-8") == before


def test_bytes_that_are_no_text_are_made_again(file: Path) -> None:
    kept(file).write_bytes(b"\xff\xfe")
    assert read(file) == read_module("p.a", file, SOURCE)


def test_an_edited_source_is_parsed(file: Path) -> None:
    edited = SOURCE.replace("scale(n)", "scale(n + 1)")
    assert read(file, edited) == read_module("p.a", file, edited)
    assert not was_believed(file)


def test_forms_of_a_file_that_was_copied_with_them_are_made_again(file: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copy" / "a.py"
    (copied.parent / "__pycache__").mkdir(parents=True)
    (copied.parent / "__pycache__" / kept(file).name).write_bytes(kept(file).read_bytes())
    assert read(copied) == read_module("p.a", copied, SOURCE)


def test_where_nothing_can_be_written_files_are_parsed(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    (tmp_path / "__pycache__").write_text("a file where the folder should be", encoding="utf-8")
    assert read(path) == read_module("p.a", path, SOURCE)
