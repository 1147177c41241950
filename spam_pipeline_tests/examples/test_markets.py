"""Stages by hour, by market, and by day and market, and a source that is a table: in the second code location, with a Dagster instance."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
import sqlalchemy as sa

from examples.advertising.definitions import build_definitions, open_engine
from examples.advertising.markets import MARKETS
from examples.advertising.tables import land_changed_cards
from spam_pipeline.protocol.operating import Engine, converge, plan
from spam_pipeline_tests.orchestration.toy_location import evaluated

DAY = "2026-01-05"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'sales.db'}")
    with engine.begin() as connection:
        connection.execute(sa.text("create table rate_cards (market text, price_minor integer, updated_at text)"))
    for market, price in (("AT", 3), ("CH", 5), ("DE", 2)):
        set_price(engine, market, price, "2026-01-01T00:00:00Z")
    yield engine
    engine.dispose()


def set_price(database: sa.Engine, market: str, price: int, at: str) -> None:
    with database.begin() as connection:
        values = {"market": market, "price": price, "at": at}
        connection.execute(sa.text("delete from rate_cards where market = :market"), values)
        connection.execute(sa.text("insert into rate_cards values (:market, :price, :at)"), values)


def land_spots(home: Path, hour: str, **spots: int) -> None:
    folder = home / "landing" / "spots"
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["market,spots", *(f"{market},{count}" for market, count in spots.items())]
    (folder / f"{hour}.csv").write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture
def engine(tmp_path: Path, database: sa.Engine) -> Engine:
    """The team's engine, with two hours and the rate cards landed, converged."""
    engine = open_engine(tmp_path / "advertising")
    land_spots(tmp_path / "advertising", f"{DAY}T07", DE=10, AT=1)
    land_spots(tmp_path / "advertising", f"{DAY}T08", DE=5, CH=2)
    land_changed_cards(database, engine.landing, "")
    converged(engine)
    return engine


def converged(engine: Engine) -> set[tuple[str, str]]:
    """What a convergence computes."""
    engine.observe()
    planned = {(item.stage, item.partition) for item in plan(engine)}
    assert converge(engine).failed == ()
    return planned


def revenue(engine: Engine, day: str = DAY) -> int:
    found = engine.reader.read("spot_revenue", [day]).collect()
    assert isinstance(found, pl.DataFrame)
    return int(found.item())


def test_hours_and_markets_add_up(engine: Engine) -> None:
    assert revenue(engine) == 1 * 3 + 2 * 5 + 15 * 2
    published = engine.ledger.published(
        "production", ["spots_of_hour", "spot_prices", "market_revenue", "spot_revenue"]
    )
    assert {stage: set(partitions) for stage, partitions in published.items()} == {
        "spots_of_hour": {f"{DAY}T07", f"{DAY}T08"},
        "spot_prices": set(MARKETS),
        "market_revenue": {f"{DAY}|{market}" for market in MARKETS},
        "spot_revenue": {DAY},
    }


def test_another_price_makes_the_days_of_its_market_stale_and_no_others(engine: Engine, database: sa.Engine) -> None:
    set_price(database, "CH", 7, "2026-01-06T00:00:00Z")
    watermark = land_changed_cards(database, engine.landing, "2026-01-01T00:00:00Z")
    assert watermark == "2026-01-06T00:00:00Z"
    assert converged(engine) == {("spot_prices", "CH"), ("market_revenue", f"{DAY}|CH"), ("spot_revenue", DAY)}
    assert revenue(engine) == 1 * 3 + 2 * 7 + 15 * 2


def test_a_late_hour_makes_its_day_stale(engine: Engine, tmp_path: Path) -> None:
    land_spots(tmp_path / "advertising", f"{DAY}T23", CH=1)
    land_spots(tmp_path / "advertising", "2026-01-06T00", DE=1)
    touched = converged(engine)
    assert ("spots_of_hour", f"{DAY}T07") not in touched
    assert {("spots_of_hour", f"{DAY}T23"), ("spot_revenue", DAY), ("spot_revenue", "2026-01-06")} <= touched
    assert (revenue(engine), revenue(engine, "2026-01-06")) == (48, 2)


def test_asking_a_table_again_lands_nothing(engine: Engine, database: sa.Engine) -> None:
    assert land_changed_cards(database, engine.landing, "") == "2026-01-01T00:00:00Z"
    assert converged(engine) == set()


def test_a_market_that_nobody_knows_lands_nowhere(engine: Engine, database: sa.Engine) -> None:
    set_price(database, "../XX", 1, "2026-01-07T00:00:00Z")
    with pytest.raises(Exception, match="expected one of AT, CH, DE"):
        land_changed_cards(database, engine.landing, "2026-01-07T00:00:00Z")
    assert converged(engine) == set()


def test_the_orchestrator_runs_and_shows_every_kind_of_partition(tmp_path: Path, database: sa.Engine) -> None:
    home, url = tmp_path / "advertising", str(database.url)
    land_spots(home, f"{DAY}T07", DE=10)
    location = build_definitions(home, url)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        tick(location, instance, "rate_cards_changed")
        tick(location, instance, "landing")
        for _level in range(3):
            materialize_what_is_due(location, instance)
        shown = {
            stage: set(instance.get_materialized_partitions(dg.AssetKey(stage)))
            for stage in ("spots_of_hour", "spot_prices", "market_revenue", "spot_revenue")
        }
        status = instance.get_latest_materialization_event(dg.AssetKey("market_revenue"))
    assert shown == {
        "spots_of_hour": {f"{DAY}T07"},
        "spot_prices": set(MARKETS),
        "market_revenue": {f"{DAY}|{market}" for market in MARKETS},
        "spot_revenue": {DAY},
    }
    assert status is not None


def tick(location: dg.Definitions, instance: dg.DagsterInstance, sensor: str) -> None:
    context = dg.build_sensor_context(instance, repository_def=location.get_repository_def())
    location.resolve_sensor_def(sensor).evaluate_tick(context)


def materialize_what_is_due(location: dg.Definitions, instance: dg.DagsterInstance) -> None:
    """Run what the conditions ask for, partition by partition."""
    job = location.resolve_implicit_global_asset_job_def()
    found = evaluated(location, instance)
    for key in {result.key for result in found.results}:
        for partition in found.get_requested_partitions(key):
            done = job.execute_in_process(asset_selection=[key], partition_key=partition, instance=instance)
            assert done.success
