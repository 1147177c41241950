"""The files of a month: a statement for each payee, and the sales report, written together or not at all.

An issued month is written as it was issued, from its document and the versions that the document pins. Any other month is written
from its published payments and the versions that those were computed from, which may be older than what is published now. The
contents of the files are defined in `payee_files` and `ddex`.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
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
from spam_pipeline.protocol.operating import Engine, LandingZone, OnProgress
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
    """Files of the month exist already; they may have been sent, so they are never replaced."""


class StatementFiles(NamedTuple):
    """The written files: their folder, whether the statement is issued, the number of payees, the report and its tracks."""

    folder: str
    is_issued: bool
    payees: int
    report: str
    tracks: int


class _Statement(NamedTuple):
    """A month's statement: its lines for payees, their payments, its version, and when it was created.

    `tracks` is the version of the catalogue that names the tracks, if there was one.
    """

    lines: pl.LazyFrame
    payments: pl.LazyFrame
    version: Version
    tracks: Version | None
    created_at: datetime
    is_issued: bool


def write_statement_files(  # noqa: PLR0913, PLR0917 - where it comes from, where it goes, and whose it is
    engine: Engine, landing: LandingZone, month: str, folder: Path, sender: Sender, on_progress: OnProgress
) -> StatementFiles:
    """Write the files of a month into `folder / month`, and describe them.

    Raises `FilesExist`, `WrongPartition`, `WrongDocument`, and `NotPublished` when there is no statement, or it was issued
    from another ledger.
    """
    statement_months.check(month)
    documents = documents_of(landing, month)
    found = _as_issued(engine, landing, month, documents) if documents else _as_published(engine, month)
    message, heard = _report(engine, month, found, sender)
    with _appearing(folder / month) as building:
        on_progress(f"writing the statements of {month} for payees")
        rows = payee_rows(month, found.lines, found.payments)
        payees = write_payee_files(building, _watched(rows, on_progress))
        on_progress(f"writing the usage of {month} as {message.file_name}")
        written = write_sales_report(building / message.file_name, message, heard)
    return StatementFiles(str(folder / month), found.is_issued, payees, message.file_name, written.blocks)


def _watched(rows: pl.LazyFrame, on_progress: OnProgress) -> Iterator[pl.DataFrame]:
    """The batches of rows, each reported when it has been written."""
    done, total = 0, rows.select(pl.len()).collect(engine="streaming").item()
    for batch in in_batches(rows):
        yield batch
        done += batch.height
        on_progress("", done, total)


def _as_issued(engine: Engine, landing: LandingZone, month: str, documents: Sequence[str]) -> _Statement:
    """The statement in a month's document, and the versions that the document pins."""
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
    """The statement that the month's payments were computed from, so that lines and balances add up during a convergence."""
    payments = engine.reader.version(PAYMENTS, month)
    account = Account(*(frame_read(engine, payments, stage) for stage in PAID_FROM))
    if not account.issued_months.filter(pl.col("issued_in") == month).head(1).collect().is_empty():
        raise NotPublished(f"{month} was issued, but its document is missing: restore it")
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
            f"the issued version {recipe[:16]} is not in this ledger: write the files where the month was issued"
        )
    return found[0]


def _report(engine: Engine, month: str, found: _Statement, sender: Sender) -> tuple[Message, Heard]:
    """The report's contents, and a message with an id that is unique to them."""
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
    """A scratch folder, renamed to `folder` if the block succeeds. Raises `FilesExist` if `folder` exists."""
    if folder.exists():
        raise FilesExist(f"{folder} exists already, and may have been sent: move it, or name another folder with --out")
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        building = beside / folder.name
        building.mkdir()
        yield building
        building.rename(folder)
    finally:
        shutil.rmtree(beside)
