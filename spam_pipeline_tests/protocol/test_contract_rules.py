"""What of a contract makes data and so belongs to the code version, what only judges it, and what a changed rule leads to."""

import importlib
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from spam_pipeline.protocol.code_version.code_version import code_version, rules_version
from spam_pipeline.protocol.definition.graph import AnyStage
from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.foundation.errors import NotPublished
from spam_pipeline.protocol.ledger.records import PRODUCTION
from spam_pipeline_tests.protocol.toy_pipeline import land, numbers, toy_engine
from spam_pipeline_tests.protocol.toy_runs import digests, run, total, with_other
from spam_pipeline_tests.protocol.toy_variants import FewNumbers

_NUMBERS = count()

CONTRACTS = """
from typing import ClassVar

import dataframely as dy
import polars as pl

from spam_pipeline.protocol.definition.contract import Contract
from spam_pipeline.protocol.fingerprint import Count
from PACKAGE.limits import LARGEST, is_even


class Verdicts(Contract):
    play = dy.Int64(primary_key=True)
    score = dy.Float64(min=0.0, max=1.0, nullable=True)
    country = dy.String(regex="[A-Z]{2}", min_length=2, max_length=2)
    rank = dy.Int64(min_exclusive=0, max_exclusive=100, check=is_even)
    other = dy.String(alias="else", metadata={"unit": "none"})

    @dy.rule()
    def is_not_too_large(cls):
        return pl.col("play") <= LARGEST

    @classmethod
    def fingerprint(cls):
        return {"plays": Count()}


class Derived(Verdicts):
    more = dy.Int64(min=0)
"""

LIMITS = """
LARGEST = 1_000_000
UNUSED = 1


def is_even(column):
    return column % two() == 0


def two():
    return 2
"""

STAGES = """
from PACKAGE.contracts import Derived, Verdicts


def verdicts():
    return Verdicts


def derived():
    return Derived
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["Package"]:
    monkeypatch.syspath_prepend(str(tmp_path))
    made = Package(tmp_path / f"sample_rules_{next(_NUMBERS)}")
    yield made
    for name in [name for name in sys.modules if name.startswith("sample_rules_")]:
        del sys.modules[name]


class Package:
    """A package with two contracts, and a function that refers to each."""

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self._folder = folder
        folder.mkdir()
        for file, source in {"__init__": "", "contracts": CONTRACTS, "limits": LIMITS, "stages": STAGES}.items():
            self._write(file, source)

    def edit(self, file: str, before: str, after: str) -> None:
        """Edit the one place where a text stands; like a deployment, it ends the life of what was loaded."""
        for name in [name for name in sys.modules if name.partition(".")[0] == self.name]:
            del sys.modules[name]
        source = (self._folder / f"{file}.py").read_text(encoding="utf-8")
        assert source.count(before) == 1
        self._write(file, source.replace(before, after))

    def code(self, name: str = "verdicts") -> str:
        return code_version(getattr(importlib.import_module(f"{self.name}.stages"), name)).digest

    def rules(self, name: str = "Verdicts") -> str:
        return rules_version(getattr(importlib.import_module(f"{self.name}.contracts"), name))

    def definitions(self, name: str = "verdicts") -> list[str]:
        return list(code_version(getattr(importlib.import_module(f"{self.name}.stages"), name)).definitions)

    def _write(self, file: str, source: str) -> None:
        (self._folder / f"{file}.py").write_text(source.replace("PACKAGE", self.name), encoding="utf-8")


RULES = {
    "min": ("min=0.0", "min=0.5"),
    "no min": ("min=0.0, ", ""),
    "max": ("max=1.0", "max=2.0"),
    "nullable": ("nullable=True", "nullable=False"),
    "regex": ("[A-Z]{2}", "[a-z]{2}"),
    "min_length": ("min_length=2", "min_length=1"),
    "max_length": ("max_length=2", "max_length=3"),
    "min_exclusive": ("min_exclusive=0", "min_exclusive=1"),
    "max_exclusive": ("max_exclusive=100", "max_exclusive=99"),
    "check": (", check=is_even", ""),
    "metadata": ("none", "some"),
    "the body of a rule": ('pl.col("play") <= LARGEST', 'pl.col("play") < LARGEST'),
    "the name of a rule": ("is_not_too_large", "is_small"),
    "the fingerprint": ('{"plays": Count()}', '{"rows": Count()}'),
    "a limit": ("    @classmethod", "    @classmethod\n    def limits(cls):\n        return ()\n\n    @classmethod"),
    "the tolerated share of rejected records": ("    @classmethod", "    tolerated_rejected_share: ClassVar[float] = 0.01\n\n    @classmethod"),
    "the number of the schema": ("    @classmethod", "    schema_version = 2\n\n    @classmethod"),
    "another rule": ("    @classmethod", '    @dy.rule()\n    def is_odd(cls):\n        return pl.col("play") % 2 == 1\n\n    @classmethod'),
}  # fmt: skip

COLUMNS = {
    "the name of a column": ("score =", "points ="),
    "the type of a column": ("score = dy.Float64", "score = dy.Float32"),
    "the primary key": ("primary_key=True", "primary_key=False"),
    "the alias": ('alias="else"', 'alias="otherwise"'),
    "the order of columns": ("    play = dy.Int64(primary_key=True)\n    score = dy.Float64(min=0.0, max=1.0, nullable=True)",
                             "    score = dy.Float64(min=0.0, max=1.0, nullable=True)\n    play = dy.Int64(primary_key=True)"),
    "a new column": ("    score =", "    more = dy.Int64()\n    score ="),
}  # fmt: skip

NEITHER = {
    "a comment": ("    score =", "    # how sure\n    score ="),
    "formatting": ("min=0.0, max=1.0", "min=0.0,  max=1.0"),
}


@pytest.mark.parametrize(("before", "after"), RULES.values(), ids=RULES)
def test_a_rule_that_changes_asks_for_audits_and_makes_no_version_stale(
    package: Package, before: str, after: str
) -> None:
    code, rules = package.code(), package.rules()
    package.edit("contracts", before, after)
    assert package.code() == code
    assert package.rules() != rules


@pytest.mark.parametrize(("before", "after"), COLUMNS.values(), ids=COLUMNS)
def test_a_column_that_changes_changes_the_code_version_too(package: Package, before: str, after: str) -> None:
    code, rules = package.code(), package.rules()
    package.edit("contracts", before, after)
    assert package.code() != code
    assert package.rules() != rules


@pytest.mark.parametrize(("before", "after"), NEITHER.values(), ids=NEITHER)
def test_what_neither_makes_nor_judges_data_changes_nothing(package: Package, before: str, after: str) -> None:
    code, rules = package.code(), package.rules()
    package.edit("contracts", before, after)
    assert (package.code(), package.rules()) == (code, rules)


@pytest.mark.parametrize(
    ("before", "after"),
    [("1_000_000", "2_000_000"), ("column % two()", "column % (two() + 2)"), ("return 2", "return 4")],
    ids=["a constant", "a helper", "a helper of a helper"],
)
def test_rules_change_with_what_they_reach_and_the_code_version_does_not(
    package: Package, before: str, after: str
) -> None:
    code, rules = package.code(), package.rules()
    package.edit("limits", before, after)
    assert package.code() == code
    assert package.rules() != rules


def test_what_rules_do_not_reach_changes_nothing(package: Package) -> None:
    rules = package.rules()
    package.edit("limits", "UNUSED = 1", "UNUSED = 2")
    assert package.rules() == rules


def test_what_only_rules_reach_is_no_part_of_the_code_version(package: Package) -> None:
    assert package.definitions() == [f"{package.name}.contracts.Verdicts", f"{package.name}.stages.verdicts"]


@pytest.mark.parametrize(("before", "after"), RULES.values(), ids=RULES)
def test_a_derived_contract_judges_by_the_rules_of_the_one_it_derives_from(
    package: Package, before: str, after: str
) -> None:
    code, rules = package.code("derived"), package.rules("Derived")
    package.edit("contracts", before, after)
    assert package.code("derived") == code
    assert package.rules("Derived") != rules


def test_a_rule_of_a_derived_contract_counts_as_a_rule(package: Package) -> None:
    base, rules = package.rules(), package.rules("Derived")
    package.edit("contracts", "more = dy.Int64(min=0)", "more = dy.Int64(min=1)")
    assert package.rules("Derived") != rules
    assert package.rules() == base


def test_a_rule_that_is_taken_back_gives_the_old_digest_back(package: Package) -> None:
    rules = package.rules()
    package.edit("contracts", "min=0.0", "min=0.5")
    package.edit("contracts", "min=0.5", "min=0.0")
    assert package.rules() == rules


# What a changed rule leads to, in the environment whose rule it is and in the others

BRANCH = "branch"
DAY = "2026-01-04"
LENIENT = tuple(stage for stage in with_other(numbers) if stage.delivery is None)
STRICT = tuple(stage for stage in with_other(replace(numbers, contract=FewNumbers)) if stage.delivery is None)
"""Every stage but the board outside, which the environments of a test would share."""


def history(home: Path, *values: int, stages: tuple[AnyStage, ...] = LENIENT) -> None:
    """Let production have published the numbers of the day with each of these values, one after the other."""
    for value in values:
        land(home, DAY, "a", f"{DAY} {value}")
        run(toy_engine(home, stages=stages))


def read(engine: Engine) -> list[int]:
    return list(engine.reader.read("numbers", [DAY]).collect()["number"])


def rows(home: Path) -> dict[str, int]:
    """How many audits, publications and versions the ledger has."""
    with closing(sqlite3.connect(home / "ledger.db")) as ledger:
        tables = ("audits", "publications", "versions")
        return {name: ledger.execute(f"select count(*) from {name}").fetchone()[0] for name in tables}  # noqa: S608 - the three


@pytest.mark.parametrize("first", [PRODUCTION, BRANCH])
def test_environments_with_different_rules_come_to_rest_and_each_reads_what_its_own_accept(
    home: Path, first: str
) -> None:
    history(home, 50, 100)
    code = {PRODUCTION: LENIENT, BRANCH: STRICT}
    order = [first, *code.keys() - {first}]
    for name in order:
        run(toy_engine(home, environment=name, stages=code[name]))
    rested = rows(home)
    for name in 2 * order:
        engine = toy_engine(home, environment=name, stages=code[name])
        done, did = run(engine)
        assert (did, done.converged) == ([], True)
    assert rows(home) == rested
    production, branch = (toy_engine(home, environment=name, stages=code[name]) for name in (PRODUCTION, BRANCH))
    assert (read(production), read(branch)) == ([100], [50])
    assert (total(production, "monthly_total", "2026-01"), total(branch, "monthly_total", "2026-01")) == (113, 63)


def test_a_branch_with_a_stricter_rule_takes_nothing_from_production(home: Path) -> None:
    history(home, 50, 100)
    production = toy_engine(home, stages=LENIENT)
    before, told = digests(production), len(production.ledger.publications_after(0, PRODUCTION))
    done, did = run(toy_engine(home, environment=BRANCH, stages=STRICT))
    assert done.held == (f"numbers {DAY}: its version was refused",)
    assert ("numbers", DAY, "audited") in did
    assert digests(production) == before
    assert len(production.ledger.publications_after(0, PRODUCTION)) == told
    assert run(production)[1] == []
    assert production.planner.statuses() == toy_engine(home, stages=LENIENT).planner.statuses()


def test_production_with_a_stricter_rule_takes_nothing_from_a_branch(home: Path) -> None:
    history(home, 50, 100)
    run(toy_engine(home, stages=STRICT))
    branch = toy_engine(home, environment=BRANCH, stages=LENIENT)
    assert read(branch) == [50], "it reads what production reads until it converges"
    done, _ = run(branch)
    assert (done.computed, done.audited, done.held) == (0, 0, ())
    production = toy_engine(home, stages=STRICT)
    assert (read(production), read(branch)) == ([50], [100])
    for engine in (production, branch, production):
        assert run(engine)[1] == []


def test_a_rule_that_is_relaxed_again_needs_no_further_audit(home: Path) -> None:
    history(home, 50, 100)
    before = digests(toy_engine(home, stages=LENIENT))
    run(toy_engine(home, stages=STRICT))
    done, _ = run(toy_engine(home, stages=LENIENT))
    assert (done.audited, done.computed, done.held) == (0, 0, ())
    assert digests(toy_engine(home, stages=LENIENT)) == before


def test_a_rule_that_comes_back_is_read_by_again_and_audits_only_what_it_had_refused(home: Path) -> None:
    history(home, 50, 100)
    run(toy_engine(home, stages=STRICT))
    run(toy_engine(home, stages=LENIENT))
    strict = toy_engine(home, stages=STRICT)
    done, did = run(strict)
    assert [item for item in did if item[2] == "audited"] == [("numbers", DAY, "audited")]
    assert (read(strict), done.computed) == ([50], 0)
    assert run(strict)[1] == []


def test_a_branch_does_not_read_what_production_accepts_only_after_the_branch_refused_it(home: Path) -> None:
    history(home, 50)
    land(home, DAY, "a", f"{DAY} 100")
    branch = toy_engine(home, environment=BRANCH, stages=STRICT)
    assert run(branch)[0].held == (f"numbers {DAY}: its version was refused",)
    production = toy_engine(home, stages=LENIENT)
    run(production)
    done, did = run(branch)
    assert did[0] == ("numbers", DAY, "audited")
    assert {action for *_, action in did[1:]} == {"reused"}, "whoever read production's takes back what it had"
    assert done.held == (f"numbers {DAY}: its version was refused",)
    for engine in (production, branch):
        assert run(engine)[1] == []
    assert (read(production), read(branch)) == ([100], [50])


@pytest.mark.parametrize("environment", [PRODUCTION, BRANCH])
def test_falling_back_skips_a_version_that_breaks_the_new_rule_too(home: Path, environment: str) -> None:
    history(home, 50, 90, 100)
    engine = toy_engine(home, environment=environment, stages=STRICT)
    done, did = run(engine)
    assert read(engine) == [50]
    assert done.held == (f"numbers {DAY}: its version was refused",)
    assert total(engine, "monthly_total", "2026-01") == 63
    assert [item for item in did if item[1] == DAY and item[0] == "numbers"] == [("numbers", DAY, "audited")]
    assert run(engine)[1] == []


def test_falling_back_takes_the_last_version_that_keeps_the_new_rule(home: Path) -> None:
    history(home, 40, 50, 40, 90, 100)
    strict = toy_engine(home, stages=STRICT)
    run(strict)
    assert read(strict) == [40], "it was published again after 50"


def test_where_no_version_keeps_the_new_rule_none_is_read(home: Path) -> None:
    history(home, 90, 100)
    strict = toy_engine(home, stages=STRICT)
    done, _ = run(strict)
    assert done.held[0] == f"numbers {DAY}: its version was refused"
    with pytest.raises(NotPublished):
        read(strict)
    assert run(strict)[1] == []


def test_falling_back_goes_by_what_the_rule_said_of_a_version_before(home: Path) -> None:
    history(home, 50, stages=STRICT)
    history(home, 100)
    audited = rows(home)["audits"]
    strict = toy_engine(home, stages=STRICT)
    done, _ = run(strict)
    assert (read(strict), done.audited) == ([50], 1)
    assert rows(home)["audits"] == audited + 1 + done.computed, "the version of 100, and what was computed after it"


def test_a_branch_falls_back_to_what_it_published_itself_if_that_is_later(home: Path) -> None:
    history(home, 40)
    for value in (50, 100):
        land(home, DAY, "a", f"{DAY} {value}")
        run(toy_engine(home, environment=BRANCH, stages=LENIENT))
    branch = toy_engine(home, environment=BRANCH, stages=STRICT)
    run(branch)
    assert (read(branch), read(toy_engine(home, stages=LENIENT))) == ([50], [40])
