"""The files of a month: a statement for each payee, and the report for the industry, written together or not at all.

An issued month is written as it was issued; any other one as it is published now. The usage is that from which the statement
was made, not what is published beside it. What is in the files is in `payee_files` and `ddex`.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import polars as pl

from spam_pipeline.partitions import statement_months
from spam_pipeline.protocol.digest import digest
from spam_pipeline.protocol.errors import NotPublished, PipelineError
from spam_pipeline.protocol.partition import WHOLE
from spam_pipeline.protocol.records import Version
from spam_pipeline.protocol.runner import Runner
from spam_pipeline.royalties.contracts import AGREED, RoyaltyAdjustments, RoyaltyStatements
from spam_pipeline.royalties.ddex import Heard, Message, Sender, write_report
from spam_pipeline.royalties.payee_files import (
    LINE_COLUMNS,
    in_batches,
    lines_not_issued,
    payee_rows,
    write_payee_files,
)

STATEMENTS, ADJUSTMENTS, ISSUED = "royalty_statements", "royalty_adjustments", "issued_statements"


class FilesExist(PipelineError):
    """Files of the month lie there already; what may have been sent is never replaced."""


class StatementFiles(NamedTuple):
    """What was written: where, of which statement, for how many payees, and the report with how many tracks."""

    folder: str
    statement: str
    payees: int
    report: str
    tracks: int


class _Statement(NamedTuple):
    """A month's statement: its lines for payees, the version that they are true to, and since when that is so."""

    lines: pl.LazyFrame
    version: Version
    created_at: datetime
    is_issued: bool


def write_statement_files(
    runner: Runner, month: str, folder: Path, sender: Sender, tell: Callable[[str], None]
) -> StatementFiles:
    """Write the files of a month into `folder / month`, and return what they are.

    Raises `FilesExist`, `WrongPartition`, and `NotPublished` when there is no statement, or the one that was issued was made
    on another ledger.
    """
    statement_months.check(month)
    found = _statement(runner, month)
    payments = runner.reader.read("royalty_payments", [month])
    message, heard = _report(runner, month, found, sender)
    with _appearing(folder / month) as building:
        tell(f"writing the statements of {month} for payees")
        payees = write_payee_files(building, in_batches(payee_rows(month, found.lines, payments)))
        tell(f"writing the usage of {month} as {message.file_name}")
        written = write_report(building / message.file_name, message, heard)
    statement = "as issued" if found.is_issued else "not issued yet"
    return StatementFiles(str(folder / month), statement, payees, message.file_name, written.blocks)


def _statement(runner: Runner, month: str) -> _Statement:
    issued = _published(runner, ISSUED)
    if month not in issued:
        version = runner.reader.version(STATEMENTS, month)
        statement = runner.reader.scan(version.parts, RoyaltyStatements)
        lines = lines_not_issued(statement, _settled(runner, month, issued))
        return _Statement(lines, version, version.computed_at, is_issued=False)
    lines = runner.reader.read(ISSUED, [month]).filter(pl.col("rule") == AGREED)
    own = lines.filter(pl.col("month") == month).select("statement", "issued_at").head(1).collect()
    version = _version(runner, month, own["statement"][0])
    return _Statement(lines.select(LINE_COLUMNS), version, own["issued_at"][0], is_issued=True)


def _settled(runner: Runner, month: str, issued: set[str]) -> pl.LazyFrame:
    """The adjustments that a month settles: those of all issued months before it, if it is the first that is not issued."""
    is_first = month == min(_published(runner, STATEMENTS) - issued, default=None)
    settled = sorted(key for key in _published(runner, ADJUSTMENTS) & issued if key < month) if is_first else []
    return runner.reader.read(ADJUSTMENTS, settled) if settled else RoyaltyAdjustments.empty()


def _version(runner: Runner, month: str, content: str) -> Version:
    """The version of a month's statement that has this content. Raises `NotPublished` when this ledger never had it."""
    versions = [version for version, _ in runner.ledger.versions(STATEMENTS, month, runner.environment)]
    found = next((version for version in reversed(versions) if version.content == content), None)
    if found is None:
        raise NotPublished(
            f"{month} was issued as {content[:16]}, of which this ledger has no version: write its files where it was issued"
        )
    return found


def _report(runner: Runner, month: str, found: _Statement, sender: Sender) -> tuple[Message, Heard]:
    """What the report is made of, and an id that tells apart whatever is made of something else."""
    inputs, tracks = found.version.inputs, runner.reader.version("tracks", WHOLE)
    made_of = sorted((item.upstream, item.partition, item.part, item.content) for item in inputs)
    made_of_all = digest([made_of, found.version.content, tracks.content, sender])

    def read(stage: str) -> pl.LazyFrame:
        frame: pl.LazyFrame = runner.reader.load(stage, None, [item for item in inputs if item.upstream == stage])
        return frame

    heard = Heard(
        usage=read("royalty_usage"),
        statement=runner.reader.scan(found.version.parts, RoyaltyStatements),
        revenue=read("revenue"),
        accounts=read("accounts"),
        tracks=runner.reader.read("tracks", [WHOLE]),
    )
    return Message(month, f"{month}-{made_of_all[:32]}", found.created_at, sender), heard


def _published(runner: Runner, stage: str) -> set[str]:
    """The months of a stage that are published with at least one row."""
    published = runner.ledger.published(runner.environment, [stage]).get(stage, {})
    return {key for key, found in published.items() if any(part.rows for part in found.parts)}


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
