"""Deliveries: carrying a published version to a store outside, such as a database file or a key-value server.

The target remembers the recipe it holds. A stage with a delivery is fresh only while that is the published recipe, so a
target that was deleted, restored from an old copy or filled by an older program is filled again by itself.
"""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Delivery:
    """How one stage's versions reach their target; `target` names the configuration entry that says where it is.

    `delivered` reads the recipe that the target holds, or None; `deliver` replaces the target's contents as one step, so
    that its readers see the old or the new and nothing between.
    """

    target: str
    delivered: Callable[[str], str | None]
    deliver: Callable[[str, str, pl.LazyFrame], None]


@dataclass(frozen=True)
class CatalogueDelivery:
    """How the catalogue of everything published reaches its target: with the place of each file, and with the history.

    `deliver` takes the target, the recipe, the version with a column `location`, and what `Reader.history` gives at the time
    of the delivery. The history is no part of the recipe: when something was published determines no result.
    """

    target: str
    delivered: Callable[[str], str | None]
    deliver: Callable[[str, str, pl.LazyFrame, pl.LazyFrame], None]


AnyDelivery = Delivery | CatalogueDelivery
