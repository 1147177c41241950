"""Reporting publications to a Dagster instance from a process of its own, while another process publishes them.

The process reads an assignment from standard input and goes on until that input ends: when its starter has finished, or has died.
Reporting takes Dagster longer per version than publishing takes the ledger, which is why it is done beside the stages and not
between them.
"""

import sys
import threading
from queue import Empty, SimpleQueue

import dagster as dg

from spam_pipeline.orchestration.asset_keys import AssetKeys
from spam_pipeline.orchestration.automation import CONVERGENCE
from spam_pipeline.orchestration.convergence import convergence_metadata
from spam_pipeline.orchestration.events import EventReporter
from spam_pipeline.orchestration.instance import open_instance, require_instance_of
from spam_pipeline.orchestration.kept_connections import kept_connections
from spam_pipeline.orchestration.refusals import Refusals
from spam_pipeline.protocol.operating import Ledger
from spam_pipeline.reporter_messages import Ending, read_assignment, read_ending

_POLL_SECONDS = 0.5

_MOST_REFUSALS = 100
"""More than anybody reads; the daemon's sensor reports the others."""


def report_from_standard_input() -> None:
    """Report until standard input ends, then once more about what was published last, and about what is quarantined."""
    assignment = read_assignment(sys.stdin.readline())
    ending: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=lambda: ending.put(sys.stdin.read()), daemon=True).start()
    ledger = Ledger(assignment.ledger)
    with open_instance(assignment.dagster_home) as instance, kept_connections(instance):
        require_instance_of(instance, assignment.environment)
        keys = AssetKeys(assignment.asset_prefix)
        whom = (instance, ledger, assignment.environment, assignment.expected, keys)
        with EventReporter(*whom) as reporter:
            last = _report_until_the_end(reporter, ending)
            if last:
                _report_ending(read_ending(last), reporter, Refusals(*whom), keys)
            else:
                reporter.own_run.fail("the convergence ended before it was done; what it published is published")
    ledger.close()


def _report_until_the_end(reporter: EventReporter, ending: "SimpleQueue[str]") -> str:
    """Report what is published until `ending` has something, and once more then; return that."""
    while True:
        try:
            last = ending.get(timeout=_POLL_SECONDS)
        except Empty:
            reporter.report()
        else:
            reporter.report()
            return last


def _report_ending(ending: Ending, reporter: EventReporter, refusals: Refusals, keys: AssetKeys) -> None:
    quarantined = {(stage, key): item for stage, by_key in ending.quarantined.items() for key, item in by_key.items()}
    refusals.report(quarantined, reporter, _MOST_REFUSALS)
    reporter.own_run.materialized(
        dg.AssetMaterialization(keys.key(CONVERGENCE), metadata=convergence_metadata(ending.done))
    )
    reporter.report_state(ending.outlooks, ending.waiting)
