"""A ledger that knows nothing of the store beside it: nobody goes on by accident, and a person may start over from what landed."""

import json
import shutil
from pathlib import Path

import pytest

from spam_pipeline.protocol.operating import LedgerLost
from spam_pipeline_tests.conftest import CommandLine, open_home


@pytest.fixture
def without_ledger(own_home: Path) -> Path:
    """A home that lost its ledger."""
    for file in own_home.glob("ledger.db*"):
        shutil.rmtree(file) if file.is_dir() else file.unlink()
    return own_home


def files(home: Path) -> set[Path]:
    return {file for file in (home / "store").rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    "command", [("converge",), ("status",), ("plan",), ("query", "select 1"), ("verify", "--repair")]
)
def test_every_command_is_refused_with_the_ways_out(
    without_ledger: Path, spam_pipeline: CommandLine, command: tuple[str, ...]
) -> None:
    before = files(without_ledger)
    refused = spam_pipeline(*command, home=without_ledger)
    assert (refused.status, refused.out) == (1, "")
    told = " ".join(refused.err.split())
    assert (
        f"the ledger {without_ledger}/ledger.db has no record, but the store {without_ledger}/store has files" in told
    )
    for way_out in ("SPAM_PIPELINE_LEDGER_URL", "restore it from a backup", "spam-pipeline converge --from-landing"):
        assert way_out in told
    assert (
        "loses which tries failed, and who was notified of what; without a journal it computes everything again" in told
    )
    assert files(without_ledger) == before


def test_a_ledger_that_was_cut_to_nothing_is_refused_too(without_ledger: Path) -> None:
    (without_ledger / "ledger.db").touch()
    with pytest.raises(LedgerLost):
        _ = open_home(without_ledger).engine


def test_a_wrong_store_is_refused_by_a_new_ledger_only(own_home: Path, tmp_path: Path) -> None:
    with pytest.raises(LedgerLost, match="SPAM_PIPELINE_STORE_URL"):
        _ = open_home(tmp_path / "another home", store_url=str(own_home / "store")).engine
    assert open_home(own_home).status().converged


def test_a_new_home_is_nobodys_loss(tmp_path: Path) -> None:
    assert open_home(tmp_path / "home").engine.ledger.is_empty()


def test_a_journal_fills_it_again_and_nothing_is_computed(
    without_ledger: Path, spam_pipeline: CommandLine, caplog: pytest.LogCaptureFixture
) -> None:
    before = files(without_ledger)
    done = spam_pipeline("converge", "--from-landing", "--json", home=without_ledger)
    result = json.loads(done.out)
    assert (done.status, result["converged"], result["computed"]) == (0, True, 0)
    assert "the ledger is filled from its journal beside the store" in caplog.text
    assert "it does not have which tries failed, and who was notified of what" in caplog.text
    new = {str(file) for file in files(without_ledger) - before}
    assert not [file for file in new if "/warehouse/" not in file and "/_ledger/" not in file]
    assert spam_pipeline("status", home=without_ledger).status == 0
    caplog.clear()
    spam_pipeline("converge", "--from-landing", home=without_ledger)
    assert "the ledger is filled" not in caplog.text


def test_without_a_journal_what_landed_leads_to_the_same_store(
    without_ledger: Path, spam_pipeline: CommandLine, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(without_ledger / "store" / "_ledger")
    before = files(without_ledger)
    done = spam_pipeline("converge", "--from-landing", "--json", home=without_ledger)
    assert (done.status, json.loads(done.out)["converged"]) == (0, True)
    expected = "the ledger is filled from the landing zone, which does not have what was published when (as_of)"
    assert expected in caplog.text
    new = {str(file) for file in files(without_ledger) - before}
    assert not [file for file in new if "/warehouse/" not in file and "/_ledger/" not in file]
