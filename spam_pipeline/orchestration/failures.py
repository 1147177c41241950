"""Failures that a Dagster instance still shows although the ledger has none any more.

A partition that failed keeps what it had published. If the edit that broke it is taken back, it is fresh again without a new
publication, so nothing would be reported and the instance would show it red for ever. Failures are therefore remembered in the
instance, and taken back once they are fresh.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import dagster as dg

from spam_pipeline.orchestration.instance import only_one_at
from spam_pipeline.protocol import digest
from spam_pipeline.protocol.operating import Ledger, PartitionStatuses, State

Partition = tuple[str, str]
"""A stage and one of its partitions."""


class ReportedFailures:
    """The partitions of one environment that were reported as failed to one instance, with their publications at that time."""

    def __init__(self, instance: dg.DagsterInstance, ledger: Ledger, environment: str) -> None:
        self._instance = instance
        self._ledger = ledger
        self._environment = environment
        self._key = f"spam_pipeline/failed/{digest((ledger.identity, environment))}"

    def is_empty(self) -> bool:
        """Return True if there are none."""
        return not self._all()

    def add(self, failed: Iterable[Partition]) -> None:
        """Remember what was reported."""
        with only_one_at(Path(self._instance.root_directory)):
            self._keep({**self._all(), **{partition: self._published(partition) for partition in failed}})

    def take_recovered(self, statuses: PartitionStatuses) -> list[Partition]:
        """Forget those that are fresh or wanted no more; return those that are fresh without having been published again."""
        with only_one_at(Path(self._instance.root_directory)):
            known = self._all()
            states = {(stage, partition): statuses.get(stage, {}).get(partition) for stage, partition in known}
            self._keep(
                {key: known[key] for key, status in states.items() if status and status.state is not State.FRESH}
            )
        fresh = [key for key, status in states.items() if status and status.state is State.FRESH]
        return [key for key in fresh if self._published(key) == known[key]]

    def _published(self, partition: Partition) -> int:
        """The id of the current publication; 0 for none."""
        found = self._ledger.publication(self._environment, *partition)
        return found[0].id if found else 0

    def _all(self) -> dict[Partition, int]:
        kept = self._instance.run_storage.get_cursor_values({self._key}).get(self._key, "[]")
        return {(stage, partition): publication for stage, partition, publication in json.loads(kept)}

    def _keep(self, failed: dict[Partition, int]) -> None:
        listed = [(*partition, publication) for partition, publication in sorted(failed.items())]
        self._instance.run_storage.set_cursor_values({self._key: json.dumps(listed)})
