"""Honest behaviour that resembles an attack. All of it is known from practice, and none of it is spam.

"Around the clock means bot" and "one track again and again means bot" are wrong, and these scenarios show it.
"""

from typing import Final

import numpy as np
import polars as pl

from spam_pipeline.simulation import geography, user_agents
from spam_pipeline.simulation.geography import DAY_MS, HOUR_MS
from spam_pipeline.simulation.listeners import DEVICES
from spam_pipeline.simulation.listening import Listening, one_after_another, played_naturally
from spam_pipeline.simulation.randomness import Indices, chance, draw
from spam_pipeline.simulation.scenario import Casting, Scenario, Scene, by_daylight, new_devices

_FADES_BY: Final = 3.0
"""A release ends at e^-3 of its initial interest."""

_LOOPS: Final = 85
_SUPER_ACCOUNT_PLAYS: Final = 700
_SHOP_PLAYS: Final = 200
_WEEKEND: Final = (5, 6)
_MONDAY_MS: Final = 4 * DAY_MS
"""1970-01-05, the first Monday of the epoch."""


def _some_account(casting: Casting, source: str) -> pl.DataFrame:
    people = casting.world.people
    return people.at_home(casting.rng.integers(0, len(people.country), 1), source)


def _alone(plays: int) -> Indices:
    return np.zeros(plays, dtype=np.int64)


def _viral_release_cast(casting: Casting) -> pl.DataFrame:
    people, rng = casting.world.people, casting.rng
    count = min(max(1, casting.campaign.plays * 2 // 3), len(people.country))
    sources = pl.Series(["search", "feed", "recommendation", "profile", "direct"])
    found = people.at_home(rng.choice(len(people.country), count, replace=False), "search")
    return found.with_columns(source=sources.gather(draw(rng, np.array([30, 25, 25, 12, 8]), count)))


def _viral_release(scene: Scene) -> Listening:
    known, rng, campaign = scene.world.known, scene.rng, scene.campaign
    lasts = campaign.ends_ms - campaign.begins_ms
    until_ms = scene.since_ms + scene.ends_ms - scene.begins_ms
    before, after = (np.exp(-_FADES_BY * since_ms / lasts) for since_ms in (scene.since_ms, until_ms))
    plays = max(1, round(campaign.plays * (before - after) / (1 - np.exp(-_FADES_BY))))
    appetite = np.minimum(rng.pareto(2.0, scene.cast.height) + 0.3, 12.0)
    who = draw(rng, appetite, plays)
    release = np.full(plays, scene.tracks[-1])
    older = known.by_artist(rng, known.artist[release])
    track = np.where(chance(rng, 0.22, plays), older, release)
    times = by_daylight(scene, scene.cast["time_zone"].to_numpy()[who])
    return Listening(scene.cast, who, times, track, played_naturally(rng, known.duration_ms[track]))


def _sleep_listener_cast(casting: Casting) -> pl.DataFrame:
    return _some_account(casting, "playlist")


def _sleep_listener(scene: Scene) -> Listening:
    most = (scene.ends_ms - scene.begins_ms) // int(scene.track_durations_ms.min()) + 1
    track = scene.tracks[np.arange(most) % len(scene.tracks)]
    heard = scene.world.known.duration_ms[track]
    times = scene.begins_ms + one_after_another(scene.rng, heard, 900)
    return Listening(scene.cast, _alone(most), times, track, heard).first(int(np.searchsorted(times, scene.ends_ms)))


def _looping_fan_cast(casting: Casting) -> pl.DataFrame:
    return _some_account(casting, "direct")


def _favourite_song(casting: Casting) -> Indices:
    drawn = casting.world.known.popular(casting.rng, 200)
    return drawn[np.argsort(casting.world.known.duration_ms[drawn], kind="stable")[60:61]]


def _looping_fan(scene: Scene) -> Listening:
    track = np.full(_LOOPS, scene.tracks[0])
    heard = scene.world.known.duration_ms[track]
    offsets = one_after_another(scene.rng, heard, 20_000)
    morning = scene.day_ms + int(
        geography.at_local_time(np.array([9 * HOUR_MS]), scene.cast["time_zone"].to_numpy())[0]
    )
    begins = max(min(morning, scene.ends_ms - int(offsets[-1]) - 1), scene.begins_ms)
    return Listening(scene.cast, _alone(_LOOPS), begins + offsets, track, heard)


def _super_account_cast(casting: Casting) -> pl.DataFrame:
    people = casting.world.people
    account = casting.rng.integers(0, len(people.country), 1)
    device = account[0] * DEVICES + np.arange(DEVICES)
    return people.at_home(np.repeat(account, DEVICES), "recommendation").with_columns(
        people.device_id.gather(device).alias("device_id"),
        people.device_user_agent.gather(device).alias("user_agent"),
        user_agents.CLIENTS.gather(people.device_client[device]).alias("client"),
    )


def _super_account(scene: Scene) -> Listening:
    plays = min(scene.plays, _SUPER_ACCOUNT_PLAYS)
    who = scene.rng.integers(0, DEVICES, plays)
    track = scene.world.known.popular(scene.rng, plays)
    times = by_daylight(scene, scene.cast["time_zone"].to_numpy()[who])
    return Listening(scene.cast, who, times, track, played_naturally(scene.rng, scene.world.known.duration_ms[track]))


def _office_cast(casting: Casting) -> pl.DataFrame:
    people, rng = casting.world.people, casting.rng
    staff = rng.permutation(np.flatnonzero(people.country == np.bincount(people.country).argmax()))
    count = min(max(casting.campaign.plays_per_day // 10, 10), len(staff), 4000)
    return people.at_home(staff[:count], "playlist").with_columns(
        device_id=new_devices(casting, count),
        ip=pl.lit(geography.addresses(rng, people.country[staff[:1]])[0]),
        user_agent=pl.lit(user_agents.OFFICE_BROWSER),
        client=pl.lit("web"),
    )


def _office_network(scene: Scene) -> Listening:
    weekday = (scene.day_ms - _MONDAY_MS) // DAY_MS % 7
    plays = max(1, scene.plays // 20) if weekday in _WEEKEND else scene.plays
    who = scene.rng.integers(0, scene.cast.height, plays)
    local = 9 * HOUR_MS + scene.rng.integers(0, 8 * HOUR_MS, plays)
    times = scene.day_ms + geography.at_local_time(local, scene.cast["time_zone"].to_numpy()[who])
    track = scene.world.known.popular(scene.rng, plays)
    return Listening(scene.cast, who, times, track, played_naturally(scene.rng, scene.world.known.duration_ms[track]))


def _shop_radio_cast(casting: Casting) -> pl.DataFrame:
    people = casting.world.people
    count = min(1 + casting.campaign.plays_per_day // (5 * _SHOP_PLAYS), len(people.country))
    shops = people.at_home(casting.rng.choice(len(people.country), count, replace=False), "playlist")
    return shops.with_columns(device_id=new_devices(casting, count), client=pl.lit("other"))


def _shop_playlist(casting: Casting) -> Indices:
    return casting.world.known.popular(casting.rng, 40)


def _shop_radio(scene: Scene) -> Listening:
    shops = scene.cast.height
    who = np.repeat(np.arange(shops), _SHOP_PLAYS)
    track = scene.tracks[(np.arange(len(who)) + 11 * who) % len(scene.tracks)]
    heard = scene.world.known.duration_ms[track]
    running = one_after_another(scene.rng, heard, 1500).reshape(shops, _SHOP_PLAYS)
    since_opening = (running - running[:, :1]).ravel()
    local = 8 * HOUR_MS + since_opening
    times = scene.day_ms + geography.at_local_time(local, scene.cast["time_zone"].to_numpy()[who])
    return Listening(scene.cast, who, times, track, heard)


HARD_NEGATIVES: Final = (
    Scenario(
        "viral_release",
        "A new track by a known artist: many new listeners with one to three plays, by their own day, slowly fading.",
        is_spam=False,
        plays_share=0.03,
        begins=0.36,
        lasts=0.5,
        cast=_viral_release_cast,
        listen=_viral_release,
        uploads=lambda _plays: 1,
        is_by_known_artist=True,
    ),
    Scenario(
        "sleep_listener",
        "Somebody leaves sleep music on for 354 hours without a stop.",
        is_spam=False,
        plays_share=0.0,
        begins=0.0,
        lasts=354 / 360,
        cast=_sleep_listener_cast,
        listen=_sleep_listener,
        uploads=lambda _plays: 40,
        upload_ms=(300_000, 600_000),
        oldest_upload_days=900,
    ),
    Scenario(
        "looping_fan",
        "Somebody plays one song to the end 85 times a day.",
        is_spam=False,
        plays_share=0.0,
        begins=0.5,
        lasts=0.2,
        cast=_looping_fan_cast,
        listen=_looping_fan,
        tracks=_favourite_song,
    ),
    Scenario(
        "super_account",
        "One account with three devices that makes up a big share of all plays on a small platform.",
        is_spam=False,
        plays_share=0.03,
        begins=0.1,
        lasts=0.9,
        cast=_super_account_cast,
        listen=_super_account,
    ),
    Scenario(
        "office_network",
        "Everybody in an office behind one address, on the same browser, during working hours.",
        is_spam=False,
        plays_share=0.01,
        begins=0.0,
        lasts=1.0,
        cast=_office_cast,
        listen=_office_network,
    ),
    Scenario(
        "shop_radio",
        "A shop plays one playlist from opening to closing, every track to the end, every day.",
        is_spam=False,
        plays_share=0.01,
        begins=0.0,
        lasts=1.0,
        cast=_shop_radio_cast,
        listen=_shop_radio,
        tracks=_shop_playlist,
    ),
)
"""Every hard negative. A share of 0 means that the behaviour itself determines the number of plays."""
