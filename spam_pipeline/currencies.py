"""Currencies: amounts in minor units written with the decimals of their currency, for people and other companies.

The pipeline computes in whole minor units; decimals exist only in text that leaves it.
"""

import polars as pl

USUAL_DIGITS = 2

OTHER_DIGITS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"), 0),
    **dict.fromkeys(("RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
"""Currencies that do not have two decimals: list one of ISO 4217 as published on 2026-01-01. Unicode CLDR, and libraries built
on it, have the decimals in everyday use instead, which differ for a dozen currencies."""


def as_decimal(amount_minor: pl.Expr, currency: pl.Expr) -> pl.Expr:
    """Write a whole amount in minor units in units of its currency.

    >>> amounts = pl.DataFrame({"minor": [-123456, 123456, 5], "currency": ["EUR", "JPY", "KWD"]})
    >>> amounts.select(as_decimal(pl.col("minor"), pl.col("currency"))).to_series().to_list()
    ['-1234.56', '123456', '0.005']
    """
    digits = currency.replace_strict(OTHER_DIGITS, default=USUAL_DIGITS, return_dtype=pl.UInt32)
    unsigned = amount_minor.abs().cast(pl.String).str.zfill(digits + 1)
    whole, minor = unsigned.str.head(unsigned.str.len_chars() - digits), unsigned.str.tail(digits)
    decimal = pl.when(digits > 0).then(pl.concat_str(whole, pl.lit("."), minor)).otherwise(whole)
    return pl.concat_str(pl.when(amount_minor < 0).then(pl.lit("-")).otherwise(pl.lit("")), decimal)


def as_amount(amount_minor: int, currency: str) -> str:
    """Write an amount in minor units for people, in units of its currency with thousands separators.

    >>> as_amount(123456, "EUR"), as_amount(123456, "JPY"), as_amount(-5, "KWD")
    ('1,234.56', '123,456', '-0.005')
    """
    digits = OTHER_DIGITS.get(currency, USUAL_DIGITS)
    whole, minor = divmod(abs(amount_minor), 10**digits)
    decimals = f".{minor:0{digits}d}" if digits else ""
    return f"{'-' if amount_minor < 0 else ''}{whole:,}{decimals}"
