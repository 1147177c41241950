"""Claims: while one process computes a recipe, no other one does.

A claim is a lock that the operating system or the database gives up when its holder dies; a row with a lease would outlive a
killed process and expire under a slow one. Beside SQLite it is one of a few lock files, because a ledger of one file is used
from one machine; in PostgreSQL it is an advisory lock of a session.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import sqlalchemy as sa
from filelock import FileLock, Timeout

from spam_pipeline.protocol.foundation.digest import digest
from spam_pipeline.protocol.foundation.errors import Claimed, PlaceUnusable
from spam_pipeline.protocol.ledger.unusable import raise_unusable

_ENDLESS_SECONDS = 3600
"""Seconds after which a claim counts as one that never ends. A claim is held while one partition is computed or delivered."""


class Claims:
    """Claims on recipes among all processes that use the ledger at a SQLAlchemy URL."""

    def __init__(self, ledger_url: str) -> None:
        url = sa.make_url(ledger_url)
        self._folder = Path(f"{url.database}-claims") if url.get_backend_name() == "sqlite" else None
        self._engine = None if self._folder else _connected(url)

    def on(self, recipe: str, *, wait: bool) -> AbstractContextManager[None]:
        """Hold the claim on a recipe. Raises `Claimed` when another process has it and `wait` is false.

        Raises `PlaceUnusable` after an hour of waiting: who has it hangs.
        """
        if self._folder:  # 256 files in all: one in 256 pairs of recipes wait for each other without need
            return _lock_file(self._folder / recipe[:2], wait=wait)
        return self._advisory_lock(recipe, wait=wait)

    def on_converging(self, environment: str) -> AbstractContextManager[None]:
        """Hold the claim on converging an environment unasked. Raises `Claimed` when another process is doing that."""
        if self._folder:  # not one of the files for recipes, which are claimed meanwhile
            return _lock_file(self._folder / f"converging-{environment}", wait=False)
        return self._advisory_lock(digest(("converging", environment)), wait=False)

    def on_notifying(self, environment: str) -> AbstractContextManager[None]:
        """Hold the claim on notifying people of an environment. Raises `Claimed` when another process is doing that."""
        if self._folder:
            return _lock_file(self._folder / f"notifying-{environment}", wait=False)
        return self._advisory_lock(digest(("notifying", environment)), wait=False)

    def on_deciding(self) -> AbstractContextManager[None]:
        """Hold the claim on landing and recording decisions, one after the other. Raises like `on` when it waits."""
        return self._on_task("deciding")

    def on_exporting(self) -> AbstractContextManager[None]:
        """Hold the claim on exporting the ledger's rows. Raises like `on` when it waits."""
        return self._on_task("exporting")

    def on_rewriting(self) -> AbstractContextManager[None]:
        """Hold the claim on rewriting landed files, waiting for whoever has it; it may be asked for under a claim on a recipe."""
        return self._on_task("rewriting")

    def _on_task(self, name: str) -> AbstractContextManager[None]:
        if self._folder:
            return _lock_file(self._folder / name, wait=True)
        return self._advisory_lock(digest((name,)), wait=True)

    @contextmanager
    def on_batch(self, batch: str) -> Iterator[None]:
        """Hold the claim on a batch of partitions while a worker is at it: whoever asks `is_working` knows that it lives."""
        if not self._folder:
            with self._advisory_lock(_of_batch(batch), wait=True):
                yield
            return
        path = self._folder / f"batch-{batch}"
        with _lock_file(path, wait=True):  # only ever held elsewhere by somebody who asks
            yield
            path.unlink()

    def is_working(self, batch: str) -> bool:
        """Return True if a worker holds the claim on a batch. It goes with the worker's process, however that ends."""
        path = self._folder / f"batch-{batch}" if self._folder else None
        if path and not path.exists():
            return False
        try:
            with _lock_file(path, wait=False) if path else self._advisory_lock(_of_batch(batch), wait=False):
                return False
        except Claimed:
            return True

    @contextmanager
    def _advisory_lock(self, claimed: str, *, wait: bool) -> Iterator[None]:
        number = int(claimed[:15], 16)  # 60 bits: PostgreSQL numbers its advisory locks by signed integers of 64
        if self._engine is None:
            raise RuntimeError("claims of a ledger in a file are lock files")
        with self._engine.connect() as connection:
            if wait:
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_ENDLESS_SECONDS * 1000}")
                connection.execute(sa.select(sa.func.pg_advisory_lock(number)))
            elif not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(number))):
                raise Claimed("another process is computing this")
            connection.commit()
            yield  # closing the connection gives the lock up


def _of_batch(batch: str) -> str:
    return digest(("batch", batch))


def _connected(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    sa.event.listen(engine, "handle_error", raise_unusable)
    return engine


@contextmanager
def _lock_file(path: Path, *, wait: bool) -> Iterator[None]:
    path.parent.mkdir(exist_ok=True)
    lock = FileLock(path, timeout=_ENDLESS_SECONDS if wait else 0, thread_local=False)
    try:
        lock.acquire()
    except Timeout as taken:
        if not wait:
            raise Claimed("another process is computing this") from taken
        raise PlaceUnusable(
            f"{path} has been locked for {_ENDLESS_SECONDS // 60} minutes by another process: end the one that hangs (fuser {path} "
            "names it); nothing was lost"
        ) from taken
    try:
        yield
    finally:
        lock.release()
