"""Columns as people read about them: description, unit and constraints of each column of a contract.

Constraints are those that dataframely checks. A description stands in the column, or in a file `columns.toml` in the package of
the contract or in one above it, so that a column of many contracts is described once. Nothing here decides data: descriptions are
read as data, and no code version or contract digest covers them.
"""

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from itertools import accumulate
from typing import Any

import dataframely as dy
import polars as pl

from spam_pipeline.protocol.definition.contract import AnyContract, ArtifactContract, Contract
from spam_pipeline.protocol.foundation.errors import WrongDefinition

DICTIONARY = "columns.toml"
"""The name of the files with descriptions. A table of one is named like a contract, or `columns` for all contracts of the package
and below it; `units` has units by patterns of column names."""

KEY, NOT_NULL = "key", "not null"
"""Constraints without a value."""

_BOUNDS = {
    "min": "at least {}", "min_exclusive": "above {}", "max": "at most {}", "max_exclusive": "below {}",
    "min_length": "at least {} characters", "max_length": "at most {} characters", "regex": "matches {}",
}  # fmt: skip
"""Attributes of dataframely's columns, each in words."""


_CHECKS = ("check", "is_in", "unique")
"""The beginnings of the names of dataframely's other rules about a column."""


@dataclass(frozen=True)
class DescribedColumn:
    """One column of a contract; `description` and `unit` are empty where nobody wrote one.

    `bounds` are dataframely's, by the names that they have there, and `checks` other rules about single values.
    """

    name: str
    dtype: pl.DataType
    description: str
    unit: str
    is_nullable: bool
    is_key: bool
    bounds: Mapping[str, Any]
    checks: tuple[str, ...]

    @property
    def constraints(self) -> tuple[str, ...]:
        """Every rule about a value of the column, in words."""
        of_null = (*((KEY,) if self.is_key else ()), *(() if self.is_nullable else (NOT_NULL,)))
        return (*of_null, *(_BOUNDS[name].format(bound) for name, bound in self.bounds.items()), *self.checks)

    @property
    def meaning(self) -> tuple[str, str, str]:
        """What two columns have in common of which one is the other, passed on."""
        return self.name, str(self.dtype), self.description

    @property
    def sentence(self) -> str:
        """The description with the unit behind it."""
        return f"{self.description} Unit: {self.unit}." if self.unit else self.description


def described_columns(contract: AnyContract) -> tuple[DescribedColumn, ...]:
    """The columns of a contract, in the order in which they are written; none of an artifact."""
    if isinstance(contract, ArtifactContract):
        return ()
    return tuple(_described(contract, name, column) for name, column in contract.columns().items())


def dictionaries(package: str) -> Iterator[Mapping[str, Mapping[str, str]]]:
    """The descriptions in a package and in those above it, the nearest first."""
    above = accumulate(package.split("."), lambda outer, inner: f"{outer}.{inner}")
    for name in reversed(list(above)):
        if found := _dictionary(name):
            yield found


@cache
def _dictionary(package: str) -> Mapping[str, Mapping[str, str]]:
    """The file of one package; empty where there is none. Raises `WrongDefinition`."""
    if getattr(sys.modules.get(package), "__path__", None) is None:  # a script or a notebook, which is no package
        return {}
    try:
        return tomllib.loads((files(package) / DICTIONARY).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise WrongDefinition(f"{DICTIONARY} in the package {package} is no TOML: {error}") from error


def _described(contract: type[Contract], name: str, column: dy.Column) -> DescribedColumn:
    known = list(dictionaries(contract.__module__.rpartition(".")[0] or contract.__module__))
    tables = (*(base.__name__ for base in contract.__mro__), "columns")
    texts = (one[table][name] for one in known for table in tables if name in one.get(table, ()))
    rules = column.validation_rules(pl.col(name))
    return DescribedColumn(
        name,
        column.dtype,
        column.description or next(texts, ""),
        _unit(name, known) if column.dtype.is_numeric() else "",
        column.nullable,
        column.primary_key,
        {key: bound for key in _BOUNDS if (bound := getattr(column, key, None)) is not None},
        tuple(_in_words(name, rule) for label, rule in rules.items() if label.startswith(_CHECKS)),
    )


def _unit(name: str, known: list[Mapping[str, Mapping[str, str]]]) -> str:
    patterns = (item for one in known for item in one.get("units", {}).items())
    return next((unit for pattern, unit in patterns if fnmatchcase(name, pattern)), "")


def _in_words(name: str, rule: pl.Expr) -> str:
    """A check as people read it.

    >>> _in_words("rule", pl.col("rule").is_in(["agreed", "pro_rata"])), _in_words("money", pl.col("money") != 0)
    ('one of agreed, pro_rata', 'money != 0')
    >>> _in_words("id", pl.col("id").is_unique())
    'unique'
    """
    with pl.Config(fmt_table_cell_list_len=-1):
        text = str(rule)
    if allowed := re.fullmatch(rf'col\("{re.escape(name)}"\)\.is_in\(\[\[(.*)\]\]\)', text):
        return "one of " + allowed[1].replace('"', "")
    if text == f'col("{name}").is_unique()':
        return "unique"
    return re.sub(r'dyn \w+: |[()\[\]]|col(?=\()|"', "", text)
