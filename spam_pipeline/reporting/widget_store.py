"""The keyed store behind every embedded widget: play counts of tracks, delivered from `widget_counts`.

A target is `redis://...` (also `rediss://`, `unix://`), `sqlite:///<path>`, or a path, which is a SQLite file. The stores are in
`widget_redis` and `widget_sqlite`; both keep the delivery before, so that switching back to it copies nothing.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

import polars as pl

from spam_pipeline.protocol import Delivery, Publications, Version
from spam_pipeline.reporting.errors import UnknownTarget
from spam_pipeline.reporting.targets import reaching
from spam_pipeline.reporting.widget_sqlite import SqliteWidgetStore

_REDIS_SCHEMES = ("redis", "rediss", "unix")


class WidgetStore(Protocol):
    """A keyed store of play counts that is replaced atomically."""

    def delivered(self) -> str | None:
        """Return the recipe of the stored counts, or None."""

    def deliver(self, recipe: str, counts: pl.LazyFrame) -> None:
        """Replace everything in the store by `counts` (`WidgetCounts`)."""

    def play_counts(self, track_ids: Iterable[str]) -> dict[str, int]:
        """Return the counts of those of `track_ids` that have one, all from the same delivery; none before the first."""


@contextmanager
def widget_store(target: str) -> Iterator[WidgetStore]:
    """Open the store at `target`, for one thread. Raises `UnknownTarget` for an unsupported kind, or `TargetUnreachable`.

    Keep it open for frequent look-ups: it sees each delivery at once.
    """
    scheme, separator, rest = target.partition("://")
    if separator and scheme in _REDIS_SCHEMES:
        # Imported here, because redis takes every process 0.1 s to load and most homes keep their counts in a file.
        from spam_pipeline.reporting.widget_redis import redis_widget_store  # noqa: PLC0415

        with redis_widget_store(target) as store:
            yield store
    elif separator and scheme != "sqlite":
        raise UnknownTarget(f"{scheme}:// is no widget store: expected redis://, sqlite:/// or the path of a file")
    else:
        with closing(SqliteWidgetStore(Path(rest.removeprefix("/") if separator else target))) as file:
            yield file


def play_count(target: str, track_id: str) -> int | None:
    """Look up the play count of one track; None for a track that was never played."""
    with widget_store(target) as store:
        return store.play_counts([track_id]).get(track_id)


def delivered(target: str) -> str | None:
    """Return the recipe of the store at `target`, or None. Raises like `widget_store`, and `ForeignTarget`."""
    with widget_store(target) as store:
        return store.delivered()


def deliver(target: str, recipe: str, counts: pl.LazyFrame) -> None:
    """Replace everything in the store at `target` by `counts` (`WidgetCounts`). Raises like `delivered`, and `DeliveryCut`."""
    with widget_store(target) as store:
        store.deliver(recipe, counts)


def _delivered(target: str) -> str | None:
    with reaching("the widget store"):
        return delivered(target)


def _deliver(target: str, version: Version, reader: Publications) -> None:
    with reaching("the widget store"):
        deliver(target, version.recipe, reader.rows(version))


widget_delivery = Delivery(target="widget_store", delivered=_delivered, deliver=_deliver)
"""The delivery of `widget_counts` to the store that the configuration entry `widget_store` names."""
