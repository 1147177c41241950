"""The document of an issued statement: one immutable Parquet file in the landing zone with everything that was issued.

It lies at `issued/<YYYY-MM>/<SHA-256 of its bytes>.parquet`. Every row names who issued which month and when, and is one `record`:
a version that is pinned, a line, a payment or a ground; the columns of other records are null. So an issued statement is a
landed fact, and everything that follows from it can be recomputed from the landing zone alone. When a month may be issued
is decided in `issuing`; `operations` lands the document.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

import polars as pl

from spam_pipeline.partitions import statement_months
from spam_pipeline.protocol import WHOLE, Contract, LandedFile, PipelineError, Source, WrongPartition, column_types
from spam_pipeline.royalties.contracts import IssuedBasis, IssuedPayments, IssuedStatements

issued_documents = Source(
    "issued_documents",
    statement_months,
    "Statements as they were issued, `issued/<YYYY-MM>/`: one document for each month.",
    owner="team:royalties",
)

SOURCES = (issued_documents,)

FORMAT = 1
"""The layout of the document. A release reads every layout ever written."""

VERSION_TYPES = {
    "stage": pl.String(),
    "partition": pl.String(),
    "recipe": pl.String(),
    "content": pl.String(),
    "code_version": pl.String(),
}

VERSION, LINE, PAYMENT, GROUND = "version", "line", "payment", "ground"
"""The kinds of records in a document."""

_COLUMNS: Mapping[str, pl.DataType] = {
    "format": pl.Int64(),
    "record": pl.String(),
    **VERSION_TYPES,
    **column_types(IssuedStatements),
    **column_types(IssuedPayments),
    **column_types(IssuedBasis),
}

ROW_GROUP_ROWS = 250_000

_PATH = re.compile(r"issued/([0-9]{4}-[0-9]{2})/([0-9a-f]{64})\.parquet")

Batches = Iterator[tuple[str, pl.DataFrame]]


class WrongDocument(PipelineError):
    """A file in the place of an issued statement that is not one."""


class Document(NamedTuple):
    """The content of a document: lines as in `IssuedStatements`, payments and grounds likewise, and the pinned `versions`.

    Each is in the order of its contract.
    """

    month: str
    issued_by: str
    issued_at: datetime
    versions: pl.DataFrame
    lines: pl.LazyFrame
    payments: pl.DataFrame
    basis: pl.LazyFrame


def classify(path: str) -> tuple[Source, str] | None:
    """Return the source and the month of a POSIX `path` below the landing zone's root, or None if it is no document's."""
    matched = _PATH.fullmatch(path)
    if matched is None:
        return None
    try:
        return issued_documents, statement_months.check(matched[1])
    except WrongPartition:
        return None


def lines_of(statement: pl.LazyFrame, content: str, adjustments: Iterable[pl.LazyFrame]) -> pl.LazyFrame:
    """Combine the lines of a statement of this `content` with the adjustments that it settles."""
    own = statement.with_columns(reason=pl.lit(""), statement_content=pl.lit(content))
    settled = [
        lines.rename({"pool_change_minor": "pool_minor", "statement_now": "statement_content"}) for lines in adjustments
    ]
    usage = pl.col("plays", "ms_played")
    return pl.concat([own, *settled], how="diagonal").with_columns(usage.fill_null(0))


def issued_lines(file: LandedFile) -> pl.LazyFrame:
    """Read the `IssuedStatements` of a document. Raises `WrongDocument`."""
    return _table(file, LINE, IssuedStatements)


def issued_payments(file: LandedFile) -> pl.LazyFrame:
    """Read the `IssuedPayments` of a document. Raises `WrongDocument`."""
    return _table(file, PAYMENT, IssuedPayments)


def lines_in(file: LandedFile) -> Batches:
    """Read the `IssuedStatements` of a document, in parts by the month that they are about."""
    return _by_month(issued_lines(file))


def payments_in(file: LandedFile) -> Batches:
    """Read the `IssuedPayments` of a document, as one part."""
    yield WHOLE, issued_payments(file).collect()


def basis_in(file: LandedFile) -> Batches:
    """Read the `IssuedBasis` of a document, in parts by the month that they are about."""
    return _by_month(_table(file, GROUND, IssuedBasis))


def versions_in(file: LandedFile) -> pl.DataFrame:
    """Read the versions that a document pins. Raises `WrongDocument`."""
    return _records(file, VERSION).select(tuple(VERSION_TYPES)).collect()


ISSUED_FOLDER = "issued"
"""The folder of all documents below the landing zone's root."""


def folder_of(month: str) -> str:
    """Return the folder of a month's document below the landing zone's root."""
    return f"{ISSUED_FOLDER}/{month}"


def records_of(document: Document) -> pl.LazyFrame:
    """Combine all records of a document, in the columns of its file."""
    tables = {
        VERSION: document.versions.lazy(),
        LINE: document.lines,
        PAYMENT: document.payments.lazy(),
        GROUND: document.basis,
    }
    records = pl.concat([table.with_columns(record=pl.lit(record)) for record, table in tables.items()], how="diagonal")
    same_in_all = {
        "format": pl.lit(FORMAT),
        "issued_in": pl.lit(document.month),
        "issued_by": pl.lit(document.issued_by),
        "issued_at": pl.lit(document.issued_at),
    }
    return records.with_columns(**same_in_all).select(pl.col(name).cast(dtype) for name, dtype in _COLUMNS.items())


def _by_month(rows: pl.LazyFrame) -> Batches:
    for batch in rows.collect_batches(chunk_size=ROW_GROUP_ROWS, maintain_order=True):
        for (month,), part in batch.partition_by("month", maintain_order=True, as_dict=True).items():
            yield str(month), part


def _table(file: LandedFile, record: str, contract: type[Contract]) -> pl.LazyFrame:
    """Read the records of one kind, in the columns of their contract."""
    return _records(file, record).select(*column_types(contract))


def _records(file: LandedFile, record: str) -> pl.LazyFrame:
    if not file.path.endswith(f"/{file.digest}.parquet"):
        raise WrongDocument(f"{file.path} is not what was issued: its bytes have the digest {file.digest}; restore it")
    with file.open() as content:
        document = pl.scan_parquet(content.read())
    found = document.select("format", "issued_in").unique().collect().rows()
    if found != [(FORMAT, file.partition)]:
        raise WrongDocument(f"{file.path} has format and month {found}: expected {FORMAT} and {file.partition}")
    return document.filter(pl.col("record") == record)
