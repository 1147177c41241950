"""The command `prune`: a dry run that changes nothing, and what is printed of what goes; and what other commands say of it then."""

import json
from pathlib import Path

import pytest

from spam_pipeline.operations.pruning import read_grace
from spam_pipeline.protocol.operating import run_partition
from spam_pipeline.settings import PREFIX
from spam_pipeline_tests.conftest import DAYS, CommandLine, open_home

STAGE, DAY = "top_countries", DAYS[0]


@pytest.fixture
def home_with_a_past(own_home: Path, no_settings: None) -> tuple[Path, str]:
    """A home where a partition has a version that was published before; with it, when that was."""
    assert no_settings is None
    pipeline = open_home(own_home)
    engine = pipeline.engine
    day = (own_home / "landing/plays" / DAY / "00").glob("*")
    first = next(iter(sorted(day)))
    before = engine.ledger.versions(STAGE, DAY)[0][0]
    then = engine.ledger.published_at("production", [before.id])[before.id]
    first.unlink()
    engine.observe()
    for stage in ("received_plays", "plays"):
        run_partition(engine, stage, DAY)
    engine.ledger.close()
    return own_home, then.isoformat()


def test_a_dry_run_is_the_default_and_pruning_is_asked_for(
    home_with_a_past: tuple[Path, str], spam_pipeline: CommandLine
) -> None:
    home, then = home_with_a_past
    policy = {"RETENTION": '{"*": "forever", "plays": "0d"}'}
    files = set((home / "store").rglob("*.parquet"))
    told = spam_pipeline("prune", "--grace", "0s", home=home, **policy)
    assert told.status == 0
    assert "1 versions would be pruned" in told.out
    assert told.out.splitlines()[-1] == "nothing was changed: spam-pipeline prune --yes does it"
    assert set((home / "store").rglob("*.parquet")) == files
    done = json.loads(spam_pipeline("prune", "--yes", "--grace", "0s", "--json", home=home, **policy).out)
    assert (done["done"], done["versions"], done["deleted"]["files"]) == (True, 1, 1)
    assert done["stages"]["plays"]["kept"] == {
        "published": {"versions": 6, "bytes": done["stages"]["plays"]["kept"]["published"]["bytes"]}
    }
    versions = json.loads(spam_pipeline("versions", "plays", DAY, "--json", home=home).out)
    assert [item["pruned_at"] is not None for item in versions] == [True, False]
    assert "was pruned on" in spam_pipeline("versions", "plays", DAY, home=home).out
    for command in (
        ("diff", "plays", DAY, versions[0]["recipe"]),
        ("query", "--as-of", then, "select * from ingestion.plays"),
    ):
        ended = spam_pipeline(*command, home=home)
        assert (ended.status, "was pruned on" in ended.err) == (1, True)
    assert spam_pipeline("query", "select count(*) from ingestion.plays", home=home).status == 0
    assert spam_pipeline("query", "--as-of", then, "select count(*) from ingestion.tracks", home=home).status == 0
    assert spam_pipeline("verify", home=home).status == 0


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("30", "expected days, versions or both"),
        ('{"*": "1w"}', "expected days, versions or both"),
        ('{"plaids": "0d"}', "no stage is named plaids; did you mean plays"),
        ("{", "for stages of their own, JSON such as"),
    ],
)
def test_a_wrong_policy_is_an_error_that_names_the_setting(
    converged_home: Path, spam_pipeline: CommandLine, policy: str, expected: str
) -> None:
    ended = spam_pipeline("prune", home=converged_home, RETENTION=policy)
    assert ended.status == 1
    assert f"{PREFIX}RETENTION" in ended.err
    assert expected in ended.err


def test_a_wrong_grace_is_wrong_usage(converged_home: Path, spam_pipeline: CommandLine) -> None:
    ended = spam_pipeline("prune", "--grace", "soon", home=converged_home)
    assert ended.status == 2
    with pytest.raises(ValueError, match="such as 1h; got '1w'"):
        read_grace("1w")
