"""Deliveries: carrying a published version to a store outside, such as a database file or a key-value server.

The target remembers the recipe it holds. A stage with a delivery is fresh only while that is the published recipe, so a
target that was deleted, restored from an old copy or filled by an older program is filled again by itself.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import polars as pl

from spam_pipeline.protocol.ledger.recipe import InputRef
from spam_pipeline.protocol.ledger.records import Version


class StoredFiles(Protocol):
    """The files of a remote store, as a file system that DuckDB can read and nobody can write."""

    added: tuple[str, ...]
    """The URLs of files of one's own."""

    def require(self, urls: Iterable[str]) -> None:
        """Raise `StoreDamaged` unless all of these files are there and right; small ones are fetched, side by side."""

    def have_present_columns(self, urls: Collection[str]) -> bool:
        """Return True if all of these files were written with the columns that their stage has today."""

    def add(self, name: str, content: bytes) -> str:
        """Add a file of one's own that is in memory; return its URL."""

    def showing(self, contents: Mapping[str, bytes]) -> AbstractContextManager[None]:
        """Show other contents meanwhile, without asking the store for any."""


@dataclass(frozen=True)
class DescribedStage:
    """What people read about a stage of frames: its docstring, and the sentence of each column that has one."""

    description: str
    columns: Mapping[str, str]


class Publications(Protocol):
    """The reading interface of a delivery: published data and its history.

    History (what was published before, when, and why it differs) determines no result and is no part of a recipe; so it may
    show in a target, never in a version.
    """

    def rows(self, version: Version) -> pl.LazyFrame:
        """The rows of a version."""

    def load(self, name: str, read: Sequence[InputRef]) -> Any:
        """The parts of an input of a stage, as some version read them."""

    def located(self, catalogue: pl.LazyFrame) -> pl.LazyFrame:
        """A catalogue with the column `location`: the path of each file on this machine, or its URL in a remote store."""

    def file_system(self, read: Sequence[InputRef]) -> StoredFiles | None:
        """The files of a remote store behind these parts; None when the store is on this machine."""

    def check(self, file: str) -> None:
        """Raise `StoreDamaged` unless the file of a catalogue has the bytes that its name promises."""

    def empty_frames(self, *, with_delivered: bool = True) -> dict[tuple[str, str], pl.LazyFrame]:
        """A frame without rows for every stage of frames, by context and name."""

    def described(self) -> dict[tuple[str, str], DescribedStage]:
        """What people read about every stage of frames, by context and name."""

    def history(self) -> pl.LazyFrame:
        """Every file that readers ever saw, with its location and when it was published and superseded."""

    def version_of_recipe(self, recipe: str) -> Version | None:
        """The version of a recipe, if there is one."""

    def seen_before(self, version: Version) -> Version | None:
        """The version that readers of a partition saw before a published one, None if there was none."""

    def published_at(self, version: Version) -> datetime | None:
        """The time at which a version was last published."""

    def root_causes(self, stage: str, old: int, new: int) -> list[str]:
        """The root causes of the change between two versions, given by id, a line each."""


@dataclass(frozen=True)
class Delivery:
    """Delivery of one stage's versions; `target` names the configuration entry that says where they go.

    `delivered` reads the recipe that the target holds, or None. `deliver` replaces the target's contents with those of a
    version, so that readers of the target see the old or the new and nothing between; where each piece stands alone, as
    pages do, piece by piece. A target that `shows_past` is filled again when something of that was pruned.
    """

    target: str
    delivered: Callable[[str], str | None]
    deliver: Callable[[str, Version, Publications], None]
    shows_past: bool = False
