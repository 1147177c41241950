"""Staleness: what is wanted, by which recipe, and how that compares with what is published."""

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from spam_pipeline.partitions import statement_months
from spam_pipeline.protocol.definition.reads import Reads
from spam_pipeline.protocol.definition.selection import DaysOfMonth, PartForPartition, TrailingDays
from spam_pipeline.protocol.definition.stage import HOURS, Cadence
from spam_pipeline.protocol.foundation.partition import month_of
from spam_pipeline.protocol.ledger.records import PartSummary
from spam_pipeline.protocol.planning.partition_status import PartitionStatus, Reason, RequiredAction, State
from spam_pipeline.protocol.planning.staleness import StalenessReport
from spam_pipeline_tests.protocol.selecting_stages import (
    World,
    accounts,
    accounts_file,
    all_days,
    daily,
    graph_of,
    landed_numbers,
    of_days,
    partitions,
    received,
    selecting,
    to_run,
    with_accounts,
)

DAYS = tuple(f"2026-01-0{day}" for day in range(1, 9))


def days_from(first: str, count: int) -> list[str]:
    start = date.fromisoformat(first)
    return [(start + timedelta(days=number)).isoformat() for number in range(count)]


def fresh(statuses: StalenessReport) -> bool:
    return all(status.state is State.FRESH for by_key in statuses.statuses.values() for status in by_key.values())


def publish_all(world: World, name: str) -> None:
    for status in world.assess().statuses[name].values():
        if status.can_run:
            world.publish(status)


@pytest.fixture
def world() -> World:
    """Eight arrival days, each with its own event day, the fifth with the first one too; everything is published."""
    made = World(graph_of())
    made.land(DAYS)
    made.land_accounts()
    made.converge()
    return made


def test_where_nothing_has_landed_nothing_is_wanted() -> None:
    assert all(not by_partition for by_partition in World(graph_of()).assess().statuses.values())


def test_what_has_landed_is_missing_until_it_is_published() -> None:
    world = World(graph_of())
    world.land(DAYS[:2])
    statuses = world.assess().statuses["received"]
    assert [(status.state, status.required_action, status.reason) for status in statuses.values()] == 2 * [
        (State.MISSING, RequiredAction.MAKE, Reason.NOT_PUBLISHED)
    ]


def test_a_partition_waits_for_inputs_that_are_wanted_and_not_published() -> None:
    world = World(graph_of())
    world.land(DAYS[:2])
    publish_all(world, "received")
    world.publish(world.assess().statuses["daily"]["2026-01-02"])
    statuses = world.assess().statuses
    assert statuses["trailing"]["2026-01-02"].explanation == "waits for daily 2026-01-01"
    assert statuses["of_month"]["2026-01"].explanation == "waits for daily 2026-01-01"
    assert statuses["trailing"]["2026-01-02"].required_action is RequiredAction.NOTHING
    assert statuses["same_day"]["2026-01-02"].can_run
    assert statuses["all_days"]["all"].can_run, "what reads everything reads what there is"


def test_once_everything_is_published_everything_is_fresh(world: World) -> None:
    report = world.assess()
    assert fresh(report)
    assert Counter(status.stage for by_key in report.statuses.values() for status in by_key.values()) == {
        "received": 8, "accounts": 1, "daily": 8, "rejected": 8, "same_day": 8, "trailing": 8, "of_month": 1,
        "all_days": 1, "settled": 6, "with_accounts": 8, "everything": 1,
    }  # fmt: skip


def test_one_late_arrival_makes_stale_whatever_selects_it_and_nothing_else(world: World) -> None:
    world.land(["2026-01-05"], "late")
    assert to_run(world.assess().statuses) == {"received": ["2026-01-05"]}
    publish_all(world, "received")
    assert to_run(world.assess().statuses) == {
        "daily": ["2026-01-01", "2026-01-05"],
        "rejected": ["2026-01-05"],
        "everything": ["all"],
    }
    publish_all(world, "daily")
    publish_all(world, "rejected")
    assert to_run(world.assess().statuses) == {
        "same_day": ["2026-01-01", "2026-01-05"],
        "trailing": ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-05", "2026-01-06", "2026-01-07"],
        "of_month": ["2026-01"],
        "all_days": ["all"],
        "settled": ["2026-01-01", "2026-01-05"],
        "with_accounts": ["2026-01-01", "2026-01-05"],
        "everything": ["all"],
    }


def test_a_side_part_concerns_only_those_who_ask_for_it(world: World) -> None:
    published = world.published["received"]["2026-01-03"]
    world.published["received"]["2026-01-03"] = published._replace(side_parts=(PartSummary("rejected", "late", 1),))
    assert to_run(world.assess().statuses) == {"rejected": ["2026-01-03"]}


def test_a_part_of_a_later_month_leaves_earlier_days_fresh() -> None:
    world = World(graph_of())
    world.land(days_from("2026-01-30", 4))
    world.land_accounts()
    world.converge()
    before, _ = world.published["accounts"]["all"].parts
    late = PartSummary("2026-02", "late", 1)
    world.published["accounts"]["all"] = world.published["accounts"]["all"]._replace(parts=(before, late))
    assert to_run(world.assess().statuses) == {"with_accounts": ["2026-02-01", "2026-02-02"], "everything": ["all"]}


def test_equal_content_under_another_recipe_leaves_consumers_fresh(world: World) -> None:
    before = world.published["received"]["2026-01-03"].content
    world.land(["2026-01-03"], "late")
    world.publish(world.assess().statuses["received"]["2026-01-03"], before)
    assert to_run(world.assess().statuses) == {}


def test_a_setting_makes_stale_the_stage_that_takes_it(world: World) -> None:
    world.graph = graph_of(factor=2)
    assert to_run(world.assess().statuses) == {"with_accounts": list(DAYS)}


def test_a_part_without_rows_is_read_by_nobody(world: World) -> None:
    published = world.published["daily"]["2026-01-08"]
    empty = published._replace(parts=(PartSummary("all", "empty", 0),))
    world.published["daily"]["2026-01-08"] = empty
    report = world.assess()
    assert to_run(report.statuses)["same_day"] == ["2026-01-08"], "it is wanted all the same"
    assert report.recipe(report.statuses["same_day"]["2026-01-08"]).inputs == ()
    read = report.recipe(report.statuses["trailing"]["2026-01-08"]).inputs
    assert [item.partition for item in read] == ["2026-01-06", "2026-01-07"]


def test_a_day_is_settled_when_what_has_landed_is_far_enough_past_it(world: World) -> None:
    world.land(["2026-01-09"])
    publish_all(world, "received")
    assert to_run(world.assess().statuses)["settled"] == ["2026-01-07"]


def test_a_day_of_arrival_that_has_yet_to_be_accepted_settles_nothing(world: World) -> None:
    world.land(["2026-01-09"])
    status = world.assess().statuses["settled"]["2026-01-07"]
    assert (status.state, status.explanation) == (State.MISSING, "waits for received 2026-01-09")
    assert not status.needs_somebody
    world.refuse(world.assess().statuses["received"]["2026-01-09"])
    status = world.assess().statuses["settled"]["2026-01-07"]
    assert (status.state, status.required_action) == (State.MISSING, RequiredAction.NOTHING)
    assert status.explanation == "its day is not settled: it lacks received 2026-01-09"
    assert status.needs_somebody


# What is refused, audited again, delivered or retracted


def test_a_version_that_was_refused_is_held_and_its_consumers_keep_what_they_had(world: World) -> None:
    world.land(["2026-01-03"], "late")
    world.refuse(world.assess().statuses["received"]["2026-01-03"])
    statuses = world.assess().statuses
    assert statuses["received"]["2026-01-03"].explanation == "its version was refused"
    assert partitions(statuses, lambda status: status.state is not State.FRESH) == {
        "received": ["2026-01-03"],
        "settled": ["2026-01-01", "2026-01-02", "2026-01-03"],
    }
    assert statuses["settled"]["2026-01-01"].explanation == "its day is not settled: it lacks received 2026-01-03"
    assert to_run(statuses) == {}


def test_what_rests_on_a_first_version_that_was_refused_is_held(world: World) -> None:
    world.land(["2026-01-09"])
    world.refuse(world.assess().statuses["received"]["2026-01-09"])
    status = world.assess().statuses["rejected"]["2026-01-09"]
    assert (status.state, status.explanation) == (State.HELD, "waits for received 2026-01-09")


@pytest.mark.parametrize(
    ("day", "state"),
    [("2026-01-03", State.STALE), ("2026-01-09", State.MISSING)],
    ids=["another is published", "none is published"],
)
def test_a_version_that_only_another_contract_has_judged_is_audited(world: World, day: str, state: State) -> None:
    world.land([day], "late")
    world.judge_elsewhere(world.assess().statuses["received"][day])
    status = world.assess().statuses["received"][day]
    assert (status.state, status.required_action, status.reason) == (state, RequiredAction.AUDIT, Reason.RULES_CHANGED)
    world.publish(status)
    assert world.assess().statuses["received"][day].state is State.FRESH


def test_what_another_contract_says_of_a_version_that_was_judged_changes_nothing(world: World) -> None:
    world.judge_elsewhere(world.assess().statuses["received"]["2026-01-03"])
    assert fresh(world.assess())
    world.land(["2026-01-03"], "late")
    world.refuse(world.assess().statuses["received"]["2026-01-03"])
    world.judge_elsewhere(world.assess().statuses["received"]["2026-01-03"])
    assert world.assess().statuses["received"]["2026-01-03"].state is State.HELD


def test_a_published_version_whose_audit_is_overdue_is_audited_and_makes_no_consumer_stale(world: World) -> None:
    world.outdate("daily", "2026-01-03")
    statuses = world.assess().statuses
    assert to_run(statuses) == {"daily": ["2026-01-03"]}
    assert statuses["daily"]["2026-01-03"].required_action is RequiredAction.AUDIT
    assert statuses["daily"]["2026-01-03"].reason is Reason.RULES_CHANGED
    world.publish(statuses["daily"]["2026-01-03"])
    assert fresh(world.assess())


def test_a_published_version_that_the_overdue_audit_refuses_is_held_and_so_is_who_waits_for_it(world: World) -> None:
    world.outdate("daily", "2026-01-03")
    world.refuse(world.assess().statuses["daily"]["2026-01-03"])
    statuses = world.assess().statuses
    daily_need, consumer = statuses["daily"]["2026-01-03"], statuses["same_day"]["2026-01-03"]
    assert (daily_need.state, daily_need.required_action, daily_need.published) == (
        State.HELD,
        RequiredAction.NOTHING,
        None,
    )
    assert daily_need.explanation == "its version was refused"
    assert (consumer.state, consumer.explanation) == (State.HELD, "waits for daily 2026-01-03")


def test_a_refused_version_that_production_published_is_audited_so_that_another_one_is_read(world: World) -> None:
    published = world.published["daily"]["2026-01-03"]
    world.refuse(world.assess().statuses["daily"]["2026-01-03"])
    world.published["daily"]["2026-01-03"] = published
    status = world.assess().statuses["daily"]["2026-01-03"]
    assert (status.state, status.required_action, status.reason) == (
        State.STALE,
        RequiredAction.AUDIT,
        Reason.RULES_CHANGED,
    )
    world.refuse(status)
    assert world.assess().statuses["daily"]["2026-01-03"].state is State.HELD


def test_a_version_that_is_stale_anyway_is_made_rather_than_audited_again(world: World) -> None:
    world.outdate("received", "2026-01-03")
    world.land(["2026-01-03"], "late")
    assert world.assess().statuses["received"]["2026-01-03"].required_action is RequiredAction.MAKE


def test_a_target_that_holds_something_else_is_delivered_to(world: World) -> None:
    world.delivered["everything"] = None
    status = world.assess().statuses["everything"]["all"]
    assert (status.state, status.required_action) == (State.STALE, RequiredAction.DELIVER)


def test_a_target_that_holds_something_else_gets_what_is_read_while_what_is_wanted_is_held(world: World) -> None:
    read = world.assess().statuses["everything"]["all"].published
    assert read is not None
    world.land(["2026-01-03"], "late")
    for name in world.graph.stages:
        for status in world.assess().statuses[name].values():
            if status.can_run:
                (world.refuse if name == "everything" else world.publish)(status)
    status = world.assess().statuses["everything"]["all"]
    assert (status.state, status.required_action) == (State.HELD, RequiredAction.NOTHING)
    world.delivered["everything"] = None
    status = world.assess().statuses["everything"]["all"]
    assert (status.state, status.required_action, status.recipe) == (State.HELD, RequiredAction.DELIVER, read.recipe)


def test_what_was_made_from_files_that_are_gone_is_held_and_read_as_before_until_they_are_restored(
    world: World,
) -> None:
    world.land(["2026-01-03"], None)
    report = world.assess()
    status = report.statuses["received"]["2026-01-03"]
    assert (status.state, status.required_action) == (State.HELD, RequiredAction.NOTHING)
    assert status.explanation == ("what it was made from is gone: restore it, or reject the version to take it back")
    assert all(status.state is State.FRESH for status in report.statuses["daily"].values())
    assert report.statuses["settled"]["2026-01-02"].state is State.HELD
    world.land(["2026-01-03"])
    assert fresh(world.assess())


def test_what_somebody_rejects_whose_files_are_gone_is_retracted_and_not_offered(world: World) -> None:
    world.land(["2026-01-03"], None)
    world.reject("received", "2026-01-03")
    report = world.assess()
    retracted = partitions(report.statuses, lambda status: status.required_action is RequiredAction.RETRACT)
    assert retracted == {"received": ["2026-01-03"], "daily": ["2026-01-03"], "rejected": ["2026-01-03"],
                         "same_day": ["2026-01-03"], "trailing": ["2026-01-03"], "settled": ["2026-01-03"],
                         "with_accounts": ["2026-01-03"]}  # fmt: skip
    assert partitions(report.statuses, lambda status: status.required_action is RequiredAction.MAKE) == {
        "trailing": ["2026-01-04", "2026-01-05"],
        "of_month": ["2026-01"],
        "all_days": ["all"],
        "everything": ["all"],
    }
    for name, key in (("trailing", "2026-01-04"), ("of_month", "2026-01"), ("all_days", "all"), ("everything", "all")):
        read = report.recipe(report.statuses[name][key]).inputs
        assert "2026-01-03" not in {item.partition for item in read}
    status = report.statuses["daily"]["2026-01-03"]
    assert (status.state, status.recipe) == (State.STALE, "")
    assert status.explanation == "there is nothing to compute it from any more"


def test_a_partition_is_wanted_for_what_any_of_its_drivers_offers() -> None:
    inputs = {"daily": Reads(DaysOfMonth()), "accounts": Reads(PartForPartition())}
    by_day = replace(with_accounts, partitions=statement_months, inputs=inputs)
    for partitioned_by, months in (
        (("daily",), {"2026-01"}),
        (("accounts",), {"2025-11", "2026-02"}),
        (("daily", "accounts"), {"2025-11", "2026-01", "2026-02"}),
    ):
        world = World(graph_of([received, accounts, daily, replace(by_day, partitioned_by=partitioned_by)]))
        world.land(DAYS)
        world.land_accounts()
        assert world.converge().statuses["with_accounts"].keys() == months


def test_what_was_retracted_is_forgotten(world: World) -> None:
    world.land(["2026-01-03"], None)
    world.reject("received", "2026-01-03")
    assert "2026-01-03" not in world.converge().statuses["daily"]


def test_a_file_that_lands_again_brings_the_same_recipes_back(world: World) -> None:
    before = {key: status.recipe for key, status in world.assess().statuses["trailing"].items()}
    world.land(["2026-01-03"], None)
    world.reject("received", "2026-01-03")
    world.converge()
    world.land(["2026-01-03"])
    assert {key: status.recipe for key, status in world.converge().statuses["trailing"].items()} == before


# What an earlier assessment spares


def test_of_an_earlier_assessment_what_nothing_has_changed_about_is_taken_over(world: World) -> None:
    first = world.assess()
    world.outdate("same_day", "2026-01-03")
    second = world.assess(first)
    again = {name for name in second.statuses if second.statuses[name] is not first.statuses[name]}
    assert again == {"same_day", "everything"}, "the stage and who reads it"


def test_of_an_earlier_assessment_everything_is_taken_over_while_nothing_changes(world: World) -> None:
    first = world.assess()
    second = world.assess(first)
    assert all(second.statuses[name] is first.statuses[name] for name in first.statuses)


def test_assessing_a_few_stages_forgets_nothing_of_the_others(world: World) -> None:
    first = world.assess()
    few = world.graph.with_upstreams(["daily"])
    between = StalenessReport(world.graph, world.snapshot(), few, earlier=first)
    assert set(between.statuses) == {"received", "daily"}
    last = world.assess(between)
    assert all(last.statuses[name] is first.statuses[name] for name in first.statuses)


STEPS = st.one_of(
    st.tuples(st.just("land"), st.integers(0, 4), st.sampled_from(("first", "late", None))),
    st.tuples(st.just("accounts"), st.just(0), st.sampled_from(("first", "late", None))),
    st.tuples(st.sampled_from(("publish", "refuse", "judge elsewhere", "outdate")), st.integers(0, 30), st.none()),
    st.tuples(st.sampled_from(("publish all", "lose", "publish as before")), st.integers(0, 30), st.none()),
)


def take(world: World, step: tuple[str, int, str | None]) -> None:
    """One thing that can happen to a ledger; nothing if it cannot happen now."""
    what, number, content = step
    statuses = [status for by_key in world.assess().statuses.values() for status in by_key.values()]
    runnable = [status for status in statuses if status.can_run]
    if what == "land":
        world.land([DAYS[number]], content)
    elif what == "accounts":
        world.land(["all"], content, world.graph.sources["accounts_file"])
    elif what == "publish all":
        world.converge()
    elif what == "lose":
        world.delivered.clear()
    elif what == "outdate":
        published = [status for status in statuses if status.published]
        for status in published[number : number + 1]:
            world.outdate(status.stage, status.partition)
    else:
        for status in runnable[number % max(1, len(runnable)) :][:1]:
            _act(world, what, status)


def _act(world: World, what: str, status: PartitionStatus) -> None:
    if what.startswith("publish"):
        world.publish(status, status.published.content if status.published and what.endswith("before") else "")
    elif status.required_action in {RequiredAction.MAKE, RequiredAction.AUDIT}:
        (world.refuse if what == "refuse" else world.judge_elsewhere)(status)


@settings(max_examples=60)
@given(steps=st.lists(STEPS, min_size=3, max_size=14))
def test_an_earlier_assessment_never_changes_the_answer(steps: list[tuple[str, int, str | None]]) -> None:
    world = World(graph_of())
    world.land(DAYS[:3])
    chained = world.assess()
    for step in steps:
        take(world, step)
        chained, alone = world.assess(chained), world.assess()
        assert chained.statuses == alone.statuses
        for by_partition in alone.statuses.values():
            for status in by_partition.values():
                assert chained.recipe(status) == alone.recipe(status)


# Large grids


@pytest.mark.parametrize("count", [1_000, 10_000])
def test_one_late_partition_of_very_many_makes_stale_who_reads_them_all(count: int) -> None:
    world = World(graph_of([received, daily, all_days]))
    days = days_from("2000-01-01", count)
    world.land(days)
    report = world.converge()
    assert fresh(report)
    assert len(report.recipe(report.statuses["all_days"]["all"]).inputs) == count
    late = days[count // 3]
    world.land([late], "late")
    publish_all(world, "received")
    publish_all(world, "daily")
    assert to_run(world.assess(report).statuses) == {"all_days": ["all"]}


def test_a_grid_of_ten_years_is_assessed_partition_by_partition() -> None:
    windows = {f"trailing_{number}": 1 + number % 3 for number in range(25)}
    stages = [selecting(of_days, name, TrailingDays(days)) for name, days in windows.items()]
    stages.append(selecting(of_days, "of_month", DaysOfMonth(), statement_months))
    world = World(graph_of([received, daily, *stages, all_days]))
    days = days_from("2016-01-01", 3653)
    world.land(days)
    report = world.converge()
    assert sum(len(by_partition) for by_partition in report.statuses.values()) > 98_000
    assert fresh(report)
    late = "2020-02-28"
    world.land([late], "late")
    report = world.assess(report)
    assert to_run(report.statuses) == {"received": [late]}
    world.publish(report.statuses["received"][late])
    report = world.assess(report)
    assert to_run(report.statuses) == {"daily": [late]}
    world.publish(report.statuses["daily"][late])
    expected = {"of_month": [month_of(late)], "all_days": ["all"]}
    expected |= {name: days_from(late, days) for name, days in windows.items()}
    assert to_run(world.assess(report).statuses) == expected


# What a cadence promises


@pytest.fixture
def promised() -> World:
    """Three days of arrival of a source that lands something every day; everything is published."""
    source = replace(landed_numbers, cadence=Cadence.DAY)
    made = World(graph_of(sources=[source, accounts_file]))
    made.land(DAYS[:3])
    made.land_accounts()
    made.converge()
    return made


def test_a_day_without_a_file_is_missing_between_the_first_and_the_newest(promised: World) -> None:
    promised.land(["2026-01-06"])
    missing = promised.converge().statuses["received"]
    assert [missing[day].explanation for day in ("2026-01-04", "2026-01-05")] == 2 * ["nothing has landed for it"]
    assert {missing[day].state for day in ("2026-01-04", "2026-01-05")} == {State.MISSING}
    assert all(missing[day].needs_somebody for day in ("2026-01-04", "2026-01-05"))
    assert set(missing) == set(DAYS[:6])


def test_what_waits_for_settled_days_waits_for_a_day_that_is_missing(promised: World) -> None:
    promised.land(["2026-01-05", "2026-01-06"])
    settled = promised.converge().statuses["settled"]
    assert settled["2026-01-01"].state is State.FRESH
    assert settled["2026-01-03"].explanation == "its day is not settled: it lacks received 2026-01-04"
    promised.land(["2026-01-04"])
    assert fresh(promised.converge())


def test_nothing_is_asked_before_the_first_day_that_was_accepted(promised: World) -> None:
    promised.land(["1926-01-03"])
    promised.refuse(promised.assess().statuses["received"]["1926-01-03"])
    assert set(promised.converge().statuses["received"]) == {"1926-01-03", *DAYS[:3]}


def test_a_day_that_lacks_hours_is_read_as_it_is_and_settles_nothing(promised: World) -> None:
    def hours_of(path: str) -> tuple[str, ...]:
        return HOURS[:22] if "2026-01-02" in path else HOURS

    source = replace(landed_numbers, cadence=Cadence.HOUR, hours_of=hours_of)
    promised.graph = graph_of(sources=[source, accounts_file])
    report = promised.assess()
    status = report.statuses["received"]["2026-01-02"]
    assert (status.state, status.explanation) == (State.HELD, "is read as it is, but lacks hours 22, 23")
    assert (
        report.statuses["settled"]["2026-01-01"].explanation == "its day is not settled: it lacks received 2026-01-02"
    )
    assert report.statuses["daily"]["2026-01-02"].state is State.FRESH


def test_the_newest_day_may_still_get_its_hours(promised: World) -> None:
    source = replace(landed_numbers, cadence=Cadence.HOUR, hours_of=lambda path: HOURS[: 5 if "-03" in path else 24])
    promised.graph = graph_of(sources=[source, accounts_file])
    assert fresh(promised.assess())
