"""The course of a convergence: what is done is weighed by how long it takes, and what was not planned makes the way longer."""

from spam_pipeline.protocol.execution.course import Course


def test_work_counts_by_how_long_its_stage_takes() -> None:
    course = Course({"plays": 2, "rights": 1}, {"plays": 4.0, "rights": 0.5})
    assert (course.done, course.total) == (0, 8.5)
    course.meet("plays", 2)
    course.finish("plays")
    assert (course.done, course.total) == (4, 8.5)
    course.finish("plays")
    course.finish("rights")
    assert course.done == course.total == 8.5


def test_partitions_that_were_not_planned_are_added_when_they_are_met() -> None:
    course = Course({"plays": 1}, {"plays": 4.0, "rights": 2.0})
    course.meet("plays", 3)
    course.meet("new", 1)
    assert course.total == 12 + 3, "a stage that was never computed takes what is usual"
    for stage in ("plays", "plays", "plays", "new", "new"):
        course.finish(stage)
    assert course.total == course.done == 18, "what runs again, because somebody else has published, is work too"


def test_on_a_new_home_partitions_count_alike() -> None:
    course = Course({"plays": 3}, {})
    course.finish("plays")
    assert (course.done, course.total) == (1, 3)
