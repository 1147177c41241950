"""Audiences: the listeners of a country and tier, who share pools. Here they are divided so that a part at a time fits into memory."""

from collections.abc import Iterator

import polars as pl

from spam_pipeline.protocol import key_ranges, slices_of


def audience_slices(counted: pl.DataFrame, rows_at_once: int) -> Iterator[tuple[pl.DataFrame, list[pl.Expr]]]:
    """Take audiences in order, as many together as have `rows_at_once` rows; one with more has several ranges of `listener_key`.

    `counted` has the `rows` of each `country` and `tier`.

    >>> counted = pl.DataFrame({"country": ["DE", "FR", "US"], "tier": "free", "rows": [1, 2, 9]})
    >>> [(audiences["country"].to_list(), len(ranges)) for audiences, ranges in audience_slices(counted, 3)]
    [(['DE', 'FR'], 1), (['US'], 3)]
    """
    in_order = counted.sort("country", "tier")
    slices: list[int] = []
    together = 0
    for rows in in_order["rows"]:
        is_next = bool(together) and together + rows > rows_at_once
        together = rows if is_next else together + rows
        slices.append((slices[-1] if slices else 0) + is_next)
    for some in in_order.with_columns(slice=pl.Series(slices, dtype=pl.Int64)).partition_by(
        "slice", maintain_order=True
    ):
        ranges = key_ranges(pl.col("listener_key"), slices_of(int(some["rows"].sum()), rows_at_once))
        yield some.select("country", "tier"), ranges


def within(audiences: pl.DataFrame) -> pl.Expr:
    """True for rows that may be of one of these audiences: what is ordered by country is read from there on."""
    first, last = (pl.lit(audiences.item(row, "country")) for row in (0, -1))
    return pl.col("country").is_between(first, last)
