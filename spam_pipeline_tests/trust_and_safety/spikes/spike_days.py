"""Days of a platform with one thing happening on them: nothing, a release, an attack on one track, an honest oddity.

Frames are built from the simulation's own listeners and scenarios, without a landing zone, so that many seeds and sizes fit into a
test. The day before today and those before that are organic, with whatever was there from the start.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, cached_property

import numpy as np
import polars as pl

from spam_pipeline.ingestion.addresses import networks_of
from spam_pipeline.protocol import Finding, HistoricFingerprint, Severity
from spam_pipeline.protocol.fingerprint import Count, Fingerprint, Records, measure
from spam_pipeline.simulation.attacks import ATTACKS
from spam_pipeline.simulation.catalogue import catalogue
from spam_pipeline.simulation.geography import DAY_MS
from spam_pipeline.simulation.hard_negatives import HARD_NEGATIVES
from spam_pipeline.simulation.listeners import listeners
from spam_pipeline.simulation.listening import as_plays
from spam_pipeline.simulation.organic import organic_day, organic_volume
from spam_pipeline.simulation.randomness import Indices, generator
from spam_pipeline.simulation.scenario import Campaign, Casting, Scene, World, planting
from spam_pipeline.trust_and_safety.contracts import LEGITIMATE
from spam_pipeline.trust_and_safety.spikes import spike_findings
from spam_pipeline.trust_and_safety.spikes.evidence import evidence_of_tracks

START = date(2026, 1, 5)
START_MS = 20_458 * DAY_MS
TODAY = 8
"""Days are counted from 0; today is a Tuesday, with eight days before it."""

CAMPAIGN_DAYS = 7
SCENARIOS = {scenario.name: scenario for scenario in (*ATTACKS, *HARD_NEGATIVES)}
RELEASE = "viral_release"
AT_ONE_TRACK = ("loop_bot", "bot_farm", "account_takeover", "paid_plays", "device_farm", "embedded_autoplay")
"""Attacks that can be pointed at one track. `low_and_slow` cannot: its point is to stay low on every track."""

ODDITIES = ("sleep_listener", "looping_fan", "super_account", "office_network", "shop_radio")
"""Honest behaviour that looks like an attack."""

FADING = (1 - np.exp(-3.0 / CAMPAIGN_DAYS)) / (1 - np.exp(-3.0))
"""The share of a release's plays on its first day."""

ON_THE_RELEASE = 0.78
"""The share of a release's plays that are of the new track; the rest go to older ones by the same artist."""


@dataclass(frozen=True)
class Platform:
    """A platform of one seed and size, on which scenarios reach `height`: their plays as a share of the organic ones."""

    seed: int
    plays_per_day: int
    height: float

    def _campaign(self, serial: int, name: str) -> Campaign:
        begins = TODAY if name not in ODDITIES else 0
        plays = self.height * self.plays_per_day * CAMPAIGN_DAYS
        if name == RELEASE:
            plays = self.height * self.plays_per_day / (FADING * ON_THE_RELEASE)
        elif name in ODDITIES:
            plays = SCENARIOS[name].plays_share * self.plays_per_day * CAMPAIGN_DAYS
        ends = begins + CAMPAIGN_DAYS
        return Campaign(SCENARIOS[name], 0, serial, begins * DAY_MS, ends * DAY_MS, max(1, round(plays)))

    @cached_property
    def campaigns(self) -> dict[str, Campaign]:
        return {name: self._campaign(serial, name) for serial, name in enumerate(SCENARIOS)}

    @cached_property
    def world(self) -> World:
        tracks = int(np.clip(self.plays_per_day // 4, 400, 400_000))
        accounts = int(np.clip(self.plays_per_day // 5, 200, 1_000_000))
        plantings = [planting(campaign) for campaign in self.campaigns.values()]
        known = catalogue(generator(self.seed, "catalogue"), tracks, plantings)
        return World(known, listeners(generator(self.seed, "listeners"), accounts, known))

    def organic(self, day: int) -> pl.DataFrame:
        """The ordinary plays of a day."""
        count = organic_volume(self.plays_per_day, START + timedelta(days=day))
        rng = generator(self.seed, "organic", day)
        parts = organic_day(rng, self.world.people, self.world.known, count, START_MS + day * DAY_MS)
        return pl.concat([as_plays(part, self.world.known) for part in parts])

    def acted(self, name: str, day: int, tracks: int | None = 1, begins_ms: int = 0) -> pl.DataFrame:
        """What a scenario does on a day, on the first of its `tracks` or on all of them (None), from a time of day on."""
        campaign = self.campaigns[name]
        casting = Casting(self.world, campaign, generator(self.seed, f"cast of {name}", 0))
        cast, chosen = campaign.scenario.cast(casting), self._tracks(casting)
        scene = Scene(
            world=self.world,
            campaign=campaign,
            cast=cast,
            tracks=chosen if tracks is None or name not in AT_ONE_TRACK else chosen[:tracks],
            day_ms=START_MS + day * DAY_MS,
            begins_ms=START_MS + day * DAY_MS + begins_ms,
            ends_ms=START_MS + (day + 1) * DAY_MS,
            since_ms=max(0, day * DAY_MS - campaign.begins_ms),
            plays=max(1, campaign.plays // CAMPAIGN_DAYS),
            rng=generator(self.seed, f"days of {name}", 0, day),
        )
        plays = as_plays(campaign.scenario.listen(scene), self.world.known)
        return plays.filter(pl.col("occurred_ms").is_between(scene.begins_ms, scene.ends_ms, closed="left"))

    @staticmethod
    def _tracks(casting: Casting) -> Indices:
        chosen = casting.campaign.scenario.tracks(casting)
        return casting.rng.permutation(chosen) if casting.campaign.scenario.name == "bot_farm" else chosen


def classified(parts: Sequence[pl.DataFrame]) -> pl.LazyFrame:
    """Plays as `ClassifiedPlays` has them, of a model that lets everything through."""
    plays = pl.concat(parts)
    addresses = plays["ip"].unique(maintain_order=True)
    networks = pl.DataFrame({"ip": addresses, "network": networks_of(addresses)})
    joined = plays.join(networks, on="ip", how="left", nulls_equal=False, maintain_order="left")
    frame = joined.select(
        pl.col("occurred_ms").cast(pl.Datetime("ms", "UTC")).alias("occurred_at"),
        "track_id",
        *_keys(track_key="track_id", user_key="user_id", device_key="device_id"),
        *_keys(network_key="network", user_agent_key="user_agent"),
        "country",
        "client",
        "source",
        "ms_played",
        pl.lit(LEGITIMATE).alias("class"),
        pl.lit(None, pl.String).alias("incident_status"),
    )
    return frame.sort("occurred_at", maintain_order=True).lazy()


def _keys(**columns: str) -> list[pl.Expr]:
    return [
        pl.when(pl.col(column).is_not_null()).then(pl.col(column).hash(seed=1)).alias(name)
        for name, column in columns.items()
    ]


MEASURES = {
    "plays": Count(),
    "suspects": Records(evidence_of_tracks),
}
"""What `spike_findings` reads of a day and of its history."""


def fingerprint_of(frame: pl.LazyFrame) -> Fingerprint:
    """A day as it is measured."""
    return measure(MEASURES, frame)


@cache
def history(platform: Platform, days: int = TODAY) -> tuple[HistoricFingerprint, ...]:
    """The last `days` ordinary days before today."""
    return tuple(
        HistoricFingerprint(f"{START + timedelta(days=day)}", fingerprint_of(classified([platform.organic(day)])))
        for day in range(TODAY - days, TODAY)
    )


def judged_days(platform: Platform, days: int, present: Sequence[str]) -> list[list[Finding]]:
    """What is found on each of `days` days on which nothing new happens, judged by the `TODAY` days before each."""
    measured = [
        HistoricFingerprint(
            str(day),
            fingerprint_of(classified([platform.organic(day), *(platform.acted(name, day) for name in present)])),
        )
        for day in range(TODAY + days)
    ]
    return [
        spike_findings(measured[day].fingerprint, measured[day - TODAY : day]) for day in range(TODAY, TODAY + days)
    ]


def today(platform: Platform, *happened: pl.DataFrame) -> Fingerprint:
    """The ordinary plays of today and what else happened."""
    return fingerprint_of(classified([platform.organic(TODAY), *happened]))


def worst(found: Sequence[Finding]) -> str:
    """The highest severity of some findings, or `nothing`."""
    order = list(Severity)
    return max((finding.severity for finding in found), key=order.index).value if found else "nothing"
