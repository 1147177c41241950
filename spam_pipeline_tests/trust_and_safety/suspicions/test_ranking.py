"""Suspicions of a day: what people decided is remembered, the rest is ranked, held, and worth something."""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spam_pipeline.ingestion.contracts import Incidents, Revenue
from spam_pipeline.protocol import column_types
from spam_pipeline.trust_and_safety.suspicions.ranking import (
    suspected_incidents_of,
    suspected_plays_of,
)
from spam_pipeline.trust_and_safety.suspicions.slices import suspicious_groups
from spam_pipeline.trust_and_safety.suspicions_contract import (
    AUTOMATION,
    BEHAVIOUR,
    SuspectedIncidents,
    SuspectedPlays,
    SuspiciousGroups,
)
from spam_pipeline_tests.contract_helpers import findings_about
from spam_pipeline_tests.trust_and_safety.play_generator import incidents_of
from spam_pipeline_tests.trust_and_safety.suspicions.made_up_listening import (
    DAYS,
    PAID,
    Row,
    day,
    farm,
    heard,
    listening_of,
    organic,
    uploader_of,
)

TODAY = 20
RING, OTHER = "suspected-a", "suspected-b"
NOBODY = Incidents.empty()
NO_REVENUE = Revenue.empty()
FIRST_DAY_OF_RING = day(15)


def group(suspicion_id: str = RING, number: int = TODAY, *, devices: tuple[int, ...] = (1, 2), **others: Any) -> Row:
    """A suspicious group of the day `number`, which names only what matters."""
    usual = {
        "suspicion_id": suspicion_id,
        "queue": BEHAVIOUR,
        "evidence": 20.0,
        "families": [{"family": "devotion", "value": 0.9, "usual": 0.1, "evidence": 3.0}],
        "peers": 40,
        "attack_type": "low_and_slow",
        "uploader_keys": [7],
        "track_keys": [1, 2],
        "track_ids": ["t1", "t2"],
        "last_day": day(number),
        "days": 10,
        "plays": 100,
        "slice": [{"device_key": device, "first_day": FIRST_DAY_OF_RING} for device in devices],
        "pools": [],
    }
    return usual | others


def groups_of(*rows: Row) -> pl.LazyFrame:
    return pl.LazyFrame(list(rows), schema=pl.Schema(column_types(SuspiciousGroups)))


def today(*rows: Row) -> pl.LazyFrame:
    """The listening of today: somebody else's, and these rows."""
    return listening_of([row | {"day": day(TODAY)} for row in (heard(99, 99), *rows)])


def decided(status: str, first: int, last: int, suspicion_id: str = RING) -> pl.LazyFrame:
    """What lands when a suspicion is decided: a row for each held device, until the end of the last day."""
    midnights = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number) for number in (first, last + 1)]
    return incidents_of(
        [
            {
                "incident_id": suspicion_id,
                "status": status,
                "entity_type": "device",
                "entity_key": device,
                "starts_at": midnights[0],
                "ends_at": midnights[1],
            }
            for device in (1, 2)
        ]
    )


def listed(
    groups: pl.LazyFrame, incidents: pl.LazyFrame = NOBODY, listening: pl.LazyFrame | None = None
) -> pl.DataFrame:
    heard_today = today() if listening is None else listening
    held = suspected_plays_of(groups, incidents, heard_today)
    found = suspected_incidents_of(groups, incidents, heard_today, held, NO_REVENUE)
    assert findings_about(SuspectedIncidents, found) == []
    return found.collect()


def names(found: pl.DataFrame) -> list[str]:
    return found["suspicion_id"].to_list()


def test_groups_of_the_day_are_suspicions_and_those_of_days_before_are_not() -> None:
    assert names(listed(groups_of(group(), group(OTHER, TODAY - 1)))) == [RING]


def test_an_attack_that_is_over_is_no_suspicion_of_the_days_after_it() -> None:
    last = groups_of(group(number=TODAY - 1))
    assert listed(last, listening=today(heard(1, 1))).is_empty()
    assert suspected_plays_of(last, NOBODY, today(heard(1, 1))).collect().is_empty()


def test_suspicions_are_ranked_by_evidence_within_their_queue_and_then_by_plays() -> None:
    found = listed(
        groups_of(
            group("weak", evidence=13.0),
            group("small", evidence=20.0, plays=30),
            group("large", evidence=20.0, plays=300),
            group("crude", evidence=18.0, queue=AUTOMATION),
        )
    )
    assert found.select("queue", "rank", "suspicion_id").rows() == [
        (AUTOMATION, 1, "crude"),
        (BEHAVIOUR, 1, "large"),
        (BEHAVIOUR, 2, "small"),
        (BEHAVIOUR, 3, "weak"),
    ]


def test_a_suspicion_names_its_devices_and_how_long_it_lasts() -> None:
    found = listed(groups_of(group(devices=(1, 2, 3)))).row(0, named=True)
    assert (found["devices"], found["device_keys"]) == (3, [1, 2, 3])
    assert (found["first_day"], found["last_day"]) == (FIRST_DAY_OF_RING, day(TODAY))


def test_it_holds_todays_plays_of_its_devices_on_its_tracks_and_no_others() -> None:
    listening = today(heard(1, 1, 4), heard(2, 2, 3), heard(1, 9, 5), heard(8, 1, 6))
    held = suspected_plays_of(groups_of(group()), NOBODY, listening)
    assert findings_about(SuspectedPlays, held) == []
    assert held.collect().rows() == [
        (1, 1, RING, "low_and_slow", FIRST_DAY_OF_RING),
        (2, 2, RING, "low_and_slow", FIRST_DAY_OF_RING),
    ]
    assert listed(groups_of(group()), listening=listening)["plays_of_day"].to_list() == [7]


def test_a_pair_of_two_suspicions_is_held_by_the_one_with_more_evidence() -> None:
    both = groups_of(group(evidence=20.0), group(OTHER, evidence=21.0))
    held = suspected_plays_of(both, NOBODY, today(heard(1, 1))).collect()
    assert held["suspicion_id"].to_list() == [OTHER]
    assert listed(both, listening=today(heard(1, 1))).select("suspicion_id", "plays_of_day").rows() == [
        (OTHER, 1),
        (RING, 0),
    ]


CLEARED_YESTERDAY = decided("cleared", 15, TODAY - 1)
YESTERDAY = group(number=TODAY - 1, evidence=20.0, plays=100, days=10)


def test_a_cleared_suspicion_is_not_suspected_on_the_next_day() -> None:
    asked = groups_of(YESTERDAY, group(evidence=22.0, plays=120, days=11))
    assert listed(asked, CLEARED_YESTERDAY, today(heard(1, 1))).is_empty()
    assert suspected_plays_of(asked, CLEARED_YESTERDAY, today(heard(1, 1))).collect().is_empty()


@pytest.mark.parametrize("weeks", [2, 8])
def test_nor_weeks_later_while_it_stays_as_it_was(weeks: int) -> None:
    then = group(number=TODAY - 7 * weeks)
    assert listed(groups_of(then, group()), decided("cleared", TODAY - 70, TODAY - 7 * weeks)).is_empty()


@pytest.mark.parametrize(
    ("now", "is_asked"),
    [
        ({"evidence": 39.9}, False),
        ({"evidence": 40.0}, True),
        ({"plays": 199}, False),
        ({"plays": 200}, True),
        ({"plays": 200, "days": 20}, False),
    ],
    ids=str,
)
def test_it_is_suspected_again_when_its_evidence_or_its_plays_a_day_double(now: Row, *, is_asked: bool) -> None:
    found = listed(groups_of(YESTERDAY, group(**now)), CLEARED_YESTERDAY)
    assert names(found) == ([RING] if is_asked else [])


@pytest.mark.parametrize("most", [{"evidence": 40.0}, {"plays": 200}], ids=str)
def test_a_clearance_compares_with_the_most_that_was_known_within_its_window(most: Row) -> None:
    asked = groups_of(group(number=10, **most), YESTERDAY, group(**most))
    assert names(listed(asked, CLEARED_YESTERDAY)) == [RING], "what was before the window was not looked at"
    assert names(listed(asked, decided("cleared", 10, TODAY - 1))) == []


def test_a_clearance_of_one_suspicion_clears_no_other() -> None:
    assert names(listed(groups_of(YESTERDAY, group(), group(OTHER)), CLEARED_YESTERDAY)) == [OTHER]


def test_a_confirmed_suspicion_is_not_listed_in_its_window_and_is_after_it() -> None:
    assert listed(groups_of(group()), decided("confirmed", 15, TODAY)).is_empty()
    assert names(listed(groups_of(YESTERDAY, group()), decided("confirmed", 15, TODAY - 1))) == [RING]
    assert names(listed(groups_of(group()), decided("confirmed", TODAY + 1, TODAY + 3))) == [RING]


def test_what_somebody_only_suspects_decides_nothing() -> None:
    assert names(listed(groups_of(group()), decided("suspected", 15, TODAY))) == [RING]


def test_a_farm_that_was_cleared_is_not_suspected_on_any_day_that_it_goes_on() -> None:
    everything = listening_of([*organic(), *farm()]).collect().lazy()
    until = {last: suspicious_groups(everything.filter(pl.col("day") <= day(last))) for last in range(6, DAYS)}
    for last in range(6, DAYS):
        groups = pl.concat([found for of, found in until.items() if of <= last])
        listening = everything.filter(pl.col("day") == day(last))
        ring = f"suspected-{uploader_of(PAID[0]):016x}"
        assert ring not in names(listed(groups, decided("cleared", 0, 7, ring), listening))
        assert ring in names(listed(groups, NOBODY, listening))


def revenue_of(*pools: tuple[str, str, str, int], month: str = "2026-01") -> pl.LazyFrame:
    names_of_columns = ("country", "tier", "currency", "net_revenue_minor")
    rows = [{"month": month, **dict(zip(names_of_columns, pool, strict=True))} for pool in pools]
    return pl.LazyFrame(rows, schema=pl.Schema(column_types(Revenue)))


def pool(country: str | None, tier: str, plays: int, pool_plays: int) -> Row:
    return {"country": country, "tier": tier, "plays": plays, "pool_plays": pool_plays}


def money(groups: pl.LazyFrame, revenue: pl.LazyFrame) -> dict[str, list[Row]]:
    held = suspected_plays_of(groups, NOBODY, today())
    found = suspected_incidents_of(groups, NOBODY, today(), held, revenue).collect()
    return dict(found.select("suspicion_id", "money").iter_rows())


def test_money_is_the_plays_share_of_the_pools_revenue_in_the_days_of_the_window() -> None:
    pools = [pool("SE", "free", 30, 1_000), pool("SE", "premium", 10, 500), pool("DE", "free", 7, 70)]
    revenue = revenue_of(("SE", "free", "SEK", 31_000), ("SE", "premium", "SEK", 310_000), ("DE", "free", "EUR", 31))
    assert money(groups_of(group(pools=pools, days=10)), revenue) == {
        RING: [
            {"currency": "EUR", "amount_minor": 1},
            {"currency": "SEK", "amount_minor": 30 * 10_000 // 1_000 + 10 * 100_000 // 500},
        ]
    }


def test_money_is_rounded_down_once_per_pool() -> None:
    pools = [pool("SE", "free", 1, 3), pool("SE", "premium", 1, 3)]
    revenue = revenue_of(("SE", "free", "SEK", 31 * 5), ("SE", "premium", "SEK", 31 * 5))
    assert money(groups_of(group(pools=pools, days=1)), revenue) == {RING: [{"currency": "SEK", "amount_minor": 2}]}


def test_where_no_revenue_is_known_no_money_is_said() -> None:
    unknown = groups_of(group(pools=[pool("SE", "free", 1, 3), pool(None, "free", 1, 3)]))
    assert money(unknown, NO_REVENUE) == {RING: []}
    assert money(unknown, revenue_of(("SE", "free", "SEK", 3_100), month="2025-12")) == {RING: []}


def test_a_loss_of_a_pool_is_worth_nothing() -> None:
    lossy = groups_of(group(pools=[pool("SE", "free", 1, 3)]))
    assert money(lossy, revenue_of(("SE", "free", "SEK", -3_100))) == {RING: [{"currency": "SEK", "amount_minor": 0}]}


@settings(max_examples=50)
@given(
    shares=st.lists(st.integers(0, 40), min_size=1, max_size=5),
    others=st.integers(0, 50),
    revenue=st.integers(0, 10**12),
    days=st.integers(1, 28),
)
def test_money_of_all_suspicions_never_exceeds_what_the_pool_earned(
    shares: list[int], others: int, revenue: int, days: int
) -> None:
    whole = sum(shares) + others
    suspicions = [
        group(f"ring {number}", pools=[pool("SE", "free", plays, whole)] if plays else [], days=days)
        for number, plays in enumerate(shares)
    ]
    found = money(groups_of(*suspicions), revenue_of(("SE", "free", "SEK", revenue)))
    assert sum(amount["amount_minor"] for amounts in found.values() for amount in amounts) <= revenue * days / 31


keys = st.integers(1, 5)
some_rings = st.lists(
    st.tuples(st.sets(keys, min_size=1), st.sets(keys, min_size=1), st.sampled_from([13.0, 20.0, 20.5])), max_size=4
)
some_listening = st.dictionaries(st.tuples(keys, keys), st.integers(1, 9), max_size=12)


@settings(max_examples=50)
@given(rings=some_rings, played=some_listening)
def test_a_play_is_held_once_and_never_more_than_were_heard(
    rings: list[tuple[set[int], set[int], float]], played: dict[tuple[int, int], int]
) -> None:
    suspicions = [
        group(f"ring {number}", devices=tuple(sorted(devices)), track_keys=sorted(tracks), evidence=evidence)
        for number, (devices, tracks, evidence) in enumerate(rings)
    ]
    listening = today(*(heard(device, track, plays) for (device, track), plays in played.items()))
    found = listed(groups_of(*suspicions), listening=listening)
    within = {pair for devices, tracks, _ in rings for pair in played if pair[0] in devices and pair[1] in tracks}
    assert found["plays_of_day"].sum() == sum(played[pair] for pair in within)
