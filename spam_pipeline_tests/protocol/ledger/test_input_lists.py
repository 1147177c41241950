"""Long lists of inputs share their equal runs, and come back as they were."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spam_pipeline.protocol.ledger.input_lists import Entry, chunks_of, lists_of
from spam_pipeline.protocol.ledger.layouts import open_database
from spam_pipeline.protocol.ledger.shared_values import keep_values
from spam_pipeline.protocol.ledger.tables import writing

STAGES = 5
ENTRIES = st.builds(
    Entry, st.sampled_from(["plays", "catalogue"]), st.sampled_from([None, "all", "rejected"]), st.integers(1, 2**40)
)


def catalogue(days: int) -> list[Entry]:
    """The inputs of a version that reads every day of every stage; each day's versions got the next ids."""
    return [Entry("catalogue", "all", day * STAGES + stage) for stage in range(STAGES) for day in range(days)]


def entries_in(chunks: dict[bytes, dict[str, list[object]]]) -> int:
    return sum(len(items) for chunk in chunks.values() for items in chunk.values())


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.db'}"


def test_lists_of_any_length_come_back_as_they_were_kept(database: str) -> None:
    engine = open_database(database)

    @settings(max_examples=30)
    @given(st.lists(st.lists(ENTRIES, max_size=500) | st.integers(0, 400).map(catalogue), max_size=3))
    def come_back(lists: list[list[Entry]]) -> None:
        names = []
        with writing(engine) as connection:
            for entries in lists:
                name, chunks = chunks_of(entries)
                keep_values(connection, chunks)
                names.append(name)
            assert lists_of(connection, names) == dict(zip(names, lists, strict=True))

    come_back()
    engine.dispose()


@pytest.mark.parametrize("days", [7, 60, 500])
def test_a_day_more_costs_what_is_around_it_however_long_the_list_is(days: int) -> None:
    (_, before), (_, after) = chunks_of(catalogue(days)), chunks_of(catalogue(days + 1))
    new = {name: chunk for name, chunk in after.items() if name not in before}
    assert entries_in(new) < STAGES * 60, "a flat list would add all of them: 2,505 at last"


def test_what_changes_in_the_middle_leaves_the_rest_shared() -> None:
    entries = catalogue(400)
    changed = [*entries[:1000], Entry("catalogue", "all", 10**6), *entries[1001:]]
    (_, before), (_, after) = chunks_of(entries), chunks_of(changed)
    assert len(after.keys() - before.keys()) < 10 < len(after) / 10


def test_equal_lists_have_one_name_and_others_another() -> None:
    assert chunks_of(catalogue(50)) == chunks_of(catalogue(50))
    assert chunks_of(catalogue(50))[0] != chunks_of(catalogue(50)[::-1])[0]


def test_a_short_list_is_one_chunk() -> None:
    assert [len(chunks_of(catalogue(days))[1]) for days in (0, 1, 6)] == [1, 1, 1]
