"""Verifying a whole store: every file that a version has, whatever was read before."""

import shutil
from pathlib import Path

import pytest

from spam_pipeline.protocol.execution.verifying import verify
from spam_pipeline.protocol.storage.journal import JOURNAL
from spam_pipeline_tests.protocol.toy_pipeline import land, toy_engine
from spam_pipeline_tests.protocol.toy_runs import run


@pytest.fixture
def converged(home: Path) -> Path:
    """A home that was converged, with versions that nobody reads any more."""
    engine = toy_engine(home)
    run(engine)
    land(home, "2026-01-02", "b", "2026-01-01 3")
    run(engine)
    return home


def files(home: Path) -> list[Path]:
    """The stored files, without the journal's."""
    return sorted(path for path in (home / "store").rglob("*/*/*/*") if JOURNAL not in path.parts)


def bytes_of(home: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in files(home)}


def flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.chmod(0o644)
    file.write_bytes(content)


def test_a_sound_store_has_nothing_to_tell(converged: Path) -> None:
    steps: list[tuple[str, float, float]] = []
    found = verify(
        toy_engine(converged), repair=False, on_progress=lambda text, done=0, total=0: steps.append((text, done, total))
    )
    assert (found.files, found.repaired, dict(found.damaged)) == (len(files(converged)), (), {})
    assert [done for _, done, _ in steps] == list(range(found.files))
    assert {total for _, _, total in steps} == {found.files}
    assert [text for text, *_ in steps if text] == [f"verifying {found.files} files"]
    assert found.files > 20


def test_every_file_that_a_bit_flipped_in_is_found_and_put_back(converged: Path) -> None:
    before = bytes_of(converged)
    for file in before:
        flip_a_bit(file)
    names = {str(file.relative_to(converged / "store")) for file in before}
    assert verify(toy_engine(converged), repair=False).damaged.keys() == names
    found = verify(toy_engine(converged), repair=True)
    assert (set(found.repaired), dict(found.damaged)) == (names, {})
    assert bytes_of(converged) == before


def test_a_lost_store_is_put_back(converged: Path) -> None:
    before = bytes_of(converged)
    shutil.rmtree(converged / "store")
    assert not verify(toy_engine(converged), repair=True).damaged
    assert bytes_of(converged) == before


def test_a_process_does_not_rely_on_what_it_read_before(converged: Path) -> None:
    engine = toy_engine(converged)
    assert not verify(engine, repair=False).damaged
    files(converged)[0].unlink()
    assert len(verify(engine, repair=False).damaged) == 1


def test_what_is_damaged_is_told_with_its_version_and_what_rests_on_it(converged: Path) -> None:
    lost = next((converged / "store").rglob("monthly_total/*/*"))
    lost.unlink()
    (problem,) = verify(toy_engine(converged), repair=False).damaged.values()
    assert "is missing: spam-pipeline verify --repair computes it again. It belongs to monthly_total 2026-01" in problem
    assert "on which rests board (1)" in problem
    assert not lost.exists(), "nothing was repaired unasked"


def test_one_that_cannot_be_repaired_does_not_keep_others_from_it(converged: Path) -> None:
    shutil.rmtree(converged / "store")
    (converged / "landing" / "2026-01-04" / "a.txt").unlink()
    found = verify(toy_engine(converged), repair=True)
    left = {path.split("/")[1] + " " + path.split("/")[2] for path in found.damaged}
    assert {"received_numbers 2026-01-04", "numbers 2026-01-04", "two_day_total 2026-01-04"} <= left
    assert not {"received_numbers 2026-01-01", "numbers 2026-01-01", "numbers 2026-01-02"} & left
    assert all("2026-01-04/a.txt was observed, but is gone" in problem for problem in found.damaged.values())
