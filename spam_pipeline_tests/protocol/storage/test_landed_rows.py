"""What a table answered lands once, and again when it answers something else."""

from pathlib import Path

import polars as pl
import pytest

from spam_pipeline.protocol.storage.landed_rows import land_rows
from spam_pipeline.protocol.storage.landing_zone import LandingZone

ROWS = pl.LazyFrame({"market": ["DE", "AT"], "price": [2, 3]})
PATH = "rate_cards/all.parquet"


@pytest.fixture
def zone(tmp_path: Path) -> LandingZone:
    return LandingZone(str(tmp_path))


def landed(zone: LandingZone) -> list[tuple[str, int]]:
    with zone.open(PATH) as file:
        return [(str(market), int(price)) for market, price in pl.read_parquet(file).rows()]


def test_rows_land_in_the_order_of_their_key(zone: LandingZone) -> None:
    assert land_rows(zone, PATH, ROWS, ["market"])
    assert landed(zone) == [("AT", 3), ("DE", 2)]


def test_the_same_rows_in_another_order_land_nothing(zone: LandingZone) -> None:
    land_rows(zone, PATH, ROWS, ["market"])
    before = zone.state(PATH)
    assert not land_rows(zone, PATH, ROWS.reverse(), ["market"])
    assert zone.state(PATH) == before


@pytest.mark.parametrize(
    "changed", [ROWS.head(1), ROWS.with_columns(price=pl.lit(9)), ROWS.with_columns(pl.col("price").cast(pl.Int32))]
)
def test_other_rows_and_other_types_take_their_place(zone: LandingZone, changed: pl.LazyFrame) -> None:
    land_rows(zone, PATH, ROWS, ["market"])
    assert land_rows(zone, PATH, changed, ["market"])
    assert not land_rows(zone, PATH, changed, ["market"])


def test_a_link_in_its_place_is_neither_read_nor_replaced(zone: LandingZone, tmp_path: Path) -> None:
    (tmp_path / "rate_cards").mkdir()
    (tmp_path / PATH).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        land_rows(zone, PATH, ROWS, ["market"])
