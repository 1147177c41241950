"""The listening of a group of identities on a day, and its conversion to rows of plays.

Organic listeners and all scenarios end here, so that they differ in behaviour only.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from spam_pipeline.simulation.catalogue import Catalogue
from spam_pipeline.simulation.randomness import Indices, draw

IDENTITY: Final = {
    "user_id": pl.String,
    "device_id": pl.String,
    "ip": pl.String,
    "country": pl.String,
    "user_agent": pl.String,
    "client": pl.String,
    "source": pl.String,
}
"""The columns of a table of identities: account, device, place, client, and source of a play."""


@dataclass(frozen=True)
class Listening:
    """Plays as positions: `who` in `identities`, `track` in the catalogue; times in milliseconds since 1970."""

    identities: pl.DataFrame
    who: Indices
    occurred_ms: Indices
    track: Indices
    ms_played: Indices

    def first(self, count: int) -> "Listening":
        """Return the first `count` plays of it."""
        return Listening(
            self.identities, self.who[:count], self.occurred_ms[:count], self.track[:count], self.ms_played[:count]
        )


def as_plays(listening: Listening, known: Catalogue) -> pl.DataFrame:
    """Build one row per play: the columns of `IDENTITY`, and `occurred_ms`, `track_id`, `ms_played`."""
    return listening.identities.select(*IDENTITY)[listening.who].with_columns(
        pl.Series("occurred_ms", listening.occurred_ms, dtype=pl.Int64),
        known.track_id.gather(listening.track).alias("track_id"),
        pl.Series("ms_played", listening.ms_played, dtype=pl.Int64),
    )


def played_naturally(rng: np.random.Generator, duration_ms: Indices) -> Indices:
    """Draw playing times: most plays run to the end, a quarter skip within half a minute, some stop on the way."""
    count = len(duration_ms)
    skipped = np.minimum(rng.lognormal(np.log(9000), 0.7, count), 29_900)
    stopped = 30_000 + rng.random(count) * np.maximum(duration_ms - 30_000, 1)
    heard: Indices = np.choose(draw(rng, np.array([0.25, 0.12, 0.63]), count), [skipped, stopped, duration_ms]).astype(
        np.int64
    )
    return np.minimum(heard, duration_ms)


def one_after_another(rng: np.random.Generator, heard_ms: Indices, longest_pause_ms: int) -> Indices:
    """Draw offsets of consecutive plays, with a pause of up to `longest_pause_ms` between them; the first is 0."""
    steps = heard_ms + rng.integers(200, longest_pause_ms, len(heard_ms))
    return np.asarray(np.cumsum(steps) - steps, dtype=np.int64)
