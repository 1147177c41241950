"""Rankings of countries by plays, one with spam and one without."""

import polars as pl

from spam_pipeline.protocol import column_types
from spam_pipeline.reporting.contracts import TOP_COUNTRIES, WITH_SPAM, WITHOUT_SPAM, TopCountries
from spam_pipeline.reporting.measures import event_day, without_spam


def ranked_countries(classified_plays: pl.LazyFrame) -> pl.LazyFrame:
    """Compute the `TopCountries` of the days in `classified_plays`; equal counts rank by country code."""
    counts = (
        classified_plays.filter(pl.col("country").is_not_null())
        .group_by(event_day(), "country")
        .agg(pl.len().cast(pl.Int64).alias(WITH_SPAM), without_spam().sum().cast(pl.Int64).alias(WITHOUT_SPAM))
        .unpivot([WITH_SPAM, WITHOUT_SPAM], index=["event_day", "country"], variable_name="measure", value_name="plays")
        .filter(pl.col("plays") > 0)
    )
    ranking = ["event_day", "measure"]
    return (
        counts.sort(*ranking, "plays", "country", descending=[False, False, True, False])
        .with_columns(rank=pl.col("country").cum_count().over(ranking).cast(pl.Int64))
        .filter(pl.col("rank") <= TOP_COUNTRIES)
        .select(*column_types(TopCountries))
        .sort(*ranking, "rank")
    )
