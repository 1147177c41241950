"""The development key is for simulated people, and for environments that others do not read."""

from pathlib import Path

import pytest

from spam_pipeline.operations.identifier_key import DevelopmentKeyRefused, require_key_of_ones_own
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.protocol.operating import LandingZone
from spam_pipeline.settings import DEVELOPMENT_KEY, Settings
from spam_pipeline_tests.conftest import KEY, CommandLine


def land(home: Path) -> None:
    file = home / "landing" / "plays" / "2026-01-01" / "00" / "a.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text("{}\n", encoding="utf-8")


def require(settings: Settings) -> None:
    require_key_of_ones_own(settings, LandingZone(settings.landing_zone))


@pytest.mark.parametrize("command", ["converge", "status", "plan"])
def test_production_refuses_it_for_what_landed_and_says_how_a_key_is_made(
    spam_pipeline: CommandLine, tmp_path: Path, command: str
) -> None:
    land(tmp_path)
    ended = spam_pipeline(command, home=tmp_path, IDENTIFIER_KEY=DEVELOPMENT_KEY)
    assert ended.status == 1
    assert "SPAM_PIPELINE_IDENTIFIER_KEY is not set" in ended.err
    line = "export SPAM_PIPELINE_IDENTIFIER_KEY=$(python -c 'import secrets; print(secrets.token_urlsafe(32))')"
    assert line in ended.err.splitlines(), "as one line, to be copied"
    assert "Traceback" not in ended.err
    assert not list((tmp_path / "store").glob("*")), "nothing was computed"


@pytest.mark.usefixtures("no_settings")
def test_reading_what_is_published_needs_no_key(converged_home: Path, tmp_path: Path) -> None:
    elsewhere = str(tmp_path / "landing")
    land(tmp_path)
    pipeline = Pipeline(Settings(home=converged_home, landing_url=elsewhere))
    assert pipeline.read("plays", "2026-01-03").collect().height > 0
    with pytest.raises(DevelopmentKeyRefused):
        pipeline.status()


@pytest.mark.usefixtures("no_settings")
def test_a_home_that_was_simulated_works_without_one_also_with_more_landed_by_hand(own_home: Path) -> None:
    assert (own_home / "truth.parquet").exists()
    file = own_home / "landing" / "plays" / "2026-01-07" / "00" / "by_hand.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("{}\n", encoding="utf-8")
    require(Settings(home=own_home))


@pytest.mark.usefixtures("no_settings")
def test_the_truth_lies_beside_the_landing_zone_that_is_meant(tmp_path: Path) -> None:
    land(tmp_path / "real")
    (tmp_path / "home").mkdir()
    settings = Settings(home=tmp_path / "home", landing_url=str(tmp_path / "real" / "landing"))
    (tmp_path / "home" / "truth.parquet").touch()
    with pytest.raises(DevelopmentKeyRefused):
        require(settings)
    (tmp_path / "real" / "truth.parquet").touch()
    require(settings)


@pytest.mark.usefixtures("no_settings")
@pytest.mark.parametrize("folder", ["landing/plays/2026-01-01", "elsewhere"])
def test_where_nothing_landed_there_is_nothing_to_refuse(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir(parents=True)
    require(Settings(home=tmp_path))


@pytest.mark.usefixtures("no_settings")
def test_a_key_of_ones_own_and_an_environment_of_ones_own_are_accepted(tmp_path: Path) -> None:
    land(tmp_path)
    require(Settings(home=tmp_path, identifier_key=KEY))
    require(Settings(home=tmp_path, environment="night"))
