"""The signals of a day, worked out play by play as `docs/signals.md` states them: slow, and easy to check by reading."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import Any

from spam_pipeline.trust_and_safety.signals.catalogue import USUAL

Row = dict[str, Any]
Facts = Mapping[tuple[str, int], Row]

KEYS = {
    "actor": "actor_key",
    "device": "device_key",
    "address": "ip_key",
    "network": "network_key",
    "track": "track_key",
    "uploader": "artist_key",
}
APPS = {"ios": {"Android", "Windows", "Linux"}, "android": {"iOS", "Mac OS X", "Windows"}}


def slow_signals(rows: Sequence[Row], facts: Facts, day: date) -> dict[tuple[str, int], Row]:
    """The signals that are not null of each entity, by kind and key."""
    known = [with_facts(row, facts, day) for row in rows]
    today = [row for row in known if row["occurred_at"].date() == day]
    before = [row for row in known if row["occurred_at"].date() < day]
    days = len({row["occurred_at"].date() for row in before})
    signals = {}
    for kind, signals_of in SIGNALS_OF.items():
        for entity in {row[KEYS[kind]] for row in today} - {None}:
            mine, past = ([row for row in some if row[KEYS[kind]] == entity] for some in (today, before))
            found = {"plays": len(mine), **signals_of(mine, past, days, today + before)}
            signals[kind, entity] = {name: value for name, value in found.items() if value is not None}
    return signals


def with_facts(row: Row, facts: Facts, scored: date) -> Row:
    track, account, agent = (
        facts.get(named, {})
        for named in (
            ("track", row["track_key"]),
            ("account", row["user_key"]),
            ("user_agent", row["user_agent_key"]),
        )
    )
    day, heard, duration = row["occurred_at"].date(), row["ms_played"], track.get("duration_ms")
    age = max((day - account["since"]).days, 0) if account else None
    is_complete = duration is not None and heard >= 0.95 * duration
    return {
        **row,
        "actor_key": row["user_key"] or row["device_key"],
        "artist_key": track.get("artist_key"),
        "hour": row["occurred_at"].hour,
        "age": age,
        "track_age": max((day - track["since"]).days, 0) if track else None,
        "short": 30_000 <= heard < 36_000,
        "cut_off": 30_000 <= heard < 60_000 and not is_complete,
        "complete": is_complete if duration is not None else None,
        "embed": "embed" in {row["client"], row["source"]},
        "abroad": bool(account and row["country"] and row["country"] != account["country"]),
        "new_account": age is not None and age < 90,
        "new_when_scored": bool(account) and (scored - account["since"]).days < 90,
        "automated": bool(agent.get("is_automated")),
        "disguised": agent.get("platform") in APPS.get(row["client"], set()),
        "hosting": bool(row["is_hosting"]),
    }


def drawn(kind: str, column: str, part: int, whole: int) -> float:
    return float((part + 4 * USUAL[kind, column]) / (whole + 4))


def shares(kind: str, rows: list[Row], *names: str) -> Row:
    seen = {name: [row[name] for row in rows if row[name] is not None] for name in names}
    return {f"{name}_share": drawn(kind, f"{name}_share", sum(values), len(values)) for name, values in seen.items()}


def counts_of(rows: list[Row], column: str) -> Counter[Any]:
    return Counter(row[column] for row in rows if row[column] is not None)


def members(rows: list[Row], column: str) -> int | None:
    return len(counts_of(rows, column)) or None


def top_share(kind: str, signal: str, rows: list[Row], column: str) -> float | None:
    counts = counts_of(rows, column)
    return drawn(kind, signal, max(counts.values()), counts.total()) if counts else None


def effective(rows: list[Row], column: str) -> float | None:
    counts = counts_of(rows, column)
    total = counts.total()
    if total < 10:
        return None
    entropy = -sum(count / total * math.log2(count / total) for count in counts.values())
    return float(2 ** (entropy + (len(counts) - 1) / (2 * total * math.log(2))))


def gap_variation(rows: list[Row]) -> float | None:
    times = sorted(row["occurred_at"] for row in rows)
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    gaps = [gap for gap in gaps if gap <= 600]
    if len(gaps) < 10 or sum(gaps) == 0:
        return None
    mean = sum(gaps) / len(gaps)
    return float(math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) / mean)


def per_actor(rows: list[Row], counted: int, at_least: int = 10) -> float | None:
    return counted / len(counts_of(rows, "actor_key")) if len(rows) >= at_least else None


def of_actor(rows: list[Row], past: list[Row], _days: int, _window: list[Row]) -> Row:
    known, countries = counts_of(past, "country"), counts_of(rows, "country")
    new = sum(count for country, count in countries.items() if country not in known)
    return {
        "age_days": max((row["age"] for row in rows if row["age"] is not None), default=None),
        "devices": members(rows, "device_key"),
        "networks": members(rows, "network_key"),
        "countries": members(rows, "country"),
        "new_country_share": drawn("actor", "new_country_share", new, countries.total())
        if known and countries
        else None,
    }


def of_device(rows: list[Row], past: list[Row], _days: int, _window: list[Row]) -> Row:
    return {
        **shares("device", rows + past, "short", "cut_off", "complete"),
        **shares("device", rows, "abroad", "automated", "disguised"),
        "actors": members(rows, "actor_key"),
        "hours": members(rows, "hour"),
        "gap_variation": gap_variation(rows),
        "top_track_share": top_share("device", "top_track_share", rows, "track_key"),
        "top_uploader_share": top_share("device", "top_uploader_share", rows, "artist_key"),
    }


def of_address(rows: list[Row], _past: list[Row], _days: int, _window: list[Row]) -> Row:
    return {
        **shares("address", rows, "cut_off", "new_account"),
        "actors": members(rows, "actor_key"),
        "plays_per_actor": per_actor(rows, len(rows), at_least=1),
    }


def of_network(rows: list[Row], _past: list[Row], _days: int, _window: list[Row]) -> Row:
    actors, agents = len(counts_of(rows, "actor_key")), effective(rows, "user_agent_key")
    return {
        **shares("network", rows, "cut_off", "new_account", "hosting"),
        "actors": actors,
        "actors_per_user_agent": actors / agents if agents else None,
    }


def of_track(rows: list[Row], past: list[Row], days: int, _window: list[Row]) -> Row:
    return {
        **shares("track", rows, "short", "cut_off", "complete", "new_account", "abroad", "embed"),
        "uploader_key": rows[0]["artist_key"],
        "age_days": rows[0]["track_age"],
        "actors": members(rows, "actor_key"),
        "plays_per_actor": per_actor(rows, len(rows)),
        "top_network_share": top_share("track", "top_network_share", rows, "network_key"),
        "top_source_share": top_share("track", "top_source_share", rows, "source"),
        "effective_hours": effective(rows, "hour"),
        "spike": spike(rows, past, days),
    }


def of_uploader(rows: list[Row], past: list[Row], days: int, window: list[Row]) -> Row:
    heard = {(row["actor_key"], row["track_key"]) for row in rows}
    totals, mine = (
        counts_of([row for row in some if row["new_when_scored"]], "actor_key") for some in (window, rows + past)
    )
    devoted = sum(n for actor, n in mine.items() if totals[actor] >= 2 and n >= 0.8 * totals[actor])
    whole = len(rows + past)
    return {
        **shares("uploader", rows + past, "cut_off"),
        "new_account_share": drawn("uploader", "new_account_share", mine.total(), whole),
        "plays_per_actor": per_actor(rows, len(rows)),
        "tracks_per_actor": per_actor(rows, len(heard)),
        "devoted_share": drawn("uploader", "devoted_share", devoted, whole),
        "spike": spike(rows, past, days),
    }


def spike(rows: list[Row], past: list[Row], days: int) -> float | None:
    return len(rows) / (len(past) / days + 1) if days else None


SIGNALS_OF: Mapping[str, Callable[[list[Row], list[Row], int, list[Row]], Row]] = {
    "actor": of_actor,
    "device": of_device,
    "address": of_address,
    "network": of_network,
    "track": of_track,
    "uploader": of_uploader,
}
