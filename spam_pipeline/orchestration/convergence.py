"""The asset `convergence`: one materialization brings every stage up to date and says what that took.

One run for a whole wave of changes, because starting a run costs seconds and a partition costs milliseconds, and a backfill of
dependent partitions takes a tick of the daemon per step. Publications are reported as materializations in this run.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from dagster._core.events import AssetMaterializationPlannedData

from spam_pipeline.orchestration.asset_keys import UNPREFIXED, AssetKeys
from spam_pipeline.orchestration.assets import ENGINE
from spam_pipeline.orchestration.automation import (
    CONVERGENCE,
    OWNER,
    OpenEngine,
    anything_stale,
    convergence_key,
    convergence_tags,
)
from spam_pipeline.orchestration.evaluations import beside_latest, nothing_to_audit
from spam_pipeline.orchestration.events import EventReporter
from spam_pipeline.orchestration.failures import ReportedFailures
from spam_pipeline.orchestration.grids import key_in_dagster
from spam_pipeline.orchestration.metadata import table
from spam_pipeline.orchestration.refusals import Refusals
from spam_pipeline.orchestration.staleness_check import evaluation
from spam_pipeline.orchestration.waiting_for_decision import waiting_materialization
from spam_pipeline.pages.markdown import as_text
from spam_pipeline.protocol import WHOLE
from spam_pipeline.protocol.operating import (
    CONVERGING,
    OBSERVING,
    Claimed,
    Converged,
    Engine,
    Executor,
    Failure,
    Overview,
    converge,
    noting_stop,
)

_BY_AUTOMATION = "dagster/from_automation_condition"
"""The tag of runs that a person did not ask for."""

_SHOWN = 100


OpenExecutor = Callable[[dg.AssetExecutionContext, Engine], AbstractContextManager[Executor | None]]
"""Opens the executor for a run, if there is one; it is closed when the stages have converged."""


def convergence_asset(
    open_engine: OpenEngine,
    keys: AssetKeys = UNPREFIXED,
    sources: Collection[str] = (),
    open_executor: OpenExecutor = lambda _context, _engine: nullcontext(),
    on_converged: Callable[[Overview], None] = lambda _found: None,
) -> dg.AssetsDefinition:
    """The asset over the engine of the run's resources; `open_engine` is for the condition, which is evaluated without a run.

    `sources` are those that the stages read, to be drawn before it. `on_converged` is called at the end of each convergence, also of
    one in which something failed, with how the stages stand then.
    """

    @dg.asset(
        key=keys.key(CONVERGENCE),
        group_name=CONVERGENCE,
        owners=[OWNER],
        kinds={"dagster"},
        deps=[keys.key(source) for source in sources],
        description=(
            "Brings every stage up to date, in one run: whatever landed late, whichever definition changed. "
            "It starts by itself whenever anything is stale; its metadata says what the last change touched, and why."
        ),
        automation_condition=~dg.AutomationCondition.in_progress() & anything_stale(open_engine),
        required_resource_keys={ENGINE},
        output_required=False,
    )
    def convergence(context: dg.AssetExecutionContext) -> Iterator[Any]:
        engine: Engine = context.resources.engine
        try:
            with engine.claims.on_converging(engine.environment), open_executor(context, engine) as executor:
                wave = _Wave(context, engine, keys, executor, on_converged)
                yield from wave.converge()
        except Claimed:
            context.log.warning(
                "nothing done: another process is converging; what it leaves stale is converged after it"
            )

    return convergence


class _Wave:
    """One convergence in one run, and its report."""

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        engine: Engine,
        keys: AssetKeys,
        executor: Executor | None,
        on_converged: Callable[[Overview], None],
    ) -> None:
        self._context = context
        self._engine = engine
        self._keys = keys
        self._executor = executor
        self._on_converged = on_converged
        whom = (context.instance, engine.ledger, engine.environment, engine.graph.expected(), keys)
        self._reporter, self._refusals = EventReporter(*whom), Refusals(*whom)
        self._failures = ReportedFailures(context.instance, engine.ledger, engine.environment)

    def converge(self) -> Iterator[dg.MaterializeResult[Any]]:
        """Observe, converge, report. Raises `dagster.Failure` when stages failed; all the others are done then."""
        self._context.instance.add_run_tags(self._context.run.run_id, convergence_tags(self._engine))
        with self._reporter:
            done = self._converge()
            found = Overview.of(self._engine)
            self._refusals.report(found.quarantined, self._reporter, _SHOWN)
        for stage, of_it in found.outlooks.items():
            self._context.log_event(evaluation(of_it, stage, self._keys))
        self._on_converged(found)
        metadata = convergence_metadata(done)
        waiting = waiting_materialization(found.waiting, self._keys)
        if done.failed:
            self._context.log_event(waiting)
            raise dg.Failure(
                f"{len(done.failed)} partitions failed, the rest converged", metadata=metadata, allow_retries=False
            )
        yield dg.MaterializeResult(metadata=metadata)
        self._context.log_event(waiting)  # after what it rests on, or it is shown as out of date

    def _converge(self) -> Converged:
        ledger = self._engine.ledger
        attempt = ledger.attempts.begin(
            convergence_key(self._engine, self._engine.planner.statuses()), CONVERGENCE, WHOLE, self._context.run.run_id
        )
        is_asked_for = _BY_AUTOMATION not in self._context.run.tags
        with noting_stop(self._engine, OBSERVING):
            _ = self._engine.observe() if is_asked_for else self._engine.observe_recent()
        with noting_stop(self._engine, CONVERGING):
            done = converge(
                self._engine,
                run=self._context.run.run_id,
                executor=self._executor,
                only_due=not is_asked_for,
                on_stage=self._on_stage,
            )
        ledger.attempts.complete(attempt)
        self._reporter.report()
        self._failures.add((failure.stage, failure.partition) for failure in done.failed)
        for failure in done.failed:
            self._report(failure)
        return done

    def _on_stage(self, stage: str, count: int) -> None:
        self._reporter.report()
        self._context.log.info("%s: %d partitions", stage, count)

    def _report(self, failure: Failure) -> None:
        """Show a partition as failed: it was planned in a run that fails without having materialized it."""
        run, partition = self._context.run, key_in_dagster(failure.partition)
        planned = dg.DagsterEvent.build_asset_materialization_planned_event(
            run.job_name,
            CONVERGENCE,
            AssetMaterializationPlannedData(self._keys.key(failure.stage), partition=partition),
        )
        self._context.instance.report_dagster_event(planned, run_id=run.run_id)
        severity = dg.AssetCheckSeverity.ERROR
        self._show([nothing_to_audit(failure.stage, failure.partition, failure.error, severity, self._keys)])

    def _show(self, found: Sequence[dg.AssetCheckEvaluation]) -> None:
        for item in beside_latest(self._context.instance, found):
            self._context.log_event(item)


def convergence_metadata(done: Converged) -> dict[str, Any]:
    """What a convergence did and left, for people who wonder what changed."""
    failed = [f"{item.stage} {item.partition}: {item.error}" for item in done.failed]
    return {
        "touched": table(
            [item._asdict() for item in done.touched[:_SHOWN]],
            {"stage": "string", "partitions": "int", "what": "string", "why": "string"},
        ),
        "computed": done.computed,
        "reused": done.reused,
        "audited": done.audited,
        "held": dg.MetadataValue.md(_lines(done.held)),
        "failed": dg.MetadataValue.md(_lines(failed)),
        "passed_over": dg.MetadataValue.md(_lines([f"{path}: {why}" for path, why in done.passed_over.items()])),
        "seconds": done.seconds,
        "ended": dg.MetadataValue.timestamp(datetime.now(UTC)),
    }


def _lines(items: Collection[str]) -> str:
    rest = len(items) - _SHOWN
    shown = [f"- {as_text(item)}" for item in list(items)[:_SHOWN]] + ([f"- and {rest} more"] if rest > 0 else [])
    return "\n".join(shown) or "none"
