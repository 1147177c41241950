"""The page of a month: what stands on it, and that it is a page whatever people are called."""

import re
from base64 import b64decode
from collections.abc import Iterable
from datetime import UTC, date, datetime
from xml.etree import ElementTree as ET

import polars as pl

from spam_pipeline.ingestion.contracts import Incidents
from spam_pipeline.pages.page_builder import month_page
from spam_pipeline.reporting.contracts import DailyPlays, IncidentPlays, SpamByType
from spam_pipeline.reporting.month import Month
from spam_pipeline.reporting.page_contents.month import contents_of_month
from spam_pipeline.reporting.page_contents.places import place_of
from spam_pipeline.reporting.page_contents.preview import preview
from spam_pipeline.royalties.contracts import (
    AGREED,
    NO_CURRENCY,
    PAYOUT,
    PRO_RATA,
    USER_CENTRIC,
    WITHHELD,
    RoyaltyStatements,
)
from spam_pipeline.trust_and_safety.suspicions_contract import SuspectedIncidents
from spam_pipeline_tests.pages.parsed_page import HOSTILE, ParsedPage


def plays(rows: Iterable[tuple[int, str, int, int]]) -> pl.DataFrame:
    names = ("event_day", "country", "plays", "plays_without_spam")
    listed = [dict(zip(names, (date(2026, 1, day), *rest), strict=True)) for day, *rest in rows]
    return pl.DataFrame(listed, schema=DailyPlays.empty().select(names).collect_schema())


def spam(rows: Iterable[tuple[str, str, int]]) -> pl.DataFrame:
    schema = SpamByType.empty().select("country", "attack_type", "plays").collect_schema()
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def statements(rows: Iterable[tuple[str, str, str, str, str, int]]) -> pl.LazyFrame:
    names = ("currency", "rule", "line", "payee_id", "incident_id", "amount_minor")
    return pl.LazyFrame(list(rows), schema=RoyaltyStatements.empty().select(names).collect_schema(), orient="row")


def adjustments(rows: Iterable[tuple[str, str, int]]) -> pl.DataFrame:
    schema = {"currency": pl.String, "reason": pl.String, "amount_minor": pl.Int64}
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def incident_plays(rows: Iterable[tuple[int, str, str, str, int, int]]) -> pl.DataFrame:
    listed = [(date(2026, 1, day), *rest) for day, *rest in rows]
    return pl.DataFrame(listed, schema=IncidentPlays.empty().collect_schema(), orient="row")


def declared(incident_id: str, kinds: Iterable[str], status: str = "suspected", name: str = "bot_farm") -> pl.DataFrame:
    window = {"starts_at": datetime(2026, 1, 1, 1, tzinfo=UTC), "ends_at": datetime(2026, 1, 3, tzinfo=UTC)}
    rows = [
        {"incident_id": incident_id, "entity_type": kind, "entity_key": key, "status": status, "attack_type": name}
        for key, kind in enumerate(kinds)
    ]
    read = [name for name in Incidents.empty().collect_schema() if not name.startswith("decided_")]
    return pl.DataFrame([row | window for row in rows], schema=Incidents.empty().select(read).collect_schema())


def usage(rows: Iterable[tuple[str, str, int]]) -> pl.DataFrame:
    return pl.DataFrame(
        list(rows), schema={"status": pl.String, "incident_id": pl.String, "plays": pl.Int64}, orient="row"
    )


def suspicions(rows: Iterable[tuple[str, str, int]]) -> pl.DataFrame:
    """Suspicions with one family of evidence, by id, queue and rank, as the second day has them."""
    read = ("suspicion_id", "queue", "rank", "evidence", "families", "peers", "devices", "last_day")
    family = {"family": "devotion", "value": 0.41, "usual": 0.08, "evidence": 2.5}
    known = [(*row, 17.5, [family], 120, 12, date(2026, 1, 2)) for row in rows]
    return pl.DataFrame(known, schema=SuspectedIncidents.empty().select(read).collect_schema(), orient="row")


def month(name: str = "payee-1", incident: str = "incident-7") -> Month:
    """A month with everything in it; a payee, a type and a track are called `name`."""
    money = [
        ("EUR", rule, PAYOUT, name, "", amount)
        for rule, amount in ((AGREED, 150_000), (PRO_RATA, 140_000), (USER_CENTRIC, 160_000))
    ]
    return Month(
        name="2026-01",
        daily_plays=plays([(1, "DE", 1000, 900), (1, "FR", 10, 10), (2, "DE", 2000, 1000)]),
        spam_by_type=spam([("DE", name, 600), ("DE", name, 300), ("DE", "", 50), ("FR", "", 150)]),
        incident_plays=incident_plays(
            [(1, incident, "DE", name, 1000, 10), (2, incident, "DE", name, 500, 500), (2, incident, "FR", "b", 2, 1)]
        ),
        incidents=pl.concat([declared(incident, ["ip", "ip", "user"], name=name)] * 2),
        usage=usage([("spam", incident, 990), ("earning", incident, 10), ("withheld", incident, 502)]),
        statements=statements(
            [
                *money,
                ("EUR", AGREED, WITHHELD, name, incident, 2050),
                ("JPY", AGREED, WITHHELD, name, "", 123_456),
                ("KWD", AGREED, PAYOUT, name, "", 1_234_567),
                (NO_CURRENCY, AGREED, PAYOUT, name, "", 0),
            ]
        ),
        adjustments=adjustments([("EUR", "incident, late data", 3000), ("EUR", "incident, late data", -2000)]),
        suspicions=suspicions([]),
    )


NOTHING = Month(
    "2026-01",
    plays([]),
    spam([]),
    incident_plays([]),
    declared("", []),
    usage([]),
    statements([]),
    adjustments([]),
    suspicions([]),
)


def turned(given: Month, order: list[int]) -> Month:
    """The same month with the rows of its frames in another order."""
    frames = given._asdict()
    return Month(**{name: frames[name] if name == "name" else _ordered(frames[name], order) for name in frames})


def _ordered(frame: pl.DataFrame | pl.LazyFrame, order: list[int]) -> pl.DataFrame | pl.LazyFrame:
    rows = frame.lazy().collect()
    ordered = rows[[place for place in order if place < rows.height] + list(range(len(order), rows.height))]
    return ordered.lazy() if isinstance(frame, pl.LazyFrame) else ordered


def page_of(given: Month) -> str:
    return month_page(contents_of_month(given, list(given.incidents_in_it())))


def test_a_page_has_plays_in_both_truths_money_by_every_rule_incidents_and_what_changed_and_why() -> None:
    page = page_of(month())
    rows = [row[:5] for row in ParsedPage(page).rows]
    assert "3,010 plays on 2 days; 1,100 of them (36.5%) are dropped as spam." in page
    assert ["DE", "3,000", "1,900", "1,100", "36.7%"] in rows
    assert ["EUR", "payee-1", "1,500.00", "1,400.00", "1,600.00"] in rows
    assert ["EUR", "incident-7", "20.50", "0.00", "0.00"] in rows
    assert ["JPY", "no incident", "123,456", "0", "0"] in rows
    assert ["KWD", "payout", "1,234.567", "0.000", "0.000"] in rows
    assert ["payee-1", "900", "81.8%"] in rows
    assert ["none that fits", "200", "18.2%"] in rows
    assert ["DE", "payee-1", "900"] in rows
    assert ["DE", "none that fits", "50"] in rows
    assert ["incident-7", "suspected", "1,502", "511"] in rows
    assert ["EUR", "incident, late data", "2", "30.00", "-20.00"] in rows
    assert not any("XXX" in row for row in rows), "money in no currency is none"


def test_a_page_loads_nothing_leads_to_its_incidents_and_has_a_line_for_each_truth() -> None:
    page = page_of(month())
    read = ParsedPage(page)
    assert read.addresses == ["index.html", place_of("2026-01", "incident-7")]
    assert not {"script", "link", "img", "iframe"} & set(read.tags)
    assert page.count('stroke-width="1.8"') == 2
    assert page.count("<rect") == 6, "two types, two countries, and the keys of two curves"


def test_names_are_text_whatever_they_are() -> None:
    read = ParsedPage(page_of(month(HOSTILE, f"../../{HOSTILE}")))
    assert "script" not in read.tags
    assert ["EUR", HOSTILE, "1,500.00", "1,400.00", "1,600.00"] in [row[:5] for row in read.rows]
    assert all(address == "index.html" or address.startswith("2026-01/script-") for address in read.addresses)


def test_headline_numbers_are_written_out() -> None:
    figures = dict(month().figures())
    assert (figures["plays"], figures["plays without spam"], figures["spam"]) == ("3,010", "1,910", "36.5%")
    assert (figures["paid out (EUR)"], figures["withheld (JPY)"], figures["paid out (KWD)"]) == (
        "1,500.00",
        "123,456",
        "1,234.567",
    )


def test_the_order_of_rows_does_not_matter() -> None:
    other = turned(month(), [2, 0, 1])
    assert page_of(other) == page_of(month())
    assert preview(other, list(other.incidents_in_it())) == preview(month(), list(month().incidents_in_it()))


def test_a_month_without_anything_has_a_page() -> None:
    page = page_of(NOTHING)
    assert "0 plays on 0 days" in page
    assert page.count("<p>None.</p>") == 8


def test_a_preview_has_the_numbers_and_the_drawings_and_nothing_to_load() -> None:
    told = preview(month(), list(month().incidents_in_it()))
    assert "| plays | 3,010 |" in told
    assert "| EUR | 1,500.00 | 20.50 | 0.00 | 0.00 |" in told
    assert "| incident-7 | suspected | 1,502 | 511 |" in told
    assert re.findall(r"\]\(([^,]*),", told) == ["data:image/svg+xml;base64"] * 2
    drawn = [b64decode(found).decode() for found in re.findall(r"base64,([^)]*)", told)]
    assert all(ET.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg" for svg in drawn)  # noqa: S314 - our own


def test_a_preview_takes_names_as_text_and_is_short_however_much_there_is() -> None:
    given = month()
    names = [f"![x](http://evil) {'|' * 200} {number}" for number in range(50)]
    many = given._replace(
        incidents=pl.concat([declared(name, ["ip"]) for name in names]),
        daily_plays=plays([(day, "DE", 10**9 + day, 10**9) for day in range(1, 32)]),
        spam_by_type=spam([("DE", f"{number}\x01{HOSTILE}", 10**9) for number in range(50)]),
    )
    told = preview(many, list(many.incidents_in_it()))
    drawn = [b64decode(found) for found in re.findall(r"base64,([^)]*)", told)]
    assert [ET.fromstring(svg).tag for svg in drawn] == ["{http://www.w3.org/2000/svg}svg"] * 2  # noqa: S314 - our own
    assert "![x]" not in told
    assert "and 31 more incidents" in told
    assert len(told) < 30_000
