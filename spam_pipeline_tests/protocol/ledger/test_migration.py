"""A ledger of an earlier layout becomes one of the present layout in place, with everything that was in it.

That of layout 3 is the one of release 0.5.0 in `releases/`, on each database; releases 0.3 to 0.8 had the same tables.
"""

import tarfile
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from spam_pipeline.protocol.fingerprint import fingerprint_to_json
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.layouts import open_database
from spam_pipeline.protocol.ledger.records import PRODUCTION
from spam_pipeline.protocol.ledger.rows import moment as moment_of
from spam_pipeline.protocol.ledger.rows import now
from spam_pipeline.protocol.ledger.tables import (
    LAYOUT,
    exports,
    landed_decisions,
    layout,
    metadata,
    notices,
    versions,
)
from spam_pipeline.protocol.ledger.versions import versions_of_ids
from spam_pipeline_tests.protocol.made_up_records import (
    PASSED,
    REFUSED,
    a_decision,
    a_version,
    record_decision,
    recorded,
)

RELEASE = Path(__file__).parents[2] / "releases" / "0.5.0.tar.xz"

Rows = dict[str, list[dict[str, Any]]]

CHANGED = {"inputs", "layout", "versions"}
"""The tables whose rows lie elsewhere now; those of all others are what they were."""


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> tuple[sa.MetaData, Rows]:
    """The tables of layout 3, and the rows that release 0.5.0 wrote."""
    folder = tmp_path_factory.mktemp("released")
    with tarfile.open(RELEASE) as archive:
        archive.extract("ledger.db", folder, filter="data")
    engine = sa.create_engine(f"sqlite:///{folder / 'ledger.db'}")
    tables = sa.MetaData()
    tables.reflect(engine, resolve_fks=False)
    rows = read(engine, tables)
    engine.dispose()
    for table in tables.tables.values():
        for column in table.columns:
            column.type = column.type.as_generic()
    return tables, rows


def read(engine: sa.Engine, tables: sa.MetaData) -> Rows:
    with engine.connect() as connection:
        return {
            table.name: [row._asdict() for row in connection.execute(sa.select(table).order_by(*table.primary_key))]
            for table in tables.tables.values()
        }


@pytest.fixture
def earlier(ledger_url: str, released: tuple[sa.MetaData, Rows]) -> Iterator[sa.Engine]:
    """A database with a ledger of layout 3 in it."""
    tables, rows = released
    engine = sa.create_engine(ledger_url)
    with engine.begin() as connection:
        tables.create_all(connection)
        for table in tables.sorted_tables:
            if rows[table.name]:
                connection.execute(sa.insert(table), rows[table.name])
    yield engine
    engine.dispose()


def test_every_row_is_there_and_says_what_it_said(
    earlier: sa.Engine, ledger_url: str, released: tuple[sa.MetaData, Rows]
) -> None:
    _, before = released
    open_database(ledger_url).dispose()
    after = read(earlier, metadata)
    assert {name: after[name] for name in before.keys() - CHANGED} == {
        name: before[name] for name in before.keys() - CHANGED
    }
    assert after["layout"] == [{"number": LAYOUT, "identity": before["layout"][0]["identity"]}]


def test_versions_have_the_inputs_columns_and_settings_that_they_had(
    earlier: sa.Engine, ledger_url: str, released: tuple[sa.MetaData, Rows]
) -> None:
    del earlier
    _, before = released
    inputs: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for row in before["inputs"]:
        is_file = row["observation_id"] is not None
        record = row["observation_id"] if is_file else row["upstream_version_id"]
        inputs[row["version_id"]].append((row["parameter"], row["part"], record, is_file))
    engine = open_database(ledger_url)
    with engine.connect() as connection:
        found = versions_of_ids(connection, connection.scalars(sa.select(versions.c.id)).all())
    engine.dispose()
    assert [
        (
            version.id,
            version.recipe,
            version.columns,
            version.configuration,
            [(item.parameter, item.part, item.record, item.is_file) for item in version.inputs],
        )
        for version in found
    ] == [
        (row["id"], row["recipe"], row["columns"], row["configuration"], inputs[row["id"]])
        for row in before["versions"]
    ]
    assert max(len(version.inputs) for version in found) > 100, "some are cut"


def test_it_goes_on_where_it_was(earlier: sa.Engine, ledger_url: str, released: tuple[sa.MetaData, Rows]) -> None:
    del earlier
    _, before = released
    with closing(Ledger(ledger_url)) as ledger:
        _, publication = ledger.record(a_version(), PASSED, PRODUCTION)
        assert publication is not None
        assert publication.id == before["publications"][-1]["id"] + 1
        assert recorded(ledger, "r1").id == before["versions"][-1]["id"] + 1


def test_its_tables_are_those_of_a_new_ledger(earlier: sa.Engine, ledger_url: str) -> None:
    upgraded = described(ledger_url)
    metadata.drop_all(earlier)
    assert upgraded == described(ledger_url)


def described(ledger_url: str) -> dict[str, Any]:
    """The tables of a ledger that is opened here: columns, keys and indexes, by table."""
    engine = open_database(ledger_url)
    found = sa.inspect(engine)
    described = {
        table: [
            [(column["name"], str(column["type"]), column["nullable"]) for column in found.get_columns(table)],
            found.get_pk_constraint(table)["constrained_columns"],
            sorted((str(index["name"]), *index["column_names"]) for index in found.get_indexes(table)),
            sorted((*key["constrained_columns"], key["referred_table"]) for key in found.get_foreign_keys(table)),
        ]
        for table in sorted(found.get_table_names())
    }
    engine.dispose()
    return described


def test_of_processes_that_open_it_at_once_one_upgrades_and_the_others_wait(
    earlier: sa.Engine, ledger_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(lambda _: Ledger(ledger_url), range(4)))
    for ledger in opened:
        ledger.close()
    assert [record.message for record in caplog.records if "bringing it to layout" in record.message] == [
        f"the ledger {opened[0]} has layout 3, of an earlier release: bringing it to layout {LAYOUT}, once; others wait"
    ]
    with earlier.connect() as connection:
        assert connection.scalars(sa.select(layout.c.number)).all() == [LAYOUT]


def test_one_that_fails_leaves_the_ledger_as_it_was(
    earlier: sa.Engine, ledger_url: str, released: tuple[sa.MetaData, Rows]
) -> None:
    tables, before = released
    with earlier.begin() as connection:
        connection.execute(sa.text("create table layout_3_versions (in_the_way integer)"))
    with pytest.raises(sa.exc.DBAPIError, match="layout_3_versions"):
        open_database(ledger_url)
    assert read(earlier, tables) == before


@pytest.mark.parametrize("number", [4, 5])
def test_one_of_a_later_layout_gets_the_tables_that_it_lacks_and_keeps_its_rows(ledger_url: str, number: int) -> None:
    new = described(ledger_url)
    with closing(Ledger(ledger_url)) as ledger:
        ledger.record(a_version(), PASSED, PRODUCTION)
        ledger.record(a_version("r2", content="c2"), REFUSED, "branch")
        decided = record_decision(ledger, a_decision(recorded(ledger, "r2")), 0)
        ledger.publish(recorded(ledger, "r2"), "branch")
        moment = now()
        ledger.retract("numbers", "2026-01-05", PRODUCTION)
        before = said(ledger, moment)
    engine = sa.create_engine(ledger_url)
    with engine.begin() as connection:
        for table in (exports, landed_decisions, notices)[: 3 if number == 4 else 2]:
            table.drop(connection)
        connection.execute(sa.update(layout).values(number=number))
    engine.dispose()
    assert described(ledger_url) == new
    with closing(Ledger(ledger_url)) as ledger:
        assert said(ledger, moment) == before
        assert ledger.landed_decisions.without_document() == [(decided, "r2")]


def test_decisions_environments_and_the_past_of_layout_3_are_what_they_were(
    earlier: sa.Engine, ledger_url: str, released: tuple[sa.MetaData, Rows]
) -> None:
    """The release's home had neither a decision nor another environment, so that each is added as that release did."""
    tables, rows = released
    version = rows["versions"][0]
    place = {"environment": "branch", "stage": version["stage"], "partition": version["partition"]}
    about = {"version_id": version["id"], **place}
    words = {"kind": "reject", "by": "anna", "reason": "wrong", "findings": []}
    at = rows["publications"][-1]["published_at"]
    with earlier.begin() as connection:
        for table, row in {
            "decisions": {**about, "content": version["content"], **words, "decided_at": at},
            "publications": {**about, "run": None, "action": "computed", "cause": "", "published_at": at + 1},
        }.items():
            connection.execute(sa.insert(tables.tables[table]), {"id": 1_000_000, **row})
    with closing(Ledger(ledger_url)) as ledger:
        assert [(item.by, item.content) for item in ledger.all_decisions("branch")] == [("anna", version["content"])]
        assert next((item.name, item.partitions) for item in ledger.environments()) == ("branch", 1)
        stages, environment = {row["stage"] for row in rows["publications"]}, PRODUCTION
        halfway = rows["publications"][len(rows["publications"]) // 2]["published_at"]
        then = {
            (row["stage"], row["partition"]): row["version_id"]
            for row in rows["publications"]
            if row["published_at"] <= halfway
        }
        found = ledger.published(environment, stages, moment_of(halfway))
        assert {
            (stage, key): item.version_id for stage, by_key in found.items() for key, item in by_key.items()
        } == then
        measured = {row["version_id"]: row["measures"] for row in rows["fingerprints"]}
        assert {key: fingerprint_to_json(found) for key, found in ledger.fingerprints(measured).items()} == measured


def said(ledger: Ledger, moment: datetime) -> list[Any]:
    """What a ledger says of decisions, of environments, and of what was published now and then."""
    published = [ledger.published(name, ["numbers"], at) for name in (PRODUCTION, "branch") for at in (None, moment)]
    return [ledger.all_decisions("branch"), ledger.environments(), ledger.versions("numbers", "2026-01-05"), published]
