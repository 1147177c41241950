"""Contents by column: equal where a column is, whatever the others are, and however the frame came to the writer."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from spam_pipeline.protocol.foundation.slices import in_slices
from spam_pipeline.protocol.ledger.column_contents import ColumnContents
from spam_pipeline.protocol.storage.column_digests import column_contents
from spam_pipeline.protocol.storage.store import Store
from spam_pipeline.protocol.storage.writer import write_result

ROWS = 300_000
FRAME = pl.DataFrame({"number": range(ROWS)}).select(
    "number",
    (pl.col("number") % 7).alias("weekday"),
    pl.format("name {}", pl.col("number") % 1_000).alias("name"),
    pl.when(pl.col("number") % 3 > 0).then(pl.col("number") / 3).alias("third"),
    pl.concat_list(pl.col("number"), pl.col("number") % 2).alias("pair"),
    pl.struct(a="number", b=pl.lit("b")).alias("a.b"),
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"), tmp_path / "cache")


def written(store: Store, *frames: pl.DataFrame | pl.LazyFrame) -> list[Path]:
    return [store.locate(write_result(store, "a", frame)["all"][0].path) for frame in frames]


def contents(store: Store, *frames: pl.DataFrame | pl.LazyFrame) -> ColumnContents:
    found = column_contents(written(store, *frames))
    assert found is not None
    return found


def test_an_added_column_a_changed_one_and_another_order_of_columns_leave_the_others_as_they_were(store: Store) -> None:
    other = FRAME.select(
        pl.lit("new").alias("added"), *reversed(FRAME.columns[1:]), number=pl.col("number") * 2
    ).filter(pl.lit(value=True))
    before, after = contents(store, FRAME), contents(store, other)
    assert after.names == ("added", "a.b", "pair", "third", "name", "weekday", "number")
    assert after.changed(before, FRAME.columns) == ["number"]
    assert before.of(["name", "third"]) == after.of(["name", "third"])
    assert before.of(["name", "third"]) != before.of(["third", "name"]), "the order in which they are read counts"
    assert before.of(["added"]) == ""


def test_slices_leave_no_trace_in_columns(store: Store) -> None:
    whole = FRAME.drop(
        "pair"
    )  # lists lie in the file as they came, in slices or not: so it is with the content of the whole
    sliced = in_slices(lambda: (whole.slice(start, 90_001) for start in range(0, ROWS, 90_001)), whole.schema)
    assert contents(store, sliced) == contents(store, whole)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(pl.Series([1, 2, 3]), pl.Series([1, 3, 2]), id="order"),
        pytest.param(pl.Series([1, 2]), pl.Series([1, 2, 2]), id="rows"),
        pytest.param(pl.Series([1, 2]), pl.Series([1, None]), id="null"),
        pytest.param(pl.Series([1, 2]), pl.Series([1, 2], dtype=pl.UInt64), id="sign"),
        pytest.param(pl.Series([10_000]), pl.Series([10_000]).cast(pl.Datetime("us")), id="meaning"),
        pytest.param(pl.Series([date(2026, 1, 1)]), pl.Series([date(2026, 1, 2)]), id="day"),
        pytest.param(pl.Series([[1], [2, 3]]), pl.Series([[1, 2], [3]]), id="lists"),
    ],
)
def test_another_order_number_type_or_value_is_another_content(
    store: Store, before: pl.Series, after: pl.Series
) -> None:
    one, other = contents(store, before.to_frame("c")), contents(store, after.to_frame("c"))
    assert one.of(["c"]) != other.of(["c"])


def test_values_that_change_places_between_files_are_another_content(store: Store) -> None:
    a, b = pl.DataFrame({"x": [1], "y": [1]}), pl.DataFrame({"x": [2], "y": [2]})
    c, d = pl.DataFrame({"x": [1], "y": [2]}), pl.DataFrame({"x": [2], "y": [1]})
    assert contents(store, a, b).changed(contents(store, c, d), ["x", "y"]) == ["y"]
    assert contents(store, a, b) != contents(store, pl.concat([a, b]))


def test_files_of_different_columns_have_no_contents_by_column(store: Store) -> None:
    assert column_contents(written(store, pl.DataFrame({"x": [1]}), pl.DataFrame({"y": [1]}))) is None


def test_a_path_may_have_what_a_pattern_has(tmp_path: Path) -> None:
    odd = tmp_path / "a[b]*?'c"
    odd.mkdir()
    FRAME.write_parquet(odd / "made.parquet")
    FRAME.write_parquet(tmp_path / "made.parquet")
    assert column_contents([odd / "made.parquet"]) == column_contents([tmp_path / "made.parquet"])
