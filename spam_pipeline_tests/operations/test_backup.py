"""Backup and restore: what was backed up while a convergence ran comes back in an empty place, with its past, and nothing is computed twice."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from spam_pipeline import Pipeline
from spam_pipeline.operations.backup import LISTING, NoBackup, NotEmpty, WithinItself, backup, restore
from spam_pipeline.protocol.operating import converge
from spam_pipeline.settings import Settings
from spam_pipeline_tests.conftest import DAYS, KEY, START, CommandLine, open_home


def settings_of(home: Path) -> Settings:
    return Settings(home=home, start_date=START, identifier_key=KEY)


def published(pipeline: Pipeline, as_of: datetime | None = None) -> dict[tuple[str, str], str]:
    found = pipeline.engine.ledger.published("production", list(pipeline.graph.stages), as_of)
    return {(stage, key): item.content for stage, by_key in found.items() for key, item in by_key.items()}


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "/." not in path.as_posix()
    }


@pytest.fixture(scope="module")
def backed_up(converged_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of the converged home. To be read only."""
    to = tmp_path_factory.mktemp("backup") / "of six days"
    pipeline = open_home(converged_home)
    backup(pipeline, str(to))
    pipeline.engine.ledger.close()
    return to


def test_the_drill(own_home: Path, tmp_path: Path) -> None:
    """A backup while a convergence runs, the home destroyed, restored and converged: everything is as it was, and so is the past."""
    to, pipeline = tmp_path / "backup", open_home(own_home)
    before, moment = published(pipeline), datetime.now(UTC)
    shutil.copy(own_home / "ledger.db", tmp_path / "earlier.db")
    folder = own_home / "landing" / "plays" / DAYS[-1]
    late = next(path for path in sorted(folder.rglob("*.jsonl*")))
    shutil.copy(late, late.with_name(f"again-{late.name}"))
    (own_home / "landing" / "incidents.csv").write_bytes((own_home / "landing" / "incidents.csv").read_bytes() + b"\n")
    with ThreadPoolExecutor(1) as threads:
        pipeline.engine.observe()
        converging = threads.submit(converge, pipeline.engine)
        first = backup(open_home(own_home), str(to))
        assert converging.result().converged
    second = backup(open_home(own_home), str(to))
    assert 0 < second.copied < first.copied
    assert backup(open_home(own_home), str(to)).copied == 0
    after, landed = published(pipeline), files(own_home / "landing")
    pipeline.engine.ledger.close()
    shutil.rmtree(own_home)

    done = restore(settings_of(own_home), str(to))
    assert done.damaged == ()
    again = open_home(own_home)
    again.engine.observe()
    result = converge(again.engine)
    assert (result.converged, result.computed) == (True, 0)
    assert published(again) == after
    assert published(again, moment) == before
    assert files(own_home / "landing") == landed
    assert (own_home / "rejected").stat().st_mode & 0o077 == 0

    # An earlier copy of the ledger over the newer store
    again.engine.ledger.close()
    shutil.copy(tmp_path / "earlier.db", own_home / "ledger.db")
    older = open_home(own_home)
    older.engine.observe()
    result = converge(older.engine)
    assert (result.converged, result.computed) == (True, 0)
    assert (published(older), published(older, moment)) == (after, before)


def test_a_backup_that_began_before_the_end_of_a_convergence_leads_to_the_same(
    backed_up: Path, converged_home: Path, tmp_path: Path
) -> None:
    """The store is newer than the ledger: of one stage neither the journal nor its files came along."""
    older = tmp_path / "older"
    shutil.copytree(backed_up, older)
    shutil.rmtree(older / "store" / "reporting" / "daily_plays")
    home = tmp_path / "home"
    restore(settings_of(home), str(older))
    again, before = open_home(home), open_home(converged_home)
    assert again.partitions("daily_plays") == []
    again.engine.observe()
    converge(again.engine, ["daily_plays"])
    expected = {key: content for key, content in published(before).items() if key[0] == "daily_plays"}
    assert {key: content for key, content in published(again).items() if key[0] == "daily_plays"} == expected


def test_what_is_damaged_in_the_backup_is_left_out_and_named(
    backed_up: Path, tmp_path: Path, spam_pipeline: CommandLine
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(backed_up, damaged)
    stored = next((damaged / "store" / "reporting" / "daily_plays").rglob("*.parquet"))
    stored.chmod(0o644)
    stored.write_bytes(b"damaged")
    (damaged / "landing" / "incidents.csv").write_text("mine")
    home = tmp_path / "home"
    done = spam_pipeline("restore", str(damaged), "--json", home=home, START_DATE=START.isoformat())
    assert done.status == 1
    named = json.loads(done.out)["damaged"]
    assert sorted(Path(path).name for path in named) == sorted([stored.name, "incidents.csv"])
    assert not (home / "landing" / "incidents.csv").exists()
    assert not (home / "store" / stored.relative_to(damaged / "store")).exists()
    assert stored.parent.name not in open_home(home).partitions("daily_plays")


def test_a_restore_that_was_interrupted_goes_on(backed_up: Path, converged_home: Path, tmp_path: Path) -> None:
    """The cut is after half of the files, and before the ledger."""
    home = tmp_path / "home"
    for number, path in enumerate(sorted((backed_up / "store").rglob("*.parquet"))):
        if number % 2:
            target = home / "store" / path.relative_to(backed_up / "store")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    restore(settings_of(home), str(backed_up))
    assert published(open_home(home)) == published(open_home(converged_home))


def test_a_place_where_something_else_is_is_refused(backed_up: Path, own_home: Path, tmp_path: Path) -> None:
    with pytest.raises(NotEmpty, match="has records"):
        restore(settings_of(own_home), str(backed_up))
    home = tmp_path / "another"
    (home / "landing").mkdir(parents=True)
    (home / "landing" / "mine.csv").touch()
    with pytest.raises(NotEmpty, match=r"mine\.csv, which is not in the backup"):
        restore(settings_of(home), str(backed_up))
    assert not (home / "store").exists()


def test_what_is_no_backup_is_refused(backed_up: Path, tmp_path: Path) -> None:
    with pytest.raises(NoBackup, match="no finished backup"):
        restore(settings_of(tmp_path / "home"), str(tmp_path / "nowhere"))
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    (hostile / LISTING).write_text(json.dumps({"../../evil": [1, "", "0" * 64]}))
    with pytest.raises(NoBackup, match="no file below a landing zone"):
        restore(settings_of(tmp_path / "home"), str(hostile))
    assert (backed_up / LISTING).exists()


def test_a_backup_into_what_it_is_of_is_refused(converged_home: Path) -> None:
    with pytest.raises(WithinItself, match="which is to be backed up: name another place"):
        backup(open_home(converged_home), str(converged_home / "landing" / "backup"))
    assert not (converged_home / "landing" / "backup").exists()


def test_the_commands_say_what_they_did(own_home: Path, tmp_path: Path, spam_pipeline: CommandLine) -> None:
    done = spam_pipeline("backup", str(tmp_path / "to"), home=own_home, START_DATE=START.isoformat())
    assert done.status == 0
    assert "were copied now" in done.out
    assert "the identifier key is not" in done.out
    assert KEY.encode() not in b"".join(files(tmp_path / "to").values())
