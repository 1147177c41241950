"""Deliveries: carrying a published version to a store outside, such as a database file or a key-value server.

The target remembers the recipe it holds. A stage with a delivery is fresh only while that is the published recipe, so a
target that was deleted, restored from an old copy or filled by an older program is filled again by itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import polars as pl

from spam_pipeline.protocol.ledger.recipe import InputRef
from spam_pipeline.protocol.ledger.records import Version


class Publications(Protocol):
    """What a delivery reads: published data, and its past.

    The past (what was published before, when, and why it differs) is no part of the recipe, because when something was published
    determines no result; so it may show in a target, and not in a version.
    """

    def rows(self, version: Version) -> pl.LazyFrame:
        """The rows of a version."""

    def load(self, name: str, read: Sequence[InputRef]) -> Any:
        """The parts of an input of a stage, as some version read them."""

    def located(self, catalogue: pl.LazyFrame) -> pl.LazyFrame:
        """A catalogue with the column `location`: where each file lies on this machine."""

    def empty_frames(self, *, with_delivered: bool = True) -> dict[tuple[str, str], pl.LazyFrame]:
        """A frame without rows for every stage of frames, by context and name."""

    def history(self) -> pl.LazyFrame:
        """Every file that readers ever saw, with from when until when, and its location."""

    def version_of_recipe(self, recipe: str) -> Version | None:
        """The version of a recipe, if there is one."""

    def seen_before(self, version: Version) -> Version | None:
        """The version that readers of a partition saw before a published one."""

    def published_at(self, version: Version) -> datetime | None:
        """When a version was last published."""

    def root_causes(self, stage: str, old: int, new: int) -> list[str]:
        """The root causes of the change from one version to another, named by their ids, a line each."""


@dataclass(frozen=True)
class Delivery:
    """How one stage's versions reach their target; `target` names the configuration entry that says where it is.

    `delivered` reads the recipe that the target holds, or None; `deliver` replaces the target's contents by those of a
    version, which it reads from what is published, so that readers of the target see the old or the new and nothing between;
    where each piece stands alone, as pages do, piece by piece.
    """

    target: str
    delivered: Callable[[str], str | None]
    deliver: Callable[[str, Version, Publications], None]
