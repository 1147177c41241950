"""Keys of assets in Dagster: the names of stages and sources, below a prefix, and back. Nothing else makes a key of a name.

A Dagster deployment has one asset of a key, whichever code location it is of, so a shared one gives each its prefix. Names of jobs,
sensors and steps belong to their code location and need none.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import dagster as dg


@dataclass(frozen=True)
class AssetKeys:
    """The keys of one code location's assets.

    >>> AssetKeys(("spam", "prod")).key("plays").to_user_string()
    'spam/prod/plays'
    """

    prefix: tuple[str, ...] = ()

    def key(self, name: str) -> dg.AssetKey:
        """The key of a stage or source."""
        return dg.AssetKey([*self.prefix, name])

    def selection(self, names: Iterable[str]) -> dg.AssetSelection:
        """The selection of stages and sources."""
        return dg.AssetSelection.assets(*map(self.key, names))

    @staticmethod
    def name(key: dg.AssetKey) -> str:
        """The name of a stage or source, given its key."""
        return key.path[-1]


UNPREFIXED = AssetKeys()
"""Keys that are names alone."""
