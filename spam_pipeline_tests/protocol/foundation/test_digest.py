"""Canonical digests."""

from datetime import UTC, date, datetime
from itertools import combinations
from pathlib import Path

import pytest

from spam_pipeline.protocol.foundation.digest import SCHEME, digest, digest_of_file

LOOKALIKES = [
    None, False, True, 0, 1, 1.0, "1", b"1", "", b"", [], ["1"], [1], [[1]], ["a;b"], ["a", "b"], ["ab"], {}, {"a": 1},
    {"a": "1"}, [("a", 1)], date(2026, 1, 5), "2026-01-05", datetime(2026, 1, 5, tzinfo=UTC), -1, 10**30, 0.1, "é", "e\u0301",
]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "6cfd1cb7498b7523"),
        (1, "a06c07f0425787e9"),
        ("plays", "a7970913c31e7ead"),
        (["plays", 1, True, None, 0.5, b"x", {"b": 1, "a": date(2026, 1, 5)}], "9b930b599b614225"),
    ],
)
def test_golden_digests_stay_as_they_are_until_the_scheme_number_is_raised(value: object, expected: str) -> None:
    assert SCHEME == 1
    assert digest(value)[:16] == expected


def test_values_that_look_alike_have_different_digests() -> None:
    for one, other in combinations(LOOKALIKES, 2):
        assert digest(one) != digest(other), (one, other)


def test_the_order_of_a_mapping_does_not_matter_and_that_of_a_sequence_does() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest(["a", "b"]) != digest(["b", "a"])


def test_a_tuple_and_a_list_are_the_same_sequence() -> None:
    assert digest(("a", 1)) == digest(["a", 1])


@pytest.mark.parametrize("value", [object(), {1, 2}, len, Path("x")])
def test_a_value_without_an_encoding_is_an_error(value: object) -> None:
    with pytest.raises(TypeError, match="no canonical encoding"):
        digest(value)


def test_a_file_has_the_digest_that_sha256sum_prints(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"abc")
    assert digest_of_file(file) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
