"""A process that reports publications to a Dagster instance while another process makes them.

It reads one line of JSON from standard input (the ledger's URL, the environment, the instance's home, and consumers'
expectations) and goes on until that input ends: when its starter has finished, or has died. A line before that end lists the
quarantine. Dagster takes about 30 ms to store a version in SQLite, twice what the engine needs around a partition, so
reporting is done beside the stages and not between them.
"""

import json
import sys
import threading
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from queue import Empty, SimpleQueue

from spam_pipeline.orchestration.evaluations import Expected
from spam_pipeline.orchestration.events import EventReporter
from spam_pipeline.orchestration.instance import open_instance
from spam_pipeline.orchestration.refusals import Refusals
from spam_pipeline.protocol import Limit
from spam_pipeline.protocol.operating import Ledger, Quarantine, Quarantined

_LOOK_SECONDS = 0.5

_MOST_REFUSALS = 100
"""More than anybody reads; the daemon's sensor reports the others."""


def main() -> None:
    """Report until standard input ends, then the last publications and the quarantine."""
    what = json.loads(sys.stdin.readline())
    ending: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=lambda: ending.put(sys.stdin.read()), daemon=True).start()
    ledger = Ledger(what["ledger"])
    with open_instance(Path(what["dagster_home"])) as instance:
        whom = (instance, ledger, what["environment"], _expected(what["expected"]))
        reporter = EventReporter(*whom)
        last = _report_until_the_end(reporter, ending)
        if last:
            Refusals(*whom).report(_quarantine(json.loads(last)), reporter.report_checks, _MOST_REFUSALS)
        reporter.close()
    ledger.close()


def _report_until_the_end(reporter: EventReporter, ending: "SimpleQueue[str]") -> str:
    """Report publications until `ending` has something, and once more then; return that."""
    while True:
        try:
            last = ending.get(timeout=_LOOK_SECONDS)
        except Empty:
            reporter.report()
        else:
            reporter.report()
            return last


def _quarantine(listed: Iterable[tuple[str, str, str, str]]) -> Quarantine:
    """The quarantine, from a listing by stage and partition."""
    return {(stage, partition): Quarantined(*what) for stage, partition, *what in listed}


def _expected(listed: Iterable[tuple[str, str, list[tuple[str, float | None, float | None]]]]) -> Expected:
    """Expectations, from a listing by upstream stage and consumer."""
    found: dict[str, dict[str, tuple[Limit, ...]]] = defaultdict(dict)
    for upstream, consumer, limits in listed:
        found[upstream][consumer] = tuple(Limit(*limit) for limit in limits)
    return found


if __name__ == "__main__":
    main()
