"""Organic plays of an ordinary day: sessions of accounts, and visitors of embedded widgets who are not logged in.

Each day has its own random generator, so days don't depend on each other.
"""

from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from spam_pipeline.simulation import geography, user_agents
from spam_pipeline.simulation.catalogue import Catalogue
from spam_pipeline.simulation.geography import DAY_MS
from spam_pipeline.simulation.identifiers import FIRST_OF_VISITORS, identifiers
from spam_pipeline.simulation.listeners import DEVICES, FAVOURITES, Listeners, tasteful
from spam_pipeline.simulation.listening import Listening, played_naturally
from spam_pipeline.simulation.randomness import Indices, chance, draw

_MEAN_SESSION: Final = 7.0
_LOGGED_OUT_SHARE: Final = 0.06
_SESSION_SOURCES: Final = pl.Series(
    ["playlist", "profile", "feed", "recommendation", "search", "direct", "other", "mixtape"]
)
_SESSION_SOURCE_WEIGHTS: Final = np.array([38, 15, 10, 17, 13, 5, 1.5, 0.5])
_PROFILE: Final = 1
_WEB: Final = 0


def organic_volume(plays_per_day: int, day: date) -> int:
    """Return the number of organic plays of a day: a little more at weekends, `plays_per_day` on average over a week."""
    return round(plays_per_day * (0.96, 0.96, 0.97, 0.99, 1.04, 1.07, 1.01)[day.weekday()])


def organic_day(
    rng: np.random.Generator, people: Listeners, known: Catalogue, count: int, day_ms: int
) -> tuple[Listening, Listening]:
    """Generate `count` plays that begin within the day: those of accounts, and those of visitors of embedded widgets."""
    logged_out = round(count * _LOGGED_OUT_SHARE)
    return _sessions(rng, people, known, count - logged_out, day_ms), visits(
        rng, people, known.popular(rng, logged_out), known, day_ms
    )


def _sessions(rng: np.random.Generator, people: Listeners, known: Catalogue, count: int, day_ms: int) -> Listening:
    lengths = rng.geometric(1 / _MEAN_SESSION, count)
    sessions = int(np.searchsorted(np.cumsum(lengths), count)) + 1 if count else 0
    session = np.repeat(np.arange(sessions), lengths[:sessions])[:count]
    account = people.active(rng, sessions)
    source = draw(rng, _SESSION_SOURCE_WEIGHTS, sessions)
    identities, country = _session_identities(rng, people, account, source)
    is_first = np.diff(session, prepend=-1) > 0
    artist = known.artist[known.popular(rng, sessions)]
    track = _choices(rng, people, known, account[session], is_first)
    track = np.where(source[session] == _PROFILE, known.by_artist(rng, artist[session]), track)
    heard = played_naturally(rng, known.duration_ms[track])
    offset = _offsets(rng, heard, is_first, session)
    span = np.zeros(sessions, dtype=np.int64)
    np.maximum.at(span, session, offset)
    start = geography.listening_times(rng, country)
    # A session that would run past midnight moves to another time of its day: plays of a day stay in the day.
    start = np.where(
        start + span < DAY_MS, start, (rng.random(sessions) * np.maximum(DAY_MS - span, 1)).astype(np.int64)
    )
    return Listening(identities, session, day_ms + np.minimum(start[session] + offset, DAY_MS - 1), track, heard)


def _session_identities(
    rng: np.random.Generator, people: Listeners, account: Indices, source: Indices
) -> tuple[pl.DataFrame, Indices]:
    count = len(account)
    device = account * DEVICES + draw(rng, np.array([0.72, 0.2, 0.08]), count)
    client = people.device_client[device]
    is_away = rng.random(count) < np.where(client == _WEB, 0.08, 0.42)
    is_abroad = chance(rng, 0.006, count)
    country = np.where(is_abroad, geography.countries(rng, count), people.country[account])
    cell = country * people.mobile_per_country + (account * 7 + rng.integers(0, 3, count)) % people.mobile_per_country
    ips = pl.DataFrame({"away": people.mobile_ip.gather(cell), "home": people.home_ip.gather(people.home[account])})
    identities = pl.DataFrame(
        {
            "user_id": people.user_id.gather(account),
            "device_id": people.device_id.gather(device),
            "ip": ips.select(pl.when(pl.Series(is_away | is_abroad)).then("away").otherwise("home")).to_series(),
            "country": geography.CODES.gather(country),
            "user_agent": people.device_user_agent.gather(device),
            "client": user_agents.CLIENTS.gather(client),
            "source": _SESSION_SOURCES.gather(source),
        }
    )
    return _with_gaps(rng, identities), country


def _with_gaps(rng: np.random.Generator, identities: pl.DataFrame) -> pl.DataFrame:
    """Blank some values: not every client sends its address, country or user agent."""
    gaps = {"ip": 0.002, "country": 0.004, "user_agent": 0.002}
    return identities.with_columns(
        pl.when(pl.Series(rng.random(identities.height) >= share)).then(name).alias(name)
        for name, share in gaps.items()
    )


def _choices(
    rng: np.random.Generator, people: Listeners, known: Catalogue, account: Indices, is_first: npt.NDArray[np.bool_]
) -> Indices:
    count = len(account)
    favourite = people.favourites[account * FAVOURITES + (rng.random(count) ** 2 * FAVOURITES).astype(np.int64)]
    track = np.where(chance(rng, 0.35, count), favourite, tasteful(rng, known, people.genre[account]))
    is_again = (chance(rng, 0.04, count)) & ~is_first
    chosen_at = np.maximum.accumulate(np.where(is_again, 0, np.arange(count)))
    return track[chosen_at]


def _offsets(rng: np.random.Generator, heard: Indices, is_first: npt.NDArray[np.bool_], session: Indices) -> Indices:
    pauses = np.where(
        chance(rng, 0.06, len(heard)), rng.exponential(150_000, len(heard)), rng.exponential(1200, len(heard))
    )
    steps = heard + 150 + pauses.astype(np.int64)
    begun = np.cumsum(steps) - steps
    return np.asarray(begun - begun[is_first][session], dtype=np.int64)


def visits(rng: np.random.Generator, people: Listeners, track: Indices, known: Catalogue, day_ms: int) -> Listening:
    """Generate logged-out plays of these tracks in widgets on other sites: each visitor's device occurs only once."""
    visitors = max(1, int(len(track) / 1.6))
    who = np.concatenate(
        [np.arange(min(visitors, len(track))), rng.integers(0, visitors, max(0, len(track) - visitors))]
    )
    identities, country = visitors_of_widgets(rng, people, visitors)
    times = day_ms + geography.listening_times(rng, country[who])
    return Listening(identities, who, times, track, played_naturally(rng, known.duration_ms[track]))


def visitors_of_widgets(rng: np.random.Generator, people: Listeners, count: int) -> tuple[pl.DataFrame, Indices]:
    """Generate `count` logged-out identities with browsers in real homes, and the positions of their countries."""
    account = rng.integers(0, len(people.country), count)
    identities = pl.DataFrame(
        {
            "user_id": pl.Series([None], dtype=pl.String).gather(np.zeros(count, dtype=np.int64)),
            "device_id": identifiers("d", FIRST_OF_VISITORS + rng.integers(0, FIRST_OF_VISITORS, count)),
            "ip": people.home_ip.gather(people.home[account]),
            "country": geography.CODES.gather(people.country[account]),
            "user_agent": user_agents.browsers(rng, count),
            "client": pl.repeat("embed", count, eager=True),
            "source": pl.repeat("embed", count, eager=True),
        }
    )
    return identities, people.country[account]
