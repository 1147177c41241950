"""The journal beside the store: a ledger that was lost is filled from it, and says what it said; what is damaged is computed again."""

import io
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import zstandard

from spam_pipeline.protocol.execution.decision import decide
from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.execution.promotion import drop, promote
from spam_pipeline.protocol.foundation.digest import digest_of_file
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.export_log import Document, Exported
from spam_pipeline.protocol.ledger.records import PRODUCTION, DecisionKind
from spam_pipeline.protocol.ledger.rows import now
from spam_pipeline.protocol.storage.journal import JOURNAL
from spam_pipeline_tests.protocol.toy_pipeline import STAGES, land, toy_engine
from spam_pipeline_tests.protocol.toy_runs import run

DAY = "2026-01-04"
BRANCH = "branch"
STORED = tuple(stage for stage in STAGES if stage.delivery is None)
"""Every stage but the board outside, which the environments of a test would share."""


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[datetime]]:
    """A home with a past: refused data and decisions, an environment that was promoted and one that was dropped; and moments of it."""
    home, moments = tmp_path_factory.mktemp("lived in") / "home", []
    land(home, "2026-01-02", "a", "2026-01-02 10", "2026-01-01 2", "broken")
    land(home, DAY, "a", f"{DAY} 100")
    engine = engine_of(home)
    run(engine)
    moments.append(now())
    land(home, DAY, "b", f"{DAY} -5")
    run(engine)
    for stage in ("received_numbers", "numbers"):
        decide(engine, engine.ledger.versions(stage, DAY)[-1][0].recipe, DecisionKind.ACCEPT, "anna", "right")
        done, _ = run(engine)
    assert done.held == ()
    moments.append(now())
    branch = engine_of(home, BRANCH)
    land(home, "2026-01-02", "b", "2026-01-02 3")
    run(branch)
    promote(branch, "anna")
    other = engine_of(home, "other")
    land(home, "2026-01-02", "c", "2026-01-02 4")
    run(other)
    moments.append(now())
    drop(other)
    run(engine)
    for opened in (engine, branch, other):
        opened.ledger.close()
    return home, moments


@pytest.fixture
def home(lived_in: tuple[Path, list[datetime]], tmp_path: Path) -> Path:
    """A copy of that home, to be changed."""
    return Path(shutil.copytree(lived_in[0], tmp_path / "home"))


@pytest.fixture
def moments(lived_in: tuple[Path, list[datetime]]) -> list[datetime]:
    return lived_in[1]


@pytest.fixture
def new_home(tmp_path: Path) -> Path:
    """A home where two days have landed and nothing is computed."""
    home = tmp_path / "new home"
    land(home, "2026-01-02", "a", "2026-01-02 10")
    land(home, DAY, "a", f"{DAY} 100")
    return home


def engine_of(home: Path, environment: str = PRODUCTION) -> Engine:
    return toy_engine(home, environment=environment, stages=STORED)


def said(engine: Engine, moments: list[datetime]) -> dict[str, Any]:
    """Everything that a ledger says of the past."""
    ledger, stages = engine.ledger, list(engine.graph.stages)
    published = ledger.published(PRODUCTION, stages)
    return {
        "as of": [
            [ledger.published(name, stages, moment) for name in (PRODUCTION, BRANCH, "other")] for moment in moments
        ],
        "versions": {
            (stage, key): ledger.versions(stage, key) for stage, by_key in published.items() for key in by_key
        },
        "publications": [ledger.publications(name, stages) for name in (PRODUCTION, BRANCH, "other")],
        "decisions": ledger.all_decisions(PRODUCTION),
        "environments": ledger.environments(),
        "passed over": engine.passed_over(),
        "shards": [shard for stage in stages for shard in ledger.prunings.shards(stage)],
    }


def without_ledger(home: Path) -> Engine:
    """The engine of a home that lost its ledger."""
    for path in home.glob("ledger.db*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return engine_of(home)


def documents(home: Path) -> list[Path]:
    return sorted((home / "store" / JOURNAL).rglob("*.zst"))


def lines_of(document: Path) -> list[Any]:
    with document.open("rb") as file:
        content = zstandard.ZstdDecompressor().stream_reader(file).read()
    return [json.loads(line) for line in io.BytesIO(content)]


def rows_of(document: Path) -> Iterator[tuple[str, Any]]:
    return ((name, row) for name, row in lines_of(document)[1:])


def rewritten(document: Path, change: Callable[[list[Any]], list[Any]]) -> Path:
    """Put other lines in a document's place, under a name that they have the digest of."""
    lines = "".join(json.dumps(line) + "\n" for line in change(lines_of(document)))
    made = document.with_name("made")
    made.write_bytes(zstandard.compress(lines.encode()))
    document.unlink()
    return made.rename(document.with_name(f"{digest_of_file(made)}.zst"))


def filled(home: Path) -> tuple[Engine, int]:
    """The engine of a home that lost its ledger, filled again, and how many versions it then has."""
    engine = without_ledger(home)
    return engine, engine.journal.take_in().versions


def test_a_ledger_that_was_lost_says_what_it_said_and_computes_nothing(home: Path, moments: list[datetime]) -> None:
    expected = said(engine_of(home), moments)
    again = without_ledger(home)
    taken = again.journal.take_in()
    assert said(again, moments) == expected
    assert (taken.documents, taken.left_out) == (len(documents(home)), {})
    assert run(again)[1] == []


def test_it_goes_on_where_it_was(home: Path) -> None:
    last = engine_of(home).ledger.exports.last()
    assert last is not None
    again, _ = filled(home)
    land(home, "2026-01-02", "d", "2026-01-02 9")
    run(again)
    then = again.ledger.exports.last()
    assert then is not None
    assert (then.branch, then.number) == (last.branch, last.number + 1)
    expected = again.ledger.published(PRODUCTION, ["numbers"])
    assert filled(home)[0].ledger.published(PRODUCTION, ["numbers"]) == expected


def test_a_journal_that_was_lost_is_written_anew_with_the_next_change(home: Path) -> None:
    shutil.rmtree(home / "store" / JOURNAL)
    engine = engine_of(home)
    land(home, "2026-01-02", "d", "2026-01-02 9")
    run(engine)
    expected = engine.ledger.published(PRODUCTION, ["numbers"])
    assert filled(home)[0].ledger.published(PRODUCTION, ["numbers"]) == expected


def test_what_changes_nothing_writes_nothing(new_home: Path) -> None:
    home = new_home
    engine = engine_of(home)
    run(engine)
    (first,) = documents(home)
    run(engine)
    run(engine_of(home))
    assert documents(home) == [first]
    land(home, DAY, "b", f"{DAY} 5")
    run(engine)
    names = [name for name, _ in lines_of(documents(home)[1])[1:]]
    assert names.count("observations") == 1, "only what is new"
    assert names.count("versions") < [name for name, _ in lines_of(first)[1:]].count("versions")


def test_a_version_whose_file_is_gone_is_computed_again(home: Path) -> None:
    before = engine_of(home)
    version, versions = before.reader.version("numbers", DAY), before.ledger.exports.counts()[0]
    (home / "store" / version.parts[0].files[0].path).unlink()
    again, count = filled(home)
    assert 0 < count < versions
    assert again.ledger.version(version.recipe) is None
    did = run(again)[1]
    assert ("numbers", DAY, "computed") in did
    assert {stage for stage, *_ in did} & {"received_numbers"} == set()
    assert again.reader.version("numbers", DAY).content == version.content


@pytest.mark.parametrize("number", [0, 1], ids=["first", "second"])
def test_a_document_that_is_gone_or_damaged_costs_what_rests_on_it(
    home: Path, moments: list[datetime], number: int
) -> None:
    before = engine_of(home)
    expected = before.ledger.published(PRODUCTION, list(before.graph.stages))
    document = documents(home)[number]
    document.chmod(0o644)
    document.write_bytes(document.read_bytes()[:-7] + b"damaged")
    again = without_ledger(home)
    taken = again.journal.take_in()
    assert list(taken.left_out) == [document.relative_to(home / "store").as_posix()]
    run(again)
    found = again.ledger.published(PRODUCTION, list(before.graph.stages))
    assert {(stage, key): item.content for stage, by_key in found.items() for key, item in by_key.items()} == {
        (stage, key): item.content for stage, by_key in expected.items() for key, item in by_key.items()
    }
    last = again.ledger.exports.last()
    assert last is not None
    assert last.number == 1, "a branch of its own: ids of what was left out may be given again"
    assert said(filled(home)[0], moments) == said(again, moments)


def _replaced(table: str, change: Mapping[str, Any]) -> Callable[[list[Any]], list[Any]]:
    return lambda lines: [lines[0], *([name, row | change if name == table else row] for name, row in lines[1:])]


@pytest.fixture(scope="module")
def received(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one version, and one document."""
    home = tmp_path_factory.mktemp("received") / "home"
    land(home, DAY, "a", f"{DAY} 5")
    engine = engine_of(home)
    run(engine, "received_numbers")
    engine.ledger.close()
    return home


@pytest.mark.parametrize(
    "change",
    [
        _replaced("versions", {"stage": "numbers\x1b[2J"}),
        _replaced("versions", {"rows_read": "many"}),
        _replaced("versions", {"recipe": "the same"}),
        _replaced("audits", {"verdict": "fine"}),
        _replaced("audits", {"findings": [{}]}),
        _replaced("parts", {"files": [["numbers"]]}),
        _replaced("fingerprints", {"measures": 7}),
        _replaced("publications", {"published_at": None}),
        _replaced("publications", {"more": 1}),
        _replaced("shared_values", {"value": {"entries": []}}),
        lambda lines: [*lines, ["layout", {"number": 99}]],
        lambda lines: [*lines, 7],
        lambda lines: [{"format": 2}, *lines[1:]],
        lambda lines: lines[:0],
    ],
    ids=range(14),
)
def test_a_document_that_no_ledger_wrote_is_left_out_as_a_whole(
    received: Path, tmp_path: Path, change: Callable[[list[Any]], list[Any]]
) -> None:
    home = Path(shutil.copytree(received, tmp_path / "home"))
    rewritten(documents(home)[0], change)
    again = without_ledger(home)
    taken = again.journal.take_in()
    assert (taken.versions, len(taken.left_out)) == (0, 1)
    assert again.ledger.is_empty()


def test_a_path_that_leads_out_of_the_store_is_no_file_of_it(received: Path, tmp_path: Path) -> None:
    home = Path(shutil.copytree(received, tmp_path / "home"))
    (home / "private key").write_text("secret")
    files = {"files": [["../private key", 1, 6]]}
    rewritten(documents(home)[0], _replaced("parts", files))
    assert filled(home)[1] == 0


@pytest.fixture
def restored(new_home: Path, tmp_path: Path) -> tuple[Engine, Any]:
    """The engine of a home whose ledger is a copy from before its last convergence, and what it said then."""
    engine = engine_of(new_home)
    run(engine)
    engine.ledger.close()
    shutil.copy(new_home / "ledger.db", tmp_path / "copy.db")
    land(new_home, DAY, "b", f"{DAY} 5")
    engine = engine_of(new_home)
    run(engine)
    expected = said(engine, [now()])
    engine.ledger.close()
    shutil.copy(tmp_path / "copy.db", new_home / "ledger.db")
    return engine_of(new_home), expected


def test_an_earlier_copy_of_a_ledger_catches_up_and_computes_nothing(
    new_home: Path, restored: tuple[Engine, Any]
) -> None:
    engine, expected = restored
    engine.journal.catch_up()
    assert said(engine, [now()]) == expected
    assert run(engine)[1] == []
    again = engine_of(new_home)
    again.journal.catch_up()
    assert said(again, [now()]) == expected


def test_one_that_has_gone_its_own_way_begins_a_branch(new_home: Path, restored: tuple[Engine, Any]) -> None:
    land(new_home, DAY, "c", f"{DAY} 6")
    engine, _ = restored
    engine.observe()
    engine.journal.catch_up()
    assert run(engine)[1] != []
    branches = sorted({document.parts[-3] for document in documents(new_home)})
    assert [len([path for path in documents(new_home) if branch in path.parts]) for branch in branches] == [2, 1]
    expected = said(engine, [now()])["versions"]
    engine.ledger.close()
    assert said(filled(new_home)[0], [now()])["versions"] == expected


def test_killed_between_a_document_and_its_row_the_next_one_begins_a_branch(
    new_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cut is after the document is in place and before the transaction that notes it."""
    home, engine = new_home, engine_of(new_home)

    def dies(exported: Exported) -> None:
        raise KeyboardInterrupt(exported)

    with monkeypatch.context() as patch:
        patch.setattr(engine.ledger.exports, "record", dies)
        with pytest.raises(KeyboardInterrupt):
            run(engine)
    (first,) = documents(home)
    run(engine)
    assert len({document.parts[-3] for document in documents(home)}) == 2
    assert first in documents(home)
    assert filled(home)[0].ledger.exports.last() is not None


def test_a_store_that_cannot_be_written_ends_no_convergence(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = engine_of(home)

    def is_full(made: Path, folder: str) -> str:
        raise OSError(28, "No space left on device", str(made), None, folder)

    land(home, DAY, "d", f"{DAY} 5")
    engine.observe()
    monkeypatch.setattr(engine.stores[0], "put", is_full)
    engine.journal.try_to_export()
    assert "could not be written beside the store" in caplog.text


def test_either_database_takes_in_what_the_other_wrote(ledger_url: str, home: Path, moments: list[datetime]) -> None:
    before = engine_of(home)
    expected = said(before, moments)
    with closing(Ledger(ledger_url)) as ledger:
        files = {file.path: file.bytes for store in before.stores for file in store.listing()}
        found = [
            Document(str(number), number, partial(rows_of, path)) for number, path in enumerate(documents(home), 1)
        ]
        assert ledger.exports.take_in(found, "branch", lambda file: files.get(file.path) == file.bytes) == {}
        assert ledger.all_decisions(PRODUCTION) == expected["decisions"]
        assert ledger.environments() == expected["environments"]
        last = ledger.exports.last()
        assert last is not None
        assert (last.branch, last.number) == ("branch", len(found))
        assert ledger.exports.positions() == before.ledger.exports.positions()
        version = before.reader.version("numbers", DAY)
        assert ledger.version(version.recipe) == before.ledger.version(version.recipe)
