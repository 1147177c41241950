"""Money that is withheld until incidents are decided, the same wherever it is shown."""

import polars as pl

from spam_pipeline.royalties.contracts import AGREED, NO_CURRENCY, WITHHELD


def withheld_by_incident(statements: pl.LazyFrame) -> pl.DataFrame:
    """Sum what `RoyaltyStatements` withhold as agreed: one row per `incident_id` and `currency`, with `amount_minor`."""
    is_withheld = (pl.col("rule") == AGREED) & (pl.col("line") == WITHHELD) & (pl.col("currency") != NO_CURRENCY)
    amounts = statements.filter(is_withheld).group_by("incident_id", "currency").agg(pl.col("amount_minor").sum())
    return amounts.collect(engine="streaming")
