"""What two versions read of a third, on the toy pipeline."""

from dataclasses import replace
from pathlib import Path

from spam_pipeline.operations.versions_read import frame_read, reads_the_same
from spam_pipeline.protocol import Version
from spam_pipeline.protocol.operating import Engine
from spam_pipeline_tests.protocol.toy_pipeline import STAGES, land, numbers, toy_engine
from spam_pipeline_tests.protocol.toy_runs import run
from spam_pipeline_tests.protocol.toy_variants import VARIANTS, numbers_of_marked_days

DAY, MONTH = "2026-01-04", "2026-01"
MONTHLY = VARIANTS["monthly_total"][1]
"""It reads the numbers alone, and `two_day_total` all of it."""


def engine_of(home: Path, made: object = numbers) -> Engine:
    other = {"numbers": made, "monthly_total": MONTHLY}
    return toy_engine(home, stages=tuple(other.get(item.name, item) for item in STAGES if item.delivery is None))


def both(engine: Engine) -> tuple[Version, Version]:
    return engine.reader.version("monthly_total", MONTH), engine.reader.version("two_day_total", DAY)


def test_two_versions_read_the_same_as_far_as_the_first_one_reads_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    land(home, DAY, "a", f"{DAY} 1")
    run(engine_of(home))
    engine = engine_of(home, replace(numbers, function=numbers_of_marked_days))
    _, did = run(engine)
    assert {stage for stage, *_ in did} >= {"numbers", "two_day_total"}
    assert "monthly_total" not in {stage for stage, *_ in did}
    monthly, daily = both(engine)
    assert {item.record for item in monthly.inputs}.isdisjoint({item.record for item in daily.inputs})
    assert reads_the_same(engine, monthly, daily, "numbers", DAY)
    assert not reads_the_same(engine, daily, monthly, "numbers", DAY), "the other one reads the day too"
    assert not reads_the_same(engine, monthly, daily, "numbers", "2026-01-05"), "neither has read it"

    assert frame_read(engine, monthly, "numbers").collect().rows() == [(f"{DAY}!", 1)], "as it is published now"

    land(home, DAY, "b", f"{DAY} 2")
    run(engine, "two_day_total")
    assert not reads_the_same(engine, *both(engine), "numbers", DAY)
    assert frame_read(engine, monthly, "numbers").collect().rows() == [(DAY, 1)], "what it was computed from"
