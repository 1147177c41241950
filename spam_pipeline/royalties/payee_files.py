"""Statements of payees as CSV: each payee's lines of a month's statement, then the balance.

    payees.csv                       payee_id, file: where each payee's statement is
    payees/3f/label-nord-3f9a...csv  a plain file for each payee, because that is what people open

There can be 100,000 payees, so the files lie in up to 256 folders, by the first digits of a digest of the payee's id. A file
name begins with the portable characters of the id, and ends in the digest, which distinguishes ids.

CSV is as in RFC 4180. Amounts are in units of the currency with its decimals, listening in seconds. A spreadsheet would
run text that begins like a formula: it is written behind an apostrophe. Amounts are computed elsewhere.
"""

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from spam_pipeline.currencies import as_decimal
from spam_pipeline.file_names import named_after
from spam_pipeline.royalties.contracts import AGREED, POOL

COLUMNS = (
    *("payee_id", "statement", "month", "country", "tier", "currency", "line", "incident_id", "reason"),
    *("plays", "listening_seconds", "pool", "amount"),
)
"""The columns of a payee's file. `month` is the one that a line is about. Where it is earlier than `statement`, the line adjusts
that month: it has no usage, and as `pool` the change of the pool."""

BALANCE_LINES = ("opening", "balance", "paid", "carried")
"""The balance of a statement, by currency. Opening and all `payout` lines sum to the balance, which is paid or carried."""

INDEX_COLUMNS = ("payee_id", "file")

LINE_COLUMNS = (
    *("month", *POOL, "line", "payee_id", "incident_id"),
    *("plays", "ms_played", "amount_minor", "pool_minor", "reason"),
)
"""The columns of a statement's line that are written."""

_TEXT = ("country", "tier", "currency", "line", "incident_id", "reason")
_FORMULA = r"^([=+\-@\t\r\n\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}])"
"""Beginnings of a cell that a spreadsheet takes for a formula, as OWASP lists them; the last four are full-width forms."""

_ROWS_AT_ONCE = 100_000


def lines_not_issued(statement: pl.LazyFrame, adjustments: pl.LazyFrame) -> pl.LazyFrame:
    """Select `LINE_COLUMNS` of the `RoyaltyStatements` of a month that is not issued, and of `RoyaltyAdjustments` it settles."""
    none = pl.lit(0, dtype=pl.Int64)
    own = statement.filter(pl.col("rule") == AGREED).with_columns(reason=pl.lit(""))
    settled = adjustments.with_columns(plays=none, ms_played=none, pool_minor="pool_change_minor")
    return pl.concat([own.select(LINE_COLUMNS), settled.select(LINE_COLUMNS)])


def payee_rows(month: str, lines: pl.LazyFrame, payments: pl.LazyFrame) -> pl.LazyFrame:
    """Build the rows of all files in the order of writing: `payee`, whose they are, and `COLUMNS`, as text.

    `lines` have `LINE_COLUMNS`; those without a payee are left out. `payments` are the month's `RoyaltyPayments`.
    """
    named = lines.filter(pl.col("payee_id") != "").with_columns(place=pl.lit(0))
    rows = pl.concat([named, *_balance(payments)], how="diagonal").with_columns(is_earlier=pl.col("month") != month)
    usage = [pl.when(~pl.col("is_earlier")).then(name).alias(name) for name in ("plays", "ms_played")]
    amount, pool = (as_decimal(pl.col(name), pl.col("currency")) for name in ("amount_minor", "pool_minor"))
    order = ("payee_id", "place", "is_earlier", "month", *POOL, "line", "incident_id")
    ordered = rows.sort(order).with_columns(usage)
    return ordered.select(
        pl.col("payee_id").alias("payee"),
        _as_cell(pl.col("payee_id")),
        pl.lit(month).alias("statement"),
        "month",
        *(_as_cell(pl.col(name)) for name in _TEXT),
        "plays",
        _seconds(pl.col("ms_played")).alias("listening_seconds"),
        pool.alias("pool"),
        amount.alias("amount"),
    )


def write_payee_files(folder: Path, rows: Iterable[pl.DataFrame]) -> int:
    """Write the files of all payees and their index into `folder`; return their number. `rows` are of `payee_rows`."""
    places: dict[str, str] = {}
    for batch in rows:
        for (payee,), own in batch.group_by("payee", maintain_order=True):
            place = places.setdefault(payee, place_of(payee))
            _append(folder / place, own.select(COLUMNS))
    index = pl.DataFrame(list(places.items()), schema=dict.fromkeys(INDEX_COLUMNS, pl.String), orient="row")
    _append(folder / "payees.csv", index.with_columns(_as_cell(pl.col("payee_id"))))
    return len(places)


def in_batches(rows: pl.LazyFrame) -> Iterable[pl.DataFrame]:
    """Yield the rows of all files in batches."""
    return rows.collect_batches(chunk_size=_ROWS_AT_ONCE, maintain_order=True)


def place_of(payee_id: str) -> str:
    """Return the path of a payee's file below the folder of the month."""
    name = named_after(payee_id, otherwise="payee")
    return f"payees/{name.rpartition('-')[2][:2]}/{name}.csv"


def _balance(payments: pl.LazyFrame) -> list[pl.LazyFrame]:
    """Build a line for each number of a payee's balance, behind all others."""
    named = ("month", "payee_id", "currency")
    return [
        payments.select(*named, pl.lit(name).alias("line"), pl.lit(place).alias("place"), amount_minor=f"{name}_minor")
        for place, name in enumerate(BALANCE_LINES, start=1)
    ]


def _as_cell(text: pl.Expr) -> pl.Expr:
    return pl.when(text != "").then(text.str.replace(_FORMULA, "'$1"))


def _seconds(milliseconds: pl.Expr) -> pl.Expr:
    return pl.concat_str(milliseconds // 1000, pl.lit("."), (milliseconds % 1000).cast(pl.String).str.zfill(3))


def _append(file: Path, rows: pl.DataFrame) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as out:
        rows.write_csv(out, include_header=out.tell() == 0, line_terminator="\r\n")
