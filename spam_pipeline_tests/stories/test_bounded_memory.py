"""What `benchmarks.huge_window` and `benchmarks.divide_a_month` measure, at toy size: that they run, and find what was put in."""

from pathlib import Path

import polars as pl

from spam_pipeline_tests.benchmarks.divide_a_month import Size, divide, land
from spam_pipeline_tests.benchmarks.huge_window import FARM_DEVICES, Platform, land_day, made, stages

PLAYS = 3_000


def test_what_is_summed_of_a_day_is_written_by_every_stage(tmp_path: Path) -> None:
    land_day(tmp_path, Platform.of(PLAYS), 0, PLAYS)
    for name in stages(tmp_path, PLAYS):
        made(name, tmp_path, PLAYS)
    usage, plays = (pl.read_parquet(tmp_path / name) for name in ("royalty_usage.parquet", "plays-00-*.parquet"))
    assert usage["plays"].sum() == plays.height
    carried = pl.read_parquet(tmp_path / "carried_devices.parquet")
    assert carried.height in (0, FARM_DEVICES - 10)


def test_a_made_up_month_is_divided_to_the_last_minor_unit(tmp_path: Path) -> None:
    land(tmp_path, Size(earning_plays=3_000, accounts=300, tracks=40, payees=8))
    lines = divide(tmp_path).item()
    statement = pl.read_parquet(tmp_path / "statement.parquet")
    assert statement.height == lines > 0
    balance = statement.group_by("country", "tier", "currency", "rule").agg(
        pl.col("amount_minor").sum(), pl.col("pool_minor").first()
    )
    assert (balance["amount_minor"] == balance["pool_minor"]).all()
