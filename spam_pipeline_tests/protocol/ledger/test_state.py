"""The ledger's state, kept up to date by what was added: never another one than a look at the whole ledger gives."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.state import LedgerState
from spam_pipeline.protocol.records import (
    PRODUCTION,
    Audit,
    Observation,
    Occasion,
    Part,
    StoredFile,
    Verdict,
    Version,
)
from spam_pipeline.protocol.staleness import Snapshot

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
NOW, PAST = "the contract of today", "a contract of the past"
BRANCH = "branch"
DAYS = ("2026-01-05", "2026-01-06")
STAGES = ("numbers", "totals")


def a_version(stage: str, partition: str, number: int) -> Version:
    recipe = f"{stage} {partition} {number}"
    return Version(
        recipe=recipe,
        context="toys",
        stage=stage,
        partition=partition,
        code_version="code",
        content=recipe,
        parts=(Part.of("all", (StoredFile(f"{recipe}.parquet", 3, 99),)),),
        side_parts=(),
        fingerprint={},
        columns={},
        rows_read=4,
        seconds=0.25,
        computed_at=NOON,
    )


def an_observation(partition: str, digest: str | None) -> Observation:
    return Observation("landed_numbers", partition, f"{partition}/a.txt", digest, 10, "1", NOON)


def passed(contract: str = NOW) -> Audit:
    return Audit(Verdict.PASSED, (), contract)


def refused(contract: str = NOW) -> Audit:
    return Audit(Verdict.REFUSED, ("number: below 0",), contract)


def recorded(ledger: Ledger, version: Version) -> Version:
    found = ledger.version(version.recipe)
    assert found is not None
    return found[0]


@contextmanager
def in_memory() -> Iterator[Ledger]:
    ledger = Ledger("sqlite://")
    try:
        yield ledger
    finally:
        ledger.close()


def without_marks(snapshot: Snapshot) -> Snapshot:
    return replace(snapshot, marks={}, landed_mark=0)


STEPS = st.tuples(
    st.sampled_from(("observe", "record", "record", "audit", "publish", "retract")),
    st.sampled_from(STAGES),
    st.sampled_from(DAYS),
    st.integers(0, 2),
    st.sampled_from((passed(), refused(), passed(PAST), refused(PAST))),
    st.sampled_from((PRODUCTION, BRANCH)),
)


def take(ledger: Ledger, step: tuple[str, str, str, int, Audit, str]) -> None:
    """One addition to the ledger; what needs a version that is not there records it."""
    what, stage, day, number, audit, environment = step
    version = a_version(stage, day, number)
    if what == "observe":
        ledger.record_observations([an_observation(day, (None, "d1", "d2")[number])])
    elif what == "retract":
        ledger.retract(stage, day, environment)
    elif what == "record" or ledger.version(version.recipe) is None:
        ledger.record(version, audit, environment)
    elif what == "audit":
        made = recorded(ledger, version)
        others = (item.id for item in ledger.published_before(environment, stage, day) if item.id != made.id)
        ledger.record_audit(made, audit, environment, instead=next(others, None))
    else:
        ledger.publish(recorded(ledger, version), environment, Occasion(action="reused"))


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.tuples(STEPS, st.booleans()), min_size=1, max_size=15),
    environment=st.sampled_from((PRODUCTION, BRANCH)),
)
def test_whatever_is_added_the_state_is_what_a_first_look_gives(
    steps: list[tuple[tuple[str, str, str, int, Audit, str], bool]], environment: str
) -> None:
    with in_memory() as ledger:
        state = LedgerState(ledger, environment, {NOW})
        before = state.snapshot({})
        for step, looks in steps:
            take(ledger, step)
            if looks:
                after = state.snapshot({})
                first_look = LedgerState(ledger, environment, {NOW}).snapshot({})
                assert without_marks(after) == without_marks(first_look)
                assert after.published == {
                    stage: by_partition
                    for stage, by_partition in ledger.published(environment, STAGES).items()
                    if stage in after.published
                }
                check_marks(ledger, before, after)
                check_judgements(ledger, after)
                before = after
        assert without_marks(state.snapshot({})) == without_marks(LedgerState(ledger, environment, {NOW}).snapshot({}))


def check_marks(ledger: Ledger, before: Snapshot, after: Snapshot) -> None:
    """Whatever has changed about a stage, or about what has landed, its mark tells."""
    assert before.landed_mark != after.landed_mark or before.landed == after.landed
    for stage in STAGES:
        if before.marks.get(stage) == after.marks.get(stage):
            known = {version.recipe for day in DAYS for version, _ in ledger.versions(stage, day)}
            assert before.published.get(stage) == after.published.get(stage)
            assert before.refused & known == after.refused & known
            assert before.overdue & known == after.overdue & known


def check_judgements(ledger: Ledger, snapshot: Snapshot) -> None:
    """Every version is what the last audit by the contract of today makes it, whatever another contract says."""
    made = [version.recipe for stage in STAGES for day in DAYS for version, _ in ledger.versions(stage, day)]
    judged = {recipe: found[1] for recipe in made if (found := ledger.judged(recipe, NOW))}
    assert snapshot.overdue == {recipe for recipe in made if judged[recipe] is None}
    assert snapshot.refused == {recipe for recipe, last in judged.items() if last and last.verdict is Verdict.REFUSED}


def test_the_last_of_everything_counts(ledger: Ledger) -> None:
    state = LedgerState(ledger, PRODUCTION, {NOW})
    for digest in ("d1", "d2"):
        ledger.record_observations([an_observation(DAYS[0], digest)])
        state.snapshot({})
    ledger.record(a_version("numbers", DAYS[0], 1), passed(), PRODUCTION)
    ledger.record(a_version("numbers", DAYS[0], 2), passed(), PRODUCTION)
    ledger.record(a_version("numbers", DAYS[0], 3), refused(), PRODUCTION)
    snapshot = state.snapshot({"board": "r"})
    assert [seen.digest for seen in snapshot.landed["landed_numbers"][DAYS[0]]] == ["d2"]
    assert snapshot.published["numbers"][DAYS[0]].recipe == "numbers 2026-01-05 2"
    assert snapshot.refused == {"numbers 2026-01-05 3"}
    assert snapshot.overdue == frozenset()
    assert snapshot.delivered == {"board": "r"}


def test_files_that_have_gone_are_remembered_and_not_landed(ledger: Ledger) -> None:
    state = LedgerState(ledger, PRODUCTION, {NOW})
    ledger.record_observations([an_observation(DAYS[0], "d1")])
    assert state.snapshot({}).landed["landed_numbers"].keys() == {DAYS[0]}
    ledger.record_observations([an_observation(DAYS[0], None)])
    assert state.snapshot({}).landed == {}
    assert [seen.digest for seen in state.observations().values()] == [None]


@pytest.mark.parametrize("said", [passed(PAST), refused(PAST)], ids=["passed", "refused"])
@pytest.mark.parametrize("is_new", [True, False], ids=["new", "known from the start"])
def test_what_no_contract_of_today_has_judged_is_overdue_until_one_does(
    ledger: Ledger,
    said: Audit,
    is_new: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    version = a_version("numbers", DAYS[0], 1)
    state = LedgerState(ledger, PRODUCTION, {NOW})
    ledger.record(a_version("totals", DAYS[0], 1), passed(), PRODUCTION)
    if is_new:
        state.snapshot({})
    ledger.record(version, said, PRODUCTION)
    for _ in range(2):
        snapshot = state.snapshot({})
        assert (snapshot.overdue, snapshot.refused) == ({version.recipe}, frozenset())
        ledger.record_audit(recorded(ledger, version), said, PRODUCTION)
    ledger.record_audit(recorded(ledger, version), passed(), PRODUCTION)
    snapshot = state.snapshot({})
    assert (snapshot.overdue, snapshot.refused) == (frozenset(), frozenset())


def test_what_is_refused_is_so_until_it_passes(ledger: Ledger) -> None:
    state = LedgerState(ledger, PRODUCTION, {NOW})
    version = a_version("numbers", DAYS[0], 1)
    ledger.record(version, refused(), PRODUCTION)
    snapshot = state.snapshot({})
    assert (snapshot.refused, snapshot.overdue) == ({version.recipe}, frozenset())
    ledger.record_audit(recorded(ledger, version), passed(), PRODUCTION)
    snapshot = state.snapshot({})
    assert (snapshot.refused, snapshot.overdue) == (frozenset(), frozenset())
    assert snapshot.published["numbers"].keys() == {DAYS[0]}
    ledger.record_audit(recorded(ledger, version), refused(), PRODUCTION)
    assert state.snapshot({}).refused == {version.recipe}


@pytest.mark.parametrize("foreign", [passed(PAST), refused(PAST)], ids=["passed", "refused"])
def test_what_another_contract_says_of_a_version_that_was_judged_changes_nothing(
    ledger: Ledger, foreign: Audit
) -> None:
    good, bad = (a_version("numbers", DAYS[0], number) for number in (1, 2))
    state = LedgerState(ledger, PRODUCTION, {NOW})
    ledger.record(good, passed(), PRODUCTION)
    ledger.record(bad, refused(), PRODUCTION)
    before = state.snapshot({})
    for version in (good, bad):
        ledger.record_audit(recorded(ledger, version), foreign, "another")
    for look in (state, LedgerState(ledger, PRODUCTION, {NOW})):
        after = look.snapshot({})
        assert (after.refused, after.overdue) == ({bad.recipe}, frozenset())
        assert after.published == before.published


def test_each_environment_judges_by_the_contracts_of_its_own_code(ledger: Ledger) -> None:
    version = a_version("numbers", DAYS[0], 1)
    production, branch = LedgerState(ledger, PRODUCTION, {PAST}), LedgerState(ledger, BRANCH, {NOW})
    ledger.record(version, passed(PAST), PRODUCTION)
    assert (production.snapshot({}).overdue, branch.snapshot({}).overdue) == (frozenset(), {version.recipe})
    ledger.record_audit(recorded(ledger, version), refused(), BRANCH)
    ours, theirs = production.snapshot({}), branch.snapshot({})
    assert (ours.refused, ours.overdue, ours.published["numbers"].keys()) == (frozenset(), frozenset(), {DAYS[0]})
    assert (theirs.refused, theirs.overdue, theirs.published["numbers"]) == ({version.recipe}, frozenset(), {})


def test_an_environment_reads_through_to_production_where_it_has_published_nothing_itself(ledger: Ledger) -> None:
    production, branch = (LedgerState(ledger, name, {NOW}) for name in (PRODUCTION, BRANCH))

    def read() -> tuple[dict[str, str], dict[str, str]]:
        seen = [state.snapshot({}).published["numbers"] for state in (production, branch)]
        first, second = ({day[-1:]: item.recipe[-1:] for day, item in by_day.items()} for by_day in seen)
        return first, second

    for day in DAYS:
        ledger.record(a_version("numbers", day, 1), passed(), PRODUCTION)
    assert read() == ({"5": "1", "6": "1"}, {"5": "1", "6": "1"})
    ledger.record(a_version("numbers", DAYS[0], 2), passed(), BRANCH)
    assert read() == ({"5": "1", "6": "1"}, {"5": "2", "6": "1"})
    ledger.retract("numbers", DAYS[1], BRANCH)
    assert read() == ({"5": "1", "6": "1"}, {"5": "2"})
    ledger.record(a_version("numbers", DAYS[1], 3), passed(), PRODUCTION)
    assert read() == ({"5": "1", "6": "3"}, {"5": "2"}), "what is retracted in an environment stays so there"
    ledger.retract("numbers", DAYS[0], PRODUCTION)
    assert read() == ({"6": "3"}, {"5": "2"})


def test_a_snapshot_stays_what_it_was_when_more_is_added(ledger: Ledger) -> None:
    state = LedgerState(ledger, PRODUCTION, {NOW})
    ledger.record(a_version("numbers", DAYS[0], 1), passed(), PRODUCTION)
    before = state.snapshot({})
    kept = {stage: dict(by_partition) for stage, by_partition in before.published.items()}
    ledger.record(a_version("numbers", DAYS[0], 2), passed(), PRODUCTION)
    ledger.record(a_version("totals", DAYS[0], 1), refused(), PRODUCTION)
    ledger.record(a_version("totals", DAYS[0], 2), passed(PAST), PRODUCTION)
    after = state.snapshot({})
    assert after.published != kept
    assert (after.refused, after.overdue) == ({"totals 2026-01-05 1"}, {"totals 2026-01-05 2"})
    assert before.published == kept
    assert (before.refused, before.overdue) == (frozenset(), frozenset())


def test_a_mark_stays_while_nothing_is_added_about_its_stage(ledger: Ledger) -> None:
    state = LedgerState(ledger, PRODUCTION, {NOW})
    for stage in STAGES:
        ledger.record(a_version(stage, DAYS[0], 1), passed(), PRODUCTION)
    before = state.snapshot({}).marks
    ledger.record(a_version("numbers", DAYS[1], 1), passed(), PRODUCTION)
    ledger.record_observations([an_observation(DAYS[0], "d1")])
    after = state.snapshot({}).marks
    assert after["totals"] == before["totals"]
    assert after["numbers"] != before["numbers"]


@pytest.mark.parametrize("readers", [4])
def test_several_threads_may_ask_while_others_add(ledger: Ledger, readers: int) -> None:
    state = LedgerState(ledger, PRODUCTION, {NOW})
    numbers = range(12)

    def add(number: int) -> int:
        ledger.record(a_version("numbers", f"2026-01-{number + 1:02d}", 1), passed(), PRODUCTION)
        return len(state.snapshot({}).published["numbers"])

    with ThreadPoolExecutor(readers) as pool:
        seen = list(pool.map(add, numbers))
    assert max(seen) == len(numbers)
    assert without_marks(state.snapshot({})) == without_marks(LedgerState(ledger, PRODUCTION, {NOW}).snapshot({}))
