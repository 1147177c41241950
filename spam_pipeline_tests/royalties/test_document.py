"""The document of an issued statement: where it lies, and what is none."""

import hashlib
import io
from datetime import UTC, datetime
from uuid import uuid4

import polars as pl
import pytest

from spam_pipeline.operations.issued_documents import documents_of, land, landed_document
from spam_pipeline.protocol import LandedFile
from spam_pipeline.protocol.operating import LandingZone
from spam_pipeline.royalties.contracts import IssuedBasis, IssuedPayments, IssuedStatements
from spam_pipeline.royalties.document import (
    FORMAT,
    VERSION_TYPES,
    Document,
    WrongDocument,
    basis_in,
    classify,
    issued_documents,
    lines_in,
    payments_in,
    versions_in,
)

DIGEST = "0123456789abcdef" * 4
NOTHING = Document(
    month="2026-01",
    issued_by="Ada",
    issued_at=datetime(2026, 2, 5, 9, 30, tzinfo=UTC),
    versions=pl.DataFrame([("plays", "2026-01-01", "r", "c", "v")], schema=VERSION_TYPES, orient="row"),
    lines=IssuedStatements.empty().drop("issued_in", "issued_by", "issued_at"),
    payments=IssuedPayments.empty().collect(),
    basis=IssuedBasis.empty().drop("issued_in"),
)


def some_zone() -> LandingZone:
    return LandingZone(f"memory://{uuid4().hex}/landing")


def nothing_landed() -> tuple[str, bytes]:
    """The path and the bytes of a document without a line."""
    zone = some_zone()
    path = land(NOTHING, zone)
    return path, zone.open(path).read()


def landed_as(path: str, content: bytes, month: str = "2026-01") -> LandedFile:
    zone = some_zone()
    zone.add(path, io.BytesIO(content))
    return landed_document(zone, month, path)


def test_a_document_belongs_to_the_month_of_its_folder() -> None:
    assert classify(f"issued/2026-01/{DIGEST}.parquet") == (issued_documents, "2026-01")


@pytest.mark.parametrize(
    "path",
    [
        f"issued/2026-13/{DIGEST}.parquet",
        f"issued/2026-1/{DIGEST}.parquet",
        f"issued/2026-01/.{DIGEST}.parquet",
        f"issued/2026-01/{DIGEST[1:]}.parquet",
        f"issued/2026-01/{DIGEST}.csv",
        f"issued/2026-01/more/{DIGEST}.parquet",
        f"issued/{DIGEST}.parquet",
        f"elsewhere/issued/2026-01/{DIGEST}.parquet",
        "plays/2026-01-01/00/a.jsonl",
    ],
)
def test_any_other_path_is_no_document(path: str) -> None:
    assert classify(path) is None


def test_the_same_is_written_as_the_same_bytes_under_the_name_of_their_digest() -> None:
    path, content = nothing_landed()
    assert nothing_landed() == (path, content)
    assert classify(path) == (issued_documents, "2026-01")
    assert versions_in(landed_as(path, content)).rows() == [("plays", "2026-01-01", "r", "c", "v")]


def test_only_documents_count_as_what_was_issued() -> None:
    zone = some_zone()
    assert documents_of(zone, "2026-01") == []
    zone.add("issued/2026-01/notes.txt", io.BytesIO(b"to do"))
    path = land(NOTHING, zone)
    assert documents_of(zone, "2026-01") == [path]
    with pytest.raises(FileExistsError):
        land(NOTHING, zone)


def test_a_document_without_a_line_is_read_as_nothing() -> None:
    file = landed_as(*nothing_landed())
    assert list(lines_in(file)) == []
    assert list(basis_in(file)) == []
    ((_, rows),) = payments_in(file)
    assert rows.is_empty()


def test_bytes_that_are_not_those_of_the_name_are_refused() -> None:
    path, content = nothing_landed()
    with pytest.raises(WrongDocument, match="is not what was issued"):
        list(lines_in(landed_as(path, content + b" ")))


def test_a_document_of_another_month_or_format_is_refused() -> None:
    _, content = nothing_landed()
    other = io.BytesIO()
    pl.read_parquet(content).with_columns(format=pl.lit(FORMAT + 1, pl.Int64)).write_parquet(other)
    for bytes_, month in ((content, "2026-02"), (other.getvalue(), "2026-01")):
        path = f"issued/{month}/{hashlib.sha256(bytes_).hexdigest()}.parquet"
        with pytest.raises(WrongDocument, match="expected 1"):
            list(lines_in(landed_as(path, bytes_, month)))
