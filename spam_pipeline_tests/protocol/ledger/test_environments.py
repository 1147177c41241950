"""Environments as a whole: what is their own, promoting it and dropping it, over SQLite and over PostgreSQL."""

import pytest

from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.records import PRODUCTION, Publication, Trigger
from spam_pipeline_tests.protocol.made_up_records import PASSED, REFUSED, a_version, recipes_told, recorded

FIFTH, SIXTH, SEVENTH = (("numbers", f"2026-01-0{day}") for day in (5, 6, 7))
WHY = Trigger("run-1", "promoted", "a better rule")


@pytest.fixture
def branched(ledger: Ledger) -> Ledger:
    """A ledger where a branch has a version of its own of one day, and has retracted another day."""
    for recipe, (_, partition) in (("r5", FIFTH), ("r6", SIXTH), ("r7", SEVENTH)):
        ledger.record(a_version(recipe, partition, recipe), PASSED, PRODUCTION)
    ledger.record(a_version("b5", FIFTH[1], "b5"), PASSED, "branch")
    ledger.retract(*SIXTH, "branch")
    return ledger


def read(ledger: Ledger, environment: str) -> list[str]:
    """The recipes that an environment reads, day by day, which whatever one asks says alike."""
    in_bulk = [item.recipe for _, item in sorted(ledger.published(environment, ["numbers"])["numbers"].items())]
    each = [ledger.published_version(environment, *place) for place in (FIFTH, SIXTH, SEVENTH)]
    told = [ledger.publication(environment, *place) for place in (FIFTH, SIXTH, SEVENTH)]
    assert in_bulk == [version.recipe for version in each if version]
    assert in_bulk == [found[1][0].recipe for found in told if found and found[1]]
    return in_bulk


def id_of(ledger: Ledger, recipe: str) -> int:
    return recorded(ledger, recipe).id


def places(published: list[Publication]) -> list[tuple[str, str, int | None]]:
    return [(item.environment, item.partition, item.version_id) for item in published]


def test_what_an_environment_points_at_itself_is_its_own(branched: Ledger) -> None:
    assert branched.own("branch") == {FIFTH: id_of(branched, "b5"), SIXTH: None}
    assert branched.own(PRODUCTION).keys() == {FIFTH, SIXTH, SEVENTH}
    assert branched.own("another") == {}


def test_environments_are_listed_with_what_they_publish_themselves_and_since_when(branched: Ledger) -> None:
    branch, production = branched.environments()
    assert (branch.name, branch.partitions, branch.differing) == ("branch", 2, 2)
    assert (production.name, production.partitions, production.differing) == (PRODUCTION, 3, 0)
    own = [item.published_at for item, _ in branched.publications_after(0, "branch")]
    assert (branch.since, branch.last) == (own[0], own[-1])
    branched.promote("branch", {FIFTH: id_of(branched, "b5")})
    branched.drop("branch")
    assert branched.environments()[0] == ("branch", 0, 0, None, None)


def test_an_environment_that_is_dropped_reads_through_to_production_again(branched: Ledger) -> None:
    assert read(branched, "branch") == ["b5", "r7"]
    assert branched.drop("branch", Trigger("run-1", "", "done with it")) == 2
    assert read(branched, "branch") == read(branched, PRODUCTION) == ["r5", "r6", "r7"]
    assert branched.own("branch") == {}
    assert branched.drop("branch") == 0
    branched.record(a_version("r8", FIFTH[1], "r8"), PASSED, PRODUCTION)
    assert read(branched, "branch") == ["r8", "r6", "r7"]


def test_dropping_costs_production_and_other_environments_nothing(branched: Ledger) -> None:
    branched.record(a_version("a5", FIFTH[1], "a5"), PASSED, "another")
    before = [item for item, _ in branched.publications_after(0, PRODUCTION)]
    branched.drop("branch")
    assert [item for item, _ in branched.publications_after(0, PRODUCTION)] == before
    assert read(branched, "another") == ["a5", "r6", "r7"]


def test_that_an_environment_was_dropped_is_no_publication_of_it(branched: Ledger) -> None:
    before = branched.publications_after(0, "branch")
    branched.drop("branch")
    assert branched.publications_after(0, "branch") == before


def test_the_past_of_a_dropped_environment_can_be_read(branched: Ledger) -> None:
    (*_, (last, _)) = branched.publications_after(0, "branch")
    branched.drop("branch")
    found = branched.published_version("branch", *FIFTH, last.published_at)
    assert found is not None
    assert found.recipe == "b5"
    assert branched.published_version("branch", *SIXTH, last.published_at) is None
    published = branched.published("branch", ["numbers"], last.published_at)["numbers"]
    assert {key: item.recipe for key, item in published.items()} == {FIFTH[1]: "b5", SEVENTH[1]: "r7"}


def test_a_dropped_environment_can_be_worked_in_again(branched: Ledger) -> None:
    branched.drop("branch")
    assert branched.publish(recorded(branched, "r5"), "branch") is None, "production points there already"
    assert branched.publish(recorded(branched, "b5"), "branch") is not None
    assert branched.retract(*SEVENTH, "branch") is not None
    assert read(branched, "branch") == ["b5", "r6"]


def test_what_an_environment_read_before_it_was_dropped_does_not_come_back(branched: Ledger) -> None:
    def before(partition: str) -> list[str]:
        return [version.recipe for version in branched.published_before("branch", "numbers", partition)]

    branched.drop("branch")
    assert (before(FIFTH[1]), before(SIXTH[1])) == (["r5"], ["r6"])
    branched.record(a_version("c5", FIFTH[1], "c5"), PASSED, "branch")
    assert before(FIFTH[1]) == ["c5", "r5"]
    branched.record_audit(recorded(branched, "c5"), REFUSED, "branch", fall_back_to=id_of(branched, "r5"))
    assert read(branched, "branch") == ["r5", "r6", "r7"]


def test_what_is_promoted_is_published_in_production_and_no_longer_the_environments_own(branched: Ledger) -> None:
    wanted = branched.own("branch")
    published = branched.promote("branch", wanted, WHY)
    assert places(published) == [(PRODUCTION, place[1], version_id) for place, version_id in wanted.items()]
    assert {item.trigger for item in published} == {WHY}
    assert read(branched, PRODUCTION) == read(branched, "branch") == ["b5", "r7"]
    assert branched.own("branch") == {}
    assert [item for item, _ in branched.publications_after(0, PRODUCTION)][-2:] == published
    assert recipes_told(branched) == ["r5", "r6", "r7", "b5"]


def test_promoting_twice_publishes_once(branched: Ledger) -> None:
    wanted = branched.own("branch")
    branched.promote("branch", wanted, WHY)
    assert branched.promote("branch", wanted, WHY) == []
    assert branched.promote("branch", {}, WHY) == []


def test_what_production_has_got_meanwhile_is_given_up_and_not_published_again(branched: Ledger) -> None:
    branched.publish(recorded(branched, "b5"), PRODUCTION)
    assert branched.promote("branch", {FIFTH: id_of(branched, "b5")}, WHY) == []
    assert branched.own("branch") == {SIXTH: None}


def test_what_is_not_promoted_stays_the_environments_own(branched: Ledger) -> None:
    wanted = {FIFTH: id_of(branched, "b5")}
    branched.record(a_version("c5", FIFTH[1], "c5"), PASSED, "branch")
    branched.promote("branch", wanted, WHY)
    assert branched.own("branch") == {FIFTH: id_of(branched, "c5"), SIXTH: None}, "it points elsewhere by now"
    assert (read(branched, PRODUCTION), read(branched, "branch")) == (["b5", "r6", "r7"], ["c5", "r7"])


def test_a_retraction_of_what_production_does_not_have_is_promoted_without_a_publication(branched: Ledger) -> None:
    branched.retract(*SIXTH, PRODUCTION)
    assert branched.promote("branch", {SIXTH: None}, WHY) == []
    assert branched.own("branch") == {FIFTH: id_of(branched, "b5")}


def test_production_is_neither_promoted_nor_dropped(branched: Ledger) -> None:
    before = branched.publications_after(0, PRODUCTION)
    with pytest.raises(ValueError, match="production reads through to nothing"):
        branched.drop(PRODUCTION)
    with pytest.raises(ValueError, match="production reads through to nothing"):
        branched.promote(PRODUCTION, branched.own(PRODUCTION))
    assert branched.publications_after(0, PRODUCTION) == before


def test_many_pointers_are_promoted_and_dropped_at_once(ledger: Ledger) -> None:
    ledger.record(a_version("b1", content="b1"), PASSED, "branch")
    version_id = id_of(ledger, "b1")
    wanted = {("numbers", f"{year}-01-05"): version_id for year in range(2026, 2026 + 3000)}
    assert [item.partition for item in ledger.promote("branch", wanted, WHY)] == [key for _, key in wanted]
    assert ledger.own(PRODUCTION) == wanted
    assert ledger.own("branch") == {}
