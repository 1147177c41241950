"""A landed file: one observed item of a source, as a stage receives it."""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from spam_pipeline.protocol.errors import LandingChanged


@dataclass(frozen=True)
class LandedFile:
    """A file of the landing zone, named by its path below the zone's root and by the digest of its bytes when observed.

    `modified` is the file's change marker at that moment (nanoseconds), which tells whether it was replaced since.
    """

    source: str
    partition: str
    path: str
    digest: str
    size: int
    modified: int
    root: Path

    def open(self) -> BinaryIO:
        """Open the raw bytes. Raises `LandingChanged` when they are not the ones that were observed."""
        location = self.root / self.path
        try:
            state = location.stat()
        except FileNotFoundError as gone:
            raise LandingChanged(f"{self.path} was observed, but is gone") from gone
        if (state.st_size, state.st_mtime_ns) != (self.size, self.modified):
            raise LandingChanged(f"{self.path} was replaced since it was observed; observe again")
        return location.open("rb")
