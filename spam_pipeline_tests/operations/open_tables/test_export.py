"""Tables of a small pipeline with a past: what another engine reads of them, now and then, after kills, and once the past is forgotten."""

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import dataframely as dy
import polars as pl
import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.table import CommitTableResponse

from spam_pipeline.operations.open_tables import export as export_module
from spam_pipeline.operations.open_tables.catalogue import CatalogueUnusable
from spam_pipeline.operations.open_tables.export import Exported, export, together
from spam_pipeline.partitions import event_days
from spam_pipeline.protocol import Contract, PartForPartition, Reads, stage
from spam_pipeline.protocol.operating import (
    DecisionKind,
    Engine,
    PointerChange,
    converge,
    decide,
    drop,
    run_partition,
)
from spam_pipeline_tests.operations.open_tables.toy_tables import (
    catalogue_in,
    exported,
    moments,
    published,
    rows,
    same,
    table,
)
from spam_pipeline_tests.protocol.toy_home import Killed
from spam_pipeline_tests.protocol.toy_pipeline import land, received_numbers, rejected_numbers, toy_engine
from spam_pipeline_tests.shared_homes import copied

if TYPE_CHECKING:
    from collections.abc import Mapping

FRAMES = ("board", "monthly_total", "numbers", "received_numbers", "rejected_numbers", "share", "two_day_total")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with late files, and a day that was withdrawn."""
    home = tmp_path_factory.mktemp("tables") / "home"
    for day in ("2026-01-01", "2026-01-02", "2026-02-01"):
        land(home, day, "a", f"{day} 1", f"{day} 2", "broken")
    engine = toy_engine(home)
    engine.observe()
    converge(engine)
    land(home, "2026-01-02", "late", "2026-01-01 7", "2026-01-02 8")
    (home / "landing/2026-02-01/a.txt").unlink()
    engine.observe()
    converge(engine)
    lost = engine.reader.version("received_numbers", "2026-02-01").recipe
    decide(engine, lost, DecisionKind.REJECT, "eve", "the delivery was withdrawn")
    converge(engine)
    engine.ledger.close()
    return home


@pytest.fixture(scope="module")
def engine(home: Path) -> Engine:
    return toy_engine(home)


@pytest.fixture(scope="module")
def place(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("tables") / "tables"
    exported(engine, place)
    return place


def state(place: Path) -> dict[str, list[int]]:
    """The snapshots of every table, in order."""
    with catalogue_in(place) as catalogue:
        tables = {name[-1]: catalogue.load_table(name) for name in catalogue.list_tables("protocol")}
        return {name: [item.snapshot_id for item in found.metadata.snapshots] for name, found in tables.items()}


def agree(engine: Engine, place: Path) -> bool:
    """Return True if every table has what is published."""
    return all(same(rows(table(place, "protocol", name)), published(engine, name)) for name in state(place))


def files_of(place: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", FRAMES)
def test_a_table_has_what_is_published(engine: Engine, place: Path, name: str) -> None:
    found = rows(table(place, "protocol", name))
    assert found.height > 0
    assert same(found, published(engine, name))


@pytest.mark.parametrize("name", FRAMES)
def test_a_table_as_of_a_time_has_what_was_published_then(engine: Engine, place: Path, name: str) -> None:
    found = table(place, "protocol", name)
    then = moments(found)
    assert all(same(rows(found, snapshot), published(engine, name, moment)) for moment, snapshot in then.items())
    assert len({rows(found, snapshot).hash_rows().sum() for snapshot in then.values()}) > 1


def test_a_snapshot_is_a_publication_and_says_what_it_changed(engine: Engine, place: Path) -> None:
    made = {item.id: item for item in engine.ledger.publications(engine.environment, ["numbers"])}
    snapshots = table(place, "protocol", "numbers").metadata.snapshots
    assert [item.snapshot_id for item in snapshots] == list(made)
    for item in snapshots:
        assert item.summary is not None
        assert item.summary["spam-pipeline.partition"] == made[item.snapshot_id].partition
    operations = [str(item.summary.operation.value) for item in snapshots if item.summary]
    assert operations == ["append", "append", "append", "overwrite", "overwrite", "delete"]
    assert [item.summary["total-records"] for item in snapshots if item.summary] == ["2", "4", "6", "7", "8", "6"]


def test_only_the_files_of_the_partitions_that_are_asked_for_are_opened(home: Path, tmp_path: Path) -> None:
    own = copied(home, tmp_path / "home")
    engine = toy_engine(own)
    exported(engine, tmp_path / "tables")
    other = engine.reader.version("numbers", "2026-01-02").parts[0].files[0].path
    (own / "store" / other).unlink()
    lazy = pl.scan_iceberg(table(tmp_path / "tables", "protocol", "numbers"), reader_override="native")
    assert lazy.filter(pl.col("partition_key") == "2026-01-01").collect()["number"].sort().to_list() == [1, 2, 7]
    with pytest.raises((FileNotFoundError, pl.exceptions.ComputeError)):
        lazy.collect()


def test_a_second_export_adds_what_was_published_since(home: Path, tmp_path: Path) -> None:
    own = copied(home, tmp_path / "home")
    engine, place = toy_engine(own), tmp_path / "tables"
    first = exported(engine, place)
    before, stored = state(place), files_of(own / "store")
    assert exported(engine, place) == Exported(0, 0, first.last)
    land(own, "2026-01-03", "a", "2026-01-01 9")
    engine.observe()
    converge(engine)
    again = exported(engine, place)
    assert again.snapshots == sum(map(len, state(place).values())) - sum(map(len, before.values())) > 0
    assert agree(engine, place)
    assert stored.items() <= files_of(own / "store").items()


class Mortal:
    """A catalogue whose process dies just before or just after one of its commits."""

    def __init__(self, catalogue: Catalog, commits: int, *, after: bool) -> None:
        self._catalogue, self._left, self._after = catalogue, commits, after

    def commit_table(self, *arguments: Any) -> CommitTableResponse:
        self._left -= 1
        if self._left < 0 and not self._after:
            raise Killed
        done = self._catalogue.commit_table(*arguments)
        if self._left < 0:
            raise Killed
        return done

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalogue, name)


@pytest.mark.parametrize(("commits", "after"), [(0, True), (2, False), (9, False)])
def test_an_export_that_was_killed_ends_as_if_it_had_not_been(  # noqa: PLR0913 - fixtures and where it is cut
    engine: Engine, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commits: int, *, after: bool
) -> None:
    monkeypatch.setattr(export_module, "_AT_ONCE", 2)
    own = tmp_path / "tables"
    with catalogue_in(own) as catalogue, pytest.raises(Killed):
        export(engine, Mortal(catalogue, commits, after=after))  # type: ignore[arg-type]  # it passes for one
    exported(engine, own)
    assert state(own) == state(place)
    assert agree(engine, own)


def test_the_past_is_forgotten_with_its_metadata_and_no_data(home: Path, tmp_path: Path) -> None:
    own = copied(home, tmp_path / "home")
    engine, place = toy_engine(own), tmp_path / "tables"
    exported(engine, place)
    metadata, stored = files_of(place), files_of(own / "store")
    land(own, "2026-01-03", "a", "2026-01-01 9")
    engine.observe()
    since = datetime.now(UTC)
    converge(engine)
    exported(engine, place, since)
    found = table(place, "protocol", "numbers")
    then = moments(found)
    assert min(then) < since < sorted(then)[1]
    assert all(same(rows(found, snapshot), published(engine, "numbers", moment)) for moment, snapshot in then.items())
    lost = {os.path.basename(path) for path in metadata.keys() - files_of(place).keys()}  # noqa: PTH119 - of a key
    assert sum(name.endswith(".avro") for name in lost) >= 5
    assert files_of(own / "store").items() >= stored.items()


def test_a_new_table_begins_with_one_snapshot_of_what_was_there(engine: Engine, tmp_path: Path) -> None:
    exported(engine, tmp_path / "tables", datetime.now(UTC))
    assert {len(snapshots) for snapshots in state(tmp_path / "tables").values()} == {1}
    assert agree(engine, tmp_path / "tables")


def test_a_publication_that_appears_late_is_not_lost() -> None:
    """As in PostgreSQL, where the one with the lower number may be committed last."""
    moment = datetime(2026, 1, 7, tzinfo=UTC)
    changes = [PointerChange(number, moment, str(number), number) for number in (1, 2, 3)]
    assert export_module.missing(changes, {1, 3}) == [changes[1]]
    assert list(together(changes, None)) == [[item] for item in changes]


def test_tables_of_another_ledger_are_refused(place: Path, tmp_path: Path) -> None:
    engine = toy_engine(tmp_path / "home")
    land(tmp_path / "home", "2026-01-01", "a", "2026-01-01 1")
    engine.observe()
    converge(engine)
    with pytest.raises(CatalogueUnusable, match=r"protocol\.board is a table of another ledger or environment"):
        exported(engine, place)


def test_a_table_that_somebody_else_wrote_to_is_refused(home: Path, tmp_path: Path) -> None:
    own = copied(home, tmp_path / "home")
    engine, place = toy_engine(own), tmp_path / "tables"
    exported(engine, place)
    table(place, "protocol", "board").delete()
    with pytest.raises(CatalogueUnusable, match=r"protocol\.board was written to by somebody else"):
        exported(engine, place)


def test_an_environment_has_what_its_readers_see(home: Path, tmp_path: Path) -> None:
    own = copied(home, tmp_path / "home")
    branch, place = toy_engine(own, environment="branch", factor=3), tmp_path / "tables"
    run_partition(branch, "two_day_total", "2026-01-02")
    exported(branch, place)
    assert same(rows(table(place, "protocol", "two_day_total")), published(branch, "two_day_total"))
    assert 3 * 21 in rows(table(place, "protocol", "two_day_total"))["total"]
    drop(branch)
    exported(branch, place)
    assert same(rows(table(place, "protocol", "two_day_total")), published(branch, "two_day_total"))
    assert 21 in rows(table(place, "protocol", "two_day_total"))["total"]


def test_files_of_a_store_elsewhere_are_listed_by_their_urls(tmp_path: Path) -> None:
    engine = toy_engine(tmp_path / "home", store_url=f"memory://{tmp_path}/store")
    land(tmp_path / "home", "2026-01-01", "a", "2026-01-01 1")
    engine.observe()
    converge(engine)
    exported(engine, tmp_path / "tables")
    found = table(tmp_path / "tables", "protocol", "numbers")
    (file,) = [
        entry.data_file.file_path
        for item in found.metadata.snapshots
        for manifest in item.manifests(found.io)
        for entry in manifest.fetch_manifest_entry(found.io)
    ]
    assert file == engine.stores[0].location(engine.reader.version("numbers", "2026-01-01").parts[0].files[0].path)
    assert file.startswith("memory://")


class Wider(Contract):
    day = dy.String()
    number = dy.Int64()
    half = dy.Float64()


class Narrower(Contract):
    schema_version: ClassVar[int] = 2
    number = dy.Int64()
    half = dy.Float64()


@stage(partitions=event_days, contract=Wider, owner="team:toys", libraries=["polars"])
def wider_numbers(received_numbers: Annotated[pl.LazyFrame, Reads(PartForPartition())]) -> pl.LazyFrame:
    return received_numbers.unique().sort("number").with_columns(half=pl.col("number") / 2)


@stage(partitions=event_days, contract=Narrower, owner="team:toys", libraries=["polars"])
def narrower_numbers(received_numbers: Annotated[pl.LazyFrame, Reads(PartForPartition())]) -> pl.LazyFrame:
    return received_numbers.unique().sort("number").select("number", half=pl.col("number") / 2)


def test_columns_keep_their_ids_while_a_contract_gains_and_loses_some(home: Path, tmp_path: Path) -> None:
    own, place = copied(home, tmp_path / "home"), tmp_path / "tables"
    exported(toy_engine(own), place)
    ids: list[Mapping[str, int]] = []
    for other, partition in ((wider_numbers, "2026-01-01"), (narrower_numbers, "2026-01-02")):
        engine = toy_engine(
            own, stages=(received_numbers, rejected_numbers, replace(other, context="protocol", name="numbers"))
        )
        run_partition(engine, "numbers", partition)
        exported(engine, place)
        ids.append({field.name: field.field_id for field in table(place, "protocol", "numbers").schema().fields})
    found = table(place, "protocol", "numbers")
    first, wide = found.metadata.snapshots[4].snapshot_id, found.metadata.snapshots[-2].snapshot_id
    assert (ids[1].items() < ids[0].items(), set(ids[0]) - set(ids[1])) == (True, {"day"})
    assert rows(found).sort("partition_key", "number")["half"].to_list() == [0.5, 1.0, 3.5, 0.5, 1.0, 4.0]
    assert rows(found, wide).filter(partition_key="2026-01-02")["half"].to_list() == [None, None, None]
    assert rows(found, first).columns == ["partition_key", "day", "number"]
    assert rows(found, first)["day"].null_count() == 0
