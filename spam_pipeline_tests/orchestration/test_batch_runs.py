"""Runs of an instance as workers: what they lead to, and what becomes of those that die, are cancelled or never begin."""

import logging
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin

from spam_pipeline.orchestration.automation import CONVERGENCE
from spam_pipeline.orchestration.batch_job import BATCH_JOB
from spam_pipeline.orchestration.batch_runs import BATCH_TAG, BatchRuns, Step, batch_runs, next_step
from spam_pipeline.protocol.operating import PRODUCTION, Converged, Engine, WorkerDiffers, converge
from spam_pipeline_tests.orchestration import launchers
from spam_pipeline_tests.orchestration.launchers import JOBS
from spam_pipeline_tests.orchestration.toy_location import toy_location, with_unlucky_numbers
from spam_pipeline_tests.protocol.toy_pipeline import land, toy_engine
from spam_pipeline_tests.protocol.toy_runs import digests, rebuilt

DAYS = tuple(f"2026-01-0{day}" for day in range(1, 5))

STAGES = ("received_numbers", "numbers", "two_day_total")

WithLauncher = Callable[[type[launchers.Launcher] | None], AbstractContextManager[dg.DagsterInstance]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    for day in DAYS:
        land(home, day, "a", f"{day} 1", f"{day} 2")
    return home


@pytest.fixture
def with_launcher(tmp_path: Path) -> WithLauncher:
    """An instance that launches runs at once; without a launcher they are queued, for a daemon that there is not."""

    def open_instance(launcher: type[launchers.Launcher] | None) -> AbstractContextManager[dg.DagsterInstance]:
        overrides: dict[str, Any] = {}
        if launcher:
            overrides["run_launcher"] = {"module": launchers.__name__, "class": launcher.__name__}
            overrides["run_coordinator"] = {
                "module": "dagster.core.run_coordinator",
                "class": "DefaultRunCoordinator",
            }
        return dg.DagsterInstance.local_temp(str(tmp_path / "dagster"), overrides=overrides)

    (tmp_path / "dagster").mkdir()
    return open_instance


def executor(instance: dg.DagsterInstance, engine: Engine, **options: Any) -> BatchRuns:
    """The executor of a convergence that is a run of the toy location."""
    jobs = toy_location(engine).get_repository_def()
    JOBS[BATCH_JOB] = jobs.get_job(BATCH_JOB)
    convergence = instance.create_run_for_job(
        jobs.get_implicit_global_asset_job_def(),
        asset_selection=frozenset({dg.AssetKey(CONVERGENCE)}),
        remote_job_origin=RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("toys"), "toys").get_job_origin("a job"),
        job_code_origin=JobPythonOrigin(
            "a job", RepositoryPythonOrigin(sys.executable, ModuleCodePointer("toys", "toys"))
        ),
    )
    log = logging.getLogger("of the convergence")
    given = {"work_seconds": 0, "look_seconds": 0, **options}
    return BatchRuns(instance, convergence, JOBS[BATCH_JOB], engine, log, **given)


def converged(engine: Engine, runs: BatchRuns, *names: str) -> Converged:
    engine.observe()
    return converge(engine, names or None, run=runs.convergence.run_id, executor=runs)


def batches(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    return instance.get_runs(dg.RunsFilter(job_name=BATCH_JOB))


def test_runs_lead_to_the_versions_of_a_rebuild(home: Path, with_launcher: WithLauncher) -> None:
    engine = toy_engine(home)
    with with_launcher(launchers.Working) as instance:
        runs = executor(instance, engine, tags={"numbers": {"team": "toys", BATCH_TAG: "not theirs to say"}})
        done = converged(engine, runs, "two_day_total")
        launched = batches(instance)
    published = engine.ledger.publications_after(0, PRODUCTION)
    assert done.converged
    assert done.computed == len(published)
    assert digests(engine) == {key: content for key, content in rebuilt(home).items() if key[0] in STAGES}
    assert {publication.trigger.run for publication, _ in published} == {runs.convergence.run_id}
    assert {run.tags[BATCH_TAG] for run in launched} == {runs.convergence.run_id}
    assert {run.tags["spam_pipeline/stage"] for run in launched if run.tags.get("team") == "toys"} == {"numbers"}
    assert Counter(run.tags["spam_pipeline/stage"] for run in launched)["numbers"] == len(DAYS) - 1
    assert {run.status for run in launched} == {dg.DagsterRunStatus.SUCCESS}


def test_a_stage_that_fails_in_a_run_is_a_failure_and_the_run_is_not(home: Path, with_launcher: WithLauncher) -> None:
    engine = toy_engine(home, stages=with_unlucky_numbers())
    with with_launcher(launchers.Working) as instance:
        done = converged(engine, executor(instance, engine), "numbers")
        assert {run.status for run in batches(instance)} == {dg.DagsterRunStatus.SUCCESS}
    assert [(item.partition, item.error) for item in done.failed] == [
        ("2026-01-02", "ValueError: the second is an unlucky day")
    ]


def test_a_run_with_other_settings_refuses_and_ends_the_convergence(home: Path, with_launcher: WithLauncher) -> None:
    engine = toy_engine(home)
    with with_launcher(launchers.Working) as instance:
        runs = executor(instance, engine)
        JOBS[BATCH_JOB] = toy_location(toy_engine(home, factor=2)).get_repository_def().get_job(BATCH_JOB)
        with pytest.raises(WorkerDiffers, match="two_day_total and has other settings than"):
            converged(engine, runs, "two_day_total")
        refused = [run for run in batches(instance) if run.status is dg.DagsterRunStatus.FAILURE]
    assert {run.tags["spam_pipeline/stage"] for run in refused} == {"two_day_total"}


@pytest.mark.parametrize(
    ("launcher", "ended"),
    [
        (launchers.Dying, dg.DagsterRunStatus.FAILURE),
        (launchers.Cancelling, dg.DagsterRunStatus.CANCELED),
        (launchers.Unreachable, dg.DagsterRunStatus.FAILURE),
        (None, dg.DagsterRunStatus.CANCELED),
    ],
    ids=["its worker died", "somebody cancelled it", "it could not be launched", "it never began"],
)
def test_what_a_run_does_not_do_is_done_by_the_coordinator(
    home: Path,
    with_launcher: WithLauncher,
    launcher: type[launchers.Launcher] | None,
    ended: dg.DagsterRunStatus,
) -> None:
    engine = toy_engine(home)
    with with_launcher(launcher) as instance:
        runs = executor(instance, engine, begin_seconds=0.1, claim_seconds=0.1, look_seconds=0.05)
        done = converged(engine, runs, "numbers")
        assert {run.status for run in batches(instance)} == {ended}
        is_in_vain = launcher in {None, launchers.Unreachable}
        assert {run.tags["spam_pipeline/stage"] for run in batches(instance)} == (
            {"received_numbers"} if is_in_vain else {"received_numbers", "numbers"}
        )
    assert done.converged
    assert done.computed == 2 * len(DAYS)


STARTED, QUEUED, SUCCESS = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.SUCCESS


@pytest.mark.parametrize(
    ("status", "works", "begin", "claim", "step"),
    [
        (QUEUED, False, 1, 0, Step.WAIT),
        (QUEUED, False, 0, 30, Step.GIVE_UP),
        (QUEUED, True, 0, 0, Step.WAIT),
        (STARTED, False, 0, 1, Step.WAIT),
        (STARTED, False, 120, 0, Step.GIVE_UP),
        (STARTED, True, 0, 0, Step.WAIT),
        (SUCCESS, False, 0, 0, Step.READ),
        (dg.DagsterRunStatus.CANCELED, True, 9, 9, Step.READ),
    ],
)
def test_a_claim_says_more_than_a_status(
    status: dg.DagsterRunStatus, *, works: bool, begin: float, claim: float, step: Step
) -> None:
    assert next_step(status, works=works, begin_seconds_left=begin, claim_seconds_left=claim) is step


def test_a_run_that_nobody_launched_has_no_others_beside_it(
    home: Path, with_launcher: WithLauncher, capfd: pytest.CaptureFixture[str]
) -> None:
    engine = toy_engine(home)
    opened: list[BatchRuns | None] = []

    def open_executor(context: dg.AssetExecutionContext, opened_for: Engine) -> AbstractContextManager[None]:
        opened.append(batch_runs(context, opened_for, 0, {}))
        return nullcontext()

    job = toy_location(engine, open_executor=open_executor).resolve_implicit_global_asset_job_def()
    with with_launcher(launchers.Working) as instance:
        done = job.execute_in_process(asset_selection=[dg.AssetKey(CONVERGENCE)], instance=instance)
    assert done.success
    assert opened == [None]
    assert "belongs to no code location" in capfd.readouterr().err
