"""Stops: an error that is no partition's is known to every process until what stopped has ended well."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.execution.stops import CONVERGING, OBSERVING, noting_stop, stops
from spam_pipeline.protocol.foundation.errors import Claimed, LandingVanished
from spam_pipeline_tests.protocol.toy_pipeline import land, toy_engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    land(tmp_path, "2026-01-01", "a", "2026-01-01 1")
    opened = toy_engine(tmp_path)
    opened.observe()
    yield opened
    opened.ledger.close()


def stopped(engine: Engine) -> list[tuple[str, str]]:
    return [(item.what, item.error) for item in stops(engine)]


def test_a_landing_zone_that_is_gone_has_stopped_what_observes_it_until_it_is_back(
    engine: Engine, tmp_path: Path
) -> None:
    (tmp_path / "landing").rename(tmp_path / "elsewhere")
    for _ in range(2):
        with pytest.raises(LandingVanished), noting_stop(engine, OBSERVING):
            engine.observe()
        assert stopped(toy_engine(tmp_path)) == [(OBSERVING, "LandingVanished")]
    (tmp_path / "elsewhere").rename(tmp_path / "landing")
    with noting_stop(engine, CONVERGING):
        pass
    assert stopped(engine) == [(OBSERVING, "LandingVanished")], "it is not over because something else ended well"
    with noting_stop(engine, OBSERVING):
        engine.observe()
    assert stopped(engine) == []


def test_another_error_takes_the_place_of_the_one_before(engine: Engine) -> None:
    for error in (OSError, MemoryError):
        with suppress(error), noting_stop(engine, CONVERGING):
            raise error
    assert stopped(engine) == [(CONVERGING, "MemoryError")]


def test_what_another_process_is_at_has_not_stopped(engine: Engine) -> None:
    with suppress(Claimed), noting_stop(engine, CONVERGING):
        raise Claimed
    assert stopped(engine) == []


def test_where_the_ledger_is_what_failed_the_error_is_the_one_that_stopped_it(engine: Engine, tmp_path: Path) -> None:
    engine.ledger.close()
    (tmp_path / "ledger.db").unlink()
    for journal in tmp_path.glob("ledger.db-*"):
        journal.unlink()
    shutil.copytree(tmp_path / "landing", tmp_path / "ledger.db")
    with pytest.raises(KeyError), noting_stop(engine, CONVERGING):
        raise KeyError
