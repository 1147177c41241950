"""What suspicions hold back is what their report pages show."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from spam_pipeline.currencies import as_amount
from spam_pipeline.operations.held_back import held_back
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.operations.suspicions import Suspicion
from spam_pipeline_tests.conftest import DAYS, open_home


@pytest.fixture
def pipeline(converged_home: Path) -> Iterator[Pipeline]:
    opened = open_home(converged_home)
    yield opened
    opened.engine.ledger.close()


def suspicion(suspicion_id: str, last_day: str = DAYS[-1]) -> Suspicion:
    usual = dict.fromkeys(Suspicion._fields, None)
    days = {"first_day": date(2026, 1, 2), "last_day": date.fromisoformat(last_day)}
    return Suspicion(**{**usual, "suspicion_id": suspicion_id, **days})


def test_plays_and_money_are_those_of_the_report_pages(pipeline: Pipeline) -> None:
    pages = pipeline.read("reports", "2026-01").filter(pl.col("about") != "").collect()
    figures = {
        about: {figure["name"]: figure["value"] for figure in of_it}
        for about, of_it in pages["about", "figures"].rows()
    }
    held = held_back(pipeline.engine, [*map(suspicion, figures), suspicion("unheard of")])
    assert {name: f"{found.plays:,}" for name, found in held.items()} == {
        name: of_it["plays"] for name, of_it in figures.items() if of_it["plays"] != "0"
    }
    money = {
        name: {f"withheld ({currency})": as_amount(amount, currency) for currency, amount in found.money}
        for name, found in held.items()
    }
    assert money == {
        name: {label: amount for label, amount in figures[name].items() if label.startswith("withheld (")}
        for name in held
    }
    assert any(money.values()), "something is withheld at all"


def test_later_days_than_a_suspicions_are_not_its_own(pipeline: Pipeline) -> None:
    plays = pipeline.read("incident_plays", DAYS[:3]).collect()
    [name, *_] = plays["incident_id"].unique().sort()
    expected = plays.filter(pl.col("incident_id") == name)["plays"].sum()
    assert held_back(pipeline.engine, [suspicion(name, DAYS[2])])[name].plays == expected


def test_nothing_is_held_where_nothing_is_suspected(pipeline: Pipeline) -> None:
    assert held_back(pipeline.engine, []) == {}
