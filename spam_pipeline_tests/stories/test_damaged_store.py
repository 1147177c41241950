"""A disk that flips bits and a sync that deletes: nobody reads what is left of a stored file, and it comes back as it was."""

import json
from pathlib import Path

import pytest

from spam_pipeline.protocol.operating import converge
from spam_pipeline_tests.conftest import CommandLine, open_home


def files_of(home: Path, stage: str) -> list[Path]:
    return sorted((home / "store").rglob(f"{stage}/*/*.parquet"))


def flip_a_bit(file: Path) -> bytes:
    """Replace a file by one with a flipped bit, and return what it was; the home shares its files with others, so no byte is written."""
    before = file.read_bytes()
    content = bytearray(before)
    content[len(content) // 2] ^= 1
    file.unlink()
    file.write_bytes(content)
    return before


def test_verify_finds_damage_and_repairs_it(own_home: Path, spam_pipeline: CommandLine) -> None:
    stages = ("received_plays", "play_signals", "classified_plays", "royalty_usage")
    before = {file: flip_a_bit(file) for stage in stages for file in files_of(own_home, stage)[:1]}
    lost = files_of(own_home, "plays")[0]
    before[lost] = lost.read_bytes()
    lost.unlink()

    found = spam_pipeline("verify", "--json", home=own_home)
    assert found.status == 1
    told = json.loads(found.out)
    names = {str(file.relative_to(own_home / "store")) for file in before}
    assert {item["path"] for item in told["damaged"]} == names
    assert told["repaired"] == []

    repaired = spam_pipeline("verify", "--repair", home=own_home)
    assert repaired.status == 0
    assert f"files: {len(before)} repaired, 0 damaged or missing" in repaired.out
    assert {file: file.read_bytes() for file in before} == before
    again = spam_pipeline("verify", "--json", home=own_home)
    assert (again.status, json.loads(again.out)["damaged"]) == (0, [])


def test_what_cannot_be_repaired_is_told_and_fails(own_home: Path, spam_pipeline: CommandLine) -> None:
    plays = max(files_of(own_home, "received_plays"), key=lambda file: file.stat().st_size)
    plays.unlink()
    ended = spam_pipeline("verify", "--repair", home=own_home, IDENTIFIER_KEY="another key, as long as it has to be")
    assert ended.status == 1
    text = " ".join(ended.out.split())
    assert "other settings made it, and the present ones make other bytes: restore it from a copy of the store" in text
    assert f"It belongs to received_plays {plays.parent.name}" in text


def test_the_warehouse_is_built_from_repaired_files(own_home: Path) -> None:
    before = {file: flip_a_bit(file) for file in files_of(own_home, "daily_plays")[:2]}
    lost = files_of(own_home, "classified_plays")[-1]
    before[lost] = lost.read_bytes()
    lost.unlink()
    (own_home / "warehouse.duckdb").unlink()
    pipeline = open_home(own_home)
    done = converge(pipeline.engine)
    assert (done.failed, done.converged) == ((), True)
    assert {file: file.read_bytes() for file in before} == before
    pipeline.engine.ledger.close()


@pytest.mark.parametrize("damage", [flip_a_bit, Path.unlink], ids=["a bit flipped", "lost"])
def test_a_query_of_another_stage_answers(own_home: Path, spam_pipeline: CommandLine, damage: object) -> None:
    damage(files_of(own_home, "daily_plays")[0])  # type: ignore[operator]
    answered = spam_pipeline("query", "select count(*) as days from reporting.top_countries", "--json", home=own_home)
    assert answered.status == 0
    for relation in ("daily_plays", "compared_days"):
        refused = spam_pipeline("query", f"select count(*) from reporting.{relation}", home=own_home)  # noqa: S608
        assert refused.status == 1
        assert "reporting/daily_plays/" in refused.err
        assert "spam-pipeline verify --repair computes it again" in refused.err
