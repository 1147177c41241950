"""What the last versions of a stage took, over SQLite and over PostgreSQL."""

from dataclasses import replace

from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.records import PRODUCTION
from spam_pipeline_tests.protocol.made_up_records import PASSED, a_version


def test_the_last_versions_of_each_stage_are_averaged(ledger: Ledger) -> None:
    for number in range(8):
        version = a_version(f"r{number}", "2026-01-05", f"r{number}")
        ledger.record(replace(version, seconds=float(number)), PASSED, PRODUCTION)
    ledger.record(replace(a_version("other", "2026-01-05", "other"), stage="others", seconds=9.0), PASSED, PRODUCTION)
    costs = ledger.recent_costs()
    assert costs.keys() == {"numbers", "others"}
    assert costs["numbers"].seconds == (3 + 4 + 5 + 6 + 7) / 5
    assert costs["others"].seconds == 9
    assert costs["numbers"].bytes == a_version("r", "2026-01-05", "r").bytes > 0


def test_a_new_ledger_knows_no_cost(ledger: Ledger) -> None:
    assert ledger.recent_costs() == {}
