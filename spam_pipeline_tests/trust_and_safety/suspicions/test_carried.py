"""Whom a confirmed incident carries to: the rest of its campaign and nobody else."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from spam_pipeline.ingestion.contracts import Incidents
from spam_pipeline.trust_and_safety.suspicions.carried import FEWEST_DECLARED, carried_of
from spam_pipeline.trust_and_safety.suspicions_contract import CarriedDevices
from spam_pipeline_tests.contract_helpers import findings_about
from spam_pipeline_tests.trust_and_safety.play_generator import incidents_of
from spam_pipeline_tests.trust_and_safety.suspicions.made_up_listening import (
    HITS,
    PAID,
    SPREAD,
    Row,
    day,
    heard,
    listening_of,
    organic,
    uploader_of,
)

CAMPAIGN = tuple(range(9_000, 9_040))
DECLARED, OTHERS = CAMPAIGN[:10], CAMPAIGN[10:]
FANS = (8_000, 8_001, 8_002)
"""They hear a paid track once or twice among much else, and once among nothing else."""


def campaign(tracks: tuple[int, ...] = PAID) -> list[Row]:
    """Forty devices, accounts and addresses: each hears four paid tracks, and as many hits for camouflage."""
    return [
        heard(device, track, uploader_key=uploader_of(track), day=day(number), user_key=device + 10**6)
        for device in CAMPAIGN
        for number in range(4)
        for chosen in (tracks, HITS)
        for track in [chosen[(device + number) % len(chosen)]]
    ]


def fans() -> list[Row]:
    much_else = [
        heard(fan, track, 3, day=day(5), uploader_key=uploader_of(track)) for fan in FANS[:2] for track in range(20)
    ]
    return [*much_else, *(heard(fan, PAID[0], plays, day=day(6)) for fan, plays in zip(FANS, (1, 2, 1), strict=True))]


LISTENING = listening_of([*organic(), *campaign(), *fans()]).collect()


def declared(
    keys: Iterable[int] = DECLARED, status: str = "confirmed", entity_type: str = "device", **others: Any
) -> pl.LazyFrame:
    rows = [{"entity_key": key, "entity_type": entity_type, "status": status, **others} for key in keys]
    return incidents_of(rows)


def carried(*incidents: pl.LazyFrame, listening: pl.DataFrame = LISTENING) -> dict[int, str]:
    found = carried_of(listening.lazy(), pl.concat(incidents))
    assert findings_about(CarriedDevices, found) == []
    return dict(found.collect().select("device_key", "incident_id").iter_rows())


def test_ten_of_forty_declared_devices_give_the_others_away_and_nobody_else() -> None:
    assert carried(declared()) == dict.fromkeys(OTHERS, "i1")


def test_so_do_ten_declared_accounts_and_ten_declared_addresses() -> None:
    assert set(carried(declared((key + 10**6 for key in DECLARED), entity_type="user"))) == set(OTHERS)
    assert set(carried(declared(entity_type="ip"))) == set(OTHERS)


def test_the_attack_type_is_the_incidents() -> None:
    found = carried_of(LISTENING.lazy(), declared(attack_type="paid_plays")).collect()
    assert found["attack_type"].unique().to_list() == ["paid_plays"]


@pytest.mark.parametrize("status", ["suspected", "cleared"])
def test_what_is_suspected_or_cleared_carries_to_nobody(status: str) -> None:
    assert carried(declared(status=status)) == {}


@pytest.mark.parametrize("entity_type", ["track", "user_agent"])
def test_a_declared_track_or_user_agent_names_no_devices(entity_type: str) -> None:
    assert carried(declared(PAID, entity_type=entity_type)) == {}


def test_two_declared_devices_are_no_campaign_and_three_are() -> None:
    assert carried(declared(DECLARED[: FEWEST_DECLARED - 1])) == {}
    one_track = listening_of([*organic(), *campaign(tracks=PAID[:1])]).collect()
    assert set(carried(declared(DECLARED[:FEWEST_DECLARED]), listening=one_track)) == set(CAMPAIGN[FEWEST_DECLARED:])


def test_popular_tracks_heard_as_camouflage_are_no_campaign() -> None:
    hits_only = listening_of([*organic(), *campaign(tracks=HITS)]).collect()
    assert carried(declared(), listening=hits_only) == {}


def test_a_device_that_heard_it_once_or_among_much_else_is_a_fan() -> None:
    assert set(FANS) <= set(LISTENING["device_key"])
    assert set(FANS).isdisjoint(carried(declared()))


def test_of_two_incidents_a_device_is_carried_by_the_first() -> None:
    assert carried(declared(incident_id="i2"), declared(incident_id="i1")) == dict.fromkeys(OTHERS, "i1")


def test_an_incident_with_rows_for_every_day_carries_as_one_does() -> None:
    assert carried(declared(), declared()) == carried(declared())


def test_without_an_incident_or_without_listening_nobody_is_carried() -> None:
    assert carried(Incidents.empty()) == {}
    assert carried(declared(), listening=LISTENING.clear()) == {}


def test_of_two_attack_types_of_an_incident_the_first_is_said() -> None:
    types = [declared(attack_type=attack_type) for attack_type in ("paid_plays", "device_farm")]
    found = carried_of(LISTENING.lazy(), pl.concat(types)).collect()
    assert found["attack_type"].to_list() == ["device_farm"] * len(OTHERS)


@pytest.mark.parametrize("rows_at_once", [100, 1_000])
def test_a_window_of_more_listening_than_fits_into_memory_carries_alike(rows_at_once: int) -> None:
    by_address = declared(entity_type="ip")
    spread = LISTENING.with_columns(pl.col("device_key") * SPREAD).lazy()
    expected = carried_of(spread, by_address).collect()
    assert expected.height == len(OTHERS)
    assert_frame_equal(carried_of(spread, by_address, rows_at_once).collect(), expected, check_exact=True)


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_homes_with_the_same_rows_in_another_order_carry_to_the_same_devices_in_the_same_order(seed: int) -> None:
    order = np.random.default_rng(seed).permutation(LISTENING.height)
    expected = carried_of(LISTENING.lazy(), declared()).collect()
    assert_frame_equal(carried_of(LISTENING[order].lazy(), declared()).collect(), expected, check_exact=True)
