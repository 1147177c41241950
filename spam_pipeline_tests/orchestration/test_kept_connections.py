"""While connections are kept, an event log stores what it stores without; afterwards it is as it was."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from spam_pipeline.orchestration.events import EventReporter
from spam_pipeline.orchestration.kept_connections import kept_connections
from spam_pipeline.protocol.operating import PRODUCTION, Engine, converge
from spam_pipeline_tests.orchestration.toy_location import observed
from spam_pipeline_tests.protocol.toy_pipeline import land

STORED = {
    "event_logs": "dagster_event_type, asset_key, partition",
    "asset_event_tags": "asset_key, key, value, event_id",
    "asset_check_executions": "asset_key, check_name, partition, execution_status, materialization_event_storage_id",
    "asset_keys": "asset_key",
}


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    home = tmp_path / "home"
    land(home, "2026-01-01", "a", "2026-01-01 1", "2026-01-02 2", "broken")
    engine = observed(home)
    converge(engine)
    return engine


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """The databases that a connection was opened to, as often as one was."""
    found: list[str] = []

    def note(dialect: sa.Dialect, _record: object, arguments: list[str], _options: object) -> None:
        del dialect
        found.append(Path(arguments[0]).stem)

    sa.event.listen(sa.Engine, "do_connect", note)
    yield found
    sa.event.remove(sa.Engine, "do_connect", note)


def report(instance: dg.DagsterInstance, engine: Engine) -> str:
    """Report everything that is published, publication by publication; return the reporter's run."""
    with EventReporter(instance, engine.ledger, PRODUCTION, engine.graph.expected()) as reporter:
        while reporter.report(1):
            pass
    (run,) = instance.get_runs()
    return run.run_id


def stored(instance: dg.DagsterInstance) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(Path(instance.root_directory) / "history" / "runs" / "index.db")) as index:
        return {
            table: index.execute(f"select {columns} from {table}").fetchall()  # noqa: S608 - of this file
            for table, columns in STORED.items()
        }


def test_what_is_stored_is_the_same_with_connections_that_stay(
    engine: Engine, tmp_path: Path, opened: list[str]
) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "fresh").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "kept")) as instance, kept_connections(instance):
        report(instance, engine)  # the run's file is new to Dagster then
        kept = stored(instance)
        opened.clear()
        instance.report_runless_asset_event(dg.AssetMaterialization("plays"))
        instance.get_latest_materialization_event(dg.AssetKey("plays"))
        assert "index" not in opened, "its connection is there already"
    with dg.DagsterInstance.local_temp(str(tmp_path / "fresh")) as instance:
        run = report(instance, engine)
        assert stored(instance) == kept
        assert len(kept["asset_check_executions"]) > len(kept["asset_keys"]) > 1
        assert len(instance.all_logs(run)) == len(kept["event_logs"])


def test_afterwards_an_event_log_connects_by_itself_again(
    instance: dg.DagsterInstance, engine: Engine, opened: list[str]
) -> None:
    with kept_connections(instance):
        with kept_connections(instance):
            report(instance, engine)
        assert vars(instance.event_log_storage).keys() >= {"_connect", "has_table"}, "the outer block goes on"
    assert not vars(instance.event_log_storage).keys() & {"_connect", "has_table"}
    opened.clear()
    instance.get_latest_materialization_event(dg.AssetKey("numbers"))
    assert "index" in opened


def test_threads_take_turns_on_kept_connections(instance: dg.DagsterInstance) -> None:
    def tell(asset: str) -> None:
        for _ in range(5):
            instance.report_runless_asset_event(dg.AssetMaterialization(asset))

    with kept_connections(instance):
        threads = [threading.Thread(target=tell, args=(asset,)) for asset in ("plays", "tracks", "rights")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    counts = [
        len(instance.fetch_materializations(dg.AssetKey(asset), 10).records) for asset in ("plays", "tracks", "rights")
    ]
    assert counts == [5, 5, 5]


def test_another_event_log_is_left_alone() -> None:
    with dg.DagsterInstance.ephemeral() as instance, kept_connections(instance):
        instance.report_runless_asset_event(dg.AssetMaterialization("plays"))
        assert instance.get_latest_materialization_event(dg.AssetKey("plays")) is not None
