"""Attackers who listen like people: the casts and plays of coordinated campaigns at a skill level.

The same four attacks exist naively in `attacks`. What a level means is in `skills`; here it is played.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import polars as pl

from spam_pipeline.simulation import geography, user_agents
from spam_pipeline.simulation.geography import DAY_MS
from spam_pipeline.simulation.listeners import FAVOURITES
from spam_pipeline.simulation.listening import Listening, played_naturally
from spam_pipeline.simulation.randomness import Indices, chance, draw
from spam_pipeline.simulation.scenario import (
    Campaign,
    Casting,
    Scene,
    by_daylight,
    new_devices,
    opened_accounts,
    own_uploads,
)
from spam_pipeline.simulation.skills import Skill

_PAID_FROM_MS: Final = 30_000
_FEWEST_ACCOUNTS: Final = 12
_ROWS_PER_ACCOUNT: Final = 4
"""An account that mixes its sources has so many identities, one source each."""

_SOURCES: Final = pl.Series(["playlist", "profile", "feed", "recommendation", "search", "direct"])
_SOURCE_WEIGHTS: Final = np.array([38, 15, 10, 17, 13, 5])


@dataclass(frozen=True)
class Form:
    """What a patient attacker keeps of an attack: paid plays a day per account, and its client and source while it does not mix."""

    paid_plays_per_account: int
    client: str
    source: str
    is_takeover: bool = False


FORMS: Final[Mapping[str, Form]] = MappingProxyType(
    {
        "low_and_slow": Form(6, "android", "profile"),
        "account_takeover": Form(12, "web", "direct", is_takeover=True),
        "paid_plays": Form(3, "android", "playlist"),
        "device_farm": Form(20, "android", "recommendation"),
    }
)
"""The attacks that can be played patiently. A loop bot, a bot farm in a data centre and a hidden widget are their crudeness."""


def accounts_of(campaign: Campaign) -> int:
    """Return the number of accounts of a patient campaign."""
    return max(_FEWEST_ACCOUNTS, campaign.plays_per_day // FORMS[campaign.scenario.name].paid_plays_per_account)


def patient_cast(casting: Casting, skill: Skill) -> pl.DataFrame:
    """Draw the identities of a campaign: new or aged accounts, or stolen ones, on devices of its own."""
    form, rng = FORMS[casting.campaign.scenario.name], casting.rng
    cast = (_stolen if form.is_takeover else _opened)(casting, skill, accounts_of(casting.campaign))
    count = cast.height
    cast = cast.with_columns(quota=pl.Series(rng.lognormal(0.0, skill.quota_tail, count)))
    if not skill.mixes:
        position = np.full(count, user_agents.CLIENTS.to_list().index(form.client))
        return cast.with_columns(
            client=pl.lit(form.client),
            source=pl.lit(form.source),
            user_agent=user_agents.user_agents(rng, position[:1]).gather(np.zeros(count, dtype=np.int64)),
        )
    client = draw(rng, np.array([0.28, 0.37, 0.35]), count)
    mixed = cast.with_columns(
        client=user_agents.CLIENTS.gather(client), user_agent=user_agents.user_agents(rng, client), source=pl.lit("")
    )[np.repeat(np.arange(count), _ROWS_PER_ACCOUNT)]
    return mixed.with_columns(source=_SOURCES.gather(draw(rng, _SOURCE_WEIGHTS, mixed.height)))


def _opened(casting: Casting, skill: Skill, count: int) -> pl.DataFrame:
    rng, form = casting.rng, FORMS[casting.campaign.scenario.name]
    country = geography.countries(rng, count) if skill.mixes else np.full(count, geography.index_of("IN"))
    youngest, oldest = skill.account_days
    return opened_accounts(casting, country, form.client, form.source).with_columns(
        ip=_addresses(casting, skill, country),
        created_ms=pl.Series(casting.campaign.begins_ms - rng.integers(youngest * DAY_MS, oldest * DAY_MS, count)),
        model=pl.Series(rng.integers(0, len(casting.world.people.country), count)),
    )


def _stolen(casting: Casting, skill: Skill, count: int) -> pl.DataFrame:
    people, rng = casting.world.people, casting.rng
    account = rng.choice(len(people.country), min(count, len(people.country) // 4), replace=False)
    country = people.country[account] if skill.proxies else np.full(len(account), geography.index_of("IN"))
    return people.at_home(account, "direct").with_columns(
        device_id=new_devices(casting, len(account)),
        ip=_addresses(casting, skill, country),
        country=geography.CODES.gather(country),
        time_zone=pl.Series(country),
        model=pl.Series(account),
    )


def _addresses(casting: Casting, skill: Skill, country: Indices) -> pl.Series:
    """Draw addresses: of few hosts, or by proxies through the homes of real listeners in the account's country."""
    rng, people, count = casting.rng, casting.world.people, len(country)
    if not skill.proxies:
        few = geography.addresses(rng, country[: 2 + count // 20])
        return few.gather(np.arange(count) % len(few))
    chosen = rng.integers(0, len(people.country), count)
    for position in np.unique(country):
        near, here = np.flatnonzero(people.country == position), country == position
        if len(near):
            chosen[here] = rng.choice(near, np.count_nonzero(here))
    return people.home_ip.gather(people.home[chosen])


def patient_tracks(casting: Casting, skill: Skill) -> Indices:
    """Draw the tracks of a campaign: its own uploads, or where it has none those of as many unknowing artists as it has uploaders."""
    scenario = casting.campaign.scenario
    draws = 1 if len(own_uploads(casting)) else skill.uploaders
    return np.concatenate([scenario.tracks(casting) for _ in range(draws)])


def patient_listening(scene: Scene, skill: Skill) -> Listening:
    """Draw the paid plays of a scene, and the camouflage around them, heard as people hear."""
    rng, known = scene.rng, scene.world.known
    paid = round(scene.plays * (_ramped(scene) if skill.ramps else 1.0))
    hidden = round(paid * skill.camouflage / (1 - skill.camouflage))
    who = draw(rng, scene.cast["quota"].to_numpy(), paid + hidden)
    track = np.concatenate([rng.choice(scene.tracks, paid), _other_music(scene, skill, who[paid:])])
    heard = played_naturally(rng, known.duration_ms[track])
    # Nobody pays for a skip: what people would have skipped of a paid track is heard to the end.
    heard[:paid] = np.where(heard[:paid] < _PAID_FROM_MS, known.duration_ms[track[:paid]], heard[:paid])
    times = (
        by_daylight(scene, scene.cast["time_zone"].to_numpy()[who])
        if skill.mixes
        else rng.integers(scene.begins_ms, scene.ends_ms, len(who))
    )
    return Listening(scene.cast, who, times, track, heard)


def _ramped(scene: Scene) -> float:
    """Return the growth at this scene: from a third of the mean volume to five thirds."""
    campaign = scene.campaign
    return 1 / 3 + 4 / 3 * scene.since_ms / (campaign.ends_ms - campaign.begins_ms)


def _other_music(scene: Scene, skill: Skill, who: Indices) -> Indices:
    """Draw camouflage: what is popular, or what the real listener hears whose taste an account copies."""
    rng, known, people = scene.rng, scene.world.known, scene.world.people
    if not skill.copies_taste:
        return known.popular(rng, len(who))
    model = scene.cast["model"].to_numpy()[who]
    favourite = people.favourites[model * FAVOURITES + rng.integers(0, FAVOURITES, len(who))]
    return np.where(chance(rng, 0.4, len(who)), favourite, known.by_genre.popular(rng, people.genre[model]))
