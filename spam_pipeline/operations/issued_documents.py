"""Documents of issued statements in the landing zone: listing, landing and opening them. Their contents are defined in `royalties.document`."""

import hashlib
import tempfile
from pathlib import Path

from spam_pipeline.protocol import LandedFile
from spam_pipeline.protocol.operating import LandingZone
from spam_pipeline.royalties.document import ROW_GROUP_ROWS, Document, classify, folder_of, issued_documents, records_of


def documents_of(landing: LandingZone, month: str) -> list[str]:
    """The POSIX paths of a month's documents, relative to the landing zone; an issued month has one."""
    paths = [f"{folder_of(month)}/{name}" for name in landing.names_in(folder_of(month))]
    return [path for path in paths if classify(path)]


def landed_document(landing: LandingZone, month: str, path: str) -> LandedFile:
    """A document as a landed file. Raises `FileNotFoundError`."""
    digest, state = landing.digest(path), landing.state(path)
    if state is None:
        raise FileNotFoundError(path)
    return LandedFile(issued_documents.name, month, path, digest, state.size, landing)


def land(document: Document, landing: LandingZone) -> str:
    """Land a document, in bounded memory, and return its path. Raises `FileExistsError`."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "document.parquet"
        records_of(document).sink_parquet(file, compression="zstd", row_group_size=ROW_GROUP_ROWS)
        with file.open("rb") as content:
            name = hashlib.file_digest(content, "sha256").hexdigest()
            path = f"{folder_of(document.month)}/{name}.parquet"
            content.seek(0)
            landing.add(path, content)
    return path
