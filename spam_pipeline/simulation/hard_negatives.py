"""Honest behaviour that resembles an attack: single listeners and places here, crowds in `honest_crowds`.

All of it is known from practice, and none of it is spam. "Around the clock means bot" and "one track again and again means bot"
are wrong, and these scenarios show it.
"""

from typing import Final

import numpy as np
import polars as pl

from spam_pipeline.simulation import geography, user_agents
from spam_pipeline.simulation.catalogue import GENRES
from spam_pipeline.simulation.geography import DAY_MS, HOUR_MS
from spam_pipeline.simulation.honest_crowds import CROWDS, VIRAL_RELEASE
from spam_pipeline.simulation.listeners import DEVICES
from spam_pipeline.simulation.listening import Listening, one_after_another, played_naturally
from spam_pipeline.simulation.randomness import Indices, chance
from spam_pipeline.simulation.scenario import Casting, Scenario, Scene, by_daylight, new_devices, opened_accounts

_LOOPS: Final = 85
_SUPER_ACCOUNT_PLAYS: Final = 700
_SHOP_PLAYS: Final = 200
_SONGS: Final = 12
_SONGS_OF_A_LESSON: Final = 6
_LESSONS_BEGIN_MS: Final = np.array([9, 13]) * HOUR_MS + HOUR_MS // 4
_FAMILY_DEVICES: Final = 5
_FAVOURITES_OF_ONE: Final = 25
_FAMILY_PLAYS: Final = 100
_WEEKEND: Final = (5, 6)
_MONDAY_MS: Final = 4 * DAY_MS
"""1970-01-05, the first Monday of the epoch."""


def _some_account(casting: Casting, source: str) -> pl.DataFrame:
    people = casting.world.people
    return people.at_home(casting.rng.integers(0, len(people.country), 1), source)


def _is_weekend(scene: Scene) -> bool:
    return (scene.day_ms - _MONDAY_MS) // DAY_MS % 7 in _WEEKEND


def _alone(plays: int) -> Indices:
    return np.zeros(plays, dtype=np.int64)


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
    return people.on_every_device(casting.rng.integers(0, len(people.country), 1), "recommendation")


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
    plays = max(1, scene.plays // 20) if _is_weekend(scene) else scene.plays
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


def _school_class_cast(casting: Casting) -> pl.DataFrame:
    rng = casting.rng
    pupils = int(rng.integers(25, 31))
    country = np.full(pupils, geography.countries(rng, 1)[0])
    return opened_accounts(casting, country, "android", "playlist").with_columns(
        ip=pl.lit(geography.addresses(rng, country[:1])[0]),
        user_agent=pl.lit(user_agents.SCHOOL_TABLET),
        tier=pl.lit("free"),
        created_ms=pl.lit(casting.campaign.begins_ms - int(rng.integers(2, 20)) * DAY_MS),
    )


def _songs_of_a_class(casting: Casting) -> Indices:
    return casting.rng.choice(casting.world.known.organic_tracks, _SONGS, replace=False)


def _school_class(scene: Scene) -> Listening:
    rng, pupils, known = scene.rng, scene.cast.height, scene.world.known
    of_school_day = 0 if _is_weekend(scene) else scene.plays * 7 // 5
    songs = min(-(-of_school_day // pupils), _SONGS)
    who, song = np.repeat(np.arange(pupils), songs), np.tile(np.arange(songs), pupils)
    track = np.roll(scene.tracks, -(scene.day_ms // DAY_MS) * songs)[song]
    duration = known.duration_ms[track]
    heard = np.where(chance(rng, 0.85, len(who)), duration, played_naturally(rng, duration))
    lesson = song // _SONGS_OF_A_LESSON
    of_pupil = who * len(_LESSONS_BEGIN_MS) + lesson
    running = one_after_another(rng, heard, 5000)
    since_begin = running - running[np.searchsorted(of_pupil, of_pupil)]
    local = _LESSONS_BEGIN_MS[lesson] + rng.integers(0, 90_000, pupils)[who] + since_begin
    times = scene.day_ms + geography.at_local_time(local, scene.cast["time_zone"].to_numpy()[who])
    return Listening(scene.cast, who, times, track, heard)


def _shared_account_cast(casting: Casting) -> pl.DataFrame:
    people, rng = casting.world.people, casting.rng
    account = rng.integers(0, len(people.country), 1)
    abroad = (people.country[account].repeat(_FAMILY_DEVICES - DEVICES) + 1) % len(geography.COUNTRIES)
    client = rng.integers(0, len(user_agents.CLIENTS), len(abroad))
    elsewhere = people.at_home(account.repeat(len(abroad)), "playlist").with_columns(
        device_id=new_devices(casting, len(abroad)),
        ip=pl.lit(geography.addresses(rng, abroad[:1])[0]),
        country=geography.CODES.gather(abroad),
        user_agent=user_agents.user_agents(rng, client),
        client=user_agents.CLIENTS.gather(client),
        time_zone=abroad,
    )
    return pl.concat([people.on_every_device(account, "playlist"), elsewhere])


def _tastes_of_a_family(casting: Casting) -> Indices:
    genres = casting.rng.choice(GENRES, _FAMILY_DEVICES, replace=False)
    return casting.world.known.by_genre.popular(casting.rng, np.repeat(genres, _FAVOURITES_OF_ONE))


def _shared_account(scene: Scene) -> Listening:
    plays = min(scene.plays, _FAMILY_PLAYS)
    who = scene.rng.integers(0, _FAMILY_DEVICES, plays)
    favourite = (scene.rng.random(plays) ** 2 * _FAVOURITES_OF_ONE).astype(np.int64)
    track = scene.tracks[who * _FAVOURITES_OF_ONE + favourite]
    times = by_daylight(scene, scene.cast["time_zone"].to_numpy()[who])
    return Listening(scene.cast, who, times, track, played_naturally(scene.rng, scene.world.known.duration_ms[track]))


HARD_NEGATIVES: Final = (
    VIRAL_RELEASE,
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
    Scenario(
        "school_class",
        "Pupils behind one address, on equal tablets and accounts of one day, hear the same songs in the same lessons.",
        is_spam=False,
        plays_share=0.008,
        begins=0.0,
        lasts=1.0,
        cast=_school_class_cast,
        listen=_school_class,
        tracks=_songs_of_a_class,
    ),
    Scenario(
        "shared_account",
        "A family with one account listens on five devices in two countries at once, everybody to something else.",
        is_spam=False,
        plays_share=0.008,
        begins=0.0,
        lasts=1.0,
        cast=_shared_account_cast,
        listen=_shared_account,
        tracks=_tastes_of_a_family,
    ),
    *CROWDS,
)
"""Every hard negative. A share of 0 means that the behaviour itself determines the number of plays."""
