"""The page of a month: what stands on it, and that it is a page whatever people are called."""

import re
from base64 import b64decode
from collections.abc import Iterable
from datetime import UTC, date, datetime
from xml.etree import ElementTree as ET

import polars as pl

from spam_pipeline.ingestion.contracts import Incidents
from spam_pipeline.pages.page_builder import month_page
from spam_pipeline.reporting.contracts import DailyPlays, IncidentListeners, IncidentPlays, SpamByType
from spam_pipeline.reporting.month import DECLARED, Month
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
    decided = {"decided_by": "Ada", "decided_at": datetime(2026, 1, 4, 5, tzinfo=UTC)}
    return pl.DataFrame(
        [row | window | decided for row in rows], schema=Incidents.empty().select(DECLARED).collect_schema()
    )


def usage(rows: Iterable[tuple[str, str, int]]) -> pl.DataFrame:
    return pl.DataFrame(
        list(rows), schema={"status": pl.String, "incident_id": pl.String, "plays": pl.Int64}, orient="row"
    )


def daily_usage(rows: Iterable[tuple[int, str, int]]) -> pl.DataFrame:
    listed = [(date(2026, 1, day), *rest) for day, *rest in rows]
    return pl.DataFrame(listed, schema={"event_day": pl.Date, "status": pl.String, "plays": pl.Int64}, orient="row")


def listeners(rows: Iterable[tuple[int, str, int, str, int, int]]) -> pl.DataFrame:
    listed = [(date(2026, 1, day), *rest) for day, *rest in rows]
    return pl.DataFrame(listed, schema=IncidentListeners.empty().collect_schema(), orient="row")


def tracks(rows: Iterable[tuple[str, str, int]]) -> pl.LazyFrame:
    """Tracks by id and title, uploaded on some day of January."""
    listed = [(track, title, date(2026, 1, day)) for track, title, day in rows]
    schema = {"track_id": pl.String, "title": pl.String, "uploaded_on": pl.Date}
    return pl.LazyFrame(listed, schema=schema, orient="row")


def rights(rows: Iterable[tuple[str, str]]) -> pl.LazyFrame:
    return pl.LazyFrame(list(rows), schema={"track_id": pl.String, "payee_id": pl.String}, orient="row")


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
        incident_listeners=listeners(
            [(1, incident, 3, "user", 10, 1000), (2, incident, 3, "user", 10, 500), (2, incident, 23, "device", 11, 2)]
        ),
        incidents=pl.concat([declared(incident, ["ip", "ip", "user"], name=name)] * 2),
        usage=usage([("spam", incident, 990), ("earning", incident, 10), ("withheld", incident, 502)]),
        daily_usage=daily_usage([(1, "withheld", 502), (1, "earning", 10)]),
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
        tracks=tracks([(name, f"Song of {name}", 2), ("b", "Another", 1)]),
        rights=rights([(name, name), ("b", name)]),
    )


NOTHING = Month(
    "2026-01",
    plays([]),
    spam([]),
    incident_plays([]),
    listeners([]),
    declared("", []),
    usage([]),
    daily_usage([]),
    statements([]),
    adjustments([]),
    suspicions([]),
    tracks([]),
    rights([]),
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


def test_a_page_has_plays_by_day_type_and_country_and_the_incidents_that_they_belong_to() -> None:
    page = page_of(month())
    rows = ParsedPage(page).rows
    assert "3,010 plays on 2 days; 1,100 of them (36.5%) are dropped as spam." in page
    assert (["2026-01-01", "1,010", "910", "502"] in rows, ["2026-01-02", "2,000", "1,000", "0"] in rows) == (
        True,
        True,
    )
    assert ["Germany", "payee-1", "3,000", "", "36.7%"] in rows
    assert (["payee-1", "900", "", "81.8%"] in rows, ["none that fits", "200", "", "18.2%"] in rows) == (True, True)
    assert ["incident-7", "suspected", "1,502", "511"] in rows
    assert ["EUR", "incident, late data", "2", "30.00", "-20.00"] in rows


def test_money_stands_by_currency_each_in_its_own_unit_with_payees_by_their_tracks() -> None:
    rows = ParsedPage(page_of(month())).rows
    assert ["currency", "paid out", "withheld"] in rows, "nothing is in escrow or unclaimed"
    assert (["EUR", "1,500.00", "20.50"] in rows, ["KWD", "1,234.567", "0.000"] in rows) == (True, True)
    assert ["paid out", "1,500.00", "1,400.00", "1,600.00"] in rows
    assert ["payee-1", "Song of payee-1 and 1 more", "1,500.00", "1,400.00", "1,600.00"] in rows
    assert ["incident-7", "20.50", "0.00", "0.00"] in rows
    assert ["no incident", "123,456", "0", "0"] in rows
    assert not any("XXX" in row for row in rows), "money in no currency is none"


def test_the_largest_payouts_are_shown_the_others_folded_and_a_hundred_at_most() -> None:
    many = [("EUR", AGREED, PAYOUT, f"payee-{number:03}", "", 1000 - number) for number in range(120)]
    page = page_of(month()._replace(statements=statements(many)))
    assert "Payees, the largest payouts first, 100 of 120" in page
    shown, _, folded = page.partition("<summary>90 more</summary>")
    assert ("payee-009" in shown, "payee-010" in shown) == (True, False)
    assert ("payee-010" in folded, "payee-099" in folded, "payee-100" in folded) == (True, True, False)


def test_what_waits_for_a_decision_is_listed_with_what_it_holds_back() -> None:
    page = page_of(
        month()._replace(incidents=declared("", []), suspicions=suspicions([("incident-7", "behaviour", 3)]))
    )
    assert ["incident-7", "EUR 20.50", "502", "17.5"] in ParsedPage(page).rows
    assert dict(month().counts())["waiting for a decision"] == "0", "it was declared"


def test_a_page_loads_nothing_leads_to_its_incidents_and_says_in_words_what_it_draws() -> None:
    page = page_of(month())
    read = ParsedPage(page)
    incident = place_of("2026-01", "incident-7")
    pages = [address for address in read.addresses if not address.startswith("#")]
    assert (pages[0], set(pages)) == ("index.html", {"index.html", incident})
    places = {address[1:] for address in read.addresses if address.startswith("#")}
    assert places == {section.split('"')[0] for section in page.split('<section id="')[1:]}
    assert not {"script", "link", "img", "iframe"} & set(read.tags)
    assert (
        page.count("Plays by day, 2026-01-01 to 2026-01-02: all plays from 1,010 to 2,000, without spam from 910") == 2
    )
    assert page.count("<title>2026-01-01: all plays 1,010, without spam 910, withheld 502</title>") == 2


def test_names_are_text_whatever_they_are() -> None:
    read = ParsedPage(page_of(month(HOSTILE, f"../../{HOSTILE}")))
    assert "script" not in read.tags
    assert [HOSTILE, f"Song of {HOSTILE} and 1 more", "1,500.00", "1,400.00", "1,600.00"] in read.rows
    assert all(address.startswith(("#", "index.html", "2026-01/script-")) for address in read.addresses)


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
    assert page.count("<p>None.</p>") == 7


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
