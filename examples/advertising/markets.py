"""What spots earn in each market: stages by hour, by market, and by day and market, and the sources that they read.

No Dagster and no places: those are in `definitions`. How the rate cards come out of a table of another system is in `tables`.
"""

import re
from typing import Annotated

import dataframely as dy
import polars as pl

from spam_pipeline.protocol import (
    Contract,
    EachName,
    EveryName,
    Grain,
    HoursOfDay,
    LandedFile,
    Partitions,
    Reads,
    SameName,
    Source,
    stage,
)

MARKETS = ("AT", "CH", "DE")
TEAM = "team:advertising"

hours = Partitions("hour", Grain.HOUR)
days = Partitions("day", Grain.DAY)
markets = Partitions("market", Grain.NONE, MARKETS)
market_days = Partitions("market day", Grain.DAY, MARKETS)

spot_files = Source(
    "spot_files", hours, "Spots that were heard in an hour: `spots/<day>T<hour>.csv`, market and spots.", owner=TEAM
)
rate_cards = Source("rate_cards", markets, "The rate card of a market: `rate_cards/<market>.parquet`.", owner=TEAM)


class SpotsOfHour(Contract):
    """One row per market that heard a spot in the hour."""

    market = dy.String(primary_key=True, description="The market.")
    spots = dy.Int64(min=0, description="Spots that were heard to their end.")


class RateCard(Contract):
    """The one row that is valid."""

    market = dy.String(primary_key=True, description="The market.")
    price_minor = dy.Int64(min=0, description="Price of a spot, in minor units.")


class MarketRevenue(Contract):
    """One row per day and market."""

    market = dy.String(primary_key=True, description="The market.")
    spots = dy.Int64(min=0, description="Spots that were heard on the day.")
    revenue_minor = dy.Int64(min=0, description="What they cost, in minor units.")


class Revenue(Contract):
    """One row per day."""

    revenue_minor = dy.Int64(min=0, description="What the spots of all markets cost, in minor units.")


@stage(partitions=hours, contract=SpotsOfHour, owner=TEAM, libraries=["polars"])
def spots_of_hour(spot_files: LandedFile) -> pl.LazyFrame:
    """The spots of an hour, as the ad server landed them."""
    with spot_files.open() as file:
        return pl.read_csv(file, schema={"market": pl.String(), "spots": pl.Int64()}).lazy()


@stage(partitions=markets, contract=RateCard, owner=TEAM, libraries=["polars"])
def spot_prices(rate_cards: LandedFile) -> pl.LazyFrame:
    """The price of a spot in a market."""
    with rate_cards.open() as file:
        return pl.read_parquet(file).lazy()


@stage(partitions=market_days, contract=MarketRevenue, owner=TEAM, libraries=["polars"])
def market_revenue(
    spots_of_hour: Annotated[pl.LazyFrame, Reads(EachName(MARKETS, HoursOfDay()))],
    spot_prices: Annotated[pl.LazyFrame, Reads(SameName())],
) -> pl.LazyFrame:
    """The revenue of a day in one market. Another price makes the days of its market stale, and of no other."""
    spots = spots_of_hour.group_by("market").agg(pl.col("spots").sum())
    return spots.join(spot_prices, on="market").select(
        "market", "spots", revenue_minor=pl.col("spots") * pl.col("price_minor")
    )


@stage(partitions=days, contract=Revenue, owner=TEAM, libraries=["polars"])
def spot_revenue(market_revenue: Annotated[pl.LazyFrame, Reads(EveryName(MARKETS))]) -> pl.LazyFrame:
    """The revenue of a day in all markets."""
    return market_revenue.select(pl.col("revenue_minor").sum())


def classify_for_markets(path: str) -> tuple[str, str] | None:
    """The source and the partition of a landed file; None for one that is of neither source."""
    for pattern, source in _PATHS.items():
        if matched := re.fullmatch(pattern, path):
            return source.name, source.partitions.check(matched[1])
    return None


_PATHS = {r"spots/([0-9-]{10}T[0-9]{2})\.csv": spot_files, rf"rate_cards/({'|'.join(MARKETS)})\.parquet": rate_cards}

STAGES = (spots_of_hour, spot_prices, market_revenue, spot_revenue)
SOURCES = (spot_files, rate_cards)
