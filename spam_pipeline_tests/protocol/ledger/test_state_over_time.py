"""Whatever is added to a ledger, in whatever order and by whomever: the state is what a first look at all of it gives."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import hypothesis.strategies as st
from hypothesis import given, settings

from spam_pipeline.protocol.fingerprint import Counted
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.records import PRODUCTION, Audit, AuditBasis, Trigger, Verdict
from spam_pipeline.protocol.planning.partition_status import Snapshot
from spam_pipeline_tests.protocol.ledger.made_up_state import (
    BRANCH,
    DAYS,
    DECIDED,
    NOW,
    PAST,
    PROVISIONAL,
    STAGES,
    a_look,
    a_version,
    an_observation,
    passed,
    recorded,
    refused,
    without_marks,
)
from spam_pipeline_tests.protocol.made_up_records import a_decision, record_decision


@contextmanager
def in_memory() -> Iterator[Ledger]:
    ledger = Ledger("sqlite://")
    try:
        yield ledger
    finally:
        ledger.close()


STEPS = st.tuples(
    st.sampled_from(
        ("observe", "record", "record", "audit", "publish", "retract", "decide", "decide", "drop", "promote")
    ),
    st.sampled_from(STAGES),
    st.sampled_from(DAYS),
    st.integers(0, 2),
    st.sampled_from((passed(), refused(), passed(PAST), refused(PAST), PROVISIONAL, DECIDED)),
    st.sampled_from((PRODUCTION, BRANCH)),
)


def take(ledger: Ledger, step: tuple[str, str, str, int, Audit, str]) -> None:
    """One addition to the ledger; what needs a version that is not there records it."""
    what, stage, day, number, audit, environment = step
    version = a_version(stage, day, number)
    if audit.decision:
        audit = replace(audit, decision=last_decision(ledger, stage, day, PRODUCTION, BRANCH, "another"))
    if what == "observe":
        ledger.observations.record([an_observation(day, (None, "d1", "d2")[number])])
    elif what == "retract":
        ledger.retract(stage, day, environment)
    elif what == "drop":
        ledger.drop(BRANCH)
    elif what == "promote":
        ledger.promote(BRANCH, {place: made for place, made in ledger.own(BRANCH).items() if place[0] == stage})
    elif what == "record" or ledger.version(version.recipe) is None:
        ledger.record(version, audit, environment)
    elif what == "audit":
        made = recorded(ledger, version)
        others = (item.id for item in ledger.published_before(environment, stage, day) if item.id != made.id)
        measured = {"rows": Counted(number)} if number else None
        ledger.record_audit(made, audit, environment, fall_back_to=next(others, None), fingerprint=measured)
    elif what == "decide":
        last = last_decision(ledger, stage, day, environment)
        record_decision(ledger, a_decision(recorded(ledger, version), environment=environment), last)
    else:
        ledger.publish(recorded(ledger, version), environment, Trigger(action="reused"))


def last_decision(ledger: Ledger, stage: str, day: str, *environments: str) -> int:
    found = (item.id for environment in environments for item in ledger.decisions(environment, stage, day))
    return max(found, default=0)


@settings(max_examples=60)
@given(
    steps=st.lists(st.tuples(STEPS, st.booleans()), min_size=1, max_size=15),
    environment=st.sampled_from((PRODUCTION, BRANCH)),
)
def test_whatever_is_added_the_state_is_what_a_first_look_gives(
    steps: list[tuple[tuple[str, str, str, int, Audit, str], bool]], environment: str
) -> None:
    with in_memory() as ledger:
        state = a_look(ledger, environment)
        before = state.snapshot({})
        for step, looks in steps:
            take(ledger, step)
            if looks:
                after = state.snapshot({})
                first_look = a_look(ledger, environment).snapshot({})
                assert without_marks(after) == without_marks(first_look)
                assert after.published == {
                    stage: by_partition
                    for stage, by_partition in ledger.published(environment, STAGES).items()
                    if stage in after.published
                }
                check_marks(ledger, before, after)
                check_judgements(ledger, after, environment)
                check_numbers(ledger, after)
                before = after
        assert without_marks(state.snapshot({})) == without_marks(a_look(ledger, environment).snapshot({}))


def check_marks(ledger: Ledger, before: Snapshot, after: Snapshot) -> None:
    """Whatever has changed about a stage, or about what has landed, its mark tells."""
    assert before.landed_mark != after.landed_mark or before.landed == after.landed
    for stage in STAGES:
        if before.marks.get(stage) == after.marks.get(stage):
            known = {version.recipe for day in DAYS for version, _ in ledger.versions(stage, day)}
            assert before.published.get(stage) == after.published.get(stage)
            assert before.refused & known == after.refused & known
            assert before.overdue & known == after.overdue & known
            assert {recipe: before.audited.get(recipe) for recipe in known} == {
                recipe: after.audited.get(recipe) for recipe in known
            }
            assert [before.decisions.get((stage, day)) for day in DAYS] == [
                after.decisions.get((stage, day)) for day in DAYS
            ]
            assert before.numbers == after.numbers or stage != "numbers"


def check_judgements(ledger: Ledger, snapshot: Snapshot, environment: str) -> None:
    """Every version is what the last audit by the contract of today makes it, whatever other contracts and people say."""
    made = [version.recipe for stage in STAGES for day in DAYS for version, _ in ledger.versions(stage, day)]
    audited = {recipe: found[1] for recipe in made if (found := ledger.audited(recipe, NOW, environment))}
    assert snapshot.overdue == {recipe for recipe in made if audited[recipe] is None}
    assert snapshot.refused == {recipe for recipe, last in audited.items() if last and last.verdict is Verdict.REFUSED}
    assert snapshot.audited == {
        recipe: AuditBasis(last.history, last.is_provisional, last.decision)
        for recipe, last in audited.items()
        if last and (last.verdict is Verdict.REFUSED or last.is_provisional or last.decision)
    }


def check_numbers(ledger: Ledger, snapshot: Snapshot) -> None:
    """The numbers of exactly what is published of the stage that somebody expects something of."""
    read = {version.version_id for version in snapshot.published.get("numbers", {}).values()}
    assert snapshot.numbers == ledger.numbers(read, {NOW})
    assert snapshot.numbers.keys() == read
