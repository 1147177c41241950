"""The toy pipeline as one would write it in Dagster alone: partitioned assets that run by automation conditions.

Functions, dependencies and partition mappings are those of the toy pipeline, and values are kept in memory. Data versions are
digests of contents, code versions are set by hand, and the files of a day are an external asset that is reported as
materialized when they change. The grids end where what has landed ends, so that no partition is missing and blocks another.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import dagster as dg  # noqa: TID251 - what is compared with is Dagster itself

from spam_pipeline.orchestration.grids import partition_mapping
from spam_pipeline.orchestration.preview_apis import preview_apis
from spam_pipeline.protocol import WHOLE, Grain, days_before
from spam_pipeline.protocol.operating import AnyStage
from spam_pipeline_tests.benchmarks.toy_rebuild import Hand, Place, Rebuilt, Value, content_of

ROUNDS = 20
"""After so many evaluations that request something it is given up."""

EAGER = dg.AutomationCondition.eager()
WITH_PAST = EAGER.without(dg.AutomationCondition.in_latest_time_window())
WITH_CODE = WITH_PAST.replace(
    dg.AutomationCondition.newly_missing(),
    dg.AutomationCondition.newly_missing() | dg.AutomationCondition.code_version_changed(),
)
CONDITIONS: Mapping[str, dg.AutomationCondition[Any]] = {
    "eager()": EAGER,
    "without the latest-window limit": WITH_PAST,
    "and on code_version_changed()": WITH_CODE,
}
"""As documented; without the limit to the latest partition, also as documented; and that with changes of the code version too."""

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

CodeVersions = Mapping[str, str]
"""What somebody has written beside the functions; stages left out have a version that never changes."""


class PlainDagster:
    """One instance on which everything has been materialized as in `before`, and whose daemon has been running."""

    def __init__(
        self, condition: dg.AutomationCondition[Any], hand: Hand, versions: CodeVersions, before: Rebuilt
    ) -> None:
        self._condition = condition
        self._instance = dg.DagsterInstance.ephemeral()
        self._values: dict[Place, Value] = dict(before.values)
        self.executed: list[Place] = []
        self._land(hand, sorted(hand.files))
        for (name, partition), content in before.contents.items():
            self._report(name, partition, content)
        self._cursor: Any = None
        self.settle(hand, versions)

    def settle(self, hand: Hand, versions: CodeVersions, landed: Sequence[str] = ()) -> int:
        """Tell of arrival days whose files have changed, then evaluate and execute until nothing is requested any more.

        Returns how many rounds that took; `ROUNDS` means that it was given up.
        """
        self._land(hand, landed)
        definitions = self._definitions(hand, versions)
        for number in range(ROUNDS):
            with preview_apis():
                found = dg.evaluate_automation_conditions(definitions, self._instance, cursor=self._cursor)
            self._cursor = found.cursor
            if not found.total_requested:
                return number
            self._execute(definitions, found)
        return ROUNDS

    def contents(self) -> Mapping[Place, str]:
        """What every partition holds now."""
        return {place: content_of(value) for place, value in self._values.items()}

    def close(self) -> None:
        """Give up the instance."""
        self._instance.dispose()

    def _execute(self, definitions: dg.Definitions, found: dg.EvaluateAutomationConditionsResult) -> None:
        """One run for each key of a grid, of all assets of which it is requested, as the daemon would start them."""
        job = definitions.resolve_implicit_global_asset_job_def()
        requested: dict[tuple[Any, str | None], list[dg.AssetKey]] = defaultdict(list)
        for result in found.results:
            key = result.key
            if isinstance(key, dg.AssetKey):
                grid = job.asset_layer.asset_graph.get(key).partitions_def
                for partition in sorted(found.get_requested_partitions(key), key=str):
                    requested[grid, partition].append(key)
        for (_, partition), keys in requested.items():
            job.execute_in_process(
                asset_selection=keys, partition_key=partition, instance=self._instance, run_config=_QUIET
            )

    def _definitions(self, hand: Hand, versions: CodeVersions) -> dg.Definitions:
        grid = {stage.name: _grid(stage, hand) for stage in hand.graph.stages.values()}
        sources = [dg.AssetSpec(name, partitions_def=grid["received_numbers"]) for name in hand.graph.sources]
        stages = [
            self._asset(hand, stage, grid[stage.name], versions.get(stage.name, "1"))
            for stage in hand.graph.stages.values()
        ]
        return dg.Definitions(assets=[*sources, *stages], executor=dg.in_process_executor)

    def _asset(
        self, hand: Hand, stage: AnyStage, grid: dg.PartitionsDefinition[str] | None, code_version: str
    ) -> dg.AssetsDefinition:
        @dg.asset(
            name=stage.name,
            partitions_def=grid,
            deps=list(_dependencies(hand, stage)),
            code_version=code_version,
            automation_condition=self._condition,
        )
        def made(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
            place = (stage.name, context.partition_key if grid else WHOLE)
            self._values[place] = hand.compute(*place, self._values)
            self.executed.append(place)
            return dg.MaterializeResult(data_version=dg.DataVersion(content_of(self._values[place])))

        return made

    def _land(self, hand: Hand, days: Sequence[str]) -> None:
        for day in days:
            files = [(file.path, file.digest) for file in hand.files[day]]
            for name in hand.graph.sources:
                self._report(name, day, content_of(files))

    def _report(self, name: str, partition: str, content: str) -> None:
        key = None if partition == WHOLE else partition
        tags = {"dagster/data_version": content}
        self._instance.report_runless_asset_event(dg.AssetMaterialization(name, partition=key, tags=tags))


def _dependencies(hand: Hand, stage: AnyStage) -> Iterator[dg.AssetDep]:
    for name, reads in stage.inputs.items():
        for upstream in (name,) if name in hand.graph.sources else hand.graph.upstreams_of(stage, name):
            partitions = (hand.graph.sources.get(upstream) or hand.graph.stages[upstream]).partitions
            yield dg.AssetDep(
                upstream, partition_mapping=partition_mapping(reads.partitions, partitions, stage.partitions)
            )


def _grid(stage: AnyStage, hand: Hand) -> dg.PartitionsDefinition[str] | None:
    keys = hand.partitions(stage)
    if stage.partitions.grain is Grain.NONE:
        return None
    if stage.partitions.grain is Grain.MONTH:
        end = date.fromisoformat(f"{keys[-1]}-01") + timedelta(days=31)
        return dg.MonthlyPartitionsDefinition(start_date=keys[0], end_date=f"{end:%Y-%m}", fmt="%Y-%m")
    return dg.DailyPartitionsDefinition(start_date=keys[0], end_date=days_before(keys[-1], -1))
