"""Converge the toy pipeline at argv[1] and die, without a chance to tidy up, at the argv[2]-th effect on disk or ledger.

An effect is a file put into the store or a transaction of the ledger; each counts twice, just before and just after.
"""

import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from spam_pipeline.protocol.execution.convergence import converge
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.observation_log import ObservationLog
from spam_pipeline.protocol.storage.store import Store
from spam_pipeline_tests.protocol.toy_pipeline import toy_engine

effects = count(1)


def die_when_due() -> None:
    if next(effects) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)


def dying(effect: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        die_when_due()
        result = effect(*args, **kwargs)
        die_when_due()
        return result

    return wrapped


for owner, names in ((Store, ["put"]), (Ledger, ["record", "publish"]), (ObservationLog, ["record", "record_shard"])):
    for name in names:
        setattr(owner, name, dying(getattr(owner, name)))

engine = toy_engine(Path(sys.argv[1]))
engine.observe()
converge(engine)
