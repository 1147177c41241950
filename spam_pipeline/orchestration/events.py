"""Publications as Dagster events, wherever they were made.

The ledger is the truth; an instance keeps the last publication that was reported to it, so a new instance gets all of them.
Publications of a run of this instance are reported in that run, the others in a run of the reporter's own: a check without a
run collides with an earlier one of the same partition in Dagster's tables, and a check belongs to the latest materialization
only when both are of one run.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import dagster as dg

from spam_pipeline.orchestration.asset_keys import UNPREFIXED, AssetKeys
from spam_pipeline.orchestration.automation import CONVERGENCE
from spam_pipeline.orchestration.evaluations import beside_latest, evaluations
from spam_pipeline.orchestration.grids import key_in_dagster
from spam_pipeline.orchestration.instance import only_one_at
from spam_pipeline.orchestration.kept_connections import kept_connections
from spam_pipeline.orchestration.metadata import trigger_metadata, version_metadata, version_tags
from spam_pipeline.orchestration.reported_run import ReportedRun
from spam_pipeline.orchestration.staleness_check import evaluation
from spam_pipeline.orchestration.waiting_for_decision import waiting_materialization
from spam_pipeline.protocol import Version, digest
from spam_pipeline.protocol.operating import Audit, Expected, Ledger, Outlook, Publication, Waiting

ELSEWHERE = "done_elsewhere"
"""The job of the runs that report what no run of this instance has done."""

_EVENTS_AFTER = 20
"""Materializations of a partition after its publication, among which is that of its own run."""

_OWN_EVENT_SECONDS = 60
"""Time that a run has to report its own publication, before the reporter does."""


class EventReporter:
    """Reports publications of one environment of a ledger to one Dagster instance; `expected` has consumers' expectations."""

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
        self._convergence = frozenset({keys.key(CONVERGENCE)})
        self._cursor = f"spam_pipeline/{digest((ledger.identity, environment, *keys.prefix))}"
        description = "Shows here what another process did, such as spam-pipeline converge."
        self.own_run = ReportedRun(instance, ELSEWHERE, description, {"spam_pipeline/environment": environment})

    def __enter__(self) -> Self:
        """Let the reporter's own run end with the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """End it."""
        self.own_run.__exit__(kind, *rest)

    def report(self, limit: int | None = None) -> int:
        """Report what the instance does not have yet, `limit` publications at most; return how many."""
        reported, last = 0, 0
        runs: dict[str | None, dg.DagsterRun | None] = {None: None}
        with only_one_at(Path(self._instance.root_directory)), kept_connections(self._instance):
            for item in self._ledger.publications_after(self._position(), self._environment, limit):
                run_id = item[0].trigger.run or None
                if run_id and run_id not in runs:
                    runs[run_id] = self._instance.get_run_by_id(run_id)
                run = runs[run_id]
                has_reported = run is not None and self._has_reported(run, item[0])
                if run and not has_reported and self._is_about_to_report(run, item[0]):
                    break
                if not has_reported:
                    self._report_publication(run, *item)
                    reported += 1
                last = item[0].id
            if last:
                self._instance.run_storage.set_cursor_values({self._cursor: str(last)})
        return reported

    def take_failure_back(self, stage: str, partition: str) -> None:
        """Show a partition as what readers have of it, after it was shown as failed and nothing new was published.

        Another materialization would start whatever other teams start with one. The instance calls a partition failed by the last run that
        was to materialize it, and keeps that in a cache which only a materialization empties: so it gets a later run, and an empty cache.
        """
        key = self._keys.key(stage)
        self.own_run.planned(key, key_in_dagster(partition))
        self._instance.wipe_asset_cached_status([key])
        found = self._ledger.publication(self._environment, stage, partition)
        if found and found[1]:
            self._checks(None, evaluations(self._expected, *found[1], self._keys, self._environment))

    def report_checks(self, found: Sequence[dg.AssetCheckEvaluation]) -> None:
        """Report the outcome of checks of one partition."""
        self._checks(None, found)

    def report_state(self, outlooks: Mapping[str, Outlook], waiting: Sequence[Waiting]) -> None:
        """Report which partitions of stages are not fresh, by stage, and what waits for somebody."""
        for stage, found in outlooks.items():
            self.own_run.checked(evaluation(found, stage, self._keys))
        self.own_run.materialized(waiting_materialization(waiting, self._keys))

    def _position(self) -> int:
        return int(self._instance.run_storage.get_cursor_values({self._cursor}).get(self._cursor, "0"))

    def _has_reported(self, run: dg.DagsterRun, publication: Publication) -> bool:
        """Return True if a run of stages has reported its publication; a convergence leaves that to its reporter."""
        if run.asset_selection == self._convergence:
            return False
        partition = key_in_dagster(publication.partition)
        # Not all events of the run: a run over a range has thousands, and this is asked for each publication.
        asked = dg.AssetRecordsFilter(
            self._keys.key(publication.stage),
            asset_partitions=None if partition is None else [partition],
            after_timestamp=publication.published_at.timestamp() - 1,
        )
        records = self._instance.fetch_materializations(asked, _EVENTS_AFTER, ascending=True).records
        return any(record.run_id == run.run_id for record in records)

    def _is_about_to_report(self, run: dg.DagsterRun, publication: Publication) -> bool:
        is_recent = datetime.now(UTC) - publication.published_at < timedelta(seconds=_OWN_EVENT_SECONDS)
        return run.asset_selection != self._convergence and is_recent and not run.is_finished

    def _report_publication(
        self, run: dg.DagsterRun | None, publication: Publication, found: tuple[Version, Audit] | None
    ) -> None:
        key, partition = self._keys.key(publication.stage), key_in_dagster(publication.partition)
        if found is None:
            metadata = trigger_metadata(publication)
            self.own_run.observed(dg.AssetObservation(key, partition=partition, metadata=metadata), run)
            return
        version, audit = found
        materialization = dg.AssetMaterialization(
            asset_key=key,
            partition=partition,
            metadata={**trigger_metadata(publication), **version_metadata(version)},
            tags=version_tags(version),
        )
        self.own_run.materialized(materialization, run)
        self._checks(run, evaluations(self._expected, version, audit, self._keys, self._environment))

    def _checks(self, run: dg.DagsterRun | None, found: Sequence[dg.AssetCheckEvaluation]) -> None:
        for item in beside_latest(self._instance, found):
            self.own_run.checked(item, run)
