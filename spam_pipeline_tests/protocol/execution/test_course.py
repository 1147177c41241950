"""The course of a convergence: what is done is weighed by how long it takes, and what was not planned makes the way longer."""

import pytest

from spam_pipeline.protocol.execution.course import Course
from spam_pipeline.protocol.execution.plan import Planned, PlannedAction
from spam_pipeline.protocol.explanation.causes import Cause, Kind
from spam_pipeline.protocol.ledger.costs import Cost


def planned(stage: str, *partitions: str, action: PlannedAction = PlannedAction.COMPUTE) -> list[Planned]:
    return [Planned(stage, partition, Cause(Kind.DATA), action) for partition in partitions]


def costs(**seconds: float) -> dict[str, Cost]:
    return {stage: Cost(each, 0) for stage, each in seconds.items()}


def test_work_counts_by_how_long_its_stage_takes() -> None:
    course = Course([*planned("plays", "a", "b"), *planned("rights", "all")], costs(plays=4.0, rights=0.5))
    assert (course.done, course.total) == (0, 8.5)
    course.meet("plays", 2)
    course.finish("plays", "a")
    assert (course.done, course.total) == (4, 8.5)
    course.finish("plays", "b")
    course.finish("rights", "all")
    assert course.done == course.total == 8.5


@pytest.mark.parametrize("action", [PlannedAction.REUSE, PlannedAction.AUDIT, PlannedAction.RETRACT])
def test_what_is_not_computed_counts_next_to_nothing(action: PlannedAction) -> None:
    course = Course([*planned("plays", "a"), *planned("plays", "b", action=action)], costs(plays=4.0))
    assert 4 < course.total < 4.1
    course.meet("plays", 2)
    course.finish("plays", "b")
    assert 0 < course.done < 0.1
    course.finish("plays", "a")
    assert course.done == pytest.approx(course.total)


def test_partitions_that_were_not_planned_are_added_when_they_are_met() -> None:
    course = Course(planned("plays", "a"), costs(plays=4.0, rights=2.0))
    course.meet("plays", 3)
    course.meet("new", 1)
    assert course.total == 12 + 3, "a stage that was never computed takes what is usual"
    for stage, partition in (("plays", "b"), ("plays", "a"), ("plays", "c"), ("new", "a"), ("new", "a")):
        course.finish(stage, partition)
    assert course.total == course.done == 18, "what runs again, because somebody else has published, is work too"


def test_on_a_new_home_partitions_count_alike() -> None:
    course = Course(planned("plays", "a", "b", "c"), {})
    course.finish("plays", "a")
    assert (course.done, course.total) == (1, 3)
