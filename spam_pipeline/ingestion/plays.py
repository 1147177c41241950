"""Deduplication of plays: of everything received for an event day, the earliest arrival of each event.

Delivery is at-least-once, so an event may come in several files, hours or days. Records are identified by their whole
`event_id`; a 64-bit hash only narrows the search. Validation happens before.
"""

import polars as pl
import polars_hash as plh

from spam_pipeline.ingestion.contracts import Plays
from spam_pipeline.protocol import column_types


def distinct_plays(received: pl.LazyFrame) -> pl.LazyFrame:
    """Deduplicate `ReceivedPlays` to `Plays`: the earliest arrival hour of each event, ordered by time and id.

    Among copies with the same arrival hour the smallest in the order of the contract's columns is kept, nulls first, so that the
    result does not depend on the order of the input.
    """
    # Only possible duplicates are sorted: 7.8 s and 2.1 GB over 10 million rows, where `unique` took 20 s and 11 GB at least.
    columns = list(column_types(Plays))
    plays = received.select(*columns, suspect=plh.col("event_id").nchash.xxh3_64())
    repeated = plays.group_by("suspect").len().filter(pl.col("len") > 1).select("suspect")
    single = plays.join(repeated, on="suspect", how="anti")
    copies = plays.join(repeated, on="suspect", how="semi")
    order = ["event_id", "arrival_hour", *(name for name in columns if name not in ("event_id", "arrival_hour"))]
    in_order = copies.sort(order, nulls_last=False)
    first = in_order.filter(pl.col("event_id").ne_missing(pl.col("event_id").shift()))
    return pl.concat([single, first]).select(columns).sort("occurred_at", "event_id")
