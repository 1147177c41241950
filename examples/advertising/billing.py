"""What advertisers are billed for a day: the one stage of this team, what it reads and what it promises.

No Dagster and no places: those are in `definitions`.
"""

import json

import dataframely as dy
import polars as pl

from spam_pipeline.protocol import Contract, Grain, LandedFile, Partitions, Source, stage
from spam_pipeline.protocol.fingerprint import Measure, Total

event_days = Partitions("event day", Grain.DAY)

published_counts = Source(
    "published_counts", event_days, "Plays of a day without spam, as the platform published them last: `<day>.json`."
)


class BilledPlays(Contract):
    """One row per day. `amount_minor` is money in minor units, rounded down."""

    event_day = dy.Date(primary_key=True, description="Day of the plays, UTC.")
    plays = dy.Int64(min=0, description="Plays that are not clearly spam, as the platform published them last.")
    amount_minor = dy.Int64(min=0, description="What advertisers pay for them, in minor units, rounded down.")

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Plays and money; Dagster plots both over the days."""
        return {"plays": Total(pl.col("plays")), "amount_minor": Total(pl.col("amount_minor"))}


@stage(partitions=event_days, contract=BilledPlays, owner="team:advertising", libraries=["polars"])
def billed_plays(published_counts: LandedFile, price_per_thousand_minor: int) -> pl.LazyFrame:
    """What advertisers pay for a day: nothing for spam, and a price per thousand for every other play."""
    with published_counts.open() as file:
        counted = json.load(file)
    plays = pl.lit(counted["plays"], pl.Int64)
    return pl.LazyFrame({"event_day": [counted["day"]]}).select(
        pl.col("event_day").str.to_date(), plays=plays, amount_minor=plays * price_per_thousand_minor // 1000
    )
