"""Fingerprints merge over versions without their rows, and lie in JSON without loss."""

import json
import math
from dataclasses import replace
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spam_pipeline.protocol.fingerprint import (
    REST,
    Count,
    Counted,
    Figure,
    Figured,
    Fingerprint,
    Keys,
    KeySample,
    Mean,
    Measure,
    Measured,
    Quantiles,
    Records,
    Share,
    Spread,
    Spreading,
    Top,
    Total,
    Totals,
    fingerprint_from_json,
    fingerprint_to_json,
    measure,
    merged,
)
from spam_pipeline.protocol.foundation.errors import WrongLedger

EXACT: dict[str, Measure] = {
    "plays": Count(),
    "swedish": Count(pl.col("country") == "SE"),
    "fees": Total(pl.col("fee")),
    "money": Totals(pl.col("fee"), by=pl.col("country")),
    "long": Share(pl.col("ms") > 30_000),
    "ms": Mean(pl.col("ms")),
    "countries": Spread(pl.col("country")),
    "paid": Spread(pl.col("country"), weight=pl.col("plays")),
    "length": Quantiles(pl.col("ms")),
}
ALL: dict[str, Measure] = {
    **EXACT,
    "tracks": Keys(pl.col("track_key"), name=pl.col("track_key").cast(pl.String)),
    "listens": Keys(pl.col("track_key"), weight=pl.col("plays")),
    "longest": Figure(pl.col("ms").max()),
    "rows": Records(lambda frame: frame.select("country", "fee").head(3)),
}
SCHEMA = {"country": pl.String, "fee": pl.Int64, "ms": pl.Int64, "plays": pl.UInt32, "track_key": pl.UInt64}

rows = st.tuples(
    st.sampled_from(["SE", "NO", "null", REST, None]),
    st.integers(-(2**40), 2**40) | st.none(),
    st.integers(0, 2**40) | st.none(),
    st.integers(0, 1000),
    st.integers(0, 9).map(lambda step: step * (2**64 - 1) // 9) | st.none(),
)
frames = st.lists(rows, max_size=30).map(lambda chosen: pl.DataFrame(chosen, SCHEMA, orient="row"))
splits = st.lists(st.integers(0, 30), max_size=3)


def parts_of(frame: pl.DataFrame, split: list[int]) -> list[pl.LazyFrame]:
    return [frame[start:end].lazy() for start, end in pairwise([0, *sorted(split), 31])]


@given(frames, splits)
def test_merging_any_split_of_a_frame_equals_measuring_all_of_it(frame: pl.DataFrame, split: list[int]) -> None:
    assert merged(measure(EXACT, part) for part in parts_of(frame, split)) == measure(EXACT, frame.lazy())


@given(frames, splits)
def test_merging_few_keys_is_exact(frame: pl.DataFrame, split: list[int]) -> None:
    keys: dict[str, Measure] = {"tracks": ALL["tracks"], "listens": ALL["listens"]}
    found = merged(measure(keys, part) for part in parts_of(frame, split))
    assert {name: without_mixture(item) for name, item in found.items()} == measure(keys, frame.lazy())


def without_mixture(measured: Measured) -> KeySample:
    assert isinstance(measured, KeySample)
    return replace(measured, mixture=None)


@given(frames, frames, frames)
def test_merging_is_associative_and_commutative(one: pl.DataFrame, two: pl.DataFrame, three: pl.DataFrame) -> None:
    a, b, c = (measure(ALL, frame.lazy()) for frame in (one, two, three))
    assert merged([merged([a, b]), c]) == merged([a, merged([b, c])])
    assert merged([a, b]) == merged([b, a])


@given(frames)
def test_a_fingerprint_comes_back_from_json_as_it_was(frame: pl.DataFrame) -> None:
    fingerprint = measure(ALL, frame.lazy())
    assert fingerprint_from_json(json.loads(json.dumps(fingerprint_to_json(fingerprint)))) == fingerprint


@given(frames, frames)
def test_a_merged_fingerprint_comes_back_from_json_as_it_was(one: pl.DataFrame, two: pl.DataFrame) -> None:
    fingerprint = merged([measure(ALL, one.lazy()), measure(ALL, two.lazy())])
    assert fingerprint_from_json(json.loads(json.dumps(fingerprint_to_json(fingerprint)))) == fingerprint


def test_a_fingerprint_that_another_release_wrote_otherwise_is_refused() -> None:
    with pytest.raises(WrongLedger, match="this release reads scheme 1"):
        fingerprint_from_json({"scheme": 2, "measures": {}})


def test_what_cannot_be_merged_or_is_not_in_all_is_left_out() -> None:
    one: Fingerprint = {"plays": Counted(1), "quality": Figured(0.9), "only": Counted(2), "changed": Counted(3)}
    other: Fingerprint = {"plays": Counted(4), "quality": Figured(0.9), "changed": Figured(0.1)}
    assert merged([one, other]) == {"plays": Counted(5)}
    assert merged([one]) == one
    assert merged([]) == {}


def test_values_beyond_the_most_frequent_stay_together_when_merged() -> None:
    assert Spreading({"SE": 3, REST: 2}).merge(Spreading({"NO": 1, REST: 4})) == Spreading({"SE": 3, REST: 6, "NO": 1})


def plays_of(listeners: int, day: int) -> pl.LazyFrame:
    """A long tail of plays: listener i of a day plays about `listeners` / i times; half of them come back every day."""
    row = pl.int_range(listeners, dtype=pl.UInt64)
    key = pl.when(row % 2 == 0).then(row).otherwise(row + day * listeners).hash(7)
    return pl.select(key=key, plays=(listeners // (row + 1)).cast(pl.Int64) * (day % 3) + 1).lazy()


@pytest.mark.parametrize("listeners", [1000, 20_000])
def test_merging_many_keys_is_within_the_stated_error_of_measuring_all_of_them(listeners: int) -> None:
    days = [plays_of(listeners, day) for day in range(1, 8)]
    found, whole = merged_sample([sample_of(day) for day in days]), sample_of(pl.concat(days))
    assert (found.total, found.sample) == (whole.total, whole.sample)
    assert abs(found.distinct / whole.distinct - 1) < 3 / math.sqrt(254)
    assert abs(found.entropy_nats - whole.entropy_nats) < 0.3
    counts = {item.key: item.count for item in found.top}
    assert all(counts.get(item.key, 0) <= item.count <= counts.get(item.key, 0) + found.unlisted for item in whole.top)


def test_merging_versions_whose_keys_are_the_same_or_all_different_knows_the_entropy_well() -> None:
    days = [plays_of(20_000, 1)] * 5
    apart = [plays_of(20_000, 1).with_columns(pl.col("key").hash(day)) for day in range(5)]
    one = sample_of(days[0]).entropy_nats
    assert abs(merged_sample([sample_of(day) for day in days]).entropy_nats - one) < 0.15
    assert abs(merged_sample([sample_of(day) for day in apart]).entropy_nats - one - math.log(5)) < 0.15


@given(st.integers(1, 2000), st.integers(1, 2000), st.integers(1, 2000))
def test_samples_merge_in_any_order_into_the_sample_of_all(one: int, two: int, three: int) -> None:
    frames_of_three = [plays_of(listeners, day) for day, listeners in enumerate((one, two, three), start=1)]
    a, b, c = (sample_of(frame) for frame in frames_of_three)
    assert a.merge(b).merge(c) == a.merge(b.merge(c)) == c.merge(b).merge(a)
    assert a.merge(b).merge(c).sample == sample_of(pl.concat(frames_of_three)).sample


def sample_of(plays: pl.LazyFrame) -> KeySample:
    found = measure({"it": Keys(pl.col("key"), weight=pl.col("plays"))}, plays)["it"]
    assert isinstance(found, KeySample)
    return found


def merged_sample(samples: list[KeySample]) -> KeySample:
    found = merged({"it": sample} for sample in samples)["it"]
    assert isinstance(found, KeySample)
    return found


def test_a_name_survives_merging_and_counts_add_up() -> None:
    one = KeySample(total=3, distinct=1, top=(Top(5, "song", 3),), sample={5: 3}, entropy_nats=0.0)
    other = KeySample(total=1, distinct=1, top=(Top(5, "", 1),), sample={5: 1}, entropy_nats=0.0)
    assert one.merge(other).top == (Top(5, "song", 4),)
