"""Rate cards from a table of the sales team, landed market by market: from a database by a watermark, from an Iceberg table by its snapshots."""

import polars as pl
import sqlalchemy as sa

from examples.advertising.markets import markets, rate_cards
from spam_pipeline.protocol.operating import LandingZone, land_rows

COLUMNS = ("market", "price_minor")


def land_changed_cards(database: sa.Engine, landing: LandingZone, watermark: str) -> str:
    """Land the cards of the markets that changed since a watermark, and return the next one.

    Rows of the watermark's own moment are asked for again, because more of them may have been committed since; where they are the
    same, nothing lands. A watermark that was lost is `""`: that asks for everything.
    """
    changed = sa.text("select market, price_minor, updated_at from rate_cards where updated_at >= :watermark")
    with database.connect() as connection:
        rows = [row._asdict() for row in connection.execute(changed, {"watermark": watermark})]
    _land(landing, pl.DataFrame(rows, schema={"market": pl.String, "price_minor": pl.Int64, "updated_at": pl.String}))
    return max((row["updated_at"] for row in rows), default=watermark)


def _land(landing: LandingZone, cards: pl.DataFrame) -> None:
    for (market,), rows in cards.select(COLUMNS).partition_by("market", as_dict=True).items():
        land_rows(landing, f"{rate_cards.name}/{markets.check(str(market))}.parquet", rows.lazy(), ["market"])
