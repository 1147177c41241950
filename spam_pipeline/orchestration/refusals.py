"""Refusals in a Dagster instance: quarantined versions appear there as failed partitions and checks, wherever they were refused.

Level-triggered, like all reporting: the quarantine is compared with what was reported of it to the instance. What is newly refused
is reported in a run of its own, which fails, because the instance shows a partition as failed only by a run that did. Once a partition
has left the quarantine, and nothing new was published in its place, the failure is taken back. `events` reports publications.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import dagster as dg

from spam_pipeline.orchestration.asset_keys import UNPREFIXED, AssetKeys
from spam_pipeline.orchestration.evaluations import beside_latest, evaluations, refusal_metadata
from spam_pipeline.orchestration.events import EventReporter
from spam_pipeline.orchestration.grids import key_in_dagster
from spam_pipeline.orchestration.instance import only_one_at
from spam_pipeline.orchestration.reported_run import ReportedRun
from spam_pipeline.protocol import digest
from spam_pipeline.protocol.operating import Expected, Ledger, Quarantine

Partition = tuple[str, str]
"""A stage and one of its partitions."""

REFUSED = "refused"
"""The job of the runs that report refusals."""


class _Reported(NamedTuple):
    """A reported refusal: its mark, and the publication that was current then, 0 for none."""

    mark: str
    publication: int


class Refusals:
    """The refusals in one environment of a ledger that were reported to one instance."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        ledger: Ledger,
        environment: str,
        expected: Expected,
        keys: AssetKeys = UNPREFIXED,
    ) -> None:
        self._instance = instance
        self._ledger = ledger
        self._environment = environment
        self._expected = expected
        self._keys = keys
        self._key = f"spam_pipeline/refused/{digest((ledger.identity, environment, *keys.prefix))}"

    def report(self, quarantine: Quarantine, reporter: EventReporter, limit: int) -> int:
        """Report what is newly refused, and by `reporter` what is refused no more, `limit` partitions at most; return how many."""
        with only_one_at(Path(self._instance.root_directory)):
            reported = self._all()
            over = [place for place in reported if place not in quarantine]
            news = [
                place
                for place, item in quarantine.items()
                if place not in reported or reported[place].mark != item.mark
            ]
            for place in over[:limit]:
                if reported.pop(place).publication == self._publication(place):
                    reporter.take_failure_back(*place)
            refused = news[: max(0, limit - len(over))]
            self._show({place: quarantine[place].recipe for place in refused})
            for place in refused:
                reported[place] = _Reported(quarantine[place].mark, self._publication(place))
            if over or news:
                self._keep(reported)
        return min(limit, len(over) + len(news))

    def _show(self, refused: Mapping[Partition, str]) -> None:
        """Show versions as refused, in a run that fails with their names."""
        description = "Shows here what was refused and quarantined: consumers keep what they had."
        tags = {"spam_pipeline/environment": self._environment}
        with ReportedRun(self._instance, REFUSED, description, tags) as run:
            for (stage, partition), recipe in refused.items():
                self._show_one(run, self._keys.key(stage), key_in_dagster(partition), recipe)
            if refused:
                names = ", ".join(f"{stage} {partition}" for stage, partition in refused)
                run.fail(f"refused and quarantined, so that consumers keep what they had: {names}")

    def _show_one(self, run: ReportedRun, key: dg.AssetKey, partition: str | None, recipe: str) -> None:
        found = self._ledger.version(recipe, self._environment)
        if found is None:
            return
        run.planned(key, partition)
        run.observed(
            dg.AssetObservation(key, partition=partition, metadata=refusal_metadata(*found, self._environment))
        )
        shown = evaluations(self._expected, *found, self._keys, self._environment)
        for evaluation in beside_latest(self._instance, shown):
            run.checked(evaluation)

    def _publication(self, place: Partition) -> int:
        found = self._ledger.publication(self._environment, *place)
        return found[0].id if found else 0

    def _all(self) -> dict[Partition, _Reported]:
        kept = self._instance.run_storage.get_cursor_values({self._key}).get(self._key, "[]")
        return {(stage, partition): _Reported(*reported) for stage, partition, *reported in json.loads(kept)}

    def _keep(self, reported: dict[Partition, _Reported]) -> None:
        listed = [(*place, *what) for place, what in sorted(reported.items())]
        self._instance.run_storage.set_cursor_values({self._key: json.dumps(listed)})
