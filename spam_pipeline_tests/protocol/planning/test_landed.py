"""What has landed, by partition: as a first look finds it, whatever was observed in between."""

from dataclasses import replace

from spam_pipeline.protocol.definition.stage import HOURS, Cadence, Source
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.recipe import digest_of_read, read_line
from spam_pipeline.protocol.ledger.records import Observation
from spam_pipeline.protocol.planning.landed import LandedState, landed_files
from spam_pipeline.protocol.storage.observation import PASSED_OVER
from spam_pipeline_tests.protocol.made_up_records import landed
from spam_pipeline_tests.protocol.selecting_stages import a_file, landed_numbers

DAY, NEXT = "2026-01-05", "2026-01-06"


def files_in(day: str, *names: str) -> list[Observation]:
    return [a_file("landed_numbers", day, f"{day}/{name}") for name in names]


def states(ledger: Ledger, kept: LandedState) -> tuple[LandedState, LandedState]:
    """A state that was kept up to date, and one that reads everything now."""
    until = max((seen.id for seen in landed(ledger)), default=0)
    first = LandedState(ledger.observations, {"landed_numbers": landed_numbers})
    for state in (kept, first):
        state.refresh(until)
    return kept, first


def check(ledger: Ledger, kept: LandedState) -> None:
    one, other = states(ledger, kept)
    assert one.by_source == other.by_source
    mine, theirs = one.known(), other.known()
    assert (mine.files, mine.folders, mine.undated) == (theirs.files, theirs.folders, theirs.undated)


def test_of_everything_that_is_observed_the_state_is_that_of_a_first_look(ledger: Ledger) -> None:
    kept = LandedState(ledger.observations, {"landed_numbers": landed_numbers})
    a, b = files_in(DAY, "a", "b")
    undated = a_file("reference", "all", "tracks.csv")
    for batch in (
        [a, undated],
        [b, *files_in(NEXT, "c")],
        [replace(a, digest="another")],
        [replace(a, source=PASSED_OVER, partition="no"), replace(undated, size=2)],
        [replace(b, partition=NEXT)],
        [replace(a, digest="another")],
        [replace(item, digest=None) for item in (a, replace(b, partition=NEXT), undated)],
        [undated, a],
    ):
        ledger.observations.record(batch)
        check(ledger, kept)
    assert kept.known().folders == {DAY: 1, NEXT: 1}
    assert kept.known().undated.keys() == {"tracks.csv"}


def test_the_digest_of_a_partition_is_that_of_its_recipe() -> None:
    found = landed_files(landed_numbers, DAY, files_in(DAY, "a", "b"))
    assert found.content == digest_of_read(read_line(DAY, f"{DAY}/{name}", "first") for name in "ab")
    assert found.paths == (f"{DAY}/a", f"{DAY}/b")


def test_hours_are_noted_as_far_as_the_cadence_asks() -> None:
    def hours(cadence: Cadence | None) -> tuple[str, ...]:
        source: Source = replace(landed_numbers, cadence=cadence, hours_of=lambda path: HOURS[int(path[-1]) :][:1])
        return landed_files(source, DAY, files_in(DAY, "2", "1", "2")).hours

    assert (hours(None), hours(Cadence.DAY), hours(Cadence.HOUR)) == ((), ("02",), ("01", "02"))


def test_the_files_that_a_reader_gives_stay_those_that_were_there(ledger: Ledger) -> None:
    state = LandedState(ledger.observations, {})
    ledger.observations.record(files_in(DAY, "a", "b"))
    states(ledger, state)
    read = state.reader()
    ledger.observations.record([replace(item, digest=None) for item in files_in(DAY, "a")])
    states(ledger, state)
    assert [seen.path[-1] for seen in read("landed_numbers", DAY)] == ["a", "b"]
    assert [seen.path[-1] for seen in state.reader()("landed_numbers", DAY)] == ["b"]
    assert state.reader()("landed_numbers", NEXT) == ()
