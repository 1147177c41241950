"""What versions of suspicions say about themselves."""

from datetime import date
from typing import Any

import polars as pl

from spam_pipeline.protocol import column_types
from spam_pipeline.trust_and_safety.suspicions_contract import (
    AUTOMATION,
    BEHAVIOUR,
    FIRST_OF_QUEUE,
    CarriedDevices,
    Listening,
    SuspectedIncidents,
    SuspectedPlays,
    SuspiciousGroups,
    first_of_queues,
)
from spam_pipeline_tests.contract_helpers import findings_about, numbers_of
from spam_pipeline_tests.trust_and_safety.suspicions.made_up_listening import heard, listening_of

CONTRACTS = (Listening, SuspiciousGroups, SuspectedIncidents, SuspectedPlays, CarriedDevices)


def test_a_day_on_which_nobody_is_suspected_keeps_every_promise() -> None:
    for contract in CONTRACTS:
        assert findings_about(contract, contract.empty()) == []


def test_listening_counts_pairs_and_the_settings_of_plays() -> None:
    frame = listening_of([heard(1, 1, 3, setting="web search"), heard(1, 2, 1, setting="ios feed"), heard(2, 1)])
    found = numbers_of(Listening, frame)
    assert found["pairs"] == 3
    assert found["settings"] == 2


def test_a_device_hears_a_track_in_one_row_of_a_day() -> None:
    (finding,) = findings_about(Listening, listening_of([heard(1, 1), heard(1, 1, 2)]))
    assert finding.about == "all: primary_key"


def suspicion(queue: str, rank: int) -> dict[str, Any]:
    return {
        "suspicion_id": f"suspected-{queue}-{rank}",
        "queue": queue,
        "rank": rank,
        "evidence": 30.0 - rank,
        "families": [
            {"family": name, "value": 0.75, "usual": 0.25, "evidence": evidence}
            for name, evidence in (("overlap", 3.0), ("devotion", 2.5), ("evenness", 2.0), ("growth", 0.5))
        ],
        "peers": 40,
        "attack_type": "low_and_slow",
        "uploader_keys": [7],
        "track_ids": ["t1"],
        "first_day": date(2026, 1, 3),
        "last_day": date(2026, 1, 9),
        "devices": 2,
        "device_keys": [1, 2],
        "plays": 100,
        "plays_of_day": 20,
        "money": [],
    }


def test_the_first_of_each_queue_stand_in_the_fingerprint_with_their_strongest_evidence() -> None:
    rows = [suspicion(queue, rank) for queue in (AUTOMATION, BEHAVIOUR) for rank in range(1, FIRST_OF_QUEUE + 3)]
    frame = pl.LazyFrame(rows, schema=pl.Schema(column_types(SuspectedIncidents)))
    found = first_of_queues(frame).collect()
    places = [f"{queue} {rank}" for queue in (BEHAVIOUR, AUTOMATION) for rank in range(1, FIRST_OF_QUEUE + 1)]
    assert found["place"].to_list() == places
    assert found["why"][0] == (
        "overlap 0.75 (usually 0.25), devotion 0.75 (usually 0.25), evenness 0.75 (usually 0.25)"
    )
    assert numbers_of(SuspectedIncidents, frame)["suspicions"] == len(rows)
