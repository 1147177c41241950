"""The observations in a ledger, over SQLite and over PostgreSQL: what is there by the last of them, as of an id, and where."""

from dataclasses import replace

import pytest

from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.records import KnownState, Observation
from spam_pipeline_tests.protocol.made_up_records import an_observation, landed

IN_ORDER = [
    "B/a.txt",
    "a b/c.txt",
    "a-b/c.txt",
    "a/B.txt",
    "a/a.txt",
    "a/a/b.txt",
    "a/ä.txt",
    "a0/b.txt",
    "b/a.txt",
    "ä/a.txt",
]
"""Paths in the order of their bytes, which is not that of a language, and around the folder `a` in it."""


@pytest.fixture
def last(ledger: Ledger) -> int:
    """The id of the last observation of all of the paths, which were observed in another order, and some of them twice."""
    for path in reversed(IN_ORDER):
        ledger.observations.record([an_observation(path, digest="before")])
    ledger.observations.record([an_observation(path) for path in IN_ORDER])
    return max(seen.id for seen in landed(ledger))


def every_path(ledger: Ledger, until: int) -> list[tuple[str, str]]:
    return [(seen.path, seen.digest) for batch in ledger.observations.every_file(until) for seen in batch]


def test_every_file_comes_once_in_the_order_of_bytes(ledger: Ledger, last: int) -> None:
    assert every_path(ledger, last) == [(path, "d1") for path in IN_ORDER]


def test_files_are_those_as_of_an_id_whatever_was_observed_since(ledger: Ledger, last: int) -> None:
    ledger.observations.record([an_observation("a/a.txt", digest=None), an_observation("a/B.txt", digest="d2")])
    asked = ("landed_numbers", "2026-01-05", ("a/B.txt", "a/ä.txt"))
    then = [(seen.path, seen.digest) for seen in ledger.observations.files(*asked, last)]
    assert then == [(path, "d1") for path in IN_ORDER[3:7]]
    now = [(seen.path, seen.digest) for seen in ledger.observations.files(*asked, last + 2)]
    assert now == [("a/B.txt", "d2"), ("a/a/b.txt", "d1"), ("a/ä.txt", "d1")]
    assert every_path(ledger, last) == [(path, "d1") for path in IN_ORDER]
    added = ledger.observations.added(last, last + 2)
    assert [(seen.path, seen.digest) for seen in added] == [("a/B.txt", "d2"), ("a/a.txt", None)]
    assert ledger.observations.last(["a/a.txt"], last)["a/a.txt"].digest == "d1"


def test_files_of_other_partitions_between_those_of_one_are_left_out(ledger: Ledger, last: int) -> None:
    elsewhere: Observation = replace(an_observation("a/a.txt"), partition="2026-01-06")
    ledger.observations.record([elsewhere])
    asked = ("landed_numbers", "2026-01-05", ("a/B.txt", "a/ä.txt"))
    assert [seen.path for seen in ledger.observations.files(*asked, last + 1)] == ["a/B.txt", "a/a/b.txt", "a/ä.txt"]


def test_below_a_folder_is_what_lies_in_it_and_no_neighbour_of_a_similar_name(ledger: Ledger, last: int) -> None:
    ledger.observations.record([an_observation("a/a.txt", digest=None)])
    found = ledger.observations.below("a")
    assert found == dict.fromkeys(
        ["a/B.txt", "a/a/b.txt", "a/ä.txt"], KnownState("landed_numbers", "2026-01-05", 10, "1000000000000000001")
    )
    assert list(ledger.observations.below("")) == [path for path in IN_ORDER if path != "a/a.txt"]
    assert last


def test_the_files_of_a_source_are_found(ledger: Ledger, last: int) -> None:
    ledger.observations.record([replace(an_observation("a/a.txt"), source="another"), an_observation("c", digest=None)])
    assert [seen.path for seen in ledger.observations.of_source("another")] == ["a/a.txt"]
    assert len(ledger.observations.of_source("landed_numbers")) == len(IN_ORDER) - 1
    assert last
