"""The contents of a month's page: plays, spam by type and country, incidents, what waits for a decision, and adjustments.

Its money is in `money`, its days in `days`.
"""

from collections.abc import Sequence

import polars as pl

from spam_pipeline.currencies import as_amount
from spam_pipeline.pages.page_builder import Contents, Link, Rows, stacked_bar
from spam_pipeline.pages.plotter import Bar, Bars, Curves
from spam_pipeline.reporting.month import IncidentInMonth, Month, share
from spam_pipeline.reporting.page_contents.days import by_day, curves_of_days, described, values_of_days
from spam_pipeline.reporting.page_contents.money import MOST_PAYEES, money_by_currency, money_overview
from spam_pipeline.reporting.page_contents.names import country_name, type_name
from spam_pipeline.reporting.page_contents.places import INDEX, place_of
from spam_pipeline.royalties.contracts import RULES, WITHHELD

_SERIES = {"plays": "all plays", "plays_without_spam": "without spam", "withheld": "withheld"}
"""The columns of a day that are drawn, and what a page calls them."""


_FIRST_AMOUNTS, _MOST_BARS = 3, 20
"""The amounts beside a suspicion, and the most types of spam in a drawing."""


def contents_of_month(month: Month, incidents: Sequence[IncidentInMonth]) -> Contents:
    """Build the contents of a month's page; `incidents` are those that it links to."""
    plays, kept = (int(month.daily_plays[name].sum()) for name in ("plays", "plays_without_spam"))
    days, money = _days(month), money_overview(month)
    return {
        "month": month.name,
        "all_months": Link("All months", INDEX),
        "figures": month.counts(),
        "days": month.daily_plays["event_day"].n_unique(),
        "plays": plays,
        "spam": plays - kept,
        "spam_share": share(plays - kept, plays),
        "plays_by_day": curves_of_days(days, _SERIES, "plays_without_spam"),
        "plays_by_day_described": described(days, _SERIES),
        "series": list(_SERIES.values()),
        "values_by_day": values_of_days(days, list(_SERIES)),
        "countries": _countries(month),
        "spam_by_type": _types(month.spam_by_type),
        "waiting": _waiting([item for item in incidents if item.waits]),
        "incidents": _incidents(incidents),
        "rules": [rule.replace("_", " ") for rule in RULES],
        "money_head": money[0],
        "money": money[1:],
        "most_payees": MOST_PAYEES,
        "currencies": money_by_currency(month),
        "adjustments": _adjustments(month.adjustments),
    }


def plays_of_month(month: Month) -> Curves:
    """Draw the plays of each day: all, without spam, and withheld."""
    return curves_of_days(_days(month), _SERIES, "plays_without_spam")


def spam_of_month(spam_by_type: pl.DataFrame) -> Bars:
    """Draw the plays dropped as spam, by attack type."""
    amounts = list(_most_first(spam_by_type, "attack_type").items())[:_MOST_BARS]
    most = max((amount for _, amount in amounts), default=0) or 1
    return Bars([(type_name(name), [Bar(amount / most, f"{amount:,}")]) for name, amount in amounts])


def _days(month: Month) -> pl.DataFrame:
    """Sum the plays of each day, with those that royalties withhold of it."""
    withheld = month.daily_usage.filter(pl.col("status") == WITHHELD).select("event_day", withheld="plays")
    return by_day(month.daily_plays).join(withheld, on="event_day", how="left", maintain_order="left").fill_null(0)


def _types(spam_by_type: pl.DataFrame) -> Rows:
    amounts = _most_first(spam_by_type, "attack_type")
    most, whole = max(amounts.values(), default=0), sum(amounts.values())
    return [
        [type_name(name), count, stacked_bar({"spam": count}, most), share(count, whole)]
        for name, count in amounts.items()
    ]


def _countries(month: Month) -> Rows:
    """List the countries, most plays first, with the type of most of their spam."""
    totals = month.daily_plays.group_by("country").agg(pl.col("plays", "plays_without_spam").sum())
    ordered = totals.sort("plays", "country", descending=[True, False])
    of_types = month.spam_by_type.group_by("country", "attack_type").agg(pl.col("plays").sum())
    main = of_types.sort("plays", "attack_type", descending=[True, False]).unique("country", keep="first")
    types = dict(main.select("country", "attack_type").rows())
    most = max(ordered["plays"], default=0)
    return [
        [
            country_name(code),
            type_name(types[code]) if code in types else "",
            plays,
            stacked_bar({"kept": kept, "spam": plays - kept}, most),
            share(plays - kept, plays),
        ]
        for code, plays, kept in ordered.iter_rows()
    ]


def _most_first(spam: pl.DataFrame, name: str) -> dict[str, int]:
    totals = spam.group_by(name).agg(pl.col("plays").sum()).sort("plays", name, descending=[True, False])
    return dict(totals.iter_rows())


def _waiting(suspicions: Sequence[IncidentInMonth]) -> Rows:
    """List the suspicions that nobody has decided, most withheld plays first, with the money that waits in each currency."""
    ordered = sorted(suspicions, key=lambda item: (-item.plays_worth(WITHHELD), -item.evidence, item.incident_id))
    return [
        [
            _link(item),
            _some_of(item.amounts_withheld()),
            item.plays_worth(WITHHELD),
            f"{item.evidence:.1f}",
        ]
        for item in ordered
    ]


def _some_of(amounts: Sequence[tuple[str, str]]) -> str:
    """Write the first amounts of money, and the number of the others, which stand on the incident's page."""
    shown = ", ".join(f"{currency} {amount}" for currency, amount in amounts[:_FIRST_AMOUNTS]) or "no money yet"
    rest = len(amounts) - _FIRST_AMOUNTS
    return f"{shown} and {rest} more" if rest > 0 else shown


def _incidents(incidents: Sequence[IncidentInMonth]) -> Rows:
    ordered = sorted(incidents, key=lambda item: (-item.play_count, item.incident_id))
    return [[_link(item), item.status, item.play_count, item.play_count_in_reports] for item in ordered]


def _link(incident: IncidentInMonth) -> Link:
    return Link(incident.incident_id, place_of(incident.month, incident.incident_id))


def _adjustments(adjustments: pl.DataFrame) -> Rows:
    amount = pl.col("amount_minor")
    found = (
        adjustments.group_by("currency", "reason")
        .agg(
            lines=pl.len().cast(pl.Int64),
            raised=amount.filter(amount > 0).sum(),
            lowered=amount.filter(amount < 0).sum(),
        )
        .sort("currency", "reason")
    )
    return [
        [currency, why, lines, *(as_amount(amount, currency) for amount in moved)]
        for currency, why, lines, *moved in found.iter_rows()
    ]
