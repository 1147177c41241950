"""Widget counts in Redis or Valkey: the keyed store for many readers on many machines.

Keys: `plays:<generation>` is a hash from track to count, one per delivery. `plays:current` and `plays:previous` are hashes
with the name, recipe and number of tracks of the generation that is served and of the one before. The previous one is kept,
so that switching back to it copies nothing; older ones are removed.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

import polars as pl
import redis
from redis.client import Pipeline

from spam_pipeline.reporting.errors import DeliveryCut, TargetUnreachable

_CURRENT, _PREVIOUS, _SWAP = "plays:current", "plays:previous", "plays:swap"
_BATCH_TRACKS = 10_000
_UNFINISHED_SECONDS = 3600
"""The lifetime of a generation whose delivery was interrupted; every batch restarts it."""

_PLAY_COUNTS = """
local generation = redis.call('HGET', KEYS[1], 'generation')
local counts = {}
for i, track_id in ipairs(ARGV) do
    counts[i] = generation and redis.call('HGET', 'plays:' .. generation, track_id)
end
return counts
"""
"""One script, so that no switch comes between finding the generation and reading it."""


@dataclass(frozen=True)
class _Generation:
    name: str
    recipe: str
    tracks: int


@contextmanager
def redis_widget_store(target: str) -> Iterator["RedisWidgetStore"]:
    """Open the store at a Redis URL. Raises `TargetUnreachable`."""
    try:
        with redis.Redis.from_url(target, decode_responses=True) as client:
            yield RedisWidgetStore(client)
    except redis.RedisError as error:
        raise TargetUnreachable(f"the widget store does not answer as expected: {error}") from error


class RedisWidgetStore:
    """Play counts by track behind `client`, which has to decode responses."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self._play_counts = client.register_script(_PLAY_COUNTS)

    def delivered(self) -> str | None:
        """Return the recipe that is served; None when there is none, or some of its counts are lost."""
        current = self.client.hgetall(_CURRENT)
        if not current or self.client.hlen(_key(current["generation"])) != int(current["tracks"]):
            return None
        return str(current["recipe"])

    def deliver(self, recipe: str, counts: pl.LazyFrame) -> None:
        """Write `counts` (`WidgetCounts`) beside what is served, then switch to them atomically.

        Raises `DeliveryCut` when the server lost some of them meanwhile.
        """
        self.client.transaction(lambda pipe: _switch_back(pipe, recipe), _CURRENT, _PREVIOUS)
        if self.delivered() == recipe:
            return
        rows = counts.select("track_id", "plays").collect(engine="streaming")
        new = _Generation(uuid4().hex, recipe, rows.height)
        for batch in rows.iter_slices(_BATCH_TRACKS):
            with self.client.pipeline(transaction=False) as pipe:
                pipe.hset(_key(new.name), mapping=dict(batch.iter_rows()))
                pipe.expire(_key(new.name), _UNFINISHED_SECONDS)
                pipe.execute()
        self.client.transaction(lambda pipe: _switch(pipe, new), _CURRENT, _PREVIOUS, _key(new.name))

    def play_counts(self, track_ids: Iterable[str]) -> dict[str, int]:
        """Return the counts of those of `track_ids` that have one, all from the same delivery; none before the first."""
        asked = list(track_ids)
        found = self._play_counts(keys=[_CURRENT], args=asked)
        return {track_id: int(plays) for track_id, plays in zip(asked, found, strict=True) if plays is not None}


def _key(generation: object) -> str:
    return f"plays:{generation}"


def _switch(pipe: Pipeline, new: _Generation) -> None:
    """Serve a complete new generation; the served one becomes the previous one, and the previous one is removed."""
    tracks = pipe.hlen(_key(new.name))
    if tracks != new.tracks:
        raise DeliveryCut(f"widget counts: expected {new.tracks} tracks on the server, found {tracks}; deliver again")
    was_serving, outdated = pipe.exists(_CURRENT), pipe.hget(_PREVIOUS, "generation")
    pipe.multi()
    pipe.persist(_key(new.name))
    if was_serving:
        pipe.rename(_CURRENT, _PREVIOUS)
        pipe.unlink(_key(outdated))
    pipe.hset(_CURRENT, mapping={"generation": new.name, "recipe": new.recipe, "tracks": new.tracks})


def _switch_back(pipe: Pipeline, recipe: str) -> None:
    """Serve the previous generation again if it holds `recipe`."""
    previous, is_serving = pipe.hgetall(_PREVIOUS), pipe.exists(_CURRENT)
    is_there = previous.get("recipe") == recipe and pipe.hlen(_key(previous["generation"])) == int(previous["tracks"])
    pipe.multi()
    if is_there and is_serving:
        pipe.rename(_CURRENT, _SWAP)
        pipe.rename(_PREVIOUS, _CURRENT)
        pipe.rename(_SWAP, _PREVIOUS)
