"""Refactored code adopts what is published where a sample comes out the same, and nothing where it does not."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from spam_pipeline.protocol.execution.adoption import Candidate, adopt, sampled
from spam_pipeline.protocol.execution.plan import plan
from spam_pipeline.protocol.ledger.adoption_log import Evidence
from spam_pipeline.protocol.ledger.recipe import Recipe
from spam_pipeline.protocol.ledger.records import PartSummary, Trigger, VersionSummary
from spam_pipeline_tests.protocol.toy_home import Fuse, Home, Killed
from spam_pipeline_tests.protocol.toy_pipeline import STAGES, land, numbers, toy_engine, two_day_total
from spam_pipeline_tests.protocol.toy_runs import digests, run
from spam_pipeline_tests.protocol.toy_variants import Code, FewNumbers, numbers_in_two_steps, small_numbers

OLDEST, BETWEEN, NEWEST = "2026-01-01", "2026-01-02", "2026-01-04"


def total_of_products(numbers: pl.LazyFrame, partition: str, factor: int) -> pl.LazyFrame:
    """The total of the day and the day before, found in another way."""
    return numbers.select(key=pl.lit(partition), total=(pl.col("number") * factor).sum())


REFACTORED = {
    "numbers": replace(numbers, function=numbers_in_two_steps),
    "two_day_total": replace(two_day_total, function=total_of_products),
}
BEFORE = tuple(stage for stage in STAGES if stage.delivery is None)
"""Every stage but the board outside."""
AFTER = tuple(REFACTORED.get(stage.name, stage) for stage in BEFORE)


@pytest.fixture
def converged(home: Path) -> Path:
    run(toy_engine(home, stages=BEFORE))
    return home


def test_stages_that_were_refactored_are_adopted_in_order_and_the_ledger_says_on_which_evidence(
    converged: Path,
) -> None:
    before, engine = digests(toy_engine(converged)), toy_engine(converged, stages=AFTER)
    found = adopt(engine, "ann", sample=1)
    assert [(item.stage, item.computed, item.adopted, item.difference) for item in found] == [
        ("numbers", (NEWEST,), (OLDEST, BETWEEN), None),
        ("two_day_total", (NEWEST,), (OLDEST, BETWEEN), None),
    ]
    assert (plan(engine), digests(engine)) == ([], before)
    old, new = (version for version, _ in engine.ledger.versions("numbers", OLDEST))
    computed = [version for version, _ in engine.ledger.versions("numbers", NEWEST)]
    adopted = engine.ledger.adoptions.of([old.id, new.id, computed[-1].id])
    assert adopted.keys() == {new.id}
    assert (adopted[new.id].adopted_from, adopted[new.id].by) == (old.recipe, "ann")
    (evidence,) = adopted[new.id].evidence
    assert evidence == Evidence(NEWEST, computed[0].recipe, computed[1].recipe, computed[0].content)
    publication = engine.ledger.publications(engine.environment, ["numbers"])[-1]
    assert publication.trigger[1:] == ("adopted", "code: adopted by ann")


def test_what_the_code_makes_another_thing_of_is_not_adopted_and_the_difference_is_told(converged: Path) -> None:
    smaller = replace(numbers, function=small_numbers)
    engine = toy_engine(converged, stages=tuple(smaller if stage is numbers else stage for stage in BEFORE))
    recorded = {key: engine.ledger.versions("numbers", key) for key in (OLDEST, BETWEEN, NEWEST)}
    (found,) = adopt(engine, "ann", sample=1)
    assert found.difference
    assert [(item.partition, item.is_equal) for item in found.difference.partitions] == [(NEWEST, False)]
    assert "numbers_in_two_steps" not in str(found.difference.causes)
    assert "small_numbers" in str(found.difference.causes)
    assert (found.computed, found.adopted) == ((), ())
    assert {key: engine.ledger.versions("numbers", key) for key in recorded} == recorded
    assert {item.stage for item in plan(engine) if item.cause.is_certain} == {"numbers"}, "the code is still to run"
    run(engine)
    assert plan(engine) == []


def test_a_partition_with_other_input_or_other_rules_is_computed(converged: Path) -> None:
    land(converged, NEWEST, "late", f"{OLDEST} 5")
    engine = toy_engine(converged, stages=AFTER)
    run(engine, "received_numbers")
    (found, *_) = adopt(engine, "ann", ["numbers"], sample=1)
    assert (found.computed, found.adopted) == ((NEWEST,), (BETWEEN,))
    assert {item.partition for item in plan(engine) if item.stage == "numbers"} == {OLDEST}
    stricter = replace(REFACTORED["numbers"], contract=FewNumbers)
    other = toy_engine(
        converged,
        environment="branch",
        stages=tuple(stricter if stage is REFACTORED["numbers"] else stage for stage in AFTER),
    )
    assert all(item.adopted == () for item in adopt(other, "ann", ["numbers"], sample=1))


def test_nothing_is_stale_by_code_alone_where_a_setting_changed_or_the_result_is_there(converged: Path) -> None:
    assert adopt(toy_engine(converged, stages=BEFORE, factor=2), "ann") == []
    run(toy_engine(converged, stages=AFTER))
    assert adopt(toy_engine(converged, stages=BEFORE), "ann") == [], "reverted: what was computed is reused"


@pytest.mark.parametrize("effects", [0, 3, 5, 7, 9, 11])
def test_an_adoption_that_dies_leaves_nothing_by_halves_and_can_go_on(tmp_path: Path, effects: int) -> None:
    home = Home(tmp_path / "home")
    home.have({(day, "a"): (f"{day} 1",) for day in (OLDEST, BETWEEN, NEWEST)})
    before, code = home.engine(Code()), Code(numbers=1)
    run(before)
    published = digests(before)
    with pytest.raises(Killed):
        adopt(home.engine(code, fuse=Fuse(effects)), "ann", ["numbers"], sample=1)
    assert digests(before) == published
    again = home.engine(code)
    adopt(again, "ann", ["numbers"], sample=1)
    versions = [version for key in (OLDEST, BETWEEN, NEWEST) for version, _ in again.ledger.versions("numbers", key)]
    assert len(versions) == 6
    assert 1 <= len(again.ledger.adoptions.of([version.id for version in versions])) <= 2
    assert (plan(again), digests(before)) == ([], published)
    home.close()


def test_a_recipe_that_somebody_computed_meanwhile_is_not_adopted(converged: Path) -> None:
    engine = toy_engine(converged, stages=BEFORE)
    version, audit = engine.ledger.versions("numbers", OLDEST)[0]
    log = engine.ledger.adoptions
    assert not log.record(version, version.recipe, audit, "production", Trigger(), evidence=[], by="ann")
    assert log.of([version.id]) == {}


def test_a_sample_is_the_newest_the_oldest_and_then_the_largest() -> None:
    def of(day: str, rows: int) -> Candidate:
        part = PartSummary("all", "c", rows)
        return Candidate(VersionSummary(1, "r", "old", "c", (part,)), Recipe("numbers", day, "new", {}, ()))

    days = {f"2026-01-0{day}": of(f"2026-01-0{day}", rows) for day, rows in enumerate((5, 9, 1, 7, 2), 1)}
    assert sampled(days, 3) == ["2026-01-05", "2026-01-01", "2026-01-02"]
    assert sampled(days, 1) == ["2026-01-05"]
    assert sampled(days, 9) == ["2026-01-05", "2026-01-01", "2026-01-02", "2026-01-04", "2026-01-03"]


def test_a_ledger_that_was_lost_knows_again_what_was_adopted(converged: Path) -> None:
    engine = toy_engine(converged, stages=AFTER)
    adopt(engine, "ann", sample=1)
    engine.journal.export()
    ids = [version.id for key in (OLDEST, BETWEEN) for version, _ in engine.ledger.versions("numbers", key)]
    before = engine.ledger.adoptions.of(ids)
    engine.ledger.close()
    (converged / "ledger.db").unlink()
    again = toy_engine(converged, stages=AFTER)
    again.journal.take_in()
    assert again.ledger.adoptions.of(ids) == before
    assert len(before) == 2
