"""One behaviour of the ledger, over SQLite and over PostgreSQL."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from spam_pipeline.protocol.code_version.code_version import CodeVersion
from spam_pipeline.protocol.foundation.errors import UnknownVersion
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.recipe import InputRef
from spam_pipeline.protocol.ledger.records import PRODUCTION, Observation, PartSummary, StoredFile, Trigger
from spam_pipeline_tests.protocol.made_up_records import (
    NOON,
    PASSED,
    REFUSED,
    a_version,
    an_observation,
    landed,
    recipes_told,
    recorded,
)


def test_a_new_ledger_is_empty(ledger: Ledger) -> None:
    assert landed(ledger) == []
    assert ledger.published(PRODUCTION, ["numbers"]) == {"numbers": {}}
    assert ledger.published_version(PRODUCTION, "numbers", "2026-01-05") is None
    assert ledger.version("r1") is None
    assert ledger.observations.shard("r1") is None


def test_the_last_observation_of_a_path_counts(ledger: Ledger) -> None:
    ledger.observations.record([an_observation(), an_observation("2026-01-05/b.txt")])
    ledger.observations.record([an_observation(digest="d2")])
    ledger.observations.record([an_observation("2026-01-05/b.txt", digest=None)])
    assert [(seen.path, seen.digest) for seen in landed(ledger)] == [
        ("2026-01-05/a.txt", "d2"),
        ("2026-01-05/b.txt", None),
    ]
    assert landed(ledger)[0].marker == "1000000000000000001"
    assert landed(ledger)[0].observed_at == NOON


def test_the_same_observation_of_two_processes_is_one(ledger: Ledger) -> None:
    ledger.observations.record([an_observation()])
    first = landed(ledger)
    ledger.observations.record([an_observation()])
    assert landed(ledger) == first


def test_a_path_that_now_belongs_elsewhere_is_recorded_again(ledger: Ledger) -> None:
    before = an_observation()
    now = replace(before, source="passed over", partition="its day is ahead of the clock")
    ledger.observations.record([before])
    ledger.observations.record([now])
    assert [(item.source, item.partition) for item in landed(ledger)] == [(now.source, now.partition)]


def test_an_earlier_observation_can_still_be_asked_for(ledger: Ledger) -> None:
    ledger.observations.record([an_observation()])
    (first,) = landed(ledger)
    ledger.observations.record([an_observation(digest="d2")])
    assert ledger.observations.by_id([first.id]) == {first.id: first}


def test_a_passed_version_is_published_and_comes_back_as_it_was(ledger: Ledger) -> None:
    _, publication = ledger.record(a_version(), PASSED, PRODUCTION, Trigger("run-1", "computed", "missing"))
    assert publication is not None
    assert publication.trigger == Trigger("run-1", "computed", "missing")
    found = ledger.published_version(PRODUCTION, "numbers", "2026-01-05")
    assert found == replace(a_version(), id=recorded(ledger, "r1").id)
    assert found.id == publication.version_id


def test_a_refused_version_is_kept_and_not_published(ledger: Ledger) -> None:
    assert ledger.record(a_version(), REFUSED, PRODUCTION)[1] is None
    assert ledger.published_version(PRODUCTION, "numbers", "2026-01-05") is None
    assert [audit for _, audit in ledger.versions("numbers", "2026-01-05")] == [REFUSED]


def test_a_refused_version_leaves_the_one_before_it_published(ledger: Ledger) -> None:
    ledger.record(a_version(), PASSED, PRODUCTION)
    ledger.record(a_version("r2", content="c2"), REFUSED, PRODUCTION)
    found = ledger.published_version(PRODUCTION, "numbers", "2026-01-05")
    assert found is not None
    assert found.recipe == "r1"


def test_the_same_recipe_twice_is_one_version_and_one_publication(ledger: Ledger) -> None:
    first, publication = ledger.record(a_version(), PASSED, PRODUCTION)
    assert publication is not None
    assert ledger.record(a_version(content="c2"), PASSED, PRODUCTION) == (first, None), "the one that is there counts"
    assert len(ledger.versions("numbers", "2026-01-05")) == 1
    assert len(ledger.publications_after(0, PRODUCTION)) == 1


def test_publishing_an_older_version_again_points_back_to_it(ledger: Ledger) -> None:
    ledger.record(a_version(), PASSED, PRODUCTION)
    ledger.record(a_version("r2", content="c2"), PASSED, PRODUCTION)
    old, _ = ledger.versions("numbers", "2026-01-05")[0]
    assert ledger.publish(old, PRODUCTION) is not None
    assert ledger.publish(old, PRODUCTION) is None
    assert recipes_told(ledger) == ["r1", "r2", "r1"]
    assert ledger.published(PRODUCTION, ["numbers"])["numbers"]["2026-01-05"].recipe == "r1"


def test_every_past_state_can_be_read(ledger: Ledger) -> None:
    _, first = ledger.record(a_version(), PASSED, PRODUCTION)
    _, second = ledger.record(a_version("r2", content="c2"), PASSED, PRODUCTION)
    assert first is not None
    assert second is not None

    def as_of(moment: datetime) -> str | None:
        found = ledger.published_version(PRODUCTION, "numbers", "2026-01-05", moment)
        return found.recipe if found else None

    assert as_of(first.published_at - timedelta(seconds=1)) is None
    assert as_of(first.published_at) == "r1"
    assert as_of(second.published_at) == "r2"
    published = ledger.published(PRODUCTION, ["numbers"], first.published_at)
    assert published["numbers"]["2026-01-05"].recipe == "r1"


def test_another_environment_reads_through_to_production_and_publishes_apart(ledger: Ledger) -> None:
    ledger.record(a_version(), PASSED, PRODUCTION)
    ledger.record(a_version("r3", "2026-01-06"), PASSED, PRODUCTION)
    assert ledger.record(a_version(), PASSED, "branch")[1] is None, "what production has is there already"
    ledger.record(a_version("r2", content="c2"), PASSED, "branch")
    by_partition = ledger.published("branch", ["numbers"])["numbers"]
    assert {key: item.recipe for key, item in by_partition.items()} == {"2026-01-05": "r2", "2026-01-06": "r3"}
    assert ledger.published(PRODUCTION, ["numbers"])["numbers"]["2026-01-05"].recipe == "r1"
    found = ledger.published_version("branch", "numbers", "2026-01-05")
    assert found is not None
    assert found.recipe == "r2"


def test_parts_and_side_parts_are_told_apart(ledger: Ledger) -> None:
    ledger.record(a_version(), PASSED, PRODUCTION)
    published = ledger.published(PRODUCTION, ["numbers"])["numbers"]["2026-01-05"]
    assert [(part.name, part.rows) for part in published.parts] == [("all", 3)]
    assert [(part.name, part.rows) for part in published.side_parts] == [("rejected", 1)]
    files = ledger.files([published.version_id])[published.version_id]
    assert files["all"] == (StoredFile("toys/numbers/2026-01-05/c1.parquet", 3, 99),)


def test_a_version_remembers_which_versions_and_files_it_was_computed_from(ledger: Ledger) -> None:
    _, upstream = ledger.record(a_version(), PASSED, PRODUCTION)
    ledger.observations.record([an_observation()])
    assert upstream is not None
    part = a_version().parts[0]
    inputs = (
        InputRef("numbers", "numbers", "2026-01-05", "all", part.content, recorded(ledger, "r1").id),
        InputRef(
            "landed_numbers",
            "landed_numbers",
            "2026-01-05",
            "2026-01-05/a.txt",
            "d1",
            landed(ledger)[0].id,
            is_file=True,
        ),
    )
    ledger.record(a_version("r2", "2026-01-06", inputs=inputs), PASSED, PRODUCTION)
    found = ledger.version("r2")
    assert found is not None
    assert found[0].inputs == inputs


def test_a_shard_is_remembered_once(ledger: Ledger) -> None:
    files = {"2026-01-05": (StoredFile("a", 1, 2),)}
    ledger.observations.record_shard("s1", "received_numbers", "2026-01-05/a.txt", files)
    ledger.observations.record_shard("s1", "received_numbers", "2026-01-05/a.txt", {})
    assert ledger.observations.shard("s1") == files


def test_only_publications_after_a_given_one_are_told(ledger: Ledger) -> None:
    _, first = ledger.record(a_version(), PASSED, PRODUCTION)
    ledger.record(a_version("r2", content="c2"), PASSED, PRODUCTION)
    assert first is not None
    assert recipes_told(ledger, first.id) == ["r2"]
    assert ledger.publications_after(0, "branch") == []


def test_writers_at_the_same_time_publish_each_version_once(ledger_url: str) -> None:
    def write(writer: int) -> int:
        ledger = Ledger(ledger_url)
        made = [ledger.record(a_version(f"r{n}", f"2026-01-{n:02d}"), PASSED, PRODUCTION)[1] for n in range(1, 11)]
        ledger.close()
        assert writer >= 0
        return sum(publication is not None for publication in made)

    with ThreadPoolExecutor(max_workers=4) as writers:
        assert sum(writers.map(write, range(4))) == 10


def test_rows_that_were_written_are_there_after_opening_again(ledger_url: str) -> None:
    ledger = Ledger(ledger_url)
    ledger.record(a_version(), PASSED, PRODUCTION)
    ledger.close()
    again = Ledger(ledger_url)
    assert again.version("r1") is not None
    again.close()


@pytest.mark.parametrize("count", [0, 1, 25_000])
def test_files_of_any_number_of_versions_can_be_asked_for(ledger: Ledger, count: int) -> None:
    _, publication = ledger.record(a_version(), PASSED, PRODUCTION)
    assert publication is not None
    first = recorded(ledger, "r1").id
    assert set(ledger.files(range(first, first + count))) == ({first} if count else set())


def test_many_open_a_new_ledger_at_once(tmp_path: Path) -> None:
    def open_and_close(number: int) -> list[Observation]:
        ledger = Ledger(f"sqlite:///{tmp_path / str(number // 6)}.db")
        seen = landed(ledger)
        ledger.close()
        return seen

    with ThreadPoolExecutor(max_workers=6) as openers:
        assert list(openers.map(open_and_close, range(120))) == [[]] * 120


# Attempts


def test_a_recipe_that_was_never_tried_has_no_attempts(ledger: Ledger) -> None:
    assert ledger.attempts.of(["r1"]) == {}
    assert ledger.attempts.of([]) == {}


def test_failures_are_counted_and_the_last_one_is_told(ledger: Ledger) -> None:
    for error in ("ValueError: one", "ValueError: two"):
        ledger.attempts.fail(ledger.attempts.begin("r1", "numbers", "2026-01-05", "run-1"), error)
    found = ledger.attempts.of(["r1", "r2"])
    assert found.keys() == {"r1"}
    assert (found["r1"].count, found["r1"].error) == (2, "ValueError: two")
    assert abs(datetime.now(UTC) - found["r1"].last_at) < timedelta(minutes=10)


def test_a_try_that_tells_of_nothing_counts_because_its_process_may_have_died(ledger: Ledger) -> None:
    ledger.attempts.fail(ledger.attempts.begin("r1", "numbers", "2026-01-05"), "ValueError: one")
    ledger.attempts.begin("r1", "numbers", "2026-01-05")
    found = ledger.attempts.of(["r1"])["r1"]
    assert (found.count, found.error) == (2, None)


def test_a_try_that_makes_no_version_counts_until_it_is_complete(ledger: Ledger) -> None:
    attempt = ledger.attempts.begin("a convergence", "convergence", "all")
    assert ledger.attempts.of(["a convergence"])["a convergence"].count == 1
    ledger.attempts.complete(attempt)
    assert ledger.attempts.of(["a convergence"]) == {}


def test_a_try_that_succeeded_does_not_count_nor_does_what_failed_before_it(ledger: Ledger) -> None:
    ledger.attempts.fail(ledger.attempts.begin("r1", "numbers", "2026-01-05"), "ValueError: one")
    ledger.attempts.begin("r1", "numbers", "2026-01-05")
    ledger.record(replace(a_version(), computed_at=datetime.now(UTC)), PASSED, PRODUCTION)
    assert ledger.attempts.of(["r1"]) == {}, "taking the version from the ledger later has not failed yet"


def test_a_delivery_that_failed_counts_though_the_version_is_there(ledger: Ledger) -> None:
    ledger.record(replace(a_version(), computed_at=datetime.now(UTC)), PASSED, PRODUCTION)
    time.sleep(0.001)
    ledger.attempts.fail(ledger.attempts.begin("r1", "numbers", "2026-01-05"), "OSError: away")
    assert ledger.attempts.of(["r1"])["r1"].count == 1


def test_attempts_of_more_recipes_than_one_query_takes_can_be_asked_for(ledger: Ledger) -> None:
    ledger.attempts.fail(ledger.attempts.begin("r1", "numbers", "2026-01-05"), "ValueError: one")
    assert ledger.attempts.of([f"r{number}" for number in range(25_000)]).keys() == {"r1"}


# Code, and what versions were made from


def test_a_code_version_is_remembered_once_with_what_it_consists_of(ledger: Ledger) -> None:
    code = CodeVersion("code", {"toys.numbers": "d1"}, {"polars": "2.1"})
    ledger.attempts.remember_code(code)
    ledger.attempts.remember_code(code)
    assert ledger.attempts.code(["code", "another"]) == {"code": code}


def test_versions_are_found_by_recipe_without_their_files_published_or_not(ledger: Ledger) -> None:
    ledger.record(a_version(), REFUSED, PRODUCTION)
    found = ledger.made(["r1", "r2"])
    own, side = a_version().parts[0], a_version().side_parts[0]
    assert found.keys() == {"r1"}
    assert (found["r1"].recipe, found["r1"].content, found["r1"].code_version) == ("r1", "c1", "code")
    assert found["r1"].parts == (PartSummary("all", own.content, 3),)
    assert found["r1"].side_parts == (PartSummary("rejected", side.content, 1),)
    assert ledger.made(["r1"])["r1"].version_id == recorded(ledger, "r1").id


def test_a_version_without_parts_is_found_all_the_same(ledger: Ledger) -> None:
    ledger.record(replace(a_version(), parts=(), side_parts=()), PASSED, PRODUCTION)
    assert ledger.made(["r1"])["r1"].parts == ()
    assert ledger.published(PRODUCTION, ["numbers"])["numbers"]["2026-01-05"].parts == ()


def test_what_versions_were_made_from_is_told_by_id(ledger: Ledger) -> None:
    _, upstream = ledger.record(a_version(), PASSED, PRODUCTION)
    assert upstream is not None
    read = InputRef("numbers", "numbers", "2026-01-05", "all", a_version().parts[0].content, recorded(ledger, "r1").id)
    made = replace(a_version("r2", "2026-01-06", inputs=(read,)), configuration={"factor": "d1"})
    ledger.record(made, PASSED, PRODUCTION)
    first, second = recorded(ledger, "r1").id, recorded(ledger, "r2").id
    assert ledger.provenance([first, second]) == {first: ({}, []), second: ({"factor": "d1"}, [read])}
    assert ledger.provenance([]) == {}


def test_a_version_remembers_the_schema_it_was_computed_under(ledger: Ledger) -> None:
    ledger.record(replace(a_version(), schema_version=3), PASSED, PRODUCTION)
    ledger.record(a_version("r2", "2026-01-06"), PASSED, PRODUCTION)
    first, second = (recorded(ledger, recipe) for recipe in ("r1", "r2"))
    assert (first.schema_version, second.schema_version) == (3, 1)
    assert ledger.schema_versions([first.id, second.id]) == {first.id: 3, second.id: 1}
    assert ledger.schema_versions([]) == {}


# Finding a version by the beginning of its recipe


def test_a_version_is_found_by_the_beginning_of_its_recipe(ledger: Ledger) -> None:
    one, two = f"{'ab12':0<64}", f"{'ab13':0<64}"
    ledger.record(a_version(one), PASSED, PRODUCTION)
    ledger.record(a_version(two, content="c2"), REFUSED, PRODUCTION)
    assert ledger.find("ab12") == [(recorded(ledger, one), PASSED)]
    assert ledger.find(two) == [(recorded(ledger, two), REFUSED)]
    assert ledger.find("ab14") == []


def test_of_versions_that_a_beginning_may_mean_ten_are_found(ledger: Ledger) -> None:
    recipes = [f"ab12{number:060x}" for number in range(12)]
    for recipe in recipes:
        ledger.record(a_version(recipe), PASSED, PRODUCTION)
    assert [version.recipe for version, _ in ledger.find("ab12")] == recipes[:10]


@pytest.mark.parametrize("given", ["", "ab1", "AB12", "ab1%", "ab12_", "ab12\n", "xyzw", "0" * 65])
def test_what_is_no_beginning_of_a_recipe_finds_nothing(ledger: Ledger, given: str) -> None:
    with pytest.raises(UnknownVersion, match="expected the first 4 to 64 hex digits of a version's recipe, got"):
        ledger.find(given)


def test_a_ledger_is_empty_until_anything_is_recorded(ledger: Ledger) -> None:
    assert ledger.is_empty()
    ledger.observations.record([an_observation()])
    assert not ledger.is_empty()


def test_every_stored_file_of_every_version_is_listed(ledger: Ledger) -> None:
    ledger.record(a_version(), PASSED, PRODUCTION)
    ledger.record(a_version("r2", content="c2"), REFUSED, PRODUCTION)
    assert ledger.stored_files() == {
        "toys/numbers/2026-01-05/c1.parquet",
        "toys/numbers/2026-01-05/c2.parquet",
        "toys/numbers/rejected.parquet",
    }


def test_what_rests_on_a_version_is_found_through_others_and_once(ledger: Ledger) -> None:
    def read(recipe: str) -> InputRef:
        version = recorded(ledger, recipe)
        return InputRef("numbers", "numbers", version.partition, "all", "c1", version.id)

    ledger.record(a_version("r1"), PASSED, PRODUCTION)
    ledger.record(a_version("r2", "2026-01-06", inputs=(read("r1"),)), PASSED, PRODUCTION)
    ledger.record(a_version("r3", "2026-01-07", inputs=(read("r1"), read("r2"))), PASSED, PRODUCTION)
    ledger.record(a_version("r4", "2026-01-07", inputs=(read("r2"),)), PASSED, PRODUCTION)
    ledger.record(a_version("r5", "2026-01-08"), PASSED, PRODUCTION)
    assert ledger.resting_on(recorded(ledger, "r1").id) == [("numbers", "2026-01-06"), ("numbers", "2026-01-07")]
    assert ledger.resting_on(recorded(ledger, "r5").id) == []


def test_the_last_observations_of_some_paths_can_be_asked_for(ledger: Ledger) -> None:
    ledger.observations.record([an_observation(), an_observation("2026-01-05/b.txt")])
    ledger.observations.record([an_observation(digest="d2")])
    found = ledger.observations.last(["2026-01-05/a.txt", "2026-01-05/none.txt"])
    assert {path: item.digest for path, item in found.items()} == {"2026-01-05/a.txt": "d2"}


def test_recent_seconds_are_those_of_the_latest_partitions(ledger: Ledger) -> None:
    assert ledger.recent_seconds("numbers") is None
    for day in range(1, 31):
        seconds = 1_000.0 if day == 1 else 2.0 + day % 2
        version = replace(a_version(f"r{day}", f"2026-01-{day:02}"), seconds=seconds)
        ledger.record(version, PASSED, PRODUCTION)
    assert ledger.recent_seconds("numbers") == pytest.approx(2.5)
