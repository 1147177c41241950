import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spam_pipeline.protocol.drift.values import OTHERS, table_of
from spam_pipeline.protocol.fingerprint import NULL, Distribution, Histogram, Spreading

SPREADINGS = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 10**6), min_size=1).map(Spreading)
HISTOGRAMS = st.builds(
    Histogram,
    st.dictionaries(st.integers(-50, 50), st.integers(1, 10**6), min_size=1),
    st.integers(0, 1000),
    st.integers(0, 1000),
)


@given(st.lists(SPREADINGS, min_size=2, max_size=6) | st.lists(HISTOGRAMS, min_size=2, max_size=6))
def test_no_row_is_lost(distributions: list[Distribution]) -> None:
    table = table_of(distributions)
    assert table.counts.sum(axis=1).tolist() == [distribution.total for distribution in distributions]
    assert len(table.names) == len(set(table.names)) == table.counts.shape[1]


def test_rare_values_are_put_together() -> None:
    table = table_of([Spreading({"DE": 600, "FR": 397, "MT": 2, "LI": 1}), Spreading({"DE": 500, "FR": 496, "SM": 4})])
    assert table.names == ("DE", "FR", OTHERS)
    assert table.counts.tolist() == [[600, 397, 3], [500, 496, 4]]


def test_a_partition_of_few_rows_makes_more_values_rare() -> None:
    large, small = Spreading({"DE": 600, "FR": 380, "MT": 20}), Spreading({"DE": 60, "FR": 39, "MT": 1})
    assert table_of([large, large]).names == ("DE", "FR", "MT")
    assert table_of([large, large, small]).names == ("DE", "FR", OTHERS)


def test_magnitudes_come_in_ranges_of_about_the_same_share_and_null_apart() -> None:
    histogram = Histogram(dict.fromkeys(range(100), 100), zeros=500, nulls=10)
    table = table_of([histogram, histogram])
    shares = table.counts[0] / table.counts[0].sum()
    assert len(table.names) == 21
    assert table.names[-1] == NULL
    assert shares[:-1].max() < 0.08
    assert np.all(np.diff([float(name.split(" to ")[0]) for name in table.names[:-1]]) > 0)
