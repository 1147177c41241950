"""How far long work has come, reported to whoever shows it."""

from typing import Protocol


class OnProgress(Protocol):
    """Called with what is being done, and how much of how much is done by now; an empty text is what it was before."""

    def __call__(self, text: str, done: float = 0, total: float = 0, /) -> None:
        """Show it."""


def no_progress(_text: str, _done: float = 0, _total: float = 0) -> None:
    """Show nothing."""
