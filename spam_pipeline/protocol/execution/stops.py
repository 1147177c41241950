"""Stops: what failed as a whole and not in one partition, such as a landing zone that is gone or a store without room.

The ledger has each until what stopped has ended well again, so that every process knows what people should be notified of, once. Where the
ledger itself is what failed, nothing is remembered, and the error is all there is.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import NamedTuple

from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.foundation.errors import Claimed, PipelineError
from spam_pipeline.protocol.ledger.notice_log import Subject

OBSERVING, CONVERGING = "observing the landing zone", "the convergence"
"""What can stop."""

_STOPPED = "stopped"


class Stop(NamedTuple):
    """What has stopped, by the class of which error, and since when."""

    what: str
    error: str
    since: datetime


@contextmanager
def noting_stop(engine: Engine, what: str) -> Iterator[None]:
    """Note that something has stopped when the block raises, and that this is over when it does not.

    Work that another process has claimed has not stopped.
    """
    subject = Subject(_STOPPED, what)
    try:
        yield
    except Claimed:
        raise
    except Exception as error:
        with suppress(PipelineError):
            engine.ledger.notices.record(engine.environment, [(subject, type(error).__name__)], [])
        raise
    if subject in engine.ledger.notices.open(engine.environment):
        engine.ledger.notices.record(engine.environment, [], [subject])


def stops(engine: Engine) -> list[Stop]:
    """What has stopped and is not over, in the order in which it did."""
    noted = engine.ledger.notices.open(engine.environment).values()
    return [Stop(item.subject.about, item.mark, item.begun_at) for item in noted if item.subject.kind == _STOPPED]
