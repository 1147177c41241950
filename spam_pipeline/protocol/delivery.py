"""Deliveries: carrying a published version to a store outside, such as a database file or a key-value server.

The target remembers the recipe it holds. A stage with a delivery is fresh only while that is the published recipe, so a
target that was deleted, restored from an old copy or filled by an older program is filled again by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from spam_pipeline.protocol.reader import Reader
    from spam_pipeline.protocol.records import Version


@dataclass(frozen=True)
class Delivery:
    """How one stage's versions reach their target; `target` names the configuration entry that says where it is.

    `delivered` reads the recipe that the target holds, or None; `deliver` replaces the target's contents by those of a
    version, which it reads with the reader, so that readers of the target see the old or the new and nothing between;
    where each piece stands alone, as pages do, piece by piece.

    The reader also answers for the past: what was published before, when, and why it differs. That is no part of the
    recipe, because when something was published determines no result; so it may show in a target, and not in a version.
    """

    target: str
    delivered: Callable[[str], str | None]
    deliver: Callable[[str, Version, Reader], None]
