"""What versions were computed from, and what rests on them, in ledgers where versions read hundreds of others."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.layouts import open_database
from spam_pipeline.protocol.ledger.recipe import InputRef
from spam_pipeline.protocol.ledger.tables import writing
from spam_pipeline.protocol.ledger.versions import add_version, inputs_of, resting_on
from spam_pipeline_tests.protocol.made_up_records import (
    PASSED,
    PRODUCTION,
    a_version,
    an_observation,
    landed,
    recorded,
)


def test_inputs_come_back_in_their_order_parts_and_files_alike(ledger: Ledger) -> None:
    ledger.observations.record([an_observation(f"2026-01-05/{name}.txt", f"d{name}") for name in range(20)])
    files = [
        InputRef(item.source, item.source, item.partition, item.path, str(item.digest), item.id, is_file=True)
        for item in landed(ledger)
    ]
    days = [f"2026-01-{day:02d}" for day in range(1, 13)]
    for day in days:
        ledger.record(a_version(day, day), PASSED, PRODUCTION)
    parts = [
        InputRef(parameter, "numbers", version.partition, part.name, part.content, version.id)
        for parameter in ("numbers", "again")
        for version in (recorded(ledger, day) for day in days)
        for part in (*version.parts, *version.side_parts)
    ]
    read = (*files, *parts)
    ledger.record(a_version("of them all", inputs=read), PASSED, PRODUCTION)
    version = recorded(ledger, "of them all")
    assert version.inputs == read
    assert ledger.provenance([version.id]) == {version.id: (version.configuration, list(read))}


FIRST = 100
"""Versions at the beginning that read nothing, so that lists of later ones are cut."""

READS = st.lists(st.tuples(st.integers(0, 110), st.integers(0, 120)), min_size=1, max_size=12)
"""For each version in turn, the first and the last of those before it that it reads."""


def naively(reads: Mapping[int, Sequence[int]], version_id: int) -> set[int]:
    found = {version_id}
    for later, read in reads.items():
        if found.intersection(read):
            found.add(later)
    return found - {version_id}


def test_what_rests_on_a_version_is_what_a_search_finds(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'ledger.db'}")

    def add(connection: sa.Connection, read: Sequence[int], day: int) -> int:
        name = f"day {day:06}"
        inputs = tuple(InputRef("numbers", "numbers", "", "all", "", item) for item in read)
        return add_version(connection, a_version(name, name, inputs=inputs))

    with writing(engine) as connection:
        first = [add(connection, (), day) for day in range(FIRST)]

    @settings(max_examples=25)
    @given(READS, st.data())
    def is_found(spans: list[tuple[int, int]], data: st.DataObject) -> None:
        with engine.connect() as connection, connection.begin() as transaction:
            reads: dict[int, Sequence[int]] = dict.fromkeys(first, ())
            for since, until in spans:
                read = list(reads)[since:until]
                reads[add(connection, read, len(reads))] = read
            of = data.draw(st.sampled_from(list(reads)))
            partitions = {version_id: f"day {day:06}" for day, version_id in enumerate(reads)}
            expected = [("numbers", partitions[item]) for item in sorted(naively(reads, of))]
            assert resting_on(connection, of) == expected
            found = inputs_of(connection, list(reads))
            assert {item: [ref.record for ref in found[item]] for item in reads} == {
                item: list(read) for item, read in reads.items()
            }
            transaction.rollback()

    is_found()
    engine.dispose()
