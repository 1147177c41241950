"""Scenarios, and the schedule of their campaigns. The scenarios are in `attacks`, `hard_negatives` and `honest_crowds`.

Campaigns repeat with other people, devices and tracks every `PERIOD_DAYS`, so that months of plays hold several of each;
a shorter simulation squeezes one period into its days.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from spam_pipeline.simulation import geography, user_agents
from spam_pipeline.simulation.catalogue import Catalogue, Planting
from spam_pipeline.simulation.geography import DAY_MS, HOUR_MS
from spam_pipeline.simulation.identifiers import campaign_numbers, identifiers
from spam_pipeline.simulation.listeners import Listeners
from spam_pipeline.simulation.listening import Listening
from spam_pipeline.simulation.randomness import Indices, chance, generator
from spam_pipeline.simulation.skills import Skill

PERIOD_DAYS: Final = 15


@dataclass(frozen=True)
class World:
    """The environment of campaigns: the catalogue and the listeners."""

    known: Catalogue
    people: Listeners


@dataclass(frozen=True)
class Campaign:
    """One run of a scenario; times in milliseconds since the simulation starts, `plays` in total.

    `number` counts the runs of its scenario, `serial` all campaigns of the simulation. `skill` is how it hides, if it does.
    """

    scenario: "Scenario"
    number: int
    serial: int
    begins_ms: int
    ends_ms: int
    plays: int
    skill: Skill | None = None

    @property
    def plays_per_day(self) -> int:
        """The plays of a whole day, at least one."""
        return max(1, self.plays * DAY_MS // (self.ends_ms - self.begins_ms))

    def overlap_ms(self, day: int) -> tuple[int, int]:
        """Return the part of a day in which it runs; empty (end not after begin) where it doesn't."""
        return max(self.begins_ms, day * DAY_MS), min(self.ends_ms, (day + 1) * DAY_MS)


@dataclass(frozen=True)
class Casting:
    """The input from which a campaign draws its identities and tracks, once for all its days."""

    world: World
    campaign: Campaign
    rng: np.random.Generator


@dataclass(frozen=True)
class Scene:
    """One campaign on one day: from `begins_ms` until before `ends_ms`, in milliseconds since 1970, with about `plays` plays.

    `since_ms` is how long the campaign has been running when the scene begins.
    """

    world: World
    campaign: Campaign
    cast: pl.DataFrame
    tracks: Indices
    day_ms: int
    begins_ms: int
    ends_ms: int
    since_ms: int
    plays: int
    rng: np.random.Generator

    @property
    def track_durations_ms(self) -> Indices:
        """Durations of `tracks`."""
        return self.world.known.duration_ms[self.tracks]


def own_uploads(casting: Casting) -> Indices:
    """Return the campaign's own tracks."""
    return casting.world.known.planted[casting.campaign.serial]


def by_daylight(scene: Scene, time_zone: Indices) -> Indices:
    """Draw times of the scene by the daily rhythm of these countries; times outside the scene move to any time in it."""
    times = scene.day_ms + geography.listening_times(scene.rng, time_zone)
    elsewhere = scene.rng.integers(scene.begins_ms, scene.ends_ms, len(times))
    return np.where((times >= scene.begins_ms) & (times < scene.ends_ms), times, elsewhere)


def new_devices(casting: Casting, count: int) -> pl.Series:
    """Create `count` device identifiers that only this campaign has."""
    return identifiers("d", campaign_numbers(casting.campaign.serial, np.arange(count)))


def opened_accounts(casting: Casting, country: Indices, client: str, source: str) -> pl.DataFrame:
    """Open accounts in the weeks before the campaign, one per given country, each on its own device at its own address."""
    rng, campaign, count = casting.rng, casting.campaign, len(country)
    position = user_agents.CLIENTS.to_list().index(client)
    return pl.DataFrame(
        {
            "user_id": identifiers("u", campaign_numbers(campaign.serial, np.arange(count))),
            "device_id": new_devices(casting, count),
            "ip": geography.addresses(rng, country),
            "country": geography.CODES.gather(country),
            "user_agent": user_agents.user_agents(rng, np.full(count, position)),
            "client": pl.repeat(client, count, eager=True),
            "source": pl.repeat(source, count, eager=True),
            "time_zone": country,
            "tier": pl.Series(["free", "premium"]).gather((chance(rng, 0.25, count)).astype(np.int64)),
            "created_ms": campaign.begins_ms - rng.integers(DAY_MS, 60 * DAY_MS, count),
        }
    )


@dataclass(frozen=True)
class Scenario:
    """A behaviour that the pipeline has to classify.

    `plays_share` is its share of the organic plays of a period; `begins` and `lasts` are shares of the period. `cast` draws
    its identities (the columns of `listening.IDENTITY`; `tier` and `created_ms` too where it opens accounts itself),
    `tracks` the tracks it plays, `listen` its plays of a day. `uploads` is how many tracks it brings along for so many plays,
    by that many `artists` in turn.
    """

    name: str
    description: str
    is_spam: bool
    plays_share: float
    begins: float
    lasts: float
    cast: Callable[[Casting], pl.DataFrame]
    listen: Callable[[Scene], Listening]
    tracks: Callable[[Casting], Indices] = own_uploads
    uploads: Callable[[int], int] = lambda _plays: 0
    upload_ms: tuple[int, int] = (95_000, 240_000)
    oldest_upload_days: int = 30
    is_by_known_artist: bool = False
    artists: int = 1


def campaigns(
    scenarios: Sequence[Scenario], days: int, plays_per_day: int, seed: int, skills: Mapping[str, Skill]
) -> list[Campaign]:
    """Schedule every campaign that begins within the simulated days, in the order of `scenarios`.

    Those of `skills` hide with that skill; a slow ramp has no begin: it runs all days.
    """
    period = min(days, PERIOD_DAYS)
    found: list[Campaign] = []
    for scenario in scenarios:
        skill = skills.get(scenario.name)
        if skill and skill.ramps:
            plays = max(1, round(scenario.plays_share * days * plays_per_day))
            found.append(Campaign(scenario, 0, len(found), 0, days * DAY_MS, plays, skill))
            continue
        for number, first_day in enumerate(range(0, days, period)):
            rng = generator(seed, f"begin of {scenario.name}", number)
            begins = (first_day + int(scenario.begins * period)) * DAY_MS + int(rng.integers(0, 6)) * HOUR_MS
            ends = min(begins + int(scenario.lasts * period * DAY_MS), days * DAY_MS)
            if begins < ends:
                plays = max(1, round(scenario.plays_share * period * plays_per_day))
                found.append(Campaign(scenario, number, len(found), begins, ends, plays, skill))
    return found


def planting(campaign: Campaign) -> Planting:
    """Return the tracks that a campaign plants."""
    scenario = campaign.scenario
    return Planting(
        first_day=campaign.begins_ms // DAY_MS,
        tracks=scenario.uploads(campaign.plays),
        shortest_ms=scenario.upload_ms[0],
        longest_ms=scenario.upload_ms[1],
        oldest_days=scenario.oldest_upload_days,
        is_by_known_artist=scenario.is_by_known_artist,
        artists=campaign.skill.uploaders if campaign.skill else scenario.artists,
    )
