"""The command line for catalogues outside: `contracts`, `lineage` and `tables`."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from spam_pipeline.command_line.contracts import ExtraMissing, extra
from spam_pipeline.operations.open_tables.catalogue import opened
from spam_pipeline_tests.conftest import CommandLine, open_home
from spam_pipeline_tests.operations.open_tables.toy_tables import published, same

RECEIVED: list[tuple[str, str | None, dict[str, Any]]] = []


class Catalogue(BaseHTTPRequestHandler):
    """A server that keeps what it is sent, as one of OpenLineage does."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        RECEIVED.append((self.path, self.headers["Authorization"], json.loads(body)))
        self.send_response(201)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    RECEIVED.clear()
    with HTTPServer(("127.0.0.1", 0), Catalogue) as catalogue:
        threading.Thread(target=catalogue.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{catalogue.server_port}"
        catalogue.shutdown()


def test_contracts_are_printed_as_documents(spam_pipeline: CommandLine, tmp_path: Path) -> None:
    ended = spam_pipeline("contracts", "plays", "daily_plays", home=tmp_path)
    assert (ended.status, [one["name"] for one in yaml.safe_load_all(ended.out)]) == (0, ["plays", "daily_plays"])


def test_contracts_are_written_to_a_folder(spam_pipeline: CommandLine, tmp_path: Path) -> None:
    folder = tmp_path / "contracts"
    assert spam_pipeline("contracts", "plays", "--to", str(folder), home=tmp_path).status == 0
    assert [path.name for path in folder.iterdir()] == ["plays.odcs.yaml"]


def test_a_stage_that_there_is_not_has_no_contract(spam_pipeline: CommandLine, tmp_path: Path) -> None:
    ended = spam_pipeline("contracts", "play", home=tmp_path)
    assert (ended.status, "no stage is called play; did you mean plays?" in ended.err) == (2, True)


def test_lineage_is_appended_to_a_file(spam_pipeline: CommandLine, converged_home: Path, tmp_path: Path) -> None:
    place = tmp_path / "lineage" / "events.jsonl"
    ended = json.loads(spam_pipeline("lineage", "--to", str(place), "--json", home=converged_home).out)
    assert ended["events"] == len(place.read_text(encoding="utf-8").splitlines()) > 0
    again = spam_pipeline("lineage", "--to", str(place), "--after", str(ended["last"]), "--json", home=converged_home)
    assert json.loads(again.out) == {"events": 0, "last": ended["last"]}
    assert ended["events"] == len(place.read_text(encoding="utf-8").splitlines())


def test_lineage_is_sent_to_a_server(
    spam_pipeline: CommandLine, converged_home: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "a key")
    last = json.loads(spam_pipeline("lineage", "--to", str(Path("all.jsonl")), "--json", home=converged_home).out)[
        "last"
    ]
    ended = spam_pipeline("lineage", "--to", server, "--after", str(last - 3), "--json", home=converged_home)
    assert json.loads(ended.out) == {"events": 3, "last": last}, ended.err
    assert [sent[:2] for sent in RECEIVED] == [("/api/v1/lineage", "Bearer a key")] * 3
    assert {event["eventType"] for *_, event in RECEIVED} == {"COMPLETE"}


def test_a_server_that_is_not_there_is_one_message(spam_pipeline: CommandLine, converged_home: Path) -> None:
    ended = spam_pipeline("lineage", "--to", "http://127.0.0.1:9", home=converged_home)
    assert (ended.status, ended.err.count("error: ")) == (1, 1)


def test_tables_are_brought_up_to_date(spam_pipeline: CommandLine, converged_home: Path, tmp_path: Path) -> None:
    """Every table has what is published, but for the columns that tables cannot have."""
    command = ("tables", "--to", f"sqlite:///{tmp_path / 'catalogue.db'}", "--metadata", str(tmp_path), "--json")
    ended = json.loads(spam_pipeline(*command, home=converged_home).out)
    again = json.loads(spam_pipeline(*command, home=converged_home).out)
    assert again == {"tables": 0, "snapshots": 0, "last": ended["last"]}
    pipeline = open_home(converged_home)
    with opened(f"sqlite:///{tmp_path / 'catalogue.db'}", None) as catalogue:
        tables = [
            catalogue.load_table(name)
            for (space,) in catalogue.list_namespaces()
            for name in catalogue.list_tables(space)
        ]
    assert sum(len(table.metadata.snapshots) for table in tables) == ended["snapshots"] > 100
    for table in tables:
        found = pl.scan_iceberg(table, reader_override="native")
        columns = found.collect_schema().names()
        seen = published(pipeline.engine, table.name()[-1])
        assert same(found.collect(), seen.select(columns) if seen.height else seen), table.name()


def test_a_catalogue_of_an_unknown_kind_is_one_message(spam_pipeline: CommandLine, converged_home: Path) -> None:
    ended = spam_pipeline(
        "tables", "--to", "mysql://ada:secret@there/tables", "--metadata", "there", home=converged_home
    )
    assert (ended.status, "cannot be opened" in ended.err, ended.err.count("error: ")) == (1, True, 1)
    assert "secret" not in ended.err


def test_metadata_of_a_store_elsewhere_has_no_default(spam_pipeline: CommandLine, tmp_path: Path) -> None:
    ended = spam_pipeline("tables", "--to", "sqlite:///there", home=tmp_path, STORE_URL=f"memory://{tmp_path}/store")
    assert (ended.status, "say with --metadata at which URL" in ended.err) == (1, True)


def test_a_missing_library_says_how_to_install_it() -> None:
    with (
        pytest.raises(ExtraMissing, match=r"no_such_library is not installed: .*spam-pipeline\[catalogues\]"),
        extra("catalogues"),
    ):
        import no_such_library  # noqa: F401, PLC0415
