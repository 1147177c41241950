"""A home of the toy pipeline that histories are played in: files that come and go, engines of any code, and processes that die."""

import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from spam_pipeline.protocol.execution.engine import Engine, open_engine
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.claims import Claims
from spam_pipeline.protocol.ledger.records import PRODUCTION
from spam_pipeline.protocol.storage.landing_zone import LandingZone
from spam_pipeline.protocol.storage.store import Store
from spam_pipeline_tests.protocol.toy_pipeline import classify, land, toy_graph
from spam_pipeline_tests.protocol.toy_variants import Code

Key = tuple[str, str]
"""A stage and a partition, or an arrival day and the name of a file."""

Landed = Mapping[Key, tuple[str, ...]]
"""The lines of every landed file."""


class Killed(BaseException):
    """The process is dead: nothing that it does from now on has an effect."""


class Fuse:
    """Lets a number of effects happen, then none any more."""

    def __init__(self, effects: int) -> None:
        self._left = effects
        self._lock = Lock()

    def burn(self) -> None:
        with self._lock:
            if self._left == 0:
                raise Killed
            self._left -= 1


class Mortal:
    """A store or a ledger whose effects end when a fuse has burnt down; each counts just before and just after."""

    EFFECTS = frozenset(
        {
            "put",
            "remember_code",
            "begin",
            "fail",
            "record",
            "record_audit",
            "record_shard",
            "publish",
            "retract",
            "prune",
            "forget_shards",
            "delete",
        }
    )

    def __init__(self, inner: Any, fuse: Fuse) -> None:
        self._inner = inner
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name in {"observations", "attempts", "prunings"}:
            return Mortal(found, self._fuse)
        return self._dying(found) if name in self.EFFECTS else found

    def _dying(self, effect: Callable[..., Any]) -> Callable[..., Any]:
        def until_dead(*args: Any, **kwargs: Any) -> Any:
            self._fuse.burn()
            result = effect(*args, **kwargs)
            self._fuse.burn()
            return result

        return until_dead


def mortal(inner: Any, fuse: Fuse | None) -> Any:
    """The store or the ledger itself, or one whose effects end with the fuse."""
    return Mortal(inner, fuse) if fuse else inner


@dataclass
class Home:
    """A home of the toy pipeline, with everybody who works there."""

    folder: Path
    files: dict[Key, tuple[str, ...]] = field(default_factory=dict)
    engines: dict[tuple[str, Code], Engine] = field(default_factory=dict)
    opened: list[Ledger] = field(default_factory=list)
    writes: int = 0

    def engine(self, code: Code, environment: str = PRODUCTION, fuse: Fuse | None = None) -> Engine:
        """A engine of one's own."""
        self.folder.mkdir(parents=True, exist_ok=True)
        url = f"sqlite:///{self.folder / 'ledger.db'}"
        ledger, store = Ledger(url), Store(str(self.folder / "store"), self.folder / "cache")
        self.opened.append(ledger)
        return open_engine(
            graph=toy_graph(self.folder, code.stages, code.factor),
            ledger=mortal(ledger, fuse),
            store=mortal(store, fuse),
            private_store=Store(str(self.folder / "private"), self.folder / "cache-private"),
            landing=LandingZone(str(self.folder / "landing")),
            classify=classify,
            claims=Claims(url),
            environment=environment,
        )

    def daemon(self, code: Code, environment: str) -> Engine:
        """The engine that has been there since this code was first deployed."""
        if (environment, code) not in self.engines:
            self.engines[environment, code] = self.engine(code, environment)
        return self.engines[environment, code]

    def have(self, files: Landed) -> None:
        """Let exactly these files be landed. A file that is written again has another time, even if it is the same."""
        for arrival, name in self.files.keys() - files.keys():
            (self.folder / "landing" / arrival / f"{name}.txt").unlink()
        for (arrival, name), lines in sorted(files.items()):
            if self.files.get((arrival, name)) != lines:
                self.writes += 1
                time = 1_700_000_000 + self.writes
                os.utime(land(self.folder, arrival, name, *lines), (time, time))
        self.files = dict(files)

    def published(self, environment: str, stages: Iterable[str]) -> dict[Key, str]:
        """The published content of every partition."""
        found = self.daemon(Code(), PRODUCTION).ledger.published(environment, list(stages))
        return {(name, key): item.content for name, by_key in found.items() for key, item in by_key.items()}

    def recipes(self) -> set[str]:
        """The recipes of all versions that are not pruned."""
        query = "select recipe from versions where id not in (select version_id from prunings where revived_at is null)"
        return {recipe for (recipe,) in self._rows(query)}

    def attempts(self) -> Counter[str]:
        """How often each recipe was tried."""
        return Counter(recipe for (recipe,) in self._rows("select recipe from attempts"))

    def _rows(self, query: str) -> list[tuple[str]]:
        with closing(sqlite3.connect(self.folder / "ledger.db")) as ledger:
            return ledger.execute(query).fetchall()

    def close(self) -> None:
        """Give up all connections."""
        for ledger in self.opened:
            ledger.close()
