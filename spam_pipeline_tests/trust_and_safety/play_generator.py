"""Plays for these tests: a small platform's organic day, attacks on it, and real listeners who look like attacks.

Every such function gives rows of `Plays` for one day, and the same rows for the same day; `FACTS` has what is known of everyone
and everything in them. No claim of realism beyond what the tests of this folder need.
"""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from spam_pipeline.ingestion.contracts import Incidents, Plays
from spam_pipeline.protocol import column_types
from spam_pipeline.trust_and_safety.contracts import (
    ACCOUNT,
    TRACK,
    USER_AGENT,
    EntityFacts,
    LabelledExamples,
)
from spam_pipeline.trust_and_safety.estimators import SpamModel
from spam_pipeline.trust_and_safety.labelled_examples import examples_of_day
from spam_pipeline.trust_and_safety.model_file import write_model
from spam_pipeline.trust_and_safety.signals import signals_of_day
from spam_pipeline.trust_and_safety.suspicions_contract import SuspectedPlays
from spam_pipeline_tests.trust_and_safety.made_up_examples import trained_on

FIRST_DAY = date(2026, 1, 5)
DAY_MS = 86_400_000
TRACK_MS = 200_000
"""How long every track of the platform is."""
ATTACKED_TRACK, ATTACKER, FAN, SLEEPER, FARM_NETWORK, OFFICE_NETWORK, RELEASE = (
    9_001,
    8_001,
    8_002,
    8_003,
    7_001,
    7_002,
    9_002,
)

FARM_ACCOUNTS, FARM_TRACKS = range(20_000, 20_040), range(5_000, 5_200)

Integers = npt.NDArray[np.int64]


def day(number: int) -> str:
    """The key of the platform's day `number`, counted from 0."""
    return (FIRST_DAY + timedelta(days=number)).isoformat()


def moment(number: int, hours: float = 0.0) -> datetime:
    """A time on the platform's day `number`."""
    midnight = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC)
    return midnight + timedelta(days=number, hours=hours)


def key(numbers: npt.ArrayLike) -> npt.NDArray[np.uint64]:
    """Keys that look like keyed hashes: spread over 64 bits."""
    whole = np.atleast_1d(np.asarray(numbers)).astype(np.uint64) + np.uint64(1)
    spread: npt.NDArray[np.uint64] = whole * np.uint64(0x9E3779B97F4A7C15)
    return spread


def plays_of(rows: list[dict[str, object]]) -> pl.LazyFrame:
    """Plays from rows that name only what matters; the rest is filled in, and they are put in canonical order."""
    usual: dict[str, object] = {
        "arrival_hour": moment(0),
        "track_id": "t",
        "track_key": 1,
        "user_key": None,
        "device_key": 1,
        "ip_key": None,
        "network_key": None,
        "is_hosting": False,
        "country": None,
        "user_agent": None,
        "user_agent_key": None,
        "client": "web",
        "source": "search",
        "ms_played": 100_000,
    }
    full = [{"event_id": f"e{number:04d}", **usual, **row} for number, row in enumerate(rows)]
    frame = pl.LazyFrame(full, schema=pl.Schema(column_types(Plays)))
    return frame.sort("occurred_at", "event_id")


def incidents_of(rows: list[dict[str, object]]) -> pl.LazyFrame:
    """Incidents from rows that name only what matters; a window is the whole first week unless it is given."""
    usual = {
        "incident_id": "i1",
        "entity_type": "user",
        "entity_key": 0,
        "starts_at": moment(0),
        "ends_at": moment(7),
        "status": "confirmed",
        "attack_type": "bot_farm",
        "decided_by": "expert",
        "decided_at": moment(7),
    }
    return pl.LazyFrame([{**usual, **row} for row in rows], schema=pl.Schema(column_types(Incidents)))


def facts_of(rows: list[dict[str, object]]) -> pl.LazyFrame:
    """Entity facts from rows that name a kind, a key and what matters; the rest is unknown."""
    columns = pl.Schema(column_types(EntityFacts))
    return pl.LazyFrame([{**dict.fromkeys(columns), **row} for row in rows], schema=columns)


def together(*frames: pl.LazyFrame) -> pl.LazyFrame:
    """Several groups of plays as one, in canonical order."""
    return _made(pl.concat(frames).sort("occurred_at", "event_id"))


def organic(number: int, listeners: int = 300, first_listener: int = 0) -> pl.LazyFrame:
    """Listeners with a handful of sessions-like plays, mostly heard to the end, at home networks of three."""
    random = np.random.default_rng([1, number, first_listener])
    plays = random.poisson(15, listeners) + 1
    user = np.repeat(np.arange(first_listener, first_listener + listeners), plays)
    begins = np.repeat(random.integers(6, 20, listeners) * 3_600_000, plays)
    partly = random.integers(1_000, TRACK_MS, user.size)
    heard = np.where(random.random(user.size) < 0.75, TRACK_MS, partly)
    starts = begins + _running(user, heard + random.integers(500, 4_000, user.size))
    track = np.minimum((random.pareto(0.9, user.size) * 10).astype(np.int64), 3_000)
    return _frame(number, starts, track, user, network=user // 3, ms=heard, agent=user % 25)


def bot_farm(number: int, accounts: int = 40) -> pl.LazyFrame:
    """New accounts on one hosting network that play 200 tracks of one uploader for half a minute each, all day long."""
    random = np.random.default_rng([2, number])
    user = np.repeat(np.asarray(FARM_ACCOUNTS)[:accounts], 300)
    gaps = random.integers(240_000, 260_000, user.size)
    heard = random.integers(31_000, 35_000, user.size)
    track = random.choice(FARM_TRACKS, user.size)
    plays = _frame(
        number, _running(user, gaps), track, user, network=np.full(user.size, FARM_NETWORK), ms=heard, agent=user * 0
    )
    return plays.with_columns(is_hosting=pl.lit(value=True))


def loop_bot(number: int) -> pl.LazyFrame:
    """One account, one track, around the clock, near-constant gaps, 31 to 35 s."""
    random = np.random.default_rng([3, number])
    user = np.full(2_400, ATTACKER)
    starts = np.arange(2_400) * 35_900 + random.integers(0, 200, 2_400)
    heard = random.integers(31_000, 35_000, 2_400)
    return _frame(number, starts, user * 0 + ATTACKED_TRACK, user, network=user, ms=heard, agent=user % 25)


def fan_of_one_track(number: int) -> pl.LazyFrame:
    """A person who plays one new track 85 times in a row, to the end."""
    user = np.full(85, FAN)
    return _frame(
        number,
        36_000_000 + np.arange(85) * (TRACK_MS + 500),
        user * 0 + 9_003,
        user,
        network=user,
        ms=user * 0 + TRACK_MS,
        agent=user % 25,
    )


def sleeper(number: int) -> pl.LazyFrame:
    """A listener with non-stop sleep music: 24 hours of the same ten tracks."""
    user = np.full(429, SLEEPER)
    track = 9_100 + np.arange(429) % 10
    starts = np.arange(429) * (TRACK_MS + 1_000)
    return _frame(number, starts, track, user, network=user, ms=user * 0 + TRACK_MS, agent=user % 25)


def office(number: int) -> pl.LazyFrame:
    """120 ordinary listeners behind one address."""
    people = organic(number, 120, first_listener=30_000)
    return people.with_columns(
        ip_key=pl.lit(key(OFFICE_NETWORK + 600_000).item(), pl.UInt64),
        network_key=pl.lit(key(OFFICE_NETWORK).item(), pl.UInt64),
        event_id="o" + pl.col("event_id"),
    )


def release(number: int) -> pl.LazyFrame:
    """A viral release: 1,500 people, one to three plays each, from their own networks."""
    random = np.random.default_rng([4, number])
    user = np.repeat(np.arange(40_000, 41_500), random.integers(1, 4, 1_500))
    starts = random.integers(6, 23, user.size) * 3_600_000 + random.integers(0, 3_600_000, user.size)
    return _frame(number, starts, user * 0 + RELEASE, user, network=user // 2, ms=user * 0 + TRACK_MS, agent=user % 25)


def farm_incident(status: str = "confirmed") -> pl.LazyFrame:
    """What experts say about `bot_farm`: its tracks."""
    keys = key(FARM_TRACKS).tolist()
    return incidents_of(
        [{"incident_id": "farm", "entity_type": "track", "entity_key": k, "status": status} for k in keys]
    )


def farm_examples(days: int) -> pl.LazyFrame:
    """Examples of the first `days` days, on each of which the farm was at work and was confirmed."""
    examples = [LabelledExamples.empty()]
    for number in range(days):
        plays = together(organic(number), bot_farm(number))
        examples.append(
            examples_of_day(plays, signals_on(plays, number), FACTS, farm_incident(), SuspectedPlays.empty())
        )
    return _made(pl.concat(examples))


def signals_on(plays: pl.LazyFrame, number: int) -> pl.LazyFrame:
    """The signals of the platform's day `number`, where all of `FACTS` is known."""
    return _made(signals_of_day(plays, FACTS, day(number)))


def written_model(path: Path) -> bytes:
    """The bytes of a model trained from scratch, for a comparison between processes."""
    write_model(trained_on(farm_examples(1)), path)
    return path.read_bytes()


def policy_model() -> SpamModel:
    """The model of a platform on which nothing is labelled."""
    return trained_on(LabelledExamples.empty())


def _platform_facts() -> pl.LazyFrame:
    """Accounts are old, but for the farm's; ten tracks are one uploader's, but all of the farm's are one's."""
    users, tracks, agents = np.arange(45_000), np.arange(10_000), np.arange(25)
    is_of_farm = np.isin(tracks, FARM_TRACKS)
    accounts = {
        "entity_key": key(users),
        "since": np.where(np.isin(users, FARM_ACCOUNTS), _days_before(20), _days_before(900)),
        "country": _country_of(users),
        "tier": np.where(users % 3, "free", "premium"),
    }
    uploaded = {
        "entity_key": key(tracks),
        "since": np.where(is_of_farm, _days_before(30), _days_before(400)),
        "artist_key": key(np.where(is_of_farm, 2_000, tracks // 10) + 800_000),
        "duration_ms": np.full(tracks.size, TRACK_MS),
    }
    claims = {"entity_key": key(agents + 700_000), "is_automated": agents < 0, "platform": np.full(25, "other")}
    columns = pl.Schema(column_types(EntityFacts))
    rows = [
        pl.LazyFrame(facts).with_columns(entity_kind=pl.lit(kind))
        for kind, facts in ((ACCOUNT, accounts), (TRACK, uploaded), (USER_AGENT, claims))
    ]
    return pl.concat(rows, how="diagonal_relaxed").select(*columns).cast(columns).sort("entity_kind", "entity_key")


def _days_before(days: int) -> np.datetime64:
    return np.datetime64(FIRST_DAY - timedelta(days=days), "ms")


def _country_of(user: Integers) -> npt.NDArray[np.str_]:
    return np.array(["DE", "US", "GB"])[user % 3]


def _running(user: Integers, gaps: Integers) -> Integers:
    """Start times of each user's plays, one gap after the other."""
    total = np.cumsum(gaps)
    first = np.concatenate([[True], user[1:] != user[:-1]])
    before = np.maximum.accumulate(np.where(first, total - gaps, 0))
    return total - gaps - before


def _frame(  # noqa: PLR0913 - the columns of a play that differ between the groups
    number: int, starts: Integers, track: Integers, user: Integers, *, network: Integers, ms: Integers, agent: Integers
) -> pl.LazyFrame:
    at = int(moment(number).timestamp() * 1000) + np.minimum(starts, DAY_MS - 1)
    frame = pl.DataFrame(
        {
            "event_id": [f"{number}-{who}-{which}" for which, who in enumerate(user.tolist())],
            "occurred_at": at,
            "track_id": [f"t{which}" for which in track.tolist()],
            "track_key": key(track),
            "user_key": key(user),
            "device_key": key(user + 500_000),
            "ip_key": key(network + 600_000),
            "network_key": key(network),
            "is_hosting": False,
            "country": _country_of(user),
            "user_agent": [f"agent {which}" for which in agent.tolist()],
            "user_agent_key": key(agent + 700_000),
            "ms_played": ms,
        }
    ).with_columns(arrival_hour=pl.col("occurred_at"), client=pl.lit("web"), source=pl.lit("search"))
    columns = pl.Schema(column_types(Plays))
    return frame.select(*columns).cast(columns).sort("occurred_at", "event_id").lazy()


def _made(frame: pl.LazyFrame) -> pl.LazyFrame:
    """What a stage would read, computed: whoever reads a plan computes all of it again, each time."""
    return frame.collect().lazy()


FACTS = _made(_platform_facts())
"""What is known of all accounts, tracks and user agents of the platform."""
