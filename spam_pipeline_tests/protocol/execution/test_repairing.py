"""Damage of stored files: it is found when a file is read, and what can be computed again is put back, byte for byte."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from spam_pipeline.protocol.execution.convergence import converge
from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.foundation.errors import Irreparable, StoreDamaged
from spam_pipeline.protocol.storage.journal import JOURNAL
from spam_pipeline_tests.protocol.toy_pipeline import STAGES, land, numbers, toy_engine
from spam_pipeline_tests.protocol.toy_runs import digests, rebuilt, run, with_other
from spam_pipeline_tests.protocol.toy_variants import (
    VARIANTS,
    FewNumbers,
    numbers_in_two_steps,
    numbers_of_marked_days,
    small_numbers,
)


def stored(home: Path) -> dict[str, bytes]:
    """The bytes of every file of the store that some version has, by its path there."""
    root = home / "store"
    files = (file for file in sorted(root.rglob("*/*/*/*")) if JOURNAL not in file.parts)
    return {str(file.relative_to(root)): file.read_bytes() for file in files}


def file_of(home: Path, engine: Engine, name: str, partition: str) -> Path:
    """The one file of a published version."""
    (part,) = engine.reader.version(name, partition).parts
    (file,) = part.files
    return home / "store" / file.path


def path_in_store(home: Path, file: Path) -> str:
    return str(file.relative_to(home / "store"))


def overwrite(file: Path, content: bytes) -> None:
    """Change a file where it lies, as a disk does."""
    file.chmod(0o644)
    file.write_bytes(content)


def flip(file: Path, bit: int) -> None:
    content = bytearray(file.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    overwrite(file, bytes(content))


DAMAGES = {
    "lost": Path.unlink,
    "empty": lambda file: overwrite(file, b""),
    "truncated": lambda file: overwrite(file, file.read_bytes()[:-7]),
    "longer": lambda file: overwrite(file, file.read_bytes() + b"\0"),
    "a bit flipped": lambda file: flip(file, 8 * (file.stat().st_size // 2)),
}
damages = pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)


@pytest.fixture
def converged(home: Path) -> Path:
    """A home that was converged by a process that is gone."""
    run(toy_engine(home))
    return home


@pytest.mark.parametrize("share", range(0, 100, 4))
def test_no_flipped_bit_reaches_a_reader(converged: Path, share: int) -> None:
    engine = toy_engine(converged)
    file = file_of(converged, engine, "numbers", "2026-01-01")
    flip(file, file.stat().st_size * 8 * share // 100)
    with pytest.raises(StoreDamaged, match=r"numbers/2026-01-01/.* has bytes with the digest .*verify --repair"):
        engine.reader.read("numbers", ["2026-01-01"])


def test_damage_after_the_first_reading_is_found_by_the_same_process(converged: Path) -> None:
    engine = toy_engine(converged)
    before = engine.reader.read("numbers", ["2026-01-01"]).collect()
    assert before["number"].to_list() == [1, 2]
    flip(file_of(converged, engine, "numbers", "2026-01-01"), 100)
    with pytest.raises(StoreDamaged):
        engine.reader.read("numbers", ["2026-01-01"])


def test_an_artifact_is_checked_too(converged: Path) -> None:
    engine = toy_engine(converged)
    overwrite(file_of(converged, engine, "model", "all"), b'{"2026-01-01": 7}')
    with pytest.raises(StoreDamaged, match="model/all"):
        engine.reader.read("model", ["all"])


@damages
def test_a_convergence_repairs_what_it_reads_and_goes_on(converged: Path, damage: object) -> None:
    before = stored(converged)
    damage(file_of(converged, toy_engine(converged), "numbers", "2026-01-01"))  # type: ignore[operator]
    land(converged, "2026-01-02", "b", "2026-01-02 5")  # two_day_total and model read the damaged day for it
    engine = toy_engine(converged)
    done, did = run(engine)
    assert done.converged
    assert ("numbers", "2026-01-01", "computed") not in did, "no other version of it"
    assert digests(engine) == rebuilt(converged)
    assert before.items() <= stored(converged).items()


def test_the_inputs_of_a_damaged_file_are_repaired_before_it(converged: Path) -> None:
    before = stored(converged)
    engine = toy_engine(converged)
    file = file_of(converged, engine, "monthly_total", "2026-01")
    flip(file, 50)
    flip(file_of(converged, engine, "numbers", "2026-01-01"), 50)
    for shard in file.parents[2].rglob("received_numbers/2026-01-0[12]/*"):
        shard.unlink()
    engine.repairs.repair(path_in_store(converged, file))
    assert stored(converged) == before


def test_a_store_that_was_lost_is_computed_again_from_what_landed(converged: Path) -> None:
    before = stored(converged)
    shutil.rmtree(converged / "store")
    engine = toy_engine(converged)
    for path in before:
        engine.repairs.repair(path)
    assert stored(converged) == before
    assert not converge(engine).computed, "it is the same store"


def test_a_delivery_repairs_what_it_reads(converged: Path) -> None:
    engine = toy_engine(converged)
    file = file_of(converged, engine, "board", "all")
    before = file.read_bytes()
    flip(file, 80)
    (converged / "board.txt").unlink()
    done, did = run(engine)
    assert done.converged
    assert ("board", "all", "delivered") in did
    assert file.read_bytes() == before


def test_an_audit_by_new_rules_repairs_what_it_reads(converged: Path) -> None:
    before = stored(converged)
    flip(file_of(converged, toy_engine(converged), "numbers", "2026-01-01"), 80)
    done, did = run(toy_engine(converged, stages=with_other(replace(numbers, contract=FewNumbers))))
    assert not done.failed
    assert ("numbers", "2026-01-01", "audited") in did
    assert before.items() <= stored(converged).items()


def test_a_decoding_does_not_rest_on_a_damaged_shard(converged: Path) -> None:
    before = stored(converged)
    engine = toy_engine(converged)
    shards = [file for part in engine.reader.version("received_numbers", "2026-01-01").parts for file in part.files]
    (converged / "store" / shards[0].path).unlink()
    land(converged, "2026-01-01", "b", "2026-01-01 9")  # the same arrival day: its shards are joined
    done, _ = run(engine)
    assert done.converged
    assert before.items() <= stored(converged).items()
    assert digests(engine) == rebuilt(converged)


def test_a_landed_file_that_was_copied_since_counts_by_its_bytes(converged: Path) -> None:
    engine = toy_engine(converged)
    landed = converged / "landing" / "2026-01-01" / "a.txt"
    landed.with_name("copy").write_bytes(landed.read_bytes())
    landed.with_name("copy").replace(landed)
    file = next(iter((converged / "store").rglob("received_numbers/2026-01-01/*")))
    file.unlink()
    engine.observe()
    engine.repairs.repair(path_in_store(converged, file))
    assert file.exists()


def test_what_cannot_be_computed_again_is_named_with_what_rests_on_it_and_where_it_belongs(converged: Path) -> None:
    (converged / "landing" / "2026-01-04" / "a.txt").unlink()
    engine = toy_engine(converged)
    file = file_of(converged, engine, "received_numbers", "2026-01-04")
    file.unlink()
    with pytest.raises(Irreparable) as told:
        engine.repairs.repair(path_in_store(converged, file))
    message = str(told.value)
    version = engine.reader.version("received_numbers", "2026-01-04")
    assert message.startswith(f"{file} is missing or damaged, and cannot be computed again")
    assert "2026-01-04/a.txt was observed, but is gone: restore it from a copy of the store" in message
    assert f"It belongs to received_numbers 2026-01-04, recipe {version.recipe[:12]}" in message
    assert "on which rests board (1), model (1), monthly_total (1), numbers (1)" in message


def test_a_consumer_of_what_cannot_be_repaired_fails_with_that_reason_and_nobody_else(converged: Path) -> None:
    engine = toy_engine(converged)
    lost = file_of(converged, engine, "numbers", "2026-01-01")
    lost.unlink()
    shutil.rmtree(lost.parents[2] / "received_numbers")
    (converged / "landing" / "2026-01-01" / "a.txt").unlink()
    land(converged, "2026-01-05", "a", "2026-01-05 7")
    done, did = run(engine)
    assert not done.converged
    failed = {item.stage: item.error for item in done.failed}
    assert {"model", "monthly_total"} <= failed.keys()
    assert all("2026-01-01/a.txt was observed, but is gone: restore it" in error for error in failed.values())
    assert {("numbers", "2026-01-05", "computed"), ("two_day_total", "2026-01-05", "computed")} <= set(did)


def test_other_code_that_leads_to_other_bytes_repairs_nothing(converged: Path) -> None:
    small = replace(numbers, function=small_numbers)
    engine = toy_engine(converged, stages=with_other(small))
    file = file_of(converged, engine, "numbers", "2026-01-04")
    file.unlink()
    with pytest.raises(Irreparable, match=r"code .* made it, and this is .*, which makes other bytes"):
        engine.repairs.repair(path_in_store(converged, file))
    assert not file.exists()


def test_other_settings_that_lead_to_other_bytes_repair_nothing(converged: Path) -> None:
    engine = toy_engine(converged, factor=2)
    file = file_of(converged, engine, "two_day_total", "2026-01-04")
    file.unlink()
    with pytest.raises(Irreparable, match="other settings made it, and the present ones make other bytes"):
        engine.repairs.repair(path_in_store(converged, file))


def test_other_code_that_leads_to_the_same_bytes_repairs_a_file(converged: Path) -> None:
    before = stored(converged)
    engine = toy_engine(converged, stages=with_other(replace(numbers, function=numbers_in_two_steps)))
    file = file_of(converged, engine, "numbers", "2026-01-01")
    flip(file, 99)
    engine.repairs.repair(path_in_store(converged, file))
    assert stored(converged) == before


def test_a_file_of_a_stage_that_is_gone_is_restored_by_people(converged: Path) -> None:
    stages = tuple(item for item in STAGES if item.name != "share")
    file = next(iter((converged / "store").rglob("share/2026-01-01/*")))
    file.unlink()
    with pytest.raises(Irreparable, match=r"no stage is called share.*: restore it .* belongs to share 2026-01-01"):
        toy_engine(converged, stages=stages).repairs.repair(path_in_store(converged, file))


def test_a_file_that_no_version_has_is_nobodys(converged: Path) -> None:
    with pytest.raises(Irreparable, match="the ledger has no version of it"):
        toy_engine(converged).repairs.repair("toys/numbers/2026-01-01/abc.parquet")


def test_what_stayed_fresh_is_computed_again_from_what_is_published_now(home: Path) -> None:
    reading = VARIANTS["monthly_total"][1]
    assert reading is not None
    made = {stage.name: stage for stage in with_other(reading)}
    run(toy_engine(home, stages=tuple(made.values())))
    made["numbers"] = replace(numbers, function=numbers_of_marked_days)
    before = toy_engine(home, stages=tuple(made.values()))
    superseded = [file_of(home, before, "numbers", day) for day in ("2026-01-01", "2026-01-02", "2026-01-04")]
    _, did = run(before)
    assert "monthly_total" not in {stage for stage, *_ in did}
    lost = file_of(home, before, "monthly_total", "2026-01")
    content = lost.read_bytes()
    for file in (lost, *superseded):
        file.unlink()
    toy_engine(home, stages=tuple(made.values())).repairs.repair(path_in_store(home, lost))
    assert lost.read_bytes() == content
