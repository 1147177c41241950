"""Suspicious groups of a made-up platform, and the devices and tracks that each holds."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from spam_pipeline.trust_and_safety.suspicions.families import CORE_FROM, FAMILIES
from spam_pipeline.trust_and_safety.suspicions.slices import (
    LEAST_STAKE,
    LISTED_FROM,
    MOST_SUSPICIONS,
    suspicious_groups,
)
from spam_pipeline.trust_and_safety.suspicions_contract import (
    AUTOMATION,
    BEHAVIOUR,
    HELD_FROM,
    Listening,
    SuspiciousGroups,
    is_held,
)
from spam_pipeline_tests.contract_helpers import findings_about
from spam_pipeline_tests.trust_and_safety.suspicions.made_up_listening import (
    DAYS,
    FARM,
    HIJACKED,
    HITS,
    PAID,
    SPREAD,
    Row,
    day,
    farm,
    heard,
    hijacked,
    listening_of,
    organic,
    uploader_of,
)

PLATFORM = organic()
SMALL = listening_of([*organic(devices=90), *farm(days=5)]).collect()


def listed(*rows: Row) -> pl.DataFrame:
    found = suspicious_groups(listening_of(rows)).collect()
    assert findings_about(SuspiciousGroups, found.lazy()) == []
    return found


def suspected(*rows: Row) -> pl.DataFrame:
    """The groups with enough evidence to hold their slice."""
    return listed(*rows).filter(is_held())


def devices_of(found: pl.DataFrame) -> list[list[int]]:
    return [[device["device_key"] for device in held] for held in found["slice"].to_list()]


@pytest.fixture(scope="module")
def attacked() -> pl.DataFrame:
    return suspected(*PLATFORM, *farm())


def test_a_farm_among_ordinary_listeners_is_first_of_the_behaviour_queue(attacked: pl.DataFrame) -> None:
    first = attacked.filter(pl.col("queue") == BEHAVIOUR).row(0, named=True)
    assert set(first["track_keys"]) == set(PAID)
    assert first["evidence"] > 1.5 * HELD_FROM[BEHAVIOUR]


def test_its_slice_is_its_devices_and_their_tracks_and_nobody_else_waits(attacked: pl.DataFrame) -> None:
    assert devices_of(attacked) == [list(FARM)]
    assert set(attacked["track_keys"].explode()) == set(PAID)
    assert attacked["uploader_keys"].to_list() == [[uploader_of(track) for track in PAID[::3]]]


def test_hits_that_a_farm_hears_as_camouflage_are_in_no_slice(attacked: pl.DataFrame) -> None:
    assert set(attacked["track_keys"].explode()).isdisjoint(HITS)


def test_ordinary_listeners_are_not_suspected_though_the_oddest_of_them_are_listed() -> None:
    assert suspected(*PLATFORM).is_empty()
    found = listed(*PLATFORM).group_by("queue").agg(pl.col("evidence").min(), pl.len())
    assert all(least >= LISTED_FROM[queue] and count <= MOST_SUSPICIONS for queue, least, count in found.iter_rows())


def test_a_slice_knows_the_first_day_of_each_device_and_the_window_its_days() -> None:
    found = suspected(*PLATFORM, *farm(days=5)).row(0, named=True)
    assert {device["first_day"] for device in found["slice"]} == {day(DAYS - 5)}
    assert (found["last_day"], found["days"]) == (day(DAYS - 1), DAYS)


def test_plays_and_pools_are_those_of_the_slice_on_its_tracks(attacked: pl.DataFrame) -> None:
    paid = pl.col("track_key").is_in(PAID)
    everything = listening_of([*PLATFORM, *farm()]).collect()
    expected = everything.group_by("country", "tier", maintain_order=True).agg(
        plays=pl.col("plays").filter(paid).sum(), pool_plays=pl.col("plays").sum()
    )
    row = attacked.row(0, named=True)
    assert row["plays"] == everything.filter(paid)["plays"].sum()
    assert row["pools"] == expected.filter(pl.col("plays") > 0).sort("country", "tier").to_dicts()


def test_evidence_is_listed_by_family_strongest_first_beside_what_is_usual(attacked: pl.DataFrame) -> None:
    families = attacked["families"].to_list()[0]
    weights = [family["evidence"] for family in families]
    assert weights == sorted(weights, reverse=True)
    assert min(weights) > 0
    assert {"overlap", "devotion", "evenness"} <= {family["family"] for family in families}
    assert {family["family"] for family in families} <= {family.name for family in FAMILIES}
    overlap = next(family for family in families if family["family"] == "overlap")
    assert (overlap["value"], overlap["usual"], overlap["evidence"]) == (1.0, CORE_FROM, 3.0)


def test_a_suspicion_keeps_its_id_while_it_lasts() -> None:
    attacked = [*PLATFORM, *farm()]
    found = [suspected(*(row for row in attacked if row["day"] <= day(last))) for last in range(4, DAYS)]
    assert {tuple(ids) for ids in (suspicions["suspicion_id"].to_list() for suspicions in found)} == {
        (f"suspected-{uploader_of(PAID[0]):016x}",)
    }


def test_crude_automation_is_in_a_queue_of_its_own() -> None:
    found = suspected(*PLATFORM, *hijacked())
    assert found["queue"].to_list() == [AUTOMATION]
    assert found["evidence"][0] >= HELD_FROM[AUTOMATION]
    assert found["attack_type"].to_list() == ["device_farm"], "many devices behind one address"
    assert found["track_keys"].to_list() == [[PAID[0]]]
    assert set(devices_of(found)[0]) <= set(HIJACKED)


def test_a_device_waits_for_one_suspicion_only_and_that_of_the_behaviour_queue() -> None:
    both = [row | {"setting": "bot api", "hour": 3, "ip_key": 9} for row in farm()]
    found = suspected(*PLATFORM, *both)
    assert devices_of(found) == [list(FARM)]
    assert found["queue"].to_list() == [BEHAVIOUR]


def another_ring(*, devices_from: int, uploaders_from: int = 0) -> list[Row]:
    """A second farm on tracks of its own."""
    return [
        row
        | {
            "device_key": row["device_key"] - FARM[0] + devices_from,
            "track_key": row["track_key"] + 100,
            "uploader_key": row["uploader_key"] + uploaders_from,
        }
        for row in farm(camouflage=0)
    ]


def test_devices_of_two_rings_wait_for_the_stronger_one() -> None:
    other = another_ring(devices_from=FARM[-3], uploaders_from=100)
    held = devices_of(suspected(*PLATFORM, *farm(camouflage=0), *other))
    assert sorted(len(devices) for devices in held) == [len(FARM) - 3, len(FARM)]
    assert sorted(device for devices in held for device in devices) == list(range(FARM[0], FARM[0] + 21))


def test_two_rings_of_one_uploader_are_two_suspicions() -> None:
    found = suspected(*PLATFORM, *farm(camouflage=0), *another_ring(devices_from=FARM[0] + 100))
    of_uploader = f"suspected-{uploader_of(PAID[0]):016x}"
    assert found["suspicion_id"].to_list() == [of_uploader, f"{of_uploader}-2"]
    assert found["evidence"].is_sorted(descending=True)
    assert sorted(devices_of(found)) == [list(FARM), [device + 100 for device in FARM]]


def test_a_slice_that_earns_less_than_a_persons_minute_is_no_suspicion() -> None:
    ring = [heard(device, track, uploader_key=uploader_of(track), day=day(5)) for device in FARM for track in PAID]
    plays = len(ring)
    assert plays < LEAST_STAKE < 2 * plays
    assert suspected(*PLATFORM, *ring).is_empty()
    assert suspected(*PLATFORM, *ring, *(row | {"day": day(6)} for row in ring))["plays"].to_list() == [2 * plays]


def test_a_fan_of_one_track_of_a_ring_and_a_listener_to_much_else_do_not_wait() -> None:
    fan, listener = 8_000, 8_001
    of_one = heard(fan, PAID[0], 30, uploader_key=uploader_of(PAID[0]))
    much_else = [heard(listener, track, 5, uploader_key=uploader_of(track)) for track in (*range(40, 60), *PAID[:3])]
    assert devices_of(suspected(*PLATFORM, *farm(), of_one, *much_else)) == [list(FARM)]


def test_no_queue_is_longer_than_a_person_can_decide() -> None:
    rings = [
        row | {"device_key": row["device_key"] + 100 * ring, "track_key": row["track_key"] + 100 * ring}
        for ring in range(MOST_SUSPICIONS + 4)
        for row in farm(days=7, camouflage=0)
    ]
    found = suspected(*PLATFORM, *(row | {"uploader_key": row["track_key"] + 500_000} for row in rings))
    assert found.group_by("queue").len().rows() == [(BEHAVIOUR, MOST_SUSPICIONS)]
    held = [device for devices in devices_of(found) for device in devices]
    assert len(held) == len(set(held))


def test_at_most_ten_tracks_are_named_the_most_played_first() -> None:
    rare = [
        heard(device, 6_000, day=day(number), uploader_key=uploader_of(PAID[0]))
        for device in FARM
        for number in range(3)
    ]
    found = suspected(*PLATFORM, *farm(), *rare, *(row | {"track_key": 7_000, "track_id": "t7000"} for row in rare))
    row = found.row(0, named=True)
    assert len(row["track_keys"]) == 11
    assert row["track_ids"] == [f"t{track}" for track in row["track_keys"][:10]]
    assert row["track_keys"][-2:] == [6_000, 7_000]


def test_without_listening_nothing_is_suspicious() -> None:
    assert suspicious_groups(Listening.empty()).collect().is_empty()


@pytest.mark.parametrize("rows_at_once", [100, 700])
def test_a_window_of_more_listening_than_fits_into_memory_is_suspected_alike(rows_at_once: int) -> None:
    spread = SMALL.with_columns(pl.col("device_key") * SPREAD).lazy()
    expected = suspicious_groups(spread).collect()
    assert not expected.is_empty()
    assert_frame_equal(suspicious_groups(spread, rows_at_once).collect(), expected, check_exact=True)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_homes_with_the_same_rows_in_another_order_have_the_same_suspicions_in_the_same_order(seed: int) -> None:
    order = np.random.default_rng(seed).permutation(SMALL.height)
    expected = suspicious_groups(SMALL.lazy()).collect()
    assert not expected.is_empty()
    assert_frame_equal(suspicious_groups(SMALL[order].lazy()).collect(), expected, check_exact=True)
