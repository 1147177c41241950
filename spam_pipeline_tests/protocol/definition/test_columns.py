"""Descriptions of columns: where they stand, which one counts, and constraints in words."""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import dataframely as dy
import pytest

from spam_pipeline.protocol.definition.columns import DescribedColumn, described_columns
from spam_pipeline.protocol.definition.contract import ArtifactContract, Contract
from spam_pipeline.protocol.foundation.errors import WrongDefinition


class Countries(Contract):
    """Plays by country, in a module without a file of descriptions."""

    country = dy.String(primary_key=True, description="Where the listener is.")
    listened_ms = dy.Int64(nullable=True, min=1, max=9)
    kind = dy.String(check=lambda kind: kind.is_in(["a", "b", "c", "d", "e"]))
    code = dy.String(regex="^[A-Z]+$", min_length=2)
    stars = dy.Int64(nullable=True, is_in=[1, 2, 3, 4, 5], unique=True)


def of(contract: type[Contract]) -> dict[str, DescribedColumn]:
    return {column.name: column for column in described_columns(contract)}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A package within a package, both with descriptions, that no other test has seen."""
    name = f"described_{request.node.name.removeprefix('test_')}"
    inner = tmp_path / name / "plays"
    inner.mkdir(parents=True)
    for folder in (inner, inner.parent):
        (folder / "__init__.py").touch()
    (inner / "columns.toml").write_text(
        '[columns]\nkind = "Kind."\ncode = "Code of all."\n[Countries]\ncode = "Code of these."\n', encoding="utf-8"
    )
    (inner.parent / "columns.toml").write_text(
        '[units]\n"*_ms" = "milliseconds"\n[columns]\nkind = "Of the outer."\nlistened_ms = "How long."\n',
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    import_module(f"{name}.plays")
    return f"{name}.plays"


def in_package(package: str, monkeypatch: pytest.MonkeyPatch) -> type[Contract]:
    module = ModuleType(f"{package}.contracts")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return type("Countries", (Countries,), {"__module__": module.__name__, "__doc__": "Plays by country."})


def test_a_description_stands_in_the_column() -> None:
    assert of(Countries)["country"].description == "Where the listener is."


def test_without_one_the_description_is_empty() -> None:
    assert of(Countries)["kind"].description == ""


def test_the_table_of_the_contract_counts_before_that_of_its_package(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert of(in_package(package, monkeypatch))["code"].description == "Code of these."


def test_the_nearest_package_counts(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    described = of(in_package(package, monkeypatch))
    assert (described["kind"].description, described["listened_ms"].description) == ("Kind.", "How long.")


def test_a_file_that_cannot_be_read_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    contract = in_package(package, monkeypatch)
    Path(import_module(package).__path__[0], "columns.toml").write_text("[columns", encoding="utf-8")
    with pytest.raises(WrongDefinition, match=rf"columns.toml in the package {package} is no TOML"):
        described_columns(contract)


def test_a_contract_of_a_notebook_is_in_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Countries, "__module__", "__main__")
    assert of(Countries)["kind"].description == ""


def test_a_number_has_the_unit_of_its_name(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    listened = of(in_package(package, monkeypatch))["listened_ms"]
    assert listened.sentence == "How long. Unit: milliseconds."


def test_constraints_are_those_that_are_checked() -> None:
    assert {name: column.constraints for name, column in of(Countries).items()} == {
        "country": ("key", "not null"),
        "listened_ms": ("at least 1", "at most 9"),
        "kind": ("not null", "one of a, b, c, d, e"),
        "code": ("not null", "at least 2 characters", "matches ^[A-Z]+$"),
        "stars": ("unique", "one of 1, 2, 3, 4, 5"),
    }


def test_an_artifact_has_no_columns() -> None:
    artifact = ArtifactContract(".txt", lambda value, path: path.write_text(value), Path.read_text)
    assert described_columns(artifact) == ()
