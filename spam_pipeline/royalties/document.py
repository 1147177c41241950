"""The document of an issued statement: one Parquet file in the landing zone, which says all that was issued and never changes.

It lies at `issued/<YYYY-MM>/<SHA-256 of its bytes>.parquet`. Every row says who issued which month and when, and is one `record`:
a version that is pinned, a line, a payment or a ground; the columns of other records are null. So what was issued is a fact
that landed, and everything that follows from it can be computed again from the landing zone alone. When a month may be issued
is decided in `issuing`.
"""

import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

import polars as pl

from spam_pipeline.partitions import statement_months
from spam_pipeline.protocol.contract import Contract, column_types
from spam_pipeline.protocol.errors import PipelineError, WrongPartition
from spam_pipeline.protocol.landed_file import LandedFile
from spam_pipeline.protocol.landing_zone import LandingZone
from spam_pipeline.protocol.partition import WHOLE
from spam_pipeline.protocol.stage import Source
from spam_pipeline.royalties.contracts import IssuedGrounds, IssuedPayments, IssuedStatements

issued = Source(
    "issued", statement_months, "Statements as they were issued, `issued/<YYYY-MM>/`: one document for each month."
)

SOURCES = (issued,)

FORMAT = 1
"""The layout of the document. A release reads every layout that was ever written."""

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
    **column_types(IssuedGrounds),
}

_ROW_GROUP_ROWS = 250_000

_PATH = re.compile(r"issued/([0-9]{4}-[0-9]{2})/([0-9a-f]{64})\.parquet")

Batches = Iterator[tuple[str, pl.DataFrame]]


class WrongDocument(PipelineError):
    """A file that lies where issued statements do and is none."""


class Document(NamedTuple):
    """What is issued: lines as in `IssuedStatements`, payments and grounds likewise, and the `versions` it was made from."""

    month: str
    issued_by: str
    issued_at: datetime
    versions: pl.DataFrame
    lines: pl.DataFrame
    payments: pl.DataFrame
    grounds: pl.DataFrame


def documents_of(landing: LandingZone, month: str) -> list[str]:
    """The paths of the documents of a month, as POSIX paths below the landing zone's root; there is one once it is issued."""
    paths = [f"{_folder_of(month)}/{name}" for name in landing.names_in(_folder_of(month))]
    return [path for path in paths if classify(path)]


def landed_document(landing: LandingZone, month: str, path: str) -> LandedFile:
    """A document as it lies there now. Raises `FileNotFoundError`."""
    digest, state = landing.digest(path), landing.state(path)
    if state is None:
        raise FileNotFoundError(path)
    return LandedFile(issued.name, month, path, digest, state.size, state.marker, landing)


def classify(path: str) -> tuple[Source, str] | None:
    """The source and the month of a POSIX `path` below the landing zone's root; None where it is no document's."""
    matched = _PATH.fullmatch(path)
    if matched is None:
        return None
    try:
        return issued, statement_months.check(matched[1])
    except WrongPartition:
        return None


def lines_of(statement: pl.DataFrame, content: str, adjustments: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """The lines of a document: those of a statement of this `content`, and the adjustments that it settles."""
    own = statement.with_columns(reason=pl.lit(""), statement=pl.lit(content))
    settled = [lines.rename({"pool_change_minor": "pool_minor", "statement_now": "statement"}) for lines in adjustments]
    usage = pl.col("plays", "ms_played")
    return pl.concat([own, *settled], how="diagonal").with_columns(usage.fill_null(0))


def written(document: Document) -> tuple[str, bytes]:
    """The path and the bytes of a document."""
    tables = {
        VERSION: document.versions,
        LINE: document.lines,
        PAYMENT: document.payments,
        GROUND: document.grounds,
    }
    records = pl.concat([table.with_columns(record=pl.lit(record)) for record, table in tables.items()], how="diagonal")
    same_in_all = {
        "format": pl.lit(FORMAT),
        "issued_in": pl.lit(document.month),
        "issued_by": pl.lit(document.issued_by),
        "issued_at": pl.lit(document.issued_at),
    }
    every = records.with_columns(**same_in_all).select(pl.col(name).cast(dtype) for name, dtype in _COLUMNS.items())
    content = io.BytesIO()
    every.write_parquet(content, compression="zstd", row_group_size=_ROW_GROUP_ROWS)
    name = hashlib.sha256(content.getvalue()).hexdigest()
    return f"{_folder_of(document.month)}/{name}.parquet", content.getvalue()


def lines_in(file: LandedFile) -> Batches:
    """The `IssuedStatements` in a document, one part per month that they are about."""
    return _by_month(_table(file, LINE, IssuedStatements))


def payments_in(file: LandedFile) -> Batches:
    """The `IssuedPayments` in a document, as one part."""
    yield WHOLE, _table(file, PAYMENT, IssuedPayments)


def grounds_in(file: LandedFile) -> Batches:
    """The `IssuedGrounds` in a document, one part per month that they are about."""
    return _by_month(_table(file, GROUND, IssuedGrounds))


def versions_in(file: LandedFile) -> pl.DataFrame:
    """The versions that a document pins."""
    return _records(file, VERSION).select(tuple(VERSION_TYPES)).collect()


def _folder_of(month: str) -> str:
    return f"issued/{month}"


def _by_month(table: pl.DataFrame) -> Batches:
    for (month,), rows in table.partition_by("month", as_dict=True).items():
        yield str(month), rows


def _table(file: LandedFile, record: str, contract: type[Contract]) -> pl.DataFrame:
    """The records of one kind, in the columns and the order of their contract. Raises `WrongDocument`."""
    own = _records(file, record).select(*column_types(contract))
    return own.sort(contract.primary_key()).collect()


def _records(file: LandedFile, record: str) -> pl.LazyFrame:
    if not file.path.endswith(f"/{file.digest}.parquet"):
        raise WrongDocument(f"{file.path} is not what was issued: its bytes have the digest {file.digest}; restore it")
    with file.open() as content:
        document = pl.scan_parquet(content.read())
    found = document.select("format", "issued_in").unique().collect().rows()
    if found != [(FORMAT, file.partition)]:
        raise WrongDocument(f"{file.path} has format and month {found}: expected {FORMAT} and {file.partition}")
    return document.filter(pl.col("record") == record)
