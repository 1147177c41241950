"""Names of things on pages, for codes that data has."""

import pycountry

from spam_pipeline.reporting.contracts import NO_TYPE, UNKNOWN_COUNTRY


def country_name(code: str) -> str:
    """Return the name of a country; of a code that is none, the code.

    >>> country_name("BO"), country_name("ZZ"), country_name("QQ")
    ('Bolivia', 'Unknown', 'QQ')
    """
    if code == UNKNOWN_COUNTRY:
        return "Unknown"
    found = pycountry.countries.get(alpha_2=code)
    return str(getattr(found, "common_name", found.name)) if found else code


def type_name(attack_type: str) -> str:
    """Return a type of attack in words."""
    return "none that fits" if attack_type == NO_TYPE else attack_type.replace("_", " ")
