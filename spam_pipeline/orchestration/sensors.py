"""Sensors of `dagster dev` and the daemon. They start by themselves, and a lost tick loses nothing.

`landing` observes the landing zone, `converge` starts a convergence when anything is stale, `publications` reports to the
instance what was published elsewhere and ends runs whose process died.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence

import dagster as dg

from spam_pipeline.orchestration.asset_keys import UNPREFIXED, AssetKeys
from spam_pipeline.orchestration.automation import CONVERGENCE, Notify, OpenEngine, convergence_tags, notify_nobody
from spam_pipeline.orchestration.events import ELSEWHERE, EventReporter
from spam_pipeline.orchestration.failures import ReportedFailures
from spam_pipeline.orchestration.grids import key_in_dagster
from spam_pipeline.orchestration.instance import require_instance_of
from spam_pipeline.orchestration.metadata import format_bytes
from spam_pipeline.orchestration.preview_apis import preview_apis
from spam_pipeline.orchestration.refusals import REFUSED, Refusals
from spam_pipeline.orchestration.staleness_check import evaluation
from spam_pipeline.protocol import digest
from spam_pipeline.protocol.operating import (
    OBSERVING,
    Claimed,
    Engine,
    Observation,
    Overview,
    noting_stop,
)

_SECONDS = 10
"""Seconds between two looks at the landing zone and at the ledger."""

_OBSERVING_SECONDS = 20
_OBSERVATIONS_PER_TICK = 500
_PUBLICATIONS_PER_TICK = 500
_REFUSALS_PER_TICK = 50
"""A tick ends long before the 60 seconds that Dagster gives a sensor; the next one goes on where it ended."""

_STARTING_SECONDS = 30
"""Time that a started run has to get its claim."""

_ABANDONED_SECONDS = 3600
"""Time without an event after which nobody reports in a run any more: no stage takes as long."""


def landing_sensor(open_engine: OpenEngine, keys: AssetKeys = UNPREFIXED) -> dg.SensorDefinition:
    """Observes the landing zone and reports what was observed, whoever observed it, as observations of the source assets."""

    @dg.sensor(
        name="landing",
        description="Looks for files that landed, were replaced or have gone.",
        minimum_interval_seconds=_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def landing(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        engine = open_engine()
        require_instance_of(context.instance, engine.environment)
        with noting_stop(engine, OBSERVING):
            engine.observe_recent(_OBSERVING_SECONDS)
        whose = "/".join((engine.ledger.identity, *keys.prefix))
        reported, _, last = (context.cursor or "").partition(" ")
        after = int(last) if reported == whose else 0
        seen = engine.ledger.observations.after(after, _OBSERVATIONS_PER_TICK)
        if not seen:
            return dg.SensorResult(skip_reason="nothing new in the landing zone")
        read = [item for item in seen if item.source in engine.graph.sources]
        return dg.SensorResult(asset_events=list(_observations(read, keys)), cursor=f"{whose} {seen[-1].id}")

    return landing


def publications_sensor(
    open_engine: OpenEngine, keys: AssetKeys = UNPREFIXED, notify: Notify = notify_nobody
) -> dg.SensorDefinition:
    """Keeps the instance in step with the ledger, and people: `notify` tells whoever waits, of lateness alone during a convergence."""

    @dg.sensor(
        name="publications",
        description="Shows here what was published or refused elsewhere, such as by spam-pipeline converge, and notifies people.",
        minimum_interval_seconds=_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def publications(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        engine = open_engine()
        require_instance_of(context.instance, engine.environment)
        _end_abandoned_reports(context.instance)
        is_converging = _end_dead_runs(context.instance, engine, keys)
        # Dagster writes a log file for every tick of an automation condition, and deletes none.
        context.instance.compute_log_manager.delete_logs(prefix=["__repository__", "converge"])
        whom = (context.instance, engine.ledger, engine.environment, engine.graph.expected(), keys)
        with EventReporter(*whom) as reporter:
            reported = reporter.report(_PUBLICATIONS_PER_TICK)
            found = Overview.of(engine)
            refused = Refusals(*whom).report(found.quarantined, reporter, _REFUSALS_PER_TICK)
            failures = ReportedFailures(context.instance, engine.ledger, engine.environment)
            if not failures.is_empty():
                for stage, partition in failures.take_recovered(found.report.statuses):
                    reporter.take_failure_back(stage, partition)
                    reporter.report_checks([evaluation(found.outlooks[stage], stage, keys)])
            waiting = _waiting(found)
            if context.cursor != waiting:  # no convergence starts for what only somebody can bring on, and shows it
                reporter.report_state(found.outlooks, found.waiting)
                context.update_cursor(waiting)
        notify(found, only_late=is_converging)
        return dg.SkipReason(_summary(reported, refused))

    return publications


def converge_sensor(stages: Sequence[str], keys: AssetKeys = UNPREFIXED) -> dg.AutomationConditionSensorDefinition:
    """The sensor that evaluates the condition of `convergence`, which stands for all stages: their pages name it as what starts them.

    Without `use_user_code_server` a condition of our own is not evaluated in the code location, and nothing warns of that. With
    it, a sensor takes at most 500 assets and checks.
    """
    with preview_apis():
        return dg.AutomationConditionSensorDefinition(
            "converge",
            description="Starts a convergence of all stages whenever anything of any of them is stale.",
            target=keys.selection([CONVERGENCE, *stages]),
            default_status=dg.DefaultSensorStatus.RUNNING,
            minimum_interval_seconds=_SECONDS,
            use_user_code_server=True,
        )


def _waiting(found: Overview) -> str:
    """What waits for somebody, or is late, as a digest that differs when anything else does."""
    statuses = [status for by_partition in found.report.statuses.values() for status in by_partition.values()]
    waiting = [(str(status), status.recipe) for status in statuses if status.needs_somebody]
    return digest((waiting, [str(item) for item in found.late]))


def _summary(reported: int, refused: int) -> str:
    found = {"publications": reported, "refusals": refused}
    counts = " and ".join(f"{count} {what}" for what, count in found.items() if count)
    return f"reported {counts}" if counts else "nothing was published elsewhere"


def _observations(seen: Sequence[Observation], keys: AssetKeys) -> Iterator[dg.AssetObservation]:
    """One observation for each source and partition that something was seen of."""
    grouped: dict[tuple[str, str], list[Observation]] = defaultdict(list)
    for item in seen:
        grouped[item.source, item.partition].append(item)
    for (source, partition), items in grouped.items():
        size = sum(item.size for item in items if item.digest is not None)
        yield dg.AssetObservation(
            keys.key(source),
            partition=key_in_dagster(partition),
            metadata={
                "files": sum(item.digest is not None for item in items),
                "gone": sum(item.digest is None for item in items),
                "size": format_bytes(size),
                "size_bytes": size,
                "last": items[-1].path,
                "observed_at": dg.MetadataValue.timestamp(items[-1].observed_at),
            },
            tags={"dagster/data_version": digest([(item.path, item.digest) for item in items])},
        )


def _end_abandoned_reports(instance: dg.DagsterInstance) -> None:
    """End runs that report what happened elsewhere whose process died: each would keep a slot of the instance."""
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        if run.job_name in {ELSEWHERE, REFUSED}:
            last = instance.get_records_for_run(run.run_id, limit=1, ascending=False).records
            if last and time.time() - last[0].timestamp > _ABANDONED_SECONDS:
                instance.report_run_failed(run, "its process died")


def _end_dead_runs(instance: dg.DagsterInstance, engine: Engine, keys: AssetKeys) -> bool:
    """End convergences that Dagster believes to run although nobody holds their claim; they would block the next one.

    Return True if one runs.
    """
    under_way = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING], tags=convergence_tags(engine)
    )
    records = [
        record
        for record in instance.get_run_records(under_way)
        if record.dagster_run.asset_selection == frozenset({keys.key(CONVERGENCE)})
    ]
    if not records:
        return False
    try:
        with engine.claims.on_converging(engine.environment):
            for record in records:
                if record.start_time and time.time() - record.start_time > _STARTING_SECONDS:
                    instance.report_run_failed(record.dagster_run, "its process died")
    except Claimed:
        return True
    return False
