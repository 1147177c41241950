"""A data scientist tries something in an environment of her own; production's Dagster instance never hears of it."""

from pathlib import Path

import dagster as dg
import pytest

from spam_pipeline.settings import Settings
from spam_pipeline_tests.conftest import CommandLine

HER_KEY = "another key, so that her tracks are others"


def everything_in(dagster_home: Path) -> tuple[int | None, int, set[str]]:
    """The number of the last event of an instance, the number of its runs, and the assets it knows."""
    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        last = instance.event_log_storage.get_maximum_record_id()
        return last, len(instance.get_runs()), {key.to_user_string() for key in instance.get_asset_keys()}


@pytest.mark.parametrize("is_named", [False, True], ids=["by default", "named by DAGSTER_HOME"])
def test_what_an_environment_does_is_heard_in_an_instance_of_its_own_which_is_dropped_with_it(
    spam_pipeline: CommandLine, own_home: Path, monkeypatch: pytest.MonkeyPatch, *, is_named: bool
) -> None:
    productions, hers = own_home / "dagster", own_home / "environments" / "ada"
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    if is_named:
        productions = own_home / "elsewhere"
        monkeypatch.setenv("DAGSTER_HOME", str(productions))
    assert spam_pipeline("converge", home=own_home).status == 0
    heard = everything_in(productions)
    assert "tracks" in heard[2]

    tried = spam_pipeline("converge", "tracks", home=own_home, ENVIRONMENT="ada", IDENTIFIER_KEY=HER_KEY)
    assert tried.status == 0, tried.err
    assert "computed 1" in tried.out
    assert everything_in(productions) == heard
    assert everything_in(hers / "dagster")[2] == {"tracks", "convergence", "waiting_for_decision"}

    assert spam_pipeline("drop", home=own_home, ENVIRONMENT="ada").status == 0
    assert not hers.exists()
    assert everything_in(productions) == heard


def test_production_is_not_reported_to_the_instance_of_an_environment_and_is_published_all_the_same(
    spam_pipeline: CommandLine, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    tried = spam_pipeline("converge", "tracks", home=own_home, ENVIRONMENT="ada", IDENTIFIER_KEY=HER_KEY)
    assert tried.status == 0, tried.err
    hers = Settings(home=own_home, environment="ada").dagster_home
    heard = everything_in(hers)
    monkeypatch.setenv("DAGSTER_HOME", str(hers))
    ended = spam_pipeline("converge", home=own_home)
    assert ended.status == 1
    assert "this Dagster instance belongs to the environment ada" in ended.err
    assert "everything is published, but reporting it to the Dagster instance failed" in ended.err
    assert "Traceback" not in ended.err
    assert everything_in(hers) == heard
