"""Attacks: the identities, tracks and event patterns of fake plays, modelled on published cases.

Each attack is two functions: its cast (the identities of all its days) and its listening on one day.
"""

from typing import Final

import numpy as np
import polars as pl

from spam_pipeline.simulation import geography, user_agents
from spam_pipeline.simulation.listening import Listening
from spam_pipeline.simulation.organic import visitors_of_widgets
from spam_pipeline.simulation.randomness import Indices
from spam_pipeline.simulation.scenario import Casting, Scenario, Scene, by_daylight, new_devices, opened_accounts

_PAID_FROM_MS: Final = 30_000
_FARMED_COUNTRIES: Final = np.array([geography.index_of(code) for code in ("ID", "NG", "IN")])


def _bounded(value: int, least: int, most: int) -> int:
    return min(max(value, least), most)


def _around_the_clock(scene: Scene) -> Indices:
    return scene.rng.integers(scene.begins_ms, scene.ends_ms, scene.plays)


def _past_30_s(scene: Scene, spread_ms: int) -> Indices:
    return _PAID_FROM_MS + scene.rng.integers(600, spread_ms, scene.plays)


def _any_of(scene: Scene, positions: Indices) -> Indices:
    return scene.rng.choice(positions, scene.plays)


def _loop_bot_cast(casting: Casting) -> pl.DataFrame:
    bots = 1 + casting.campaign.plays_per_day // 2000
    return opened_accounts(casting, geography.countries(casting.rng, bots), "web", "direct")


def _loop_bot(scene: Scene) -> Listening:
    bots = scene.cast.height
    who = np.arange(scene.plays) % bots
    gap = (scene.ends_ms - scene.begins_ms) / scene.plays
    jitter = scene.rng.normal(0.0, 0.02 * gap * bots, scene.plays)
    times = np.clip(scene.begins_ms + (np.arange(scene.plays) + 0.5) * gap + jitter, scene.begins_ms, scene.ends_ms - 1)
    track = scene.tracks[who % len(scene.tracks)]
    return Listening(scene.cast, who, times.astype(np.int64), track, _past_30_s(scene, 5000))


def _bot_farm_cast(casting: Casting) -> pl.DataFrame:
    count = _bounded(casting.campaign.plays_per_day // 640, 12, 5000)
    addresses = geography.hosting_addresses(casting.rng, min(2 + count // 40, 200))
    builds = user_agents.browsers(casting.rng, 3)
    accounts = opened_accounts(casting, geography.countries(casting.rng, count), "web", "playlist")
    return accounts.with_columns(
        ip=addresses.gather(np.arange(count) % len(addresses)), user_agent=builds.gather(np.arange(count) % len(builds))
    )


def _whole_catalogue(casting: Casting) -> Indices:
    return np.arange(casting.world.known.organic_tracks)


def _bot_farm(scene: Scene) -> Listening:
    who = _any_of(scene, np.arange(scene.cast.height))
    return Listening(scene.cast, who, _around_the_clock(scene), _any_of(scene, scene.tracks), _past_30_s(scene, 28_000))


def _low_and_slow_cast(casting: Casting) -> pl.DataFrame:
    count = _bounded(casting.campaign.plays_per_day // 6, 30, 200_000)
    country = geography.countries(casting.rng, count)
    accounts = opened_accounts(casting, country, "android", "profile")
    moving = accounts[np.repeat(np.arange(count), 4)]
    return moving.with_columns(ip=geography.addresses(casting.rng, np.repeat(country, 4)))


def _low_and_slow(scene: Scene) -> Listening:
    who = _any_of(scene, np.arange(scene.cast.height))
    times = by_daylight(scene, scene.cast["time_zone"].to_numpy()[who])
    return Listening(scene.cast, who, times, _any_of(scene, scene.tracks), _past_30_s(scene, 55_000))


def _account_takeover_cast(casting: Casting) -> pl.DataFrame:
    people, rng = casting.world.people, casting.rng
    count = _bounded(casting.campaign.plays_per_day // 80, 4, len(people.country) // 4)
    country = rng.choice(_FARMED_COUNTRIES, count)
    return people.at_home(rng.choice(len(people.country), count, replace=False), "direct").with_columns(
        device_id=new_devices(casting, count),
        ip=geography.addresses(rng, country),
        country=geography.CODES.gather(country),
        user_agent=user_agents.browsers(rng, count),
        client=pl.lit("web"),
    )


def _account_takeover(scene: Scene) -> Listening:
    times = np.sort(_around_the_clock(scene))
    # Accounts fall one after another during the first half of the campaign, and stay taken.
    since_ms = scene.since_ms + times - scene.begins_ms
    half_ms = (scene.campaign.ends_ms - scene.campaign.begins_ms) / 2
    taken = np.clip(since_ms / half_ms * scene.cast.height, 1, scene.cast.height)
    who = (scene.rng.random(scene.plays) * taken).astype(np.int64)
    return Listening(scene.cast, who, times, _any_of(scene, scene.tracks), _past_30_s(scene, 40_000))


def _paid_plays_cast(casting: Casting) -> pl.DataFrame:
    count = _bounded(casting.campaign.plays_per_day // 4, 8, 500_000)
    return opened_accounts(casting, casting.rng.choice(_FARMED_COUNTRIES, count), "android", "playlist")


def _unknowing_artist(casting: Casting) -> Indices:
    return casting.rng.integers(0, casting.world.known.organic_tracks, 1)


def _paid_plays(scene: Scene) -> Listening:
    who = np.arange(scene.plays) % scene.cast.height
    return Listening(scene.cast, who, _around_the_clock(scene), _any_of(scene, scene.tracks), _past_30_s(scene, 40_000))


def _device_farm_cast(casting: Casting) -> pl.DataFrame:
    count = _bounded(casting.campaign.plays_per_day // 150, 10, 20_000)
    country = np.full(count, casting.rng.choice(_FARMED_COUNTRIES))
    addresses = geography.addresses(casting.rng, country[: 2 + count // 60])
    return opened_accounts(casting, country, "android", "recommendation").with_columns(
        ip=addresses.gather(np.arange(count) % len(addresses)), user_agent=pl.lit(user_agents.FARM_BUILD)
    )


def _device_farm(scene: Scene) -> Listening:
    who = _any_of(scene, np.arange(scene.cast.height))
    return Listening(scene.cast, who, _around_the_clock(scene), _any_of(scene, scene.tracks), _past_30_s(scene, 15_000))


def _embedded_autoplay_cast(casting: Casting) -> pl.DataFrame:
    visitors, _ = visitors_of_widgets(casting.rng, casting.world.people, 0)
    return visitors


def _embedded_autoplay(scene: Scene) -> Listening:
    visitors, time_zone = visitors_of_widgets(scene.rng, scene.world.people, scene.plays)
    times = by_daylight(scene, time_zone)
    return Listening(visitors, np.arange(scene.plays), times, _any_of(scene, scene.tracks), _past_30_s(scene, 3000))


ATTACKS: Final = (
    Scenario(
        "loop_bot",
        "One account plays one track around the clock, with nearly constant gaps, just past 30 seconds each time.",
        is_spam=True,
        plays_share=0.006,
        begins=0.07,
        lasts=0.3,
        cast=_loop_bot_cast,
        listen=_loop_bot,
        uploads=lambda _plays: 1,
    ),
    Scenario(
        "bot_farm",
        "Hundreds of accounts in one hosting network play hundreds of tracks a day each, spread over the whole catalogue.",
        is_spam=True,
        plays_share=0.018,
        begins=0.2,
        lasts=0.28,
        cast=_bot_farm_cast,
        listen=_bot_farm,
        tracks=_whole_catalogue,
    ),
    Scenario(
        "low_and_slow",
        "A listener set of new accounts behind changing home addresses plays every track of one uploader a few times.",
        is_spam=True,
        plays_share=0.01,
        begins=0.14,
        lasts=0.7,
        cast=_low_and_slow_cast,
        listen=_low_and_slow,
        uploads=lambda plays: _bounded(plays // 15, 40, 8000),
    ),
    Scenario(
        "account_takeover",
        "Real accounts change device, network, country and taste at one moment, while their owners go on listening.",
        is_spam=True,
        plays_share=0.008,
        begins=0.42,
        lasts=0.3,
        cast=_account_takeover_cast,
        listen=_account_takeover,
        uploads=lambda _plays: 6,
    ),
    Scenario(
        "paid_plays",
        "Bought plays of one track by an artist who did not order them: one playlist, odd countries, an even number each.",
        is_spam=True,
        plays_share=0.012,
        begins=0.3,
        lasts=0.2,
        cast=_paid_plays_cast,
        listen=_paid_plays,
        tracks=_unknowing_artist,
    ),
    Scenario(
        "device_farm",
        "Many phones of one build on a shelf, behind few addresses of one country.",
        is_spam=True,
        plays_share=0.01,
        begins=0.55,
        lasts=0.3,
        cast=_device_farm_cast,
        listen=_device_farm,
        uploads=lambda _plays: 8,
    ),
    Scenario(
        "embedded_autoplay",
        "A hidden widget on a busy page starts by itself: real visitors, logged out, a new device each, just past 30 seconds.",
        is_spam=True,
        plays_share=0.008,
        begins=0.65,
        lasts=0.25,
        cast=_embedded_autoplay_cast,
        listen=_embedded_autoplay,
        uploads=lambda _plays: 2,
    ),
)
"""Every attack."""
