"""Refusals in a Dagster instance: quarantined versions appear there as failed checks, wherever they were refused.

Level-triggered, like all reporting: the quarantine is compared with what was reported of it to the instance. Once a partition
has left it, and nothing new was published in its place, the checks show again what readers have. `events` reports
publications, with checks of their own.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import dagster as dg

from spam_pipeline.orchestration.asset_keys import UNPREFIXED, AssetKeys
from spam_pipeline.orchestration.evaluations import evaluations
from spam_pipeline.orchestration.instance import only_one_at
from spam_pipeline.protocol import digest
from spam_pipeline.protocol.operating import Expected, Ledger, Quarantine, Quarantined

Partition = tuple[str, str]
"""A stage and one of its partitions."""

ReportChecks = Callable[[list[dg.AssetCheckEvaluation]], None]
"""Reports the outcome of checks of one partition."""


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

    def report(self, quarantine: Quarantine, report_checks: ReportChecks, limit: int) -> int:
        """Report what is newly refused, and what is refused no more, `limit` partitions at most; return how many."""
        with only_one_at(Path(self._instance.root_directory)):
            reported = self._all()
            over = [place for place in reported if place not in quarantine]
            news = [
                place
                for place, item in quarantine.items()
                if place not in reported or reported[place].mark != item.mark
            ]
            for place in [*over, *news][:limit]:
                before = reported.pop(place, None)
                found = self._evaluations(place, quarantine.get(place), before)
                if found:
                    report_checks(found)
                if place in quarantine:
                    reported[place] = _Reported(quarantine[place].mark, self._publication(place))
            if over or news:
                self._keep(reported)
        return min(limit, len(over) + len(news))

    def _evaluations(
        self, place: Partition, refused: Quarantined | None, before: _Reported | None
    ) -> list[dg.AssetCheckEvaluation]:
        """The evaluations of a partition to report now; none where a publication has brought them since."""
        found = None
        if refused:
            found = self._ledger.version(refused.recipe, self._environment)
        elif before and before.publication == self._publication(place):
            published = self._ledger.publication(self._environment, *place)
            found = published[1] if published else None
        return evaluations(self._expected, *found, self._keys) if found else []

    def _publication(self, place: Partition) -> int:
        found = self._ledger.publication(self._environment, *place)
        return found[0].id if found else 0

    def _all(self) -> dict[Partition, _Reported]:
        kept = self._instance.run_storage.get_cursor_values({self._key}).get(self._key, "[]")
        return {(stage, partition): _Reported(*reported) for stage, partition, *reported in json.loads(kept)}

    def _keep(self, reported: dict[Partition, _Reported]) -> None:
        listed = [(*place, *what) for place, what in sorted(reported.items())]
        self._instance.run_storage.set_cursor_values({self._key: json.dumps(listed)})
