"""Landing rows of a table: what a query answered becomes a file, which can be observed, versioned and read again.

Whoever owns the table may change or lose it, and an answer has no bytes that a version could name. So the answer lands: a rebuild
rests on what was read, not on what the table says by then. Which rows changed, and when to ask again, is up to the caller.
"""

import io
from collections.abc import Sequence

import polars as pl

from spam_pipeline.protocol.storage.landing_zone import LandingZone


def land_rows(zone: LandingZone, path: str, rows: pl.LazyFrame, key: Sequence[str]) -> bool:
    """Land rows as the Parquet file at `path`, in the order of their key, in the place of the one there; return False when it has the same rows.

    So asking again costs nothing downstream, whatever order the table answers in. Rows are held in memory: land a large table
    partition by partition. Raises `FileExistsError` when something else than a file lies there.
    """
    answered = rows.collect().sort(key)
    if zone.state(path) is not None:
        with zone.open(path) as file:
            landed = pl.read_parquet(file)
        if landed.schema == answered.schema and landed.equals(answered):
            return False
    content = io.BytesIO()
    answered.write_parquet(content)
    content.seek(0)
    zone.replace(path, content)
    return True
