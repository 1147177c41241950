"""What versions of suspicions say about themselves."""

from spam_pipeline.trust_and_safety.suspicions_contract import (
    CarriedDevices,
    Listening,
    SuspectedIncidents,
    SuspectedPlays,
    SuspiciousGroups,
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
