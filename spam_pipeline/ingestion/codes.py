"""Codes of the ISO: which countries and currencies exist. What a code means for a play or for money is not said here."""

from functools import cache

import pycountry


@cache
def country_codes() -> frozenset[str]:
    """The alpha-2 codes of ISO 3166-1."""
    return frozenset(country.alpha_2 for country in pycountry.countries)


@cache
def currency_codes() -> frozenset[str]:
    """The alphabetic codes of ISO 4217."""
    return frozenset(currency.alpha_3 for currency in pycountry.currencies)
