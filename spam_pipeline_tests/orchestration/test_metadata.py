"""What a version says of itself in the UI: numbers to plot, and tables that stay small and legible."""

from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from spam_pipeline.orchestration.evaluations import evaluations
from spam_pipeline.orchestration.metadata import format_bytes, legible, recorded_metadata, version_metadata
from spam_pipeline.protocol import WHOLE
from spam_pipeline.protocol.fingerprint import MARKDOWN, Counted, Fingerprint, Recorded
from spam_pipeline.protocol.fingerprint.measured import Figured
from spam_pipeline.protocol.operating import Audit, Verdict, converge
from spam_pipeline_tests.orchestration.toy_location import last_check, materialize, observed, told
from spam_pipeline_tests.protocol.judged_models import EVALUATED, days_and_their_numbers, forgetful_model, with_model
from spam_pipeline_tests.protocol.made_up_records import a_version
from spam_pipeline_tests.protocol.toy_pipeline import land

LARGEST_KEY = 2**64 - 1
JUDGED_BY_HISTORY = "the digest of a history"
MEASURED = replace(EVALUATED, fingerprint=days_and_their_numbers)


def metadata(*rows: dict[str, Any]) -> dict[str, dg.MetadataValue[Any]]:
    fingerprint: Fingerprint = {"total": Counted(1), "suspects": Recorded(rows)}
    return recorded_metadata(replace(a_version(), fingerprint=fingerprint))


def tables(*rows: dict[str, Any]) -> dict[str, dg.TableMetadataValue]:
    found = metadata(*rows)
    return {name: value for name, value in found.items() if isinstance(value, dg.TableMetadataValue)}


def shown(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    """The records of the one table that these rows are shown as."""
    (table,) = tables(*rows).values()
    return [dict(record.data) for record in table.records]


def types(*rows: dict[str, Any]) -> dict[str, str]:
    (table,) = tables(*rows).values()
    return {column.name: column.type for column in table.schema.columns}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two days of which a model is made."""
    home = tmp_path / "home"
    for day in ("2026-01-01", "2026-01-02"):
        land(home, day, "a", f"{day} 1", f"{day} 2")
    return home


def test_a_recorded_table_has_the_name_that_it_has_in_the_fingerprint() -> None:
    assert set(tables({"plays": 1})) == {"fingerprint/suspects"}
    assert shown({"plays": 1, "track": "a"}) == [{"plays": 1, "track": "a"}]


def test_a_text_that_is_markdown_is_shown_as_the_page_that_it_is() -> None:
    assert metadata({MARKDOWN: "# a"}, {MARKDOWN: "b"}) == {"suspects": dg.MetadataValue.md("# a\n\nb")}
    assert metadata({MARKDOWN: "x" * 60_001}) == {"suspects": dg.MetadataValue.md("too long to be shown")}
    assert set(metadata({MARKDOWN: "a", "plays": 1})) == {"fingerprint/suspects"}, "a table is no text"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, 0.0), (1 / 3, 0.333), (0.00123456, 0.00123), (-12.345, -12.3), (1234.56, 1235.0), (1e18, 1e18), (inf, inf)],
)
def test_a_fraction_has_three_digits_and_a_whole_number_all_of_its_own(value: float, shown: float) -> None:
    assert legible(value) == shown
    fingerprint: Fingerprint = {"share": Figured(value)}
    metadata = version_metadata(replace(a_version(), fingerprint=fingerprint))
    assert metadata["fingerprint/share"] == dg.MetadataValue.float(shown)


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1 KiB"), (1_234_567, "1.18 MiB"), (5 * 2**40, "5 TiB")],
)
def test_bytes_have_a_unit(size: int, shown: str) -> None:
    assert format_bytes(size) == shown


def test_rows_are_those_of_a_partition_or_of_the_whole() -> None:
    of_partition, whole = (version_metadata(replace(a_version(), partition=key)) for key in ("2026-01-01", WHOLE))
    assert ("dagster/partition_row_count" in of_partition, "dagster/row_count" in of_partition) == (True, False)
    assert ("dagster/partition_row_count" in whole, "dagster/row_count" in whole) == (False, True)


def test_a_table_without_rows_is_not_shown() -> None:
    assert tables() == {}


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, None),
        (True, True),
        (7, 7),
        (0.123456789, 0.123),
        ("confirmed", "confirmed"),
        ([0.5, None, 3, True], "0.5, -, 3, True"),
        ([], ""),
        ({"recall": 1 / 3, "plays": 7}, "recall 0.333 plays 7"),
        ([{"network_key": LARGEST_KEY, "share": 0.25}], "network_key ffffffffffffffff share 0.25"),
    ],
)
def test_every_value_that_json_holds_has_a_cell(value: object, cell: object) -> None:
    assert shown({"value": value}) == [{"value": cell}]


def test_keys_are_shown_with_all_their_digits() -> None:
    row = {"track_key": 1, "network_keys": [LARGEST_KEY, 2], "plays": 1}
    assert shown(row) == [
        {"track_key": "0000000000000001", "network_keys": "ffffffffffffffff, 0000000000000002", "plays": 1}
    ]


def test_long_text_is_cut_and_says_so() -> None:
    (row,) = shown({"hours": list(range(1000)), "reason": "x" * 81, "name": "x" * 80})
    assert [len(cell) for cell in row.values()] == [80, 80, 80]
    assert (row["hours"][-1], row["reason"][-1], row["name"][-1]) == ("…", "…", "x")


def test_a_long_table_shows_its_first_rows_and_how_many_there_are() -> None:
    ((name, table),) = tables(*({"row": number} for number in range(61))).items()
    assert name == "fingerprint/suspects (60 of 61 rows)"
    assert [record.data["row"] for record in table.records] == list(range(60))


def test_rows_need_not_have_the_same_columns() -> None:
    assert shown({"a": 1}, {"b": "x"}) == [{"a": 1, "b": None}, {"a": None, "b": "x"}]


def test_columns_have_the_type_of_their_cells() -> None:
    first = {"key": "a", "count": 1, "share": 1, "is_new": True, "nothing": None, "mixed": 1}
    second = {"key": "b", "count": None, "share": 0.5, "is_new": False, "nothing": None, "mixed": "x"}
    assert types(first, second) == {
        "key": "string",
        "count": "int",
        "share": "float",
        "is_new": "bool",
        "nothing": "string",
        "mixed": "string",
    }


def test_tables_stand_beside_the_version_and_once_beside_its_checks() -> None:
    version = replace(a_version(), fingerprint={"suspects": Recorded(({"plays": 1},))})
    assert "fingerprint/suspects" in version_metadata(version)
    audit = Audit(Verdict.PASSED, history=JUDGED_BY_HISTORY)
    found = {item.check_name for item in evaluations({}, version, audit) if "fingerprint/suspects" in item.metadata}
    assert found == {"contract"}


def test_a_model_is_materialized_with_its_numbers_and_tables(home: Path, instance: dg.DagsterInstance) -> None:
    engine = observed(home, stages=with_model(contract=MEASURED))
    converge(engine, ["numbers"])
    assert materialize(engine, instance, "model").success
    (metadata,) = told(instance, "model", None)
    assert (metadata["fingerprint/days"], metadata["fingerprint/several_share"]) == (2, 1)
    assert [record.data["shares"] for record in metadata["fingerprint/known"].records] == ["0.667, -"] * 2


def test_a_refused_challenger_shows_its_numbers_and_tables_beside_what_refuses_it(
    home: Path, instance: dg.DagsterInstance
) -> None:
    converge(observed(home, stages=with_model(contract=MEASURED)))
    challenged = observed(home, stages=with_model(forgetful_model, MEASURED))
    assert not materialize(challenged, instance, "model").success
    assert told(instance, "model", None) == []
    contract, history = (last_check(instance, "model", name) for name in ("contract", "history"))
    assert contract is not None
    assert [dict(record.data)["day"] for record in contract.metadata["fingerprint/known"].value.records] == [
        "2026-01-01"
    ]
    assert history is not None
    assert (history.passed, history.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert history.metadata["fingerprint/days"].value == 1
    assert challenged.reader.read("model", [WHOLE]) == {"2026-01-01": 2, "2026-01-02": 2}
