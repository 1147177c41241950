"""Currencies: how many decimals an amount in minor units has when it is written for people and for other companies.

The pipeline itself computes in whole minor units and never divides them; only text that leaves it does.
"""

import polars as pl

USUAL_DIGITS = 2

OTHER_DIGITS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"), 0),
    **dict.fromkeys(("RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
"""Currencies that do not have two decimals: list one of ISO 4217 as published on 2026-01-01. The Unicode CLDR, and what is built
on it, counts the decimals that are used in shops instead, which differ for a dozen currencies."""


def as_decimal(amount_minor: pl.Expr, currency: pl.Expr) -> pl.Expr:
    """A whole amount in minor units as text in the units of its currency: -123456 is `-1234.56` EUR, or `-123456` JPY."""
    digits = currency.replace_strict(OTHER_DIGITS, default=USUAL_DIGITS, return_dtype=pl.UInt32)
    unsigned = amount_minor.abs().cast(pl.String).str.zfill(digits + 1)
    whole, minor = unsigned.str.head(unsigned.str.len_chars() - digits), unsigned.str.tail(digits)
    decimal = pl.when(digits > 0).then(pl.concat_str(whole, pl.lit("."), minor)).otherwise(whole)
    return pl.concat_str(pl.when(amount_minor < 0).then(pl.lit("-")).otherwise(pl.lit("")), decimal)


def as_amount(amount_minor: int, currency: str) -> str:
    """An amount in minor units for people, in the units of its currency with thousands apart: 123456 is `1,234.56` EUR."""
    digits = OTHER_DIGITS.get(currency, USUAL_DIGITS)
    whole, minor = divmod(abs(amount_minor), 10**digits)
    decimals = f".{minor:0{digits}d}" if digits else ""
    return f"{'-' if amount_minor < 0 else ''}{whole:,}{decimals}"
