"""The page of an incident in a month: what stands on it, and that it is a page whatever it is called."""

from datetime import date

import polars as pl
import pytest

from spam_pipeline.pages.page_builder import incident_page
from spam_pipeline.reporting.month import IncidentInMonth, Month
from spam_pipeline.reporting.page_contents.incident import contents_of_incident
from spam_pipeline_tests.pages.parsed_page import HOSTILE, ParsedPage
from spam_pipeline_tests.reporting.page_contents.test_month import (
    NOTHING,
    declared,
    incident_plays,
    month,
    suspicions,
    turned,
    usage,
)


def incident(given: Month) -> IncidentInMonth:
    (found,) = given.incidents_in_it()
    return found


def page_of(given: Month) -> str:
    return incident_page(contents_of_incident(incident(given), {"b": "Another"}))


def test_a_page_has_what_was_decided_and_what_reports_and_royalties_make_of_it() -> None:
    page = page_of(month("bot_farm"))
    rows = ParsedPage(page).rows
    assert "<h1>Incident incident-7 in 2026-01</h1>" in page
    decision = ["suspected", "bot farm", "Ada, 2026-01-04 05:00", "2026-01-01 01:00 to 2026-01-03 00:00"]
    assert ([*decision, "2 ip"] in rows, [*decision, "1 user"] in rows) == (True, True)
    assert "1,502 plays belong to this incident, 511 of them count in reports." in page
    assert ["2026-01-01", "1,000", "10"] in rows
    assert ["2026-01-02", "502", "501"] in rows
    assert (["earning", "10"] in rows, ["spam", "990"] in rows, ["withheld", "502"] in rows) == (True, True, True)
    assert ["Germany", "1,500", "510"] in rows
    assert ["Another", "b", "2", "1"] in rows
    assert ["not in the catalogue", "bot_farm", "1,500", "510"] in rows
    assert ["EUR", "20.50"] in rows
    assert "Waits for a decision" not in page


def test_a_page_has_the_hours_of_the_plays_and_the_listeners_behind_them_by_pseudonym() -> None:
    page = page_of(month())
    rows = ParsedPage(page).rows
    assert (["03", "1,500"] in rows, ["23", "2"] in rows, ["00", "0"] in rows) == (True, True, True)
    assert "2 listeners are behind these plays" in page
    assert ["key:000000000000000a", "user", "1,500", ""] in rows
    assert ["key:000000000000000b", "device", "2", ""] in rows


def test_days_without_a_play_are_days_of_no_plays() -> None:
    given = month()._replace(
        incident_plays=incident_plays([(1, "incident-7", "DE", "b", 3, 3), (4, "incident-7", "DE", "b", 1, 1)])
    )
    assert [row for row in ParsedPage(page_of(given)).rows if row[0].startswith("2026-01-0")] == [
        ["2026-01-01", "3", "3"],
        ["2026-01-02", "0", "0"],
        ["2026-01-03", "0", "0"],
        ["2026-01-04", "1", "1"],
    ]


def test_a_suspicion_stands_as_its_last_day_has_it_with_its_evidence_and_how_to_decide_it() -> None:
    earlier = suspicions([("incident-7", "behaviour", 9)]).with_columns(last_day=date(2026, 1, 1))
    both = pl.concat([suspicions([("incident-7", "behaviour", 3)]), earlier])
    suspected = month()._replace(incidents=declared("", []), suspicions=both)
    page = page_of(suspected)
    assert ["devotion", "0.41", "0.08", "2.5", ""] in ParsedPage(page).rows
    assert "the usual one of its 120 peers" in page
    assert "<code>spam-pipeline decide confirm incident-7 --by WHO --reason TEXT</code>" in page
    figures = dict(incident(suspected).figures())
    assert (figures["status"], figures["place"]) == ("suspected, waits for a person", "behaviour 3")
    assert (figures["evidence"], figures["devices"]) == ("17.5", "12")


def test_headline_numbers_say_how_it_stands() -> None:
    assert incident(month()).figures() == [
        ("status", "suspected"),
        ("entities", "3"),
        ("plays", "1,502"),
        ("plays in reports", "511"),
        ("earning plays", "10"),
        ("withheld plays", "502"),
        ("spam plays", "990"),
        ("short plays", "0"),
        ("withheld (EUR)", "20.50"),
    ]


def test_a_page_loads_nothing_and_names_are_text_whatever_they_are() -> None:
    read = ParsedPage(page_of(month(HOSTILE, HOSTILE)))
    assert [address for address in read.addresses if not address.startswith("#")] == ["../2026-01.html"]
    assert not {"script", "link", "img", "iframe"} & set(read.tags)
    assert ["not in the catalogue", HOSTILE, "1,500", "510"] in read.rows


def test_the_order_of_rows_does_not_matter() -> None:
    assert page_of(turned(month(), [2, 0, 1])) == page_of(month())


def test_an_incident_without_a_play_has_a_page() -> None:
    page = page_of(NOTHING._replace(incidents=declared("x", ["ip"])))
    assert "0 plays belong to this incident" in page
    assert page.count("<p>None.</p>") == 6


@pytest.mark.parametrize("given", [month()._replace(incidents=declared("", [])), month()._replace(usage=usage([]))])
def test_plays_of_what_is_not_declared_any_more_or_not_settled_yet_have_a_page(given: Month) -> None:
    assert "1,502 plays belong to this incident" in page_of(given)


def test_declarations_of_one_incident_may_stand_differently() -> None:
    both = [declared("incident-7", [kind], status) for kind, status in (("ip", "cleared"), ("user", "confirmed"))]
    found = incident(month()._replace(incidents=both[0].vstack(both[1])))
    assert found.status == "cleared, confirmed"
