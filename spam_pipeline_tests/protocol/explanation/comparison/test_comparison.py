"""What differs between versions that were really computed, and why."""

from pathlib import Path

from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.explanation.comparison import Comparison, compare
from spam_pipeline.protocol.explanation.comparison.figures import Mark
from spam_pipeline.protocol.explanation.comparison.rows import Example
from spam_pipeline.protocol.explanation.comparison.versions import (
    NEWEST,
    PUBLISHED,
    Pair,
    pairs_of_code,
    pairs_of_environments,
    resolve,
)
from spam_pipeline.protocol.ledger.records import PRODUCTION, Verdict
from spam_pipeline_tests.protocol.toy_pipeline import land, toy_engine
from spam_pipeline_tests.protocol.toy_runs import run
from spam_pipeline_tests.protocol.toy_variants import Code

DAY = "2026-01-01"


def converged(home: Path, code: Code | None = None, environment: str = PRODUCTION) -> Engine:
    code = code or Code()
    engine = toy_engine(home, environment=environment, stages=code.stages, factor=code.factor)
    run(engine)
    return engine


def compared(engine: Engine, stage: str, partition: str, old: str = "oldest", new: str = NEWEST) -> Comparison:
    versions = engine.ledger.versions(stage, partition)
    before = versions[0] if old == "oldest" else resolve(engine.ledger, PRODUCTION, stage, partition, old)
    pair = Pair(partition, before, resolve(engine.ledger, PRODUCTION, stage, partition, new))
    return compare(engine.ledger, engine.reader, engine.graph.stages[stage], [pair])


def causes(comparison: Comparison) -> list[str]:
    return [str(cause) for cause in comparison.causes]


def moves(comparison: Comparison) -> dict[str, tuple[float | None, float | None]]:
    return {move.name: (move.old, move.new) for move in comparison.figures.moves if move.mark is not Mark.SAME}


def counts(comparison: Comparison) -> tuple[int, int, int, int]:
    rows = comparison.rows
    assert rows is not None
    return rows.added, rows.removed, rows.changed, rows.unchanged


def test_a_version_does_not_differ_from_itself(home: Path) -> None:
    found = compared(converged(home), "numbers", DAY, PUBLISHED, PUBLISHED)
    assert (causes(found), moves(found), counts(found)) == ([], {}, (0, 0, 0, 2))
    assert found.partitions[0].is_equal


def test_late_data_adds_rows_and_is_named_as_the_cause(home: Path) -> None:
    converged(home)
    land(home, "2026-01-05", "b", f"{DAY} 7")
    found = compared(converged(home), "numbers", DAY)
    assert causes(found) == ["data: received_numbers 2026-01-05"]
    assert moves(found) == {"numbers": (2, 3), "total": (3, 10)}
    assert counts(found) == (1, 0, 0, 2)
    assert not found.partitions[0].is_equal


def test_changed_code_and_settings_are_causes_and_a_changed_value_is_shown_by_its_key(home: Path) -> None:
    converged(home)
    found = compared(converged(home, Code(two_day_total=1, factor=2)), "two_day_total", DAY)
    (cause,) = causes(found)
    assert "toy_variants.total_with_one (added)" in cause
    assert "setting factor" in cause
    assert counts(found) == (0, 0, 1, 0)
    assert found.rows is not None
    assert found.rows.changed_examples == (Example({"key": DAY}, {"total": 3}, {"total": 7}),)


def test_a_refused_version_is_compared_with_the_one_that_is_read_and_its_findings_are_there(home: Path) -> None:
    converged(home)
    land(home, "2026-01-05", "b", f"{DAY} 99")
    found = compared(converged(home, Code(numbers=3)), "numbers", DAY, PUBLISHED, NEWEST)
    (partition,) = found.partitions
    assert partition.old is not None
    assert partition.new is not None
    assert (partition.old.verdict, partition.new.verdict) == (Verdict.PASSED, Verdict.REFUSED)
    assert partition.old.findings == ()
    assert len(partition.new.findings) > 0


def test_of_a_model_the_figures_are_compared(home: Path) -> None:
    converged(home)
    land(home, "2026-01-05", "b", "2026-01-03 7")
    found = compared(converged(home), "model", "all")
    assert (found.rows, found.partitions[0].rows) == (None, None)
    assert moves(found) == {"days": (3, 4)}


def test_over_a_range_figures_are_merged_and_rows_and_causes_put_together(home: Path) -> None:
    before, after = converged(home), converged(home, Code(numbers=2))
    codes = [engine.graph.code_versions["numbers"].digest[:12] for engine in (before, after)]
    days = ["2026-01-01", "2026-01-02", "2026-01-04"]
    pairs = pairs_of_code(after.ledger, PRODUCTION, "numbers", codes[0], codes[1], days)
    found = compare(after.ledger, after.reader, after.graph.stages["numbers"], pairs)
    assert [item.partition for item in found.partitions] == days
    assert [item.is_equal for item in found.partitions] == [True, False, False]
    assert moves(found)["total"] == (113, 3)
    assert counts(found) == (0, 2, 0, 2)
    assert len(causes(found)) == 1


def test_rows_are_not_read_where_nobody_wants_them(home: Path) -> None:
    engine = converged(home)
    audited = engine.ledger.versions("numbers", DAY)[0]
    found = compare(
        engine.ledger, engine.reader, engine.graph.stages["numbers"], [Pair(DAY, audited, audited)], with_rows=False
    )
    assert (found.rows, found.partitions[0].rows) == (None, None)


def test_a_partition_that_one_side_lacks_is_told_and_counts_nowhere(home: Path) -> None:
    engine = converged(home)
    pairs = [
        Pair(
            day,
            engine.ledger.versions("numbers", day)[0] if has_old else None,
            engine.ledger.versions("numbers", day)[0],
        )
        for day, has_old in ((DAY, True), ("2026-01-02", False))
    ]
    found = compare(engine.ledger, engine.reader, engine.graph.stages["numbers"], pairs)
    assert [(item.partition, item.old is None, item.rows is None) for item in found.partitions] == [
        (DAY, False, False),
        ("2026-01-02", True, True),
    ]
    assert counts(found) == (0, 0, 0, 2)


def test_an_environment_differs_from_production_by_what_it_changed(home: Path) -> None:
    converged(home)
    mine = converged(home, Code(two_day_total=1), "mine")
    by_stage = pairs_of_environments(mine.ledger, list(mine.graph.stages), "mine")
    assert set(by_stage) >= {"two_day_total"}
    found = compare(mine.ledger, mine.reader, mine.graph.stages["two_day_total"], by_stage["two_day_total"])
    assert counts(found)[2] == len(found.partitions)
    assert found.causes[0].kind.value == "code"
