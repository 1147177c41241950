"""Every signal, with its usual value and the spread of ordinary values around it.

The usual value is the baseline in a verdict's reasons, the target to which shares of few plays are shrunk, and the zero of the
scale that a model sees. Formulas, units, why a signal matters and what evades it are in `docs/signals.md`; signals are
computed in the modules beside this one.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from spam_pipeline.trust_and_safety.contracts import ACTOR, ADDRESS, DEVICE, NETWORK, TRACK, UPLOADER

Matrix = npt.NDArray[np.float64]

FARTHEST: Final = 6.0
"""Signals are clipped at so many spreads from usual, so that no single one can decide alone."""


@dataclass(frozen=True)
class Signal:
    """One signal of one kind of entity.

    Counts and ratios are compared as logarithms (`is_log`): twice as many is as far from usual as half as many.
    """

    kind: str
    column: str
    usual: float
    spread: float
    is_log: bool = False

    @property
    def name(self) -> str:
        """The signal's name in examples and in reasons."""
        return f"{self.kind}_{self.column}"

    def standardised(self, values: npt.ArrayLike) -> Matrix:
        """Return `values` as distances from usual in spreads; NaN counts as usual."""
        seen = np.asarray(values, dtype=np.float64)
        distance = np.log1p(seen) - np.log1p(self.usual) if self.is_log else seen - self.usual
        return np.nan_to_num(np.clip(distance / self.spread, -FARTHEST, FARTHEST), nan=0.0)


SIGNALS: Final = (
    Signal(ACTOR, "plays", 15, 1.0, is_log=True),
    Signal(ACTOR, "age_days", 800, 1.2, is_log=True),
    Signal(ACTOR, "devices", 1, 0.5, is_log=True),
    Signal(ACTOR, "networks", 1, 0.5, is_log=True),
    Signal(ACTOR, "countries", 1, 0.4, is_log=True),
    Signal(ACTOR, "new_country_share", 0.01, 0.25),
    Signal(DEVICE, "plays", 12, 1.0, is_log=True),
    Signal(DEVICE, "actors", 1, 0.5, is_log=True),
    Signal(DEVICE, "hours", 4, 4.0),
    Signal(DEVICE, "gap_variation", 0.5, 0.2),
    Signal(DEVICE, "short_share", 0.01, 0.15),
    Signal(DEVICE, "cut_off_share", 0.03, 0.15),
    Signal(DEVICE, "complete_share", 0.63, 0.2),
    Signal(DEVICE, "top_track_share", 0.15, 0.25),
    Signal(DEVICE, "top_uploader_share", 0.2, 0.25),
    Signal(DEVICE, "abroad_share", 0.01, 0.25),
    Signal(DEVICE, "automated_share", 0.0, 0.25),
    Signal(DEVICE, "disguised_share", 0.0, 0.25),
    Signal(ADDRESS, "actors", 1, 0.9, is_log=True),
    Signal(ADDRESS, "plays_per_actor", 15, 1.0, is_log=True),
    Signal(ADDRESS, "cut_off_share", 0.03, 0.15),
    Signal(ADDRESS, "new_account_share", 0.06, 0.2),
    Signal(NETWORK, "actors", 3, 1.2, is_log=True),
    Signal(NETWORK, "actors_per_user_agent", 1.2, 0.6, is_log=True),
    Signal(NETWORK, "cut_off_share", 0.03, 0.15),
    Signal(NETWORK, "new_account_share", 0.06, 0.2),
    Signal(NETWORK, "hosting_share", 0.0, 0.25),
    Signal(TRACK, "plays", 50, 2.0, is_log=True),
    Signal(TRACK, "plays_per_actor", 1.2, 0.4, is_log=True),
    Signal(TRACK, "short_share", 0.01, 0.15),
    Signal(TRACK, "cut_off_share", 0.03, 0.15),
    Signal(TRACK, "complete_share", 0.63, 0.2),
    Signal(TRACK, "new_account_share", 0.06, 0.2),
    Signal(TRACK, "abroad_share", 0.01, 0.2),
    Signal(TRACK, "embed_share", 0.06, 0.25),
    Signal(TRACK, "top_network_share", 0.1, 0.25),
    Signal(TRACK, "top_source_share", 0.45, 0.2),
    Signal(TRACK, "effective_hours", 15, 4.0),
    Signal(TRACK, "spike", 1, 0.8, is_log=True),
    Signal(UPLOADER, "plays", 200, 2.0, is_log=True),
    Signal(UPLOADER, "tracks_per_actor", 1.2, 0.3, is_log=True),
    Signal(UPLOADER, "plays_per_actor", 1.5, 0.5, is_log=True),
    Signal(UPLOADER, "cut_off_share", 0.03, 0.1),
    Signal(UPLOADER, "new_account_share", 0.06, 0.2),
    Signal(UPLOADER, "devoted_share", 0.01, 0.2),
    Signal(UPLOADER, "spike", 1, 0.8, is_log=True),
)
"""Every signal that a model may use, in the order of matrix columns."""

NAMES: Final = tuple(signal.name for signal in SIGNALS)

USUAL: Final = {(signal.kind, signal.column): signal.usual for signal in SIGNALS}
