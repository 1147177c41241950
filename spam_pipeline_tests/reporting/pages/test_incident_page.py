"""The page of an incident: what stands on it, and the command that makes it from what is published."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from spam_pipeline.ingestion.contracts import Incidents
from spam_pipeline.reporting.incident_report import incident_facts
from spam_pipeline.reporting.pages.incident_page import IncidentFacts, incident_page
from spam_pipeline_tests.conftest import DAYS, CommandLine, open_home
from spam_pipeline_tests.reporting.pages.test_month_page import HOSTILE, Tables

FROM, UNTIL = datetime(2026, 1, 1, 1, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC)


def declared(kinds: Iterable[str], attack_type: str) -> pl.DataFrame:
    rows = [
        {"entity_type": kind, "entity_key": key, "starts_at": FROM, "ends_at": UNTIL, "status": "suspected"}
        for key, kind in enumerate(kinds)
    ]
    return pl.DataFrame(rows, schema=Incidents.empty().collect_schema()).with_columns(
        incident_id=pl.lit("incident-7"), attack_type=pl.lit(attack_type)
    )


def facts(name: str = "bot_farm") -> IncidentFacts:
    plays = [
        (date(2026, 1, 1), "DE", name, 1000, 10),
        (date(2026, 1, 2), "DE", name, 500, 500),
        (date(2026, 1, 2), "FR", "b", 2, 1),
    ]
    usage = [(date(2026, 1, 1), "spam", 990), (date(2026, 1, 1), "earning", 10), (date(2026, 1, 2), "withheld", 502)]
    counts = ["event_day", "country", "track_id", "plays", "plays_without_spam"]
    return IncidentFacts(
        name,
        declared(["ip", "ip", "user"], name),
        pl.DataFrame(plays, schema=counts, orient="row"),
        pl.DataFrame(usage, schema=["event_day", "status", "plays"], orient="row"),
        pl.DataFrame([("2026-01", "EUR", 1250)], schema=["month", "currency", "amount_minor"], orient="row"),
    )


def test_a_page_has_what_was_declared_and_what_reports_and_royalties_make_of_it() -> None:
    page = incident_page(facts())
    rows = Tables(page).rows
    assert ["bot_farm", "suspected", "2026-01-01 01:00:00", "2026-01-03 00:00:00", "3"] in rows
    assert (["ip", "2"] in rows, ["user", "1"] in rows) == (True, True)
    assert "1,502 plays belong to this incident, 511 of them count in reports." in page
    assert ["2026-01-01", "1,000", "10", "10", "0", "990", "0"] in rows
    assert ["2026-01-02", "502", "501", "0", "502", "0", "0"] in rows
    assert ["DE", "1,500", "510"] in rows
    assert ["b", "2", "1"] in rows
    assert ["2026-01", "EUR", "1,250"] in rows


def test_a_page_needs_nothing_else_and_names_are_text_whatever_they_are() -> None:
    read = Tables(incident_page(facts(HOSTILE)))
    assert read.addresses == []
    assert read.elements.isdisjoint({"script", "link", "img", "iframe"})
    assert [HOSTILE, "1,500", "510"] in read.rows


def test_days_that_royalties_have_not_counted_yet_are_not_zero() -> None:
    given = facts()
    page = incident_page(given._replace(usage=given.usage.filter(pl.col("event_day") < date(2026, 1, 2))))
    assert ["2026-01-02", "502", "501", *["not yet"] * 4] in Tables(page).rows


def test_the_order_of_rows_does_not_matter() -> None:
    given = facts()
    frames = (given.declared, given.plays, given.usage, given.withheld)
    turned = IncidentFacts(given.incident_id, *(frame.reverse() for frame in frames))
    assert incident_page(turned) == incident_page(given)


def test_an_incident_without_a_play_has_a_page() -> None:
    given = facts()
    page = incident_page(IncidentFacts("x", given.declared, given.plays[:0], given.usage[:0], given.withheld[:0]))
    assert "0 plays belong to this incident" in page
    assert page.count("<p>None.</p>") == 4


def test_the_page_of_an_incident_is_put_beside_the_warehouse(spam_pipeline: CommandLine, own_home: Path) -> None:
    ended = spam_pipeline("report", "incident-device_farm-1", home=own_home)
    place = own_home / "reports" / "incident-incident-device_farm-1.html"
    assert (ended.status, str(place) in ended.out.replace("\n", "")) == (0, True)
    assert "Incident incident-device_farm-1" in place.read_text(encoding="utf-8")


def test_the_numbers_of_every_incident_are_those_of_the_stages(own_home: Path) -> None:
    pipeline = open_home(own_home)
    plays = pipeline.read("classified_plays", DAYS).drop_nulls("incident_id").collect()
    money = pipeline.read("royalty_statements", "2026-01").filter(rule="agreed", line="withheld").collect()
    settled = [date.fromisoformat(day) for day in pipeline.partitions("royalty_usage")]
    for incident in pipeline.read("incidents").collect()["incident_id"].unique():
        found = incident_facts(pipeline.runner, incident)
        own = plays.filter(incident_id=incident)
        dropped = own.filter(pl.col("spam_probability") >= pl.lit(0.8, pl.Float32)).height
        assert found.plays["plays"].sum() == own.height
        counted = own.filter(pl.col("occurred_at").dt.date().is_in(settled)).height
        assert found.usage["plays"].sum() == counted
        assert found.plays["plays_without_spam"].sum() == own.height - dropped
        assert found.withheld["amount_minor"].sum() == money.filter(incident_id=incident)["amount_minor"].sum()
    assert plays.height > 0


@pytest.mark.parametrize("name", ["no-such-incident", "../../etc/passwd", ""])
def test_an_incident_that_nobody_declared_has_no_page(spam_pipeline: CommandLine, own_home: Path, name: str) -> None:
    ended = spam_pipeline("report", name, home=own_home)
    assert ended.status == 1
    assert f"no published incident is called {name!r}" in ended.err.replace("\n", " ")
    assert not (own_home / "reports").exists()


def test_an_id_of_any_text_names_a_file_of_its_own_in_the_folder(spam_pipeline: CommandLine, own_home: Path) -> None:
    file = own_home / "landing" / "incidents.csv"
    file.write_text(file.read_text(encoding="utf-8").replace("incident-loop_bot-1", "../a b/<c>"), encoding="utf-8")
    assert spam_pipeline("converge", "incidents", home=own_home).status == 0
    assert spam_pipeline("report", "../a b/<c>", home=own_home).status == 0
    assert [path.name for path in (own_home / "reports").iterdir()] == ["incident-..%2Fa%20b%2F%3Cc%3E.html"]
