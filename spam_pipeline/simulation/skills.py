"""Skill levels of attackers: what each does to look like people, and what that costs.

A level is a choice of knobs; `patience` plays a campaign by them. Level 0 hides nothing and is what `attacks` does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

MINUTES_PER_PLAY: Final = 3.0
GIGABYTES_PER_PLAY: Final = MINUTES_PER_PLAY * 0.00096
"""Three minutes of 128 kbit/s."""


@dataclass(frozen=True)
class Skill:
    """The knobs of a campaign.

    `mixes`: clients, user agents, sources and hours as people have them. `proxies`: addresses of real homes. `account_days`: the
    age of its accounts, youngest and oldest. `camouflage`: the share of other music among all its plays; `copies_taste`: that
    of a real listener instead of what is popular. `uploaders` share the paid plays. `quota_tail`: how unequal its
    accounts are, 0 for equal quotas. `ramps`: it began before the simulation and grows slowly.
    """

    mixes: bool = False
    proxies: bool = False
    account_days: tuple[int, int] = (1, 60)
    camouflage: float = 0.0
    copies_taste: bool = False
    uploaders: int = 1
    quota_tail: float = 0.0
    ramps: bool = False


_HIDDEN: Final = Skill(mixes=True, proxies=True, account_days=(120, 2400), camouflage=0.65, uploaders=5, quota_tail=0.8)

SKILLS: Final[Mapping[str, Skill | None]] = MappingProxyType(
    {
        "0": None,
        "1": Skill(),
        "2": Skill(mixes=True, proxies=True),
        "3": _HIDDEN,
        "4": replace(_HIDDEN, copies_taste=True),
        "ramp": replace(_HIDDEN, ramps=True),
    }
)
"""Every skill level: 0 naive; 1 plays to the end; 2 looks like people play by play; 3 hears other music too, on aged accounts, for several
uploaders; 4 has a real listener's taste; ramp is 3 that grows from before the first day."""

_FRESH_ACCOUNT: Final = 0.1
_AGED_ACCOUNT: Final = 2.0
_AGED_FROM_DAYS: Final = 90
_HOSTED_GIGABYTE: Final = 0.05
_RESIDENTIAL_GIGABYTE: Final = 3.0
_DEVICE_HOUR: Final = 0.01
"""Prices in dollars, rounded from what vendors of accounts, proxies and cloud phones ask in public: an assumption, to compare levels."""


def cost_per_1000_plays(skill: Skill | None, paid_plays_per_account: float) -> float:
    """Estimate the dollars that 1,000 paid plays cost an attacker, camouflage included.

    Paid plays bear the plays of camouflage. A naive attacker stops each play after half a minute.

    >>> [round(cost_per_1000_plays(SKILLS[level], 100.0), 2) for level in ("0", "1", "2", "3")]
    [1.13, 1.64, 10.14, 46.11]
    """
    plays = 1000 / (1 - (skill.camouflage if skill else 0.0))
    listened = MINUTES_PER_PLAY if skill else 0.6
    is_aged = skill is not None and skill.account_days[0] >= _AGED_FROM_DAYS
    accounts = 1000 / paid_plays_per_account * (_AGED_ACCOUNT if is_aged else _FRESH_ACCOUNT)
    gigabyte = _RESIDENTIAL_GIGABYTE if skill and skill.proxies else _HOSTED_GIGABYTE
    traffic = plays * GIGABYTES_PER_PLAY * listened / MINUTES_PER_PLAY * gigabyte
    return accounts + traffic + plays * listened / 60 * _DEVICE_HOUR
