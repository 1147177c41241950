"""Completion by the shell: whatever is wrong with the settings or the folder, a key stroke completes nothing and says nothing."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from spam_pipeline.command_line.completion import STAGES, known_names

FILE = "spam_pipeline.toml"


@pytest.fixture
def there(no_settings: None, tmp_path: Path) -> Path:
    """The working directory, with a home in its default place."""
    assert no_settings is None
    (tmp_path / ".spam_pipeline").mkdir()
    with closing(sqlite3.connect(tmp_path / ".spam_pipeline" / "ledger.db")) as ledger, ledger:
        ledger.execute("create table versions (stage)")
        ledger.execute("insert into versions values ('plays')")
    return tmp_path


@pytest.mark.parametrize("text", [b'home = "\xff"', b"home = 7", b'home = ["a"]', b"home =", b'home = ""'])
def test_a_file_that_names_no_home_leaves_the_default_one(there: Path, text: bytes) -> None:
    (there / FILE).write_bytes(text)
    assert list(known_names(STAGES)) == ["plays"]


@pytest.mark.parametrize("home", ["elsewhere", "\0", "x" * 5000])
def test_a_home_without_a_ledger_completes_nothing(there: Path, home: str) -> None:
    (there / FILE).write_text(f'home = "{home}"'.replace("\0", "\\u0000"), encoding="utf-8")
    assert list(known_names(STAGES)) == []


def test_a_folder_that_is_gone_completes_nothing(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (there / "gone").mkdir()
    monkeypatch.chdir(there / "gone")
    (there / "gone").rmdir()
    assert list(known_names(STAGES)) == []
