"""Which words of a declaration decide data; what follows from them is tested with code versions and contract rules."""

import doctest
import inspect
from pathlib import Path

import dataframely as dy
import pytest

from spam_pipeline.protocol.code_version import normal_form
from spam_pipeline.protocol.code_version.normal_form import Module, read_module, with_rules

COLUMNS = [item for item in vars(dy).values() if isinstance(item, type) and issubclass(item, dy.Column)]
KEYWORDS = {name for column in COLUMNS for name in inspect.signature(column).parameters}
MAKES_DATA = {
    "alias", "categories", "inner", "precision", "primary_key", "scale", "shape", "time_unit", "time_zone",
}  # fmt: skip
COUNTS_WITHOUT_NEED = {
    "allow_inf", "allow_nan", "is_in", "resolution", "sqlalchemy_enum_name", "sqlalchemy_use_enum",
    "unique",
}  # fmt: skip
"""They audit data, as yet in no contract; until they are listed in `normal_form`, they make versions stale."""


DESCRIBES = {"description"}

DOOR = "from spam_pipeline.protocol import Contract"


def contract(imports: str, base: str, arguments: str = "") -> Module:
    source = f"import dataframely as dy\n{imports}\n\n\nclass Plays({base}):\n    play = dy.Int64({arguments})\n"
    return read_module("p.contracts", Path("contracts.py"), source)


@pytest.mark.parametrize("keyword", sorted(KEYWORDS))
def test_a_keyword_of_a_column_is_known_to_make_data_to_audit_it_or_to_describe_it(keyword: str) -> None:
    bare, with_keyword = (contract(DOOR, "Contract", arguments).definitions for arguments in ("", f"{keyword}=1"))
    assert (with_keyword["Plays"] != bare["Plays"]) == (keyword in MAKES_DATA | COUNTS_WITHOUT_NEED)
    assert (with_keyword[with_rules("Plays")] == bare[with_rules("Plays")]) == (keyword in DESCRIBES)


@pytest.mark.parametrize(
    ("imports", "base"),
    [
        (DOOR, "Contract"),
        ("from spam_pipeline import protocol", "protocol.Contract"),
        ("from spam_pipeline.protocol.definition.contract import Contract as Base", "Base"),
        ("from spam_pipeline.protocol.definition.contract import Contract", "Contract"),
    ],
)
def test_a_contract_is_known_by_its_base_from_wherever_in_the_protocol_it_is_imported(imports: str, base: str) -> None:
    assert with_rules("Plays") in contract(imports, base).definitions


def test_another_class_is_no_contract() -> None:
    assert with_rules("Plays") not in contract("from p.protocol import Contract", "Contract").definitions


def test_the_examples_are_true() -> None:
    failed, attempted = doctest.testmod(normal_form)
    assert (failed, attempted >= 5) == (0, True)
