"""Alerts: what there is to know, in words that are short and name nobody."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from spam_pipeline.operations.alerts import Alert, Kind, alerts_of
from spam_pipeline.protocol.operating import Engine, Overview, converge
from spam_pipeline.settings import Settings
from spam_pipeline_tests.protocol.toy_pipeline import STAGES, land, toy_engine

AT_ONCE = tuple(replace(item, deadline=timedelta(0)) if item.name == "numbers" else item for item in STAGES)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A day is refused, and what rests on it is late."""
    home = tmp_path_factory.mktemp("home")
    land(home, "2026-01-01", "a", "2026-01-01 -5")
    land(home, "2026-01-02", "a", "2026-01-02 2")
    opened = toy_engine(home, stages=AT_ONCE)
    opened.observe()
    converge(opened)
    yield opened
    opened.ledger.close()


def found(engine: Engine, *, only_late: bool = False) -> list[Alert]:
    return alerts_of(Overview.of(engine), Settings(), only_late=only_late)


def test_lateness_alone_is_what_everything_has_of_it(engine: Engine) -> None:
    everything = found(engine)
    assert [item.kind for item in everything] == [Kind.REFUSED, Kind.LATE]
    assert found(engine, only_late=True) == everything[1:]


def test_of_many_readers_the_first_are_named(engine: Engine) -> None:
    (late,) = found(engine, only_late=True)
    assert late.consequence == "two_day_total, model, monthly_total, settled_total and 2 more have nothing of it"
