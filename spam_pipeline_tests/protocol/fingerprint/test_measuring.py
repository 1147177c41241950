"""What each measure tells of a frame."""

import json
import subprocess
import sys
from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spam_pipeline.protocol.fingerprint import (
    NULL,
    REST,
    Averaged,
    Count,
    Counted,
    Figure,
    Figured,
    Histogram,
    Keys,
    Mean,
    Measure,
    Measured,
    Proportion,
    Quantiles,
    Recorded,
    Records,
    Share,
    Spread,
    Spreading,
    Summed,
    Top,
    Total,
    Totals,
    fingerprint_to_json,
    measure,
    numbers,
)

PLAYS = pl.LazyFrame(
    {
        "country": ["SE", "NO", None, "SE", "SE"],
        "client": ["web", "ios", "web", "web", None],
        "ms": [1000, 0, None, 40_000, 3000],
        "fee": [10, 20, 30, None, 40],
        "track_key": pl.Series([7, 2**64 - 1, 7, 7, None], dtype=pl.UInt64),
        "track": ["song", "tune", "song", "air", "lost"],
    },
    schema_overrides={"ms": pl.Int32},
)

ONE_OF_EACH: dict[str, Measure] = {
    "plays": Count(),
    "fees": Total(pl.col("fee")),
    "money": Totals(pl.col("fee"), by=pl.col("country")),
    "long": Share(pl.col("ms") > 2000),
    "ms": Mean(pl.col("ms")),
    "countries": Spread(pl.col("country")),
    "tracks": Keys(pl.col("track_key")),
    "length": Quantiles(pl.col("ms")),
    "longest": Figure(pl.col("ms").max()),
    "rows": Records(lambda frame: frame.group_by("client").len().sort("client")),
}


def test_a_frame_at_hand_and_one_that_is_scanned_measure_alike() -> None:
    scanned = measure(ONE_OF_EACH, PLAYS)
    assert scanned.keys() == ONE_OF_EACH.keys()
    assert measure(ONE_OF_EACH, PLAYS.collect()) == scanned


def measured(item: Measure, frame: pl.LazyFrame = PLAYS) -> Measured:
    return measure({"it": item}, frame)["it"]


def test_rows_are_counted_all_or_those_for_which_something_holds() -> None:
    assert measured(Count()) == Counted(5)
    assert measured(Count(pl.col("ms") > 0)) == Counted(3)


def test_totals_are_exact_whatever_their_size_and_each_currency_keeps_its_own() -> None:
    large = pl.LazyFrame({"amount": [2**62] * 9, "currency": ["EUR", "EUR", None] * 3})
    assert measured(Total(pl.col("amount")), large) == Counted(9 * 2**62)
    assert measured(Totals(pl.col("amount"), by=pl.col("currency")), large) == Summed(
        {"EUR": 6 * 2**62, NULL: 3 * 2**62}
    )


def test_narrow_integers_do_not_wrap_around() -> None:
    narrow = pl.LazyFrame({"amount": pl.Series([2**31 - 1] * 3, dtype=pl.Int32)})
    assert measured(Mean(pl.col("amount")), narrow) == Averaged(3 * (2**31 - 1), 3)


def test_a_share_is_of_all_rows_or_of_some_or_weighed() -> None:
    is_swedish = pl.col("country") == "SE"
    assert measured(Share(is_swedish)) == Proportion(3, 5)
    assert measured(Share(is_swedish & (pl.col("ms") > 0), whole=pl.col("ms") > 0)) == Proportion(3, 3)
    assert measured(Share(pl.when(is_swedish).then("fee"), whole=pl.col("fee"))) == Proportion(50, 100)


def test_a_mean_leaves_out_nulls() -> None:
    assert measured(Mean(pl.col("ms"))) == Averaged(44_000, 4)


def test_a_spread_counts_each_value_most_frequent_first_and_null_among_them() -> None:
    countries = measured(Spread(pl.col("country")))
    assert isinstance(countries, Spreading)
    assert list(countries.counts.items()) == [("SE", 3), ("NO", 1), (NULL, 1)]
    assert measured(Spread(pl.col("ms") > 0)) == Spreading({"true": 3, "false": 1, NULL: 1})
    assert measured(Spread(pl.col("country"), weight=pl.col("fee"))) == Spreading({"SE": 50, NULL: 30, "NO": 20})


def test_a_spread_of_many_values_keeps_the_most_frequent_and_adds_up_the_rest() -> None:
    values = [value for value in range(300) for _ in range(300 - value)]
    spreading = measured(Spread(pl.col("value")), pl.LazyFrame({"value": values}))
    assert isinstance(spreading, Spreading)
    assert len(spreading.counts) == 256
    assert spreading.counts["254"] == 46
    assert spreading.counts[REST] == sum(range(1, 46))
    assert spreading.total == len(values)


def test_256_values_are_all_told_apart() -> None:
    spreading = measured(Spread(pl.col("value")), pl.LazyFrame({"value": range(256)}))
    assert spreading == Spreading({str(value): 1 for value in range(256)})


def test_keys_are_counted_listed_and_named() -> None:
    tracks = measured(Keys(pl.col("track_key"), name=pl.col("track")))
    assert tracks.to_json() == {
        "total": 4,
        "distinct": 2,
        "top": [[7, "air", 3], [2**64 - 1, "tune", 1]],
        "sample": [[7, 2**64 - 8], [3, 1]],
        "entropy_nats": 0.687335145,
        "surprise_variance": 0.22630293,
        "unlisted": 0,
        "mixture": None,
    }


def test_the_twenty_most_frequent_keys_are_listed_and_no_other_has_more_than_the_last() -> None:
    keys = pl.Series([key for key in range(30) for _ in range(30 - key)], dtype=pl.UInt64)
    sample = measured(Keys(pl.col("key")), pl.LazyFrame({"key": keys}))
    assert sample.top == tuple(Top(key, "", 30 - key) for key in range(20))
    assert sample.unlisted == 11


def test_weights_of_keys_are_added_up_and_those_of_zero_left_out() -> None:
    weighed = measured(Keys(pl.col("track_key"), weight=pl.col("fee").fill_null(0) - 20), PLAYS.tail(4).head(2))
    assert [(item.key, item.count) for item in weighed.top] == [(7, 10)]
    assert (weighed.total, weighed.distinct) == (10, 1)


def test_magnitudes_keep_apart_zeros_and_what_is_no_number_from_zero_on() -> None:
    frame = pl.LazyFrame({"value": [0.0, -0.0, 1.0, 1.0, 1000.0, -1.0, float("nan"), float("inf"), None]})
    histogram = measured(Quantiles(pl.col("value")), frame)
    assert histogram == Histogram({0: 2, 173: 1}, zeros=2, nulls=4)


def test_a_figure_is_any_aggregation_and_absent_when_there_is_none() -> None:
    assert measured(Figure(pl.col("ms").max())) == Figured(40_000)
    without = measure({"it": Figure(pl.col("ms").mean()), "nan": Figure(pl.lit(float("nan")))}, PLAYS.clear())
    assert without == {}


def test_records_are_values_that_json_holds() -> None:
    frame = pl.LazyFrame({"day": [date(2026, 1, 2)], "share": [[1 / 3, float("nan"), None]], "it": [{"a": 0.1}]})
    recorded = measured(Records(lambda all_of_it: all_of_it.head(1)), frame)
    assert recorded == Recorded(({"day": "2026-01-02", "share": [0.333333333, None, None], "it": {"a": 0.1}},))
    json.dumps(recorded.to_json(), allow_nan=False)


def test_of_no_rows_there_is_nothing_but_counts_of_zero() -> None:
    nothing = measure(ONE_OF_EACH, PLAYS.filter(pl.col("ms") < 0))
    assert numbers(nothing) == {"plays": 0, "fees": 0}
    assert {label for name, item in nothing.items() for label in item.estimates(name)} == {"plays", "fees"}


def test_no_measures_are_no_fingerprint() -> None:
    assert measure({}, PLAYS) == {}


@pytest.mark.parametrize("make", [Count, Total, Share, Mean])
def test_fractions_are_refused_where_sums_have_to_be_exact(make: type[Measure]) -> None:
    with pytest.raises(TypeError, match="expected booleans or integers"):
        measured(make(pl.col("ms") / 7))


def test_weights_that_are_fractions_are_refused() -> None:
    for item in [
        Spread(pl.col("country"), weight=pl.col("ms") / 7),
        Keys(pl.col("track_key"), weight=pl.col("ms") / 7),
    ]:
        with pytest.raises(TypeError, match="expected booleans or integers"):
            measured(item)


def test_keys_that_are_no_hashes_are_refused() -> None:
    with pytest.raises(TypeError, match="expected keyed hashes"):
        measured(Keys(pl.col("ms")))


def test_columns_may_have_any_name() -> None:
    named = PLAYS.select(value=pl.col("fee"), count=pl.col("country"), keys=pl.col("track_key"))
    assert measured(Spread(pl.col("count"), weight=pl.col("value")), named) == Spreading({"SE": 50, NULL: 30, "NO": 20})
    assert measured(Keys(pl.col("keys"), weight=pl.col("value")), named).total == 60


@given(st.permutations(range(5)))
def test_the_order_of_rows_makes_no_difference(order: list[int]) -> None:
    assert measure(ONE_OF_EACH, PLAYS.collect()[order].lazy()) == measure(ONE_OF_EACH, PLAYS)


MEASURED_WITH_THREADS = """
import json
import polars as pl
from spam_pipeline.protocol.fingerprint import Keys, Quantiles, Spread, fingerprint_to_json, measure

row = pl.int_range(200_000, dtype=pl.UInt64)
frame = pl.select(row=row, key=(row * 0x9E3779B97F4A7C15 % (row % 3000 + 1)).hash(1)).lazy()
measures = {"keys": Keys(pl.col("key")), "values": Spread(pl.col("row") % 500), "sizes": Quantiles(pl.col("row"))}
print(json.dumps(fingerprint_to_json(measure(measures, frame))))
"""


def test_the_number_of_threads_makes_no_difference() -> None:
    printed = [
        subprocess.run(
            [sys.executable, "-c", MEASURED_WITH_THREADS],
            env={"POLARS_MAX_THREADS": threads},
            capture_output=True,
            check=True,
        ).stdout
        for threads in ("1", "4")
    ]
    assert printed[0] == printed[1]


def test_a_fingerprint_is_small() -> None:
    row = pl.int_range(100_000, dtype=pl.UInt64)
    frame = pl.select(key=row.hash(1), ms=row * 7).lazy()
    kept = fingerprint_to_json(measure({"keys": Keys(pl.col("key")), "ms": Quantiles(pl.col("ms"))}, frame))
    assert len(json.dumps(kept)) < 10_000
