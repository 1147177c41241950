"""A frame in slices is the frame, whatever the slices."""

from collections.abc import Iterator

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from spam_pipeline.protocol.foundation.slices import in_slices, key_ranges, rows_in, slices_of

COLUMNS = {"n": pl.Int64(), "name": pl.String()}
WHOLE = pl.DataFrame({"n": range(10), "name": [f"number {n}" for n in range(10)]})


def sliced(*sizes: int) -> pl.LazyFrame:
    """`WHOLE` in slices of these sizes, and one of what is left."""

    def slices() -> Iterator[pl.DataFrame]:
        start = 0
        for size in (*sizes, WHOLE.height):
            yield WHOLE.slice(start, size)
            start += size

    return in_slices(slices, COLUMNS)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 4), max_size=5), st.integers(0, 11), st.integers(0, 11))
def test_whatever_is_asked_of_a_frame_in_slices_is_what_the_whole_answers(
    sizes: list[int], start: int, length: int
) -> None:
    frame = sliced(*sizes)
    assert_frame_equal(frame.collect(), WHOLE)
    assert_frame_equal(frame.slice(start, length).collect(), WHOLE.slice(start, length))
    assert_frame_equal(frame.filter(pl.col("n") >= start).select("name").collect(), WHOLE[start:].select("name"))
    assert rows_in(frame) == 10


def test_a_slice_is_computed_only_when_it_is_read_and_again_for_each_reader() -> None:
    computed: list[int] = []

    def slices() -> Iterator[pl.DataFrame]:
        for number in range(3):
            computed.append(number)
            yield WHOLE

    frame = in_slices(slices, COLUMNS)
    assert computed == []
    assert frame.head(5).collect().height == 5
    assert computed[:1] == [0]
    assert len(computed) < 3
    assert frame.collect().height == 30


def test_an_error_while_computing_a_slice_reaches_whoever_reads() -> None:
    def slices() -> Iterator[pl.DataFrame]:
        yield WHOLE
        raise LookupError("there is no second one")

    with pytest.raises(LookupError, match="there is no second one"):
        in_slices(slices, COLUMNS).collect()


@pytest.mark.parametrize(("rows", "slices"), [(0, 1), (1, 1), (10, 1), (11, 2), (20, 2), (21, 3)])
def test_the_number_of_slices_follows_from_the_rows(rows: int, slices: int) -> None:
    assert slices_of(rows, 10) == slices


@settings(max_examples=50)
@given(st.lists(st.one_of(st.none(), st.integers(0, 2**64 - 1), st.just(7)), max_size=30), st.integers(1, 9))
def test_each_key_is_in_one_range_with_all_its_rows_and_ranges_are_in_order(
    keys: list[int | None], slices: int
) -> None:
    frame = pl.DataFrame({"key": keys}, schema={"key": pl.UInt64})
    ranges = [frame.filter(bounds).sort("key") for bounds in key_ranges(pl.col("key"), slices)]
    assert len(ranges) == slices
    assert_frame_equal(pl.concat(ranges), frame.drop_nulls().sort("key"))
    assert sum(one["key"].n_unique() for one in ranges) == frame.drop_nulls()["key"].n_unique()


def test_hashes_fall_into_each_range_alike() -> None:
    hashes = pl.select(key=pl.int_range(10_000).hash()).lazy()
    shares = [rows_in(hashes.filter(bounds)) / 10_000 for bounds in key_ranges(pl.col("key"), 4)]
    assert shares == pytest.approx([0.25] * 4, abs=0.05)
