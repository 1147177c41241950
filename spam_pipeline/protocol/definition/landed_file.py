"""A landed file: one observed item of a source, as a stage receives it."""

from dataclasses import dataclass
from typing import BinaryIO, Protocol

from spam_pipeline.protocol.foundation.errors import LandingChanged


class State(Protocol):
    """The present state of a file."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def marker(self) -> str:
        """A text that changes when the file is replaced."""


class Zone(Protocol):
    """The part of a landing zone that a landed file uses."""

    def open(self, path: str) -> BinaryIO:
        """Open the bytes of a path. Raises `FileNotFoundError`."""

    def state(self, path: str) -> State | None:
        """The file at a path; None when there is none."""


@dataclass(frozen=True)
class LandedFile:
    """A file of the landing zone, named by its path below the zone's root and by the digest of its bytes when observed.

    `size` (bytes) and `marker` are those of that moment and show whether it was replaced since.
    """

    source: str
    partition: str
    path: str
    digest: str
    size: int
    marker: str
    zone: Zone

    def open(self) -> BinaryIO:
        """Open the raw bytes as a stream. Raises `LandingChanged` when they are not the ones that were observed."""
        self.check()
        try:
            return self.zone.open(self.path)
        except FileNotFoundError as gone:
            raise LandingChanged(f"{self.path} was observed, but is gone") from gone

    def check(self) -> None:
        """Raise `LandingChanged` unless the file is still as observed. Called after reading, it vouches for what was read."""
        state = self.zone.state(self.path)
        if state is None:
            raise LandingChanged(f"{self.path} was observed, but is gone")
        if (state.size, state.marker) != (self.size, self.marker):
            raise LandingChanged(f"{self.path} was replaced since it was observed; observe again")
