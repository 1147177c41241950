"""Attack types, as signatures over the signals.

The table is the weak-label policy: it classifies while experts have labelled nothing, and votes on plays that they left
unlabelled. It also names the attack type of a verdict. Learned coefficients are in `model`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from spam_pipeline.trust_and_safety.signals.catalogue import NAMES, SIGNALS, Matrix

NAMED_FROM: Final = 0.5
"""From this fit on, a signature names the attack type, and the policy votes for spam."""

UNSUSPICIOUS_BELOW: Final = 0.1
"""Below this best fit the policy votes for legitimate; between the two limits it abstains."""


@dataclass(frozen=True)
class Condition:
    """One trait: not met at `begins`, fully met at `ends` and beyond, linear in between. An unknown signal counts as usual."""

    signal: str
    begins: float
    ends: float


SIGNATURES: Final[Mapping[str, tuple[Condition, ...]]] = {
    "embedded_autoplay": (
        Condition("track_short_share", 0.2, 0.5),
        Condition("track_embed_share", 0.4, 0.7),
        Condition("track_complete_share", 0.35, 0.2),
    ),
    "loop_bot": (
        Condition("device_cut_off_share", 0.3, 0.7),
        Condition("device_top_track_share", 0.5, 0.8),
        Condition("device_plays", 10, 30),
        Condition("device_hours", 8, 16),
    ),
    "device_farm": (
        Condition("address_cut_off_share", 0.3, 0.6),
        Condition("address_actors", 2, 4),
        Condition("device_cut_off_share", 0.3, 0.6),
        Condition("device_top_uploader_share", 0.4, 0.7),
    ),
    "account_takeover": (
        Condition("device_abroad_share", 0.3, 0.6),
        Condition("device_cut_off_share", 0.2, 0.4),
        Condition("device_top_uploader_share", 0.4, 0.7),
    ),
    "bot_farm": (
        Condition("network_cut_off_share", 0.3, 0.6),
        Condition("network_new_account_share", 0.3, 0.6),
        Condition("address_plays_per_actor", 5, 15),
        Condition("device_cut_off_share", 0.3, 0.6),
    ),
    "paid_plays": (
        Condition("track_cut_off_share", 0.08, 0.2),
        Condition("track_new_account_share", 0.12, 0.3),
        Condition("device_cut_off_share", 0.08, 0.2),
        Condition("device_top_track_share", 0.25, 0.5),
        Condition("actor_age_days", 180, 90),
    ),
    "low_and_slow": (
        Condition("uploader_cut_off_share", 0.1, 0.3),
        Condition("uploader_new_account_share", 0.2, 0.5),
        Condition("uploader_devoted_share", 0.2, 0.5),
        Condition("actor_age_days", 180, 90),
    ),
}
"""The signature of each attack type: all of its conditions have to be met. Of equal fits the first one names the type.

Playing around the clock, looping a track, and sharing an address are things that people do: none of them is a condition without
the plays being cut off as soon as they are paid.
"""

ATTACK_TYPES: Final = tuple(SIGNATURES)


def fits(matrix: Matrix, names: Sequence[str] = NAMES) -> Matrix:
    """Return the fit of each row to each signature, from 0 to 1, a column per attack type: the least met of its conditions.

    `matrix` has the standardised signals `names`; conditions on other signals are left out, so that a play's fit is the least of
    the fits of its entities.
    """
    found = np.ones((len(matrix), len(ATTACK_TYPES)))
    for column, conditions in enumerate(SIGNATURES.values()):
        for condition in conditions:
            if condition.signal in names:
                met = _met(condition, matrix[:, names.index(condition.signal)])
                found[:, column] = np.minimum(found[:, column], met)
    return found


def _met(condition: Condition, standardised: Matrix) -> Matrix:
    begins, ends = SIGNALS[NAMES.index(condition.signal)].standardised([condition.begins, condition.ends])
    return np.asarray(np.clip((standardised - begins) / (ends - begins), 0, 1))
