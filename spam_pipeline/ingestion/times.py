"""Times as text: RFC 3339 and ISO dates as vectorised expressions. Which times are acceptable is decided elsewhere."""

import polars as pl

_SECONDS = "YYYY-MM-DDTHH:MM:SS"
_RFC_3339 = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])$"
)
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"


def rfc_3339_ms(text: pl.Expr) -> pl.Expr:
    """Parse RFC 3339 times with an offset to milliseconds since 1970 (UTC), rounded down; null for any other text.

    Leap seconds (`:60`) are null too: no clock of this pipeline has them.

    >>> texts = pl.Series(["1970-01-01T01:00:00.5+01:00", "1970-01-01T00:00:00", "1970-01-01T23:59:60Z"])
    >>> pl.select(rfc_3339_ms(pl.lit(texts))).to_series().to_list()
    [500, None, None]
    """
    whole = text.str.slice(0, len(_SECONDS)).str.to_uppercase()
    seconds = whole.str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False, time_unit="ms").dt.epoch("ms")
    fraction = (
        text.str.slice(len(_SECONDS), len(".123"))
        .str.extract(r"^\.([0-9]+)")
        .str.pad_end(3, "0")
        .cast(pl.Int64)
        .fill_null(0)
    )
    return pl.when(text.str.contains(_RFC_3339)).then(seconds + fraction - _minutes_east(text) * 60_000)


def iso_date(text: pl.Expr) -> pl.Expr:
    """Parse dates of the form YYYY-MM-DD; null for any other text."""
    return pl.when(text.str.contains(_DATE)).then(text.str.to_date("%Y-%m-%d", strict=False))


def _minutes_east(text: pl.Expr) -> pl.Expr:
    offset = text.str.slice(-len("+hh:mm"))
    hours, minutes = (offset.str.slice(start, 2).cast(pl.Int64, strict=False) for start in (1, 4))
    east = hours * 60 + minutes
    return pl.when(offset.str.starts_with("+")).then(east).when(offset.str.starts_with("-")).then(-east).otherwise(0)
