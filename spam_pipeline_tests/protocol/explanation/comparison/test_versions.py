"""Which versions are compared."""

from dataclasses import replace

import pytest

from spam_pipeline.protocol.explanation.comparison.versions import (
    NEWEST,
    PUBLISHED,
    pairs_of_code,
    pairs_of_environments,
    resolve,
)
from spam_pipeline.protocol.foundation.errors import UnknownVersion
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.records import PRODUCTION, Version
from spam_pipeline_tests.protocol.made_up_records import PASSED, REFUSED, a_version, recorded

DAY, NEXT_DAY = "2026-01-05", "2026-01-06"


def record(ledger: Ledger, recipe: str, code: str = "code", partition: str = DAY, *, refused: bool = False) -> Version:
    version = replace(a_version(recipe, partition, content=f"content of {recipe}"), code_version=code)
    ledger.record(version, REFUSED if refused else PASSED, PRODUCTION)
    return recorded(ledger, recipe)


def meant(ledger: Ledger, which: str, environment: str = PRODUCTION) -> str:
    return resolve(ledger, environment, "numbers", DAY, which)[0].recipe


def test_a_version_is_named_by_the_first_digits_of_its_recipe_or_by_a_word(ledger: Ledger) -> None:
    record(ledger, "aaaa1111")
    record(ledger, "bbbb2222")
    record(ledger, "cccc3333", refused=True)
    assert [meant(ledger, which) for which in ("aaaa", "AAAA1", PUBLISHED, NEWEST)] == [
        "aaaa1111",
        "aaaa1111",
        "bbbb2222",
        "cccc3333",
    ]
    assert resolve(ledger, PRODUCTION, "numbers", DAY, NEWEST)[1] == REFUSED


def test_published_is_what_the_environment_reads(ledger: Ledger) -> None:
    first = record(ledger, "aaaa1111")
    record(ledger, "bbbb2222")
    ledger.publish(first, "mine")
    assert (meant(ledger, PUBLISHED, "mine"), meant(ledger, PUBLISHED)) == ("aaaa1111", "bbbb2222")


def test_production_is_what_readers_of_production_see_whatever_the_environment(ledger: Ledger) -> None:
    record(ledger, "aaaa1111")
    mine = record(ledger, "bbbb2222", refused=True)
    ledger.publish(mine, "mine")
    assert (meant(ledger, PRODUCTION, "mine"), meant(ledger, PUBLISHED, "mine")) == ("aaaa1111", "bbbb2222")


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ("aaaa", "numbers 2026-01-05 has several versions aaaa: give more digits of one of aaaa1111, aaaa2222"),
        (
            "aaa",
            "has no version 'aaa': expected published, newest, production, or 4 or more digits of one of aaaa1111, aaaa2222",
        ),
        ("dddd", "has no version 'dddd'"),
        (PUBLISHED, "has no version 'published'"),
    ],
)
def test_what_means_no_version_or_several_is_an_error_with_those_there_are(
    ledger: Ledger, which: str, message: str
) -> None:
    record(ledger, "aaaa1111", refused=True)
    record(ledger, "aaaa2222", refused=True)
    with pytest.raises(UnknownVersion, match=message):
        meant(ledger, which)


def test_where_nothing_was_computed_the_error_says_so(ledger: Ledger) -> None:
    for which in (PUBLISHED, NEWEST, "aaaa"):
        with pytest.raises(UnknownVersion, match="none, for nothing was computed there"):
            meant(ledger, which)


def test_code_versions_are_paired_partition_by_partition_by_their_last_versions(ledger: Ledger) -> None:
    for recipe, code, partition in (
        ("r1", "aaaa1", DAY),
        ("r2", "aaaa1", DAY),
        ("r3", "bbbb2", DAY),
        ("r4", "aaaa1", NEXT_DAY),
        ("r5", "cccc3", "2026-01-07"),
    ):
        record(ledger, recipe, code, partition)
    days = [DAY, NEXT_DAY, "2026-01-07", "2026-01-08"]
    found = pairs_of_code(ledger, PRODUCTION, "numbers", "aaaa", "bbbb", days)
    recipes = [(key, old and old[0].recipe, new and new[0].recipe) for key, old, new in found]
    assert recipes == [(DAY, "r2", "r3"), (NEXT_DAY, "r4", None)]
    words = pairs_of_code(ledger, PRODUCTION, "numbers", "aaaa", PUBLISHED, days)
    assert [new[0].recipe for _, _, new in words if new] == ["r3", "r4", "r5"]


def test_digits_of_several_code_versions_or_of_none_are_an_error(ledger: Ledger) -> None:
    record(ledger, "r1", "aaaa1")
    record(ledger, "r2", "aaaa2")
    with pytest.raises(UnknownVersion, match="several code versions aaaa: give more digits of one of aaaa1, aaaa2"):
        pairs_of_code(ledger, PRODUCTION, "numbers", "aaaa", "bbbb", [DAY])
    with pytest.raises(UnknownVersion, match="no partition with versions by both 'aaaa1' and 'bbbb'"):
        pairs_of_code(ledger, PRODUCTION, "numbers", "aaaa1", "bbbb", [DAY])


def test_environments_are_paired_where_their_readers_see_different_versions(ledger: Ledger) -> None:
    old = record(ledger, "r1")
    record(ledger, "r2", partition=NEXT_DAY)
    record(ledger, "r4", partition="2026-01-08")
    assert pairs_of_environments(ledger, ["numbers"], "mine") == {}
    ledger.record(a_version("r3", content="other"), PASSED, "mine")
    ledger.record(a_version("r5", "2026-01-07"), PASSED, "mine")
    ledger.retract("numbers", "2026-01-08", "mine")
    found = pairs_of_environments(ledger, ["numbers", "halves"], "mine")
    recipes = [(key, old and old[0].recipe, new and new[0].recipe) for key, old, new in found["numbers"]]
    assert list(found) == ["numbers"]
    assert recipes == [(DAY, old.recipe, "r3"), ("2026-01-07", None, "r5"), ("2026-01-08", "r4", None)]
