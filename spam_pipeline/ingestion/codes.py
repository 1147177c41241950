"""ISO codes of countries and currencies. What a code means for a play or for money is decided elsewhere."""

from functools import cache

import pycountry


@cache
def country_codes() -> frozenset[str]:
    """Return the alpha-2 codes of ISO 3166-1."""
    return frozenset(country.alpha_2 for country in pycountry.countries)


@cache
def currency_codes() -> frozenset[str]:
    """Return the alphabetic codes of ISO 4217."""
    return frozenset(currency.alpha_3 for currency in pycountry.currencies)
