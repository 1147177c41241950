"""Outcomes of running a partition: records without behaviour, and an error in one line."""

from dataclasses import dataclass
from enum import Enum

from spam_pipeline.protocol.ledger.records import Audit, Publication, Verdict, Version

_LONGEST_ERROR = 500
"""Characters of an error that the ledger keeps."""


@dataclass(frozen=True)
class Failure:
    """A partition whose stage raised an error."""

    stage: str
    partition: str
    error: str


class ActionTaken(Enum):
    """The action taken for a partition."""

    COMPUTED = "computed"
    REUSED = "reused"
    AUDITED = "audited"
    DELIVERED = "delivered"
    RETRACTED = "retracted"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Outcome:
    """The outcome of running a partition; `publication` is None when nothing new was published."""

    action: ActionTaken
    version: Version
    audit: Audit
    publication: Publication | None

    @property
    def refused(self) -> bool:
        """Return True if the version is quarantined."""
        return self.audit.verdict is Verdict.REFUSED


def format_error(error: Exception) -> str:
    r"""Format an error in one line.

    >>> format_error(ValueError("the first line\nthe second"))
    'ValueError: the first line'
    """
    return f"{type(error).__name__}: {error}".splitlines()[0][:_LONGEST_ERROR]
