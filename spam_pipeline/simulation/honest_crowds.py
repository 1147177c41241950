"""Honest crowds that resemble an attack: many people at one track, few people at one artist, and visitors of widgets.

All of it is known from practice, and none of it is spam. Single listeners and places are in `hard_negatives`.
"""

from typing import Final

import numpy as np
import polars as pl

from spam_pipeline.simulation.geography import DAY_MS
from spam_pipeline.simulation.identifiers import campaign_numbers, identifiers
from spam_pipeline.simulation.listeners import DEVICES
from spam_pipeline.simulation.listening import Listening, one_after_another, played_naturally
from spam_pipeline.simulation.organic import visitors_of_widgets
from spam_pipeline.simulation.randomness import Indices, chance, draw
from spam_pipeline.simulation.scenario import Casting, Scenario, Scene, by_daylight, new_devices

_FADES_BY: Final = 3.0
"""Interest in a release or in a news item ends at e^-3 of its initial height."""

_FEWEST_FANS, _MOST_FANS = 60, 400
_MOST_PLAYS_OF_A_FAN: Final = 20
_DEVICE_WEIGHTS: Final = np.array([0.72, 0.2, 0.08])
_SITTING: Final = 6

_SMALL_ARTISTS: Final = 3
_UPLOADS_EACH: Final = 8
_FEWEST_FRIENDS, _MOST_FRIENDS = 8, 30
_MOST_PLAYS_OF_A_FRIEND: Final = 10

_PREVIEW_MS: Final = 30_000
_PREVIEWED_TRACKS: Final = 600
_PREVIEWS_PER_VISITOR: Final = 4


def _fading_plays(scene: Scene) -> int:
    campaign = scene.campaign
    lasts = campaign.ends_ms - campaign.begins_ms
    until_ms = scene.since_ms + scene.ends_ms - scene.begins_ms
    before, after = (np.exp(-_FADES_BY * since_ms / lasts) for since_ms in (scene.since_ms, until_ms))
    return max(1, round(float(campaign.plays * (before - after) / (1 - np.exp(-_FADES_BY)))))


def _in_sittings(scene: Scene, who: Indices, heard_ms: Indices) -> Indices:
    """Draw times by the day of each identity, a few plays in a row each time; `who` is sorted."""
    is_first = np.diff(who, prepend=-1) > 0
    position = np.arange(len(who)) - np.flatnonzero(is_first)[np.cumsum(is_first) - 1]
    begins = position % _SITTING == 0
    sitting = np.cumsum(begins) - 1
    running = one_after_another(scene.rng, heard_ms, 8000)
    starts = by_daylight(scene, scene.cast["time_zone"].to_numpy()[who[begins]])
    times: Indices = starts[sitting] + running - running[begins][sitting]
    return times


def _by_zeal(scene: Scene, plays: int) -> Indices:
    return np.sort(draw(scene.rng, scene.cast["zeal"].to_numpy(), plays))


def _viral_release_cast(casting: Casting) -> pl.DataFrame:
    people, rng = casting.world.people, casting.rng
    count = min(max(1, casting.campaign.plays * 2 // 3), len(people.country))
    sources = pl.Series(["search", "feed", "recommendation", "profile", "direct"])
    found = people.at_home(rng.choice(len(people.country), count, replace=False), "search")
    return found.with_columns(source=sources.gather(draw(rng, np.array([30, 25, 25, 12, 8]), count)))


def _viral_release(scene: Scene) -> Listening:
    known, rng = scene.world.known, scene.rng
    plays = _fading_plays(scene)
    appetite = np.minimum(rng.pareto(2.0, scene.cast.height) + 0.3, 12.0)
    who = draw(rng, appetite, plays)
    release = np.full(plays, scene.tracks[-1])
    older = known.by_artist(rng, known.artist[release])
    track = np.where(chance(rng, 0.22, plays), older, release)
    times = by_daylight(scene, scene.cast["time_zone"].to_numpy()[who])
    return Listening(scene.cast, who, times, track, played_naturally(rng, known.duration_ms[track]))


def _fan_project_cast(casting: Casting) -> pl.DataFrame:
    people, rng = casting.world.people, casting.rng
    count = min(max(casting.campaign.plays_per_day // 7, _FEWEST_FANS), _MOST_FANS)
    activity = np.diff(people.cumulative_activity, prepend=0.0)
    fans = rng.choice(len(people.country), count, replace=False, p=activity / activity.sum())
    zeal = np.minimum(rng.pareto(1.3, count) + 0.2, 15.0)
    sources = pl.Series(["playlist", "search", "profile", "direct"])
    return people.on_every_device(fans, "playlist").with_columns(
        source=sources.gather(draw(rng, np.array([50, 20, 20, 10]), count * DEVICES)),
        zeal=np.repeat(zeal, DEVICES) * np.tile(_DEVICE_WEIGHTS, count),
    )


def _fan_project(scene: Scene) -> Listening:
    most = scene.cast.height // DEVICES * _MOST_PLAYS_OF_A_FAN
    who = _by_zeal(scene, min(scene.plays, most))
    track = np.full(len(who), scene.tracks[-1])
    heard = scene.world.known.duration_ms[track]
    return Listening(scene.cast, who, _in_sittings(scene, who, heard), track, heard)


def _devoted_small_artist_cast(casting: Casting) -> pl.DataFrame:
    people, rng, campaign = casting.world.people, casting.rng, casting.campaign
    friends = rng.integers(_FEWEST_FRIENDS, _MOST_FRIENDS + 1, _SMALL_ARTISTS)
    count = int(friends.sum())
    is_new = pl.Series(chance(rng, 0.3, count))
    found = people.at_home(rng.choice(len(people.country), count, replace=False), "profile").with_columns(
        source=pl.Series(["profile", "direct", "playlist", "search"]).gather(
            draw(rng, np.array([45, 25, 20, 10]), count)
        ),
        artist=np.repeat(np.arange(_SMALL_ARTISTS), friends),
        zeal=np.minimum(rng.pareto(1.1, count) + 0.2, 15.0),
    )
    # A new account stands in the home of the listener whose place it takes: family of somebody who is there.
    opened = {
        "user_id": identifiers("u", campaign_numbers(campaign.serial, np.arange(count))),
        "device_id": new_devices(casting, count),
        "tier": pl.Series(["free", "premium"]).gather(chance(rng, 0.3, count).astype(np.int64)),
        "created_ms": pl.Series(campaign.begins_ms - rng.integers(DAY_MS, 40 * DAY_MS, count)),
    }
    before = {"user_id": pl.col("user_id"), "device_id": pl.col("device_id")}
    return found.with_columns(
        pl.when(is_new).then(values).otherwise(before.get(name)).alias(name) for name, values in opened.items()
    )


def _devoted_small_artist(scene: Scene) -> Listening:
    known, rng = scene.world.known, scene.rng
    who = _by_zeal(scene, min(scene.plays, scene.cast.height * _MOST_PLAYS_OF_A_FRIEND))
    by_artist = scene.tracks[np.argsort(known.artist[scene.tracks], kind="stable")]
    favourite = (rng.random(len(who)) ** 2 * _UPLOADS_EACH).astype(np.int64)
    own = by_artist[scene.cast["artist"].to_numpy()[who] * _UPLOADS_EACH + favourite]
    track = np.where(chance(rng, 0.1, len(who)), known.popular(rng, len(who)), own)
    heard = played_naturally(rng, known.duration_ms[track])
    return Listening(scene.cast, who, _in_sittings(scene, who, heard), track, heard)


def _nobody_logged_in(casting: Casting) -> pl.DataFrame:
    visitors, _ = visitors_of_widgets(casting.rng, casting.world.people, 0)
    return visitors


def _in_the_news(casting: Casting) -> Indices:
    return casting.rng.integers(0, casting.world.known.organic_tracks, 1)


def _preview_ms(rng: np.random.Generator, duration_ms: Indices) -> Indices:
    """Draw playing times of previews: exactly 30 seconds, or a little less where a client counts from the first sound."""
    short_by = np.where(chance(rng, 0.3, len(duration_ms)), rng.integers(1, 1500, len(duration_ms)), 0)
    heard: Indices = np.minimum(_PREVIEW_MS - short_by, duration_ms)
    return heard


def _viral_embed(scene: Scene) -> Listening:
    rng, plays = scene.rng, _fading_plays(scene)
    visitors, time_zone = visitors_of_widgets(rng, scene.world.people, plays)
    track = np.full(plays, scene.tracks[0])
    duration = scene.world.known.duration_ms[track]
    heard = np.where(chance(rng, 1 / 3, plays), _preview_ms(rng, duration), played_naturally(rng, duration))
    return Listening(visitors, np.arange(plays), by_daylight(scene, time_zone), track, heard)


def _page_of_many(casting: Casting) -> Indices:
    tracks = casting.world.known.organic_tracks
    return casting.rng.choice(tracks, min(tracks, _PREVIEWED_TRACKS), replace=False)


def _previews(scene: Scene) -> Listening:
    rng = scene.rng
    count = max(1, scene.plays // _PREVIEWS_PER_VISITOR)
    visitors, time_zone = visitors_of_widgets(rng, scene.world.people, count)
    who = np.sort(rng.integers(0, count, scene.plays))
    track = rng.choice(scene.tracks, scene.plays)
    heard = _preview_ms(rng, scene.world.known.duration_ms[track])
    running = one_after_another(rng, heard, 12_000)
    since_first = running - running[np.searchsorted(who, who)]
    return Listening(visitors, who, by_daylight(scene, time_zone)[who] + since_first, track, heard)


VIRAL_RELEASE: Final = Scenario(
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
)

CROWDS: Final = (
    Scenario(
        "fan_project",
        "Fans of a known artist agree to play a new single again and again for a week, on their own devices, some far more.",
        is_spam=False,
        plays_share=0.01,
        begins=0.45,
        lasts=7 / 15,
        cast=_fan_project_cast,
        listen=_fan_project,
        uploads=lambda _plays: 1,
        is_by_known_artist=True,
    ),
    Scenario(
        "devoted_small_artist",
        "Three small artists whom hardly anybody but friends and family hears, some of them on new accounts opened for it.",
        is_spam=False,
        plays_share=0.006,
        begins=0.0,
        lasts=1.0,
        cast=_devoted_small_artist_cast,
        listen=_devoted_small_artist,
        uploads=lambda _plays: _SMALL_ARTISTS * _UPLOADS_EACH,
        oldest_upload_days=400,
        artists=_SMALL_ARTISTS,
    ),
    Scenario(
        "viral_embed",
        "Readers of a news site click its widget: logged out, a new device each, one track, many previews, over in three days.",
        is_spam=False,
        plays_share=0.008,
        begins=0.25,
        lasts=0.2,
        cast=_nobody_logged_in,
        listen=_viral_embed,
        tracks=_in_the_news,
    ),
    Scenario(
        "previews",
        "A shop's page plays 30-second previews of a large part of the catalogue to visitors who are not logged in.",
        is_spam=False,
        plays_share=0.006,
        begins=0.0,
        lasts=1.0,
        cast=_nobody_logged_in,
        listen=_previews,
        tracks=_page_of_many,
    ),
)
"""Every crowd but the release, which has been there longer and comes first among the hard negatives."""
