"""Failures that a Dagster instance shows although the ledger has nothing to say of them any more.

A partition that failed keeps what it had published. If the edit that broke it is taken back, it is fresh again without a new
publication, so nothing would be told and the instance would show it red for ever. What was reported as failed is therefore
remembered in the instance, and told again as published once it is fresh.
"""

import json
from collections.abc import Iterable

import dagster as dg

from spam_pipeline.protocol.digest import digest
from spam_pipeline.protocol.staleness import Needs, State

Partition = tuple[str, str]
"""A stage and one of its partitions."""


class ReportedFailures:
    """The partitions that one instance was told have failed, in one environment of the ledger at `place`."""

    def __init__(self, instance: dg.DagsterInstance, environment: str, place: str) -> None:
        self._storage = instance.run_storage
        self._key = f"spam_pipeline/failed/{digest((place, environment))}"

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._all())

    def add(self, failed: Iterable[Partition]) -> None:
        """Remember what was reported."""
        self._keep({*self._all(), *failed})

    def take_recovered(self, needs: Needs) -> list[Partition]:
        """Forget those that are fresh now, and return them."""
        recovered = [
            (stage, partition)
            for stage, partition in sorted(self._all())
            if stage in needs and partition in needs[stage] and needs[stage][partition].state is State.FRESH
        ]
        if recovered:
            self._keep(self._all() - set(recovered))
        return recovered

    def _all(self) -> set[Partition]:
        kept = self._storage.get_cursor_values({self._key}).get(self._key, "[]")
        return {(stage, partition) for stage, partition in json.loads(kept)}

    def _keep(self, failed: set[Partition]) -> None:
        self._storage.set_cursor_values({self._key: json.dumps(sorted(failed))})
