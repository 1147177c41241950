"""ISO codes of countries and currencies. What a code means for a play or for money is decided elsewhere."""

from collections.abc import Mapping
from functools import cache

import pycountry


@cache
def country_codes() -> frozenset[str]:
    """Return the alpha-2 codes of ISO 3166-1."""
    return frozenset(country.alpha_2 for country in pycountry.countries)


NO_MONEY = frozenset(("XXX", "XTS", "XAU", "XAG", "XPT", "XPD", "XBA", "XBB", "XBC", "XBD"))
"""Codes of ISO 4217 for no currency, for tests, for metals and for units of the bond market: nobody is paid in them."""

CURRENCIES_UNTIL: Mapping[str, str] = {
    "VEB": "2008-06", "ZWD": "2008-08", "CYP": "2008-01", "MTL": "2008-01", "SKK": "2009-01", "TMM": "2009-01",
    "ZWR": "2009-02", "EEK": "2011-01", "ZMK": "2013-01", "LVL": "2014-01", "LTL": "2015-01", "BYR": "2016-12",
    "STD": "2017-12", "MRO": "2018-06", "VEF": "2018-08", "CUC": "2021-06", "HRK": "2023-01", "SLL": "2023-12",
    "ZWL": "2024-08", "ANG": "2025-06", "BGN": "2026-01",
}  # fmt: skip
"""Withdrawn currencies with the last month in which people could pay in them, since 2008; earlier there was no streaming.
From Unicode CLDR 48; pycountry has only what is current. Those that became the euro in January could be paid in that month too."""

CURRENCIES_SINCE: Mapping[str, str] = {
    "VEF": "2008-01", "ZWR": "2008-08", "TMT": "2009-01", "ZWL": "2009-02", "SSP": "2011-07", "ZMW": "2013-01",
    "BYN": "2016-07", "MRU": "2018-01", "STN": "2018-01", "VES": "2018-08", "VED": "2021-10", "SLE": "2022-04",
    "ZWG": "2024-04", "XCG": "2025-03",
}  # fmt: skip
"""Currencies with the first month in which people could pay in them, since 2008."""


@cache
def currency_codes() -> frozenset[str]:
    """Return the alphabetic codes of ISO 4217 that are or were money."""
    return frozenset(currency.alpha_3 for currency in pycountry.currencies) - NO_MONEY | CURRENCIES_UNTIL.keys()
