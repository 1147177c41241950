"""The descriptions of the pipeline's own columns: each has one, and none is left over."""

import re
from collections import defaultdict
from pathlib import Path

import duckdb
import pytest

from spam_pipeline.operations.pipeline import STAGES
from spam_pipeline.protocol import ArtifactContract, Contract, described_columns
from spam_pipeline.protocol.definition.columns import dictionaries

ROOT = Path(__file__).parents[1]
CONTRACTS = sorted(
    {
        contract
        for stage in STAGES
        for contract in (stage.contract, *stage.side_parts.values())
        if not isinstance(contract, ArtifactContract)
    },
    key=lambda contract: contract.__name__,
)
PACKAGES = ["spam_pipeline", *sorted({contract.__module__.rpartition(".")[0] for contract in CONTRACTS})]
COUNTS_NOTHING = {"evidence", "line", "rank", "value"}
"""Numbers that are no quantity of one unit; keyed hashes are none either."""


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.__name__)
def test_every_column_has_a_description_and_every_quantity_a_unit(contract: type[Contract]) -> None:
    columns = described_columns(contract)
    assert [column.name for column in columns if not re.fullmatch(r"[A-Z`].*\.", column.description)] == []
    without_unit = {column.name for column in columns if column.dtype.is_numeric() and not column.unit}
    assert {name for name in without_unit if not name.endswith("_key")} <= COUNTS_NOTHING


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_is_described_that_is_not_there(package: str) -> None:
    own = next(dictionaries(package))
    below = [contract for contract in CONTRACTS if contract.__module__.startswith(f"{package}.")]
    known: dict[str, set[str]] = defaultdict(set)
    for contract in below:
        for base in contract.__mro__:
            known[base.__name__] |= contract.columns().keys()
        known["columns"] |= contract.columns().keys()
    described = {(table, name) for table, names in own.items() if table != "units" for name in names}
    assert {(table, name) for table, name in described if name not in known[table]} == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_a_shared_description_is_shared(package: str) -> None:
    shared, used = next(dictionaries(package))["columns"], defaultdict(set)
    for contract in CONTRACTS:
        for column in described_columns(contract):
            used[column.name].add(column.description)
    assert [name for name, text in shared.items() if text not in used[name]] == []


def test_the_warehouse_has_every_description_as_a_comment(converged_home: Path) -> None:
    asked = "select schema_name, table_name, column_name, comment from duckdb_columns() where comment is not null"
    with duckdb.connect(converged_home / "warehouse.duckdb", read_only=True) as warehouse:
        found = {
            (context, stage, name): comment for context, stage, name, comment in warehouse.execute(asked).fetchall()
        }
    there = [stage for stage in STAGES if stage.delivery is None and not isinstance(stage.contract, ArtifactContract)]
    for stage in there:
        for column in described_columns(stage.contract):
            assert found[stage.context, stage.name, column.name] == column.sentence
    assert len(found) == sum(len(stage.contract.columns()) + 1 for stage in there)


def test_a_signal_of_an_example_is_described_by_its_formula() -> None:
    page = (ROOT / "docs" / "signals.md").read_text(encoding="utf-8")
    formulas = dict(
        re.findall(r"^\| `((?:actor|device|address|network|track|uploader)_\w+)` \| (.*?) \|", page, re.MULTILINE)
    )
    described = {
        name: text for one in dictionaries("spam_pipeline.trust_and_safety") for name, text in one["columns"].items()
    }
    assert len(formulas) == 46
    assert {name: described[name] for name in formulas} == {
        name: f"{formula[0].upper()}{formula[1:]}." for name, formula in formulas.items()
    }
