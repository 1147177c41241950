"""One behaviour of the ledger, over SQLite and over PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from spam_pipeline.protocol.ledger import PRODUCTION, Ledger
from spam_pipeline.protocol.records import Audit, InputRead, Observation, Part, StoredFile, Verdict, Version

PASSED, REFUSED = Audit(Verdict.PASSED), Audit(Verdict.REFUSED, ("number: below 0",))
NOON = datetime(2026, 1, 5, 12, 0, 0, 123456, tzinfo=UTC)


def a_version(
    recipe: str = "r1", partition: str = "2026-01-05", content: str = "c1", inputs: tuple[InputRead, ...] = ()
) -> Version:
    return Version(
        recipe=recipe,
        context="toys",
        stage="numbers",
        partition=partition,
        code_version="code",
        content=content,
        parts=(Part.of("all", (StoredFile(f"toys/numbers/{partition}/{content}.parquet", 3, 99),)),),
        side_parts=(Part.of("rejected", (StoredFile("toys/numbers/rejected.parquet", 1, 9),)),),
        fingerprint={"total": 7, "mean": 0.5},
        columns={"number": "Int64"},
        rows_read=4,
        seconds=0.25,
        computed_at=NOON,
        inputs=inputs,
    )


def an_observation(path: str = "2026-01-05/a.txt", digest: str | None = "d1") -> Observation:
    return Observation("landed_numbers", "2026-01-05", path, digest, 10, 1_000_000_000_000_000_001, NOON)


def test_a_new_ledger_is_empty(ledger: Ledger) -> None:
    assert ledger.landed() == []
    assert ledger.published(PRODUCTION, ["numbers"]) == {"numbers": {}}
    assert ledger.published_version(PRODUCTION, "numbers", "2026-01-05") is None
    assert ledger.version("r1") is None
    assert ledger.shard("r1") is None


def test_the_last_observation_of_a_path_counts(ledger: Ledger) -> None:
    ledger.record_observations([an_observation(), an_observation("2026-01-05/b.txt")])
    ledger.record_observations([an_observation(digest="d2")])
    ledger.record_observations([an_observation("2026-01-05/b.txt", digest=None)])
    assert [(seen.path, seen.digest) for seen in ledger.landed()] == [
        ("2026-01-05/a.txt", "d2"),
        ("2026-01-05/b.txt", None),
    ]
    assert ledger.landed()[0].modified == 1_000_000_000_000_000_001
    assert ledger.landed()[0].observed_at == NOON


def test_the_same_observation_of_two_processes_is_one(ledger: Ledger) -> None:
    ledger.record_observations([an_observation()])
    first = ledger.landed()
    ledger.record_observations([an_observation()])
    assert ledger.landed() == first


def test_an_earlier_observation_can_still_be_asked_for(ledger: Ledger) -> None:
    ledger.record_observations([an_observation()])
    (first,) = ledger.landed()
    ledger.record_observations([an_observation(digest="d2")])
    assert ledger.observed([first.id]) == {first.id: first}


def test_a_passed_version_is_published_and_comes_back_as_it_was(ledger: Ledger) -> None:
    publication = ledger.record(a_version(), PASSED, PRODUCTION, run="run-1")
    assert publication is not None
    assert publication.run == "run-1"
    found = ledger.published_version(PRODUCTION, "numbers", "2026-01-05")
    assert found == replace(a_version(), id=publication.version_id)


def test_a_refused_version_is_kept_and_not_published(ledger: Ledger) -> None:
    assert ledger.record(a_version(), REFUSED, PRODUCTION) is None
    assert ledger.published_version(PRODUCTION, "numbers", "2026-01-05") is None
    assert ledger.refused(["numbers"]) == {"r1"}
    assert [audit for _, audit in ledger.versions("numbers", "2026-01-05")] == [REFUSED]


def test_a_refused_version_leaves_the_one_before_it_published(ledger: Ledger) -> None:
    ledger.record(a_version(), PASSED, PRODUCTION)
    ledger.record(a_version("r2", content="c2"), REFUSED, PRODUCTION)
    found = ledger.published_version(PRODUCTION, "numbers", "2026-01-05")
    assert found is not None
    assert found.recipe == "r1"


def test_the_same_recipe_twice_is_one_version_and_one_publication(ledger: Ledger) -> None:
    assert ledger.record(a_version(), PASSED, PRODUCTION) is not None
    assert ledger.record(a_version(), PASSED, PRODUCTION) is None
    assert len(ledger.versions("numbers", "2026-01-05")) == 1
    assert len(ledger.publications_after(0, PRODUCTION)) == 1


def test_publishing_an_older_version_again_points_back_to_it(ledger: Ledger) -> None:
    ledger.record(a_version(), PASSED, PRODUCTION)
    ledger.record(a_version("r2", content="c2"), PASSED, PRODUCTION)
    old, _ = ledger.versions("numbers", "2026-01-05")[0]
    assert ledger.publish(old, PRODUCTION) is not None
    assert ledger.publish(old, PRODUCTION) is None
    assert [version.recipe for _, version, _ in ledger.publications_after(0, PRODUCTION)] == ["r1", "r2", "r1"]
    assert ledger.published(PRODUCTION, ["numbers"])["numbers"]["2026-01-05"].recipe == "r1"


def test_every_past_state_can_be_read(ledger: Ledger) -> None:
    first = ledger.record(a_version(), PASSED, PRODUCTION)
    second = ledger.record(a_version("r2", content="c2"), PASSED, PRODUCTION)
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
    assert ledger.record(a_version(), PASSED, "branch") is None, "what production has is there already"
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
    upstream = ledger.record(a_version(), PASSED, PRODUCTION)
    ledger.record_observations([an_observation()])
    assert upstream is not None
    part = a_version().parts[0]
    inputs = (
        InputRead("numbers", "numbers", "2026-01-05", "all", part.content, upstream.version_id),
        InputRead(
            "landed_numbers",
            "landed_numbers",
            "2026-01-05",
            "2026-01-05/a.txt",
            "d1",
            ledger.landed()[0].id,
            is_file=True,
        ),
    )
    ledger.record(a_version("r2", "2026-01-06", inputs=inputs), PASSED, PRODUCTION)
    found = ledger.version("r2")
    assert found is not None
    assert found[0].inputs == inputs


def test_a_shard_is_remembered_once(ledger: Ledger) -> None:
    files = {"2026-01-05": (StoredFile("a", 1, 2),)}
    ledger.record_shard("s1", "received_numbers", "2026-01-05/a.txt", files)
    ledger.record_shard("s1", "received_numbers", "2026-01-05/a.txt", {})
    assert ledger.shard("s1") == files


def test_only_publications_after_a_given_one_are_told(ledger: Ledger) -> None:
    first = ledger.record(a_version(), PASSED, PRODUCTION)
    ledger.record(a_version("r2", content="c2"), PASSED, PRODUCTION)
    assert first is not None
    assert [version.recipe for _, version, _ in ledger.publications_after(first.id, PRODUCTION)] == ["r2"]
    assert ledger.publications_after(0, "branch") == []


def test_writers_at_the_same_time_publish_each_version_once(ledger_url: str) -> None:
    def write(writer: int) -> int:
        ledger = Ledger(ledger_url)
        made = [ledger.record(a_version(f"r{n}", f"2026-01-{n:02d}"), PASSED, PRODUCTION) for n in range(1, 11)]
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
    publication = ledger.record(a_version(), PASSED, PRODUCTION)
    assert publication is not None
    ids = range(publication.version_id, publication.version_id + count)
    assert set(ledger.files(ids)) == ({publication.version_id} if count else set())


def test_many_open_a_new_ledger_at_once(tmp_path: Path) -> None:
    def open_and_close(number: int) -> list[Observation]:
        ledger = Ledger(f"sqlite:///{tmp_path / str(number // 6)}.db")
        seen = ledger.landed()
        ledger.close()
        return seen

    with ThreadPoolExecutor(max_workers=6) as openers:
        assert list(openers.map(open_and_close, range(120))) == [[]] * 120
