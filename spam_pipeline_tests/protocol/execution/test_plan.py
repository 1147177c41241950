"""The plan: every partition that would run, why, and what would be done; nothing is run for it."""

import importlib.util
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from spam_pipeline.protocol.execution.convergence import Converged, converge
from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.execution.plan import plan
from spam_pipeline.protocol.ledger.records import DecisionKind
from spam_pipeline_tests.protocol.made_up_records import a_decision, record_decision
from spam_pipeline_tests.protocol.toy_pipeline import (
    STAGES,
    Numbers,
    land,
    numbers,
    received_numbers,
    toy_engine,
    two_day_total,
)
from spam_pipeline_tests.protocol.toy_runs import with_other
from spam_pipeline_tests.protocol.toy_variants import FewNumbers, PositiveTotal, received_doubles, total_with_one

Lines = list[tuple[str, str, str, str]]


def converged(engine: Engine) -> Converged:
    engine.observe()
    return converge(engine)


def planned(engine: Engine, *names: str) -> Lines:
    engine.observe()
    return [(item.stage, item.partition, str(item.cause), item.action.value) for item in plan(engine, names or None)]


def done(engine: Engine) -> Lines:
    """What a convergence does, in the same words."""
    planned_action = {
        "computed": "compute",
        "reused": "reuse",
        "audited": "audit",
        "delivered": "reuse",
        "retracted": "retract",
    }
    told: Lines = []
    engine.observe()
    converge(
        engine,
        on_outcome=lambda status, why, outcome: told.append(
            (status.stage, status.partition, str(why), planned_action[getattr(outcome, "action").value])  # noqa: B009 - no failures here
        ),
    )
    return told


def rows(home: Path) -> dict[str, int]:
    with closing(sqlite3.connect(home / "ledger.db")) as ledger:
        tables = [name for (name,) in ledger.execute("select name from sqlite_master where type = 'table'")]
        return {name: ledger.execute(f"select count(*) from {name}").fetchone()[0] for name in tables}  # noqa: S608 - its own tables


def test_of_a_fresh_landing_zone_what_can_be_told_is_planned(home: Path) -> None:
    found = planned(toy_engine(home))
    assert [(name, key) for name, key, why, action in found if (why, action) == ("missing", "compute")] == [
        ("received_numbers", "2026-01-01"),
        ("received_numbers", "2026-01-02"),
        ("received_numbers", "2026-01-04"),
        ("rejected_numbers", "2026-01-01"),
        ("rejected_numbers", "2026-01-02"),
        ("rejected_numbers", "2026-01-04"),
        ("board", "all"),
    ], "which event days there are is known once the files have been decoded"


def test_where_nothing_has_landed_the_plan_is_empty(tmp_path: Path) -> None:
    assert planned(toy_engine(tmp_path)) == []


def test_after_a_convergence_the_plan_is_empty(home: Path) -> None:
    engine = toy_engine(home)
    converged(engine)
    assert planned(engine) == []
    assert planned(toy_engine(home)) == []


def test_planning_runs_nothing_and_adds_nothing_to_the_ledger(home: Path) -> None:
    engine = toy_engine(home)
    converged(engine)
    land(home, "2026-01-04", "b", "2026-01-04 7")
    engine.observe()
    before, files = rows(home), sorted(path for path in home.rglob("*.parquet"))
    assert plan(engine)
    assert plan(toy_engine(home, factor=2))
    assert rows(home) == before
    assert sorted(path for path in home.rglob("*.parquet")) == files


def test_what_follows_from_what_has_yet_to_be_computed_is_planned_as_uncertain(home: Path) -> None:
    engine = toy_engine(home)
    converged(engine)
    land(home, "2026-01-04", "b", "2026-01-04 7")
    assert set(planned(engine)) == {
        ("received_numbers", "2026-01-04", "data: 2026-01-04/b.txt", "compute"),
        ("numbers", "2026-01-04", "data: received_numbers 2026-01-04, if it changes", "compute"),
        ("two_day_total", "2026-01-04", "data: numbers 2026-01-04, if it changes", "compute"),
        ("model", "all", "data: numbers 2026-01-04, if it changes", "compute"),
        ("share", "2026-01-01", "data: model all, if it changes", "compute"),
        ("share", "2026-01-02", "data: model all, if it changes", "compute"),
        ("share", "2026-01-04", "data: model all, numbers 2026-01-04, if it changes", "compute"),
        ("monthly_total", "2026-01", "data: numbers 2026-01-04, if it changes", "compute"),
        (
            "board",
            "all",
            (
                "data: monthly_total 2026-01, numbers 2026-01-04, received_numbers 2026-01-04, share 2026-01-01 "
                "and 3 more, if it changes"
            ),
            "compute",
        ),
    }


def test_whatever_is_done_was_planned(home: Path) -> None:
    engine = toy_engine(home)
    converged(engine)
    land(home, "2026-01-04", "b", "2026-01-04 7")
    before = {(name, key, action) for name, key, _, action in planned(engine)}
    assert {(name, key, action) for name, key, _, action in done(engine)} <= before


def test_only_the_named_stages_and_what_they_rest_on_are_planned(home: Path) -> None:
    engine = toy_engine(home)
    converged(engine)
    land(home, "2026-01-04", "b", "2026-01-04 7")
    assert {name for name, *_ in planned(engine, "numbers")} == {"received_numbers", "numbers"}


def test_a_new_setting_is_planned_where_it_is_taken(home: Path) -> None:
    converged(toy_engine(home))
    found = planned(toy_engine(home, factor=2))
    assert found[:-1] == [
        ("two_day_total", day, "code: setting factor", "compute") for day in ("2026-01-01", "2026-01-02", "2026-01-04")
    ]
    assert found[-1][0] == "board"


def test_a_revert_is_planned_as_reuse_down_the_whole_chain_and_done_so(home: Path) -> None:
    converged(toy_engine(home))
    other = toy_engine(home, stages=with_other(replace(received_numbers, function=received_doubles)))
    assert converged(other).computed > 10
    reverted = toy_engine(home)
    before = planned(reverted)
    assert {action for *_, action in before} == {"reuse"}
    assert {name for name, *_ in before} == {stage.name for stage in STAGES}
    assert not [why for _, _, why, _ in before if "if it changes" in why], "what is in the ledger is known exactly"
    assert done(reverted) == before


def test_what_is_known_to_stay_the_same_ends_the_plan_there(home: Path) -> None:
    engine = toy_engine(home)
    converged(engine)
    retry = land(home, "2026-01-02", "retry", "2026-01-02 10")
    converged(engine)
    retry.unlink()
    before = planned(engine)
    assert [(name, key, action) for name, key, _, action in before] == [
        ("received_numbers", "2026-01-02", "reuse"),
        ("numbers", "2026-01-02", "reuse"),
        ("board", "all", "reuse"),
    ]
    assert done(engine) == before


def test_a_new_rule_is_planned_as_an_audit_and_makes_no_consumer_stale(home: Path) -> None:
    converged(toy_engine(home))
    engine = toy_engine(home, stages=with_other(replace(numbers, contract=FewNumbers)))
    assert planned(engine) == [
        ("numbers", day, "contract: its rules", "audit") for day in ("2026-01-01", "2026-01-02", "2026-01-04")
    ]


def test_a_quarantined_version_that_is_audited_again_is_planned_to_pass_and_so_are_its_consumers(home: Path) -> None:
    converged(toy_engine(home, stages=with_other(replace(numbers, contract=FewNumbers))))
    engine = toy_engine(home, stages=with_other(replace(numbers, contract=Numbers)))
    before = planned(engine)
    again = [("numbers", day, "contract: its rules", "audit") for day in ("2026-01-01", "2026-01-02", "2026-01-04")]
    assert [line for line in before if line[0] == "numbers"] == again
    assert ("two_day_total", "2026-01-04", "missing", "compute") in before
    after = done(engine)
    assert [line for line in after if line[0] == "numbers"] == again
    assert {line[:2] for line in after} == {line[:2] for line in before}


def test_a_version_that_is_taken_back_under_a_new_rule_is_planned_as_an_audit(home: Path) -> None:
    converged(toy_engine(home))
    converged(toy_engine(home, stages=with_other(replace(two_day_total, function=total_with_one)), factor=2))
    engine = toy_engine(home, stages=with_other(replace(two_day_total, contract=PositiveTotal)))
    before = [line for line in planned(engine) if line[0] == "two_day_total"]
    code = "code: {0}.toy_pipeline.Total (added), {0}.toy_pipeline.two_day_total (added), {0}.toy_variants.total_with_one (removed)"
    why = code.format("spam_pipeline_tests.protocol")
    assert [line[2:] for line in before] == 3 * [(why, "audit")], "it is another version than the published one"
    assert [line for line in done(engine) if line[0] == "two_day_total"] == before


def test_a_target_that_holds_something_else_is_planned(home: Path) -> None:
    engine = toy_engine(home)
    converged(engine)
    (home / "board.txt").unlink()
    assert planned(engine) == [("board", "all", "data: its target holds something else", "reuse")]


def test_what_there_is_nothing_for_any_more_is_planned_as_a_retraction(home: Path) -> None:
    engine = toy_engine(home)
    converged(engine)
    (home / "landing/2026-01-04/a.txt").unlink()
    land(home, "2026-01-05", "a")
    lost = engine.reader.version("received_numbers", "2026-01-04")
    record_decision(engine.ledger, replace(a_decision(lost), kind=DecisionKind.REJECT), last=0)
    found = planned(engine, "monthly_total")
    why = "data: nothing to compute it from any more"
    assert ("received_numbers", "2026-01-04", why, "retract") in found
    assert ("numbers", "2026-01-04", why, "retract") in found
    assert ("monthly_total", "2026-01", "data: numbers 2026-01-04", "compute") in found


SOURCE = '''
import polars as pl

from spam_pipeline.partitions import event_days
from spam_pipeline.protocol.definition.stage import stage
from spam_pipeline_tests.protocol.toy_pipeline import Numbers
from spam_pipeline_tests.protocol.made_up_records import record_decision


@stage(partitions=event_days, contract=Numbers, owner="team:toys", libraries=["polars"])
def doubled(numbers):
    """The day's numbers, doubled."""
    return numbers.with_columns(pl.col("number") * factor())


def factor():
    return 2
'''


@pytest.fixture
def edited(tmp_path: Path) -> Iterator[Callable[[str], ModuleType]]:
    """The module `edited_stages` in a version of its own."""
    name, versions = "edited_stages", iter(range(100))

    def load(source: str) -> ModuleType:
        path = tmp_path / f"version-{next(versions)}" / f"{name}.py"
        path.parent.mkdir()
        path.write_text(source, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield load
    sys.modules.pop(name, None)


def test_changed_code_is_planned_with_the_name_of_what_was_changed(
    home: Path, edited: Callable[[str], ModuleType]
) -> None:
    converged(toy_engine(home, stages=(*STAGES[:3], edited(SOURCE).doubled)))
    commented = toy_engine(home, stages=(*STAGES[:3], edited(SOURCE.replace("doubled.", "times two.")).doubled))
    assert planned(commented) == []
    faster = toy_engine(home, stages=(*STAGES[:3], edited(SOURCE.replace("return 2", "return 3")).doubled))
    assert planned(faster) == [
        ("doubled", day, "code: edited_stages.factor", "compute") for day in ("2026-01-01", "2026-01-02", "2026-01-04")
    ]
