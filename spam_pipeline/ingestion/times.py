"""Times as text: RFC 3339 and ISO dates as vectorised expressions. Which moments are acceptable is not said here."""

import polars as pl

_SECONDS = "YYYY-MM-DDTHH:MM:SS"
_RFC_3339 = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])$"
)
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"


def rfc_3339_ms(text: pl.Expr) -> pl.Expr:
    """Milliseconds since 1970 (UTC) of RFC 3339 times with an offset, rounded down; null for any other text.

    Leap seconds (`:60`) are null too: no clock of this pipeline has them.
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
    """Dates of the form YYYY-MM-DD; null for any other text."""
    return pl.when(text.str.contains(_DATE)).then(text.str.to_date("%Y-%m-%d", strict=False))


def _minutes_east(text: pl.Expr) -> pl.Expr:
    offset = text.str.slice(-len("+hh:mm"))
    hours, minutes = (offset.str.slice(start, 2).cast(pl.Int64, strict=False) for start in (1, 4))
    east = hours * 60 + minutes
    return pl.when(offset.str.starts_with("+")).then(east).when(offset.str.starts_with("-")).then(-east).otherwise(0)
