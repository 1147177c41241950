"""The exit status of a command that failed: which errors are expected, and which of them are wrong usage."""

import duckdb
import sqlalchemy as sa

from spam_pipeline.command_line.terminal import FAILED, WRONG_USAGE
from spam_pipeline.protocol import PipelineError, WrongPartition
from spam_pipeline.protocol.operating import UnknownEnvironment, UnknownStage

_MISTYPED = UnknownEnvironment, UnknownStage, WrongPartition
_EXPECTED = PipelineError, OSError, ValueError, duckdb.Error, sa.exc.SQLAlchemyError


def status_of(error: Exception) -> int | None:
    """The exit status of an expected failure, of which one message is all there is to say; None for a defect."""
    if isinstance(error, _MISTYPED):
        return WRONG_USAGE
    return FAILED if isinstance(error, _EXPECTED) else None
