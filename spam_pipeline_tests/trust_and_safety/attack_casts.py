"""One small attack of each type among the platform's listeners, made by hand after what is known of such attacks."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import NamedTuple

import polars as pl

from spam_pipeline.trust_and_safety.contracts import ACCOUNT, TRACK
from spam_pipeline_tests.trust_and_safety.play_generator import (
    FACTS,
    FIRST_DAY,
    TRACK_MS,
    bot_farm,
    facts_of,
    key,
    loop_bot,
    moment,
    plays_of,
)

Row = dict[str, object]
ACCOUNTS, TRACKS, ARTIST, ADDRESS = 60_000, 70_000, 80_000, 90_000
"""Where the numbers of the casts' accounts, tracks, uploaders and addresses begin; nobody else on the platform has them."""


class Cast(NamedTuple):
    """The plays of one attack on one day, and what is known of everyone on the platform and in the attack."""

    plays: pl.LazyFrame
    facts: pl.LazyFrame


def cast_of(attack_type: str, number: int) -> Cast:
    """The attack of this type on the platform's day `number`."""
    if attack_type in {"loop_bot", "bot_farm"}:
        return Cast({"loop_bot": loop_bot, "bot_farm": bot_farm}[attack_type](number), FACTS)
    age_days, plays = _BY_HAND[attack_type]
    rows = [{"event_id": f"attack {at:04d}", **row} for at, row in enumerate(plays(number))]
    users = sorted({row["user_key"] for row in rows} - {None}, key=str)
    tracks = sorted({row["track_key"] for row in rows}, key=str)
    created = FIRST_DAY + timedelta(days=number - age_days)
    facts: list[Row] = [
        {"entity_kind": ACCOUNT, "entity_key": user, "since": created, "country": "DE", "tier": "free"}
        for user in users
    ]
    uploaded = {"entity_kind": TRACK, "since": FIRST_DAY, "artist_key": _key(ARTIST), "duration_ms": TRACK_MS}
    facts += [{**uploaded, "entity_key": track} for track in tracks]
    return Cast(plays_of(rows), pl.concat([FACTS, facts_of(facts)]))


def _key(number: int) -> int:
    return int(key(number).item())


def _play(number: int, hours: float, who: int, track: int, **changes: object) -> Row:
    """A play of 33 s by account `who`, on its own device and address."""
    return {
        "occurred_at": moment(number, hours),
        "user_key": _key(ACCOUNTS + who),
        "device_key": _key(ACCOUNTS + 1_000 + who),
        "ip_key": _key(ADDRESS + who),
        "network_key": _key(ADDRESS + 1_000 + who),
        "track_key": _key(TRACKS + track),
        "country": "DE",
        "ms_played": 33_000,
        **changes,
    }


def _low_and_slow(number: int) -> Iterator[Row]:
    """Thirty new accounts, twelve plays each, over hundreds of tracks of one uploader."""
    for who in range(30):
        for at in range(12):
            yield _play(number, 8 + at, who, 12 * who + at)


def _account_takeover(number: int) -> Iterator[Row]:
    """Ten old accounts are suddenly used on another device, abroad, for the tracks of one uploader."""
    for who in range(10):
        for at in range(25):
            yield _play(number, 10 + at / 4, who, at % 8, country="US")


def _paid_plays(number: int) -> Iterator[Row]:
    """Sixty new accounts play one track eight times each, heard to the end only now and then."""
    for who in range(60):
        for at in range(8):
            yield _play(number, 12 + at / 4, who, 0, ms_played=TRACK_MS if at % 3 == 0 else 45_000)


def _device_farm(number: int) -> Iterator[Row]:
    """Twenty devices behind one address play five tracks of one uploader."""
    for who in range(20):
        for at in range(30):
            yield _play(number, 6 + at / 2, who, at % 5, ip_key=_key(ADDRESS), network_key=_key(ADDRESS + 1_000))


def _embedded_autoplay(number: int) -> Iterator[Row]:
    """Two hundred visitors of a page, logged out, whose widget plays one track for just over 30 s."""
    for who in range(200):
        yield _play(number, who / 10, who, 0, user_key=None, client="embed", source="embed", ms_played=31_000)


_BY_HAND: dict[str, tuple[int, Callable[[int], Iterator[Row]]]] = {
    "low_and_slow": (20, _low_and_slow),
    "account_takeover": (900, _account_takeover),
    "paid_plays": (20, _paid_plays),
    "device_farm": (400, _device_farm),
    "embedded_autoplay": (400, _embedded_autoplay),
}
