"""The files of a month: a statement for each payee, and the report for the industry, written together or not at all.

An issued month is written as it was issued, by its document and the versions that this pins; any other one as its payments are
published now, by what those were made from, and not by what is published beside it. What is in the files is in `payee_files` and
`ddex`.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import polars as pl

from spam_pipeline.ingestion.contracts import Tracks
from spam_pipeline.operations.issued_documents import documents_of, landed_document
from spam_pipeline.operations.versions_read import STATEMENTS, frame_read, statement_read
from spam_pipeline.partitions import statement_months
from spam_pipeline.protocol import WHOLE, NotPublished, PipelineError, Version, digest
from spam_pipeline.protocol.operating import Engine, LandingZone
from spam_pipeline.royalties.contracts import AGREED, RoyaltyPayments, RoyaltyStatements
from spam_pipeline.royalties.ddex import Heard, Message, Sender, write_sales_report
from spam_pipeline.royalties.document import (
    WrongDocument,
    issued_lines,
    issued_payments,
    versions_in,
)
from spam_pipeline.royalties.payee_files import (
    LINE_COLUMNS,
    in_batches,
    lines_not_issued,
    payee_rows,
    write_payee_files,
)
from spam_pipeline.royalties.payments import PAID_FROM, Account, settled_by

PAYMENTS, TRACKS = "royalty_payments", "tracks"


class FilesExist(PipelineError):
    """Files of the month lie there already; what may have been sent is never replaced."""


class StatementFiles(NamedTuple):
    """What was written: where, of which statement, for how many payees, and the report with how many tracks."""

    folder: str
    is_issued: bool
    payees: int
    report: str
    tracks: int


class _Statement(NamedTuple):
    """A month's statement: its lines for payees, their payments, the version that they are true to, and since when that is so.

    `tracks` is the version of the catalogue that tracks are named by, if there was one.
    """

    lines: pl.LazyFrame
    payments: pl.LazyFrame
    version: Version
    tracks: Version | None
    created_at: datetime
    is_issued: bool


def write_statement_files(  # noqa: PLR0913, PLR0917 - where it comes from, where it goes, and whose it is
    engine: Engine, landing: LandingZone, month: str, folder: Path, sender: Sender, on_progress: Callable[[str], None]
) -> StatementFiles:
    """Write the files of a month into `folder / month`, and return what they are.

    Raises `FilesExist`, `WrongPartition`, `WrongDocument`, and `NotPublished` when there is no statement, or the one that was
    issued was made on another ledger.
    """
    statement_months.check(month)
    documents = documents_of(landing, month)
    found = _as_issued(engine, landing, month, documents) if documents else _as_published(engine, month)
    message, heard = _report(engine, month, found, sender)
    with _appearing(folder / month) as building:
        on_progress(f"writing the statements of {month} for payees")
        payees = write_payee_files(building, in_batches(payee_rows(month, found.lines, found.payments)))
        on_progress(f"writing the usage of {month} as {message.file_name}")
        written = write_sales_report(building / message.file_name, message, heard)
    return StatementFiles(str(folder / month), found.is_issued, payees, message.file_name, written.blocks)


def _as_issued(engine: Engine, landing: LandingZone, month: str, documents: Sequence[str]) -> _Statement:
    """What a month's document says, and the versions that it pins."""
    if len(documents) > 1:
        raise WrongDocument(f"{month} has {len(documents)} documents: keep the one that was issued")
    file = landed_document(landing, month, documents[0])
    lines = issued_lines(file).filter(pl.col("rule") == AGREED)
    pinned = {
        (stage, key): recipe for stage, key, recipe in versions_in(file).select("stage", "partition", "recipe").rows()
    }
    version = _pinned(engine, pinned[STATEMENTS, month])
    tracks = _pinned(engine, pinned[TRACKS, WHOLE]) if (TRACKS, WHOLE) in pinned else None
    issued_at = lines.select("issued_at").head(1).collect().item()
    return _Statement(lines.select(LINE_COLUMNS), issued_payments(file), version, tracks, issued_at, is_issued=True)


def _as_published(engine: Engine, month: str) -> _Statement:
    """What the month's payments were made from, so that lines and balances add up while something else is being made."""
    payments = engine.reader.version(PAYMENTS, month)
    account = Account(*(frame_read(engine, payments, stage) for stage in PAID_FROM))
    if not account.issued_months.filter(pl.col("issued_in") == month).head(1).collect().is_empty():
        raise NotPublished(f"{month} was issued, and its document is gone: restore it")
    version = statement_read(engine, month, payments)
    settled = account.adjustments.filter(pl.col("month").is_in(settled_by(month, account)))
    lines = lines_not_issued(engine.reader.scan(version.parts, RoyaltyStatements), settled)
    own = engine.reader.scan(payments.parts, RoyaltyPayments)
    tracks = engine.ledger.published_version(engine.environment, TRACKS, WHOLE)
    return _Statement(lines, own, version, tracks, version.computed_at, is_issued=False)


def _pinned(engine: Engine, recipe: str) -> Version:
    found = engine.ledger.version(recipe)
    if found is None:
        raise NotPublished(
            f"this ledger never had the version {recipe[:16]} that was issued: write its files where it was issued"
        )
    return found[0]


def _report(engine: Engine, month: str, found: _Statement, sender: Sender) -> tuple[Message, Heard]:
    """What the report is made of, and an id that tells apart whatever is made of something else."""
    made_of = sorted((item.upstream, item.partition, item.part, item.content) for item in found.version.inputs)
    made_of_all = digest([made_of, found.version.content, found.tracks.content if found.tracks else "", sender])
    usage, revenue, accounts = (
        frame_read(engine, found.version, stage) for stage in ("royalty_usage", "revenue", "accounts")
    )
    heard = Heard(
        usage=usage,
        statement=engine.reader.scan(found.version.parts, RoyaltyStatements),
        revenue=revenue,
        accounts=accounts,
        tracks=engine.reader.scan(found.tracks.parts, Tracks) if found.tracks else Tracks.empty(),
    )
    return Message(month, f"{month}-{made_of_all[:32]}", found.created_at, sender), heard


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """A folder to fill, which appears as `folder` when that is done without an error. Raises `FilesExist` if it is there."""
    if folder.exists():
        raise FilesExist(f"{folder} is there already, and may have been sent: move it away, or name another place")
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        building = beside / folder.name
        building.mkdir()
        yield building
        building.rename(folder)
    finally:
        shutil.rmtree(beside)
