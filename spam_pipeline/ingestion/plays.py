"""One row per play: of everything that was received for an event day, the earliest arrival of each event.

Delivery is at-least-once, so the same event may come in several files, hours or days. Records are told apart by their whole
`event_id`; a 64-bit hash only narrows down where to look. What makes a record valid is decided before.
"""

import polars as pl
import polars_hash as plh

from spam_pipeline.ingestion.contracts import Plays
from spam_pipeline.protocol import column_types


def distinct_plays(received: pl.LazyFrame) -> pl.LazyFrame:
    """`Plays` from any number of `ReceivedPlays`: the earliest arrival hour of each event, ordered by time and id.

    Among copies with one arrival hour the smallest in the order of the contract's columns stays, nulls first, so that the
    result does not depend on the order of the input. Only events that may be repeated are sorted for this.
    """
    columns = list(column_types(Plays))
    plays = received.select(*columns, suspect=plh.col("event_id").nchash.xxh3_64())
    repeated = plays.group_by("suspect").len().filter(pl.col("len") > 1).select("suspect")
    single = plays.join(repeated, on="suspect", how="anti")
    copies = plays.join(repeated, on="suspect", how="semi")
    order = ["event_id", "arrival_hour", *(name for name in columns if name not in ("event_id", "arrival_hour"))]
    in_order = copies.sort(order, nulls_last=False)
    first = in_order.filter(pl.col("event_id").ne_missing(pl.col("event_id").shift()))
    return pl.concat([single, first]).select(columns).sort("occurred_at", "event_id")
