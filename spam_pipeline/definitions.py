"""The Dagster code location: everything assembled, by a function that tests and other deployments can call with settings of their own.

Importing this module builds the definitions from the environment variables and does nothing else: no ledger is opened, no
file is created.
"""

from contextlib import AbstractContextManager, nullcontext

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster_duckdb import DuckDBResource

from spam_pipeline.ingestion.assets import erased_records
from spam_pipeline.operations.home_page import update_home_page
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.operations.pruning import facts_of, prune_pipeline, read_grace
from spam_pipeline.orchestration.asset_keys import AssetKeys
from spam_pipeline.orchestration.assets import ENGINE, READER, source_asset, stage_asset
from spam_pipeline.orchestration.automation import RunByConvergence
from spam_pipeline.orchestration.batch_job import batch_job
from spam_pipeline.orchestration.batch_runs import WORK_SECONDS, batch_runs
from spam_pipeline.orchestration.checks import stage_checks
from spam_pipeline.orchestration.convergence import convergence_asset
from spam_pipeline.orchestration.decisions import decision_job, suspicion_job
from spam_pipeline.orchestration.instance import engine_resource
from spam_pipeline.orchestration.io_manager import published_versions
from spam_pipeline.orchestration.issuing import issue_job
from spam_pipeline.orchestration.pruning import prune_job
from spam_pipeline.orchestration.sensors import converge_sensor, landing_sensor, publications_sensor
from spam_pipeline.orchestration.staleness_check import CONVERGED_CHECK, staleness_check
from spam_pipeline.orchestration.waiting_for_decision import waiting_asset
from spam_pipeline.protocol import Grain
from spam_pipeline.protocol.operating import EVERY_STAGE, Engine, Executor, Overview, retention_of
from spam_pipeline.settings import PREFIX, Settings, WrongSetting, settings_from_environment
from spam_pipeline.trust_and_safety.contracts import REPORTING_TOLERANCE, ROYALTY_TOLERANCE

TOLERANCES = {"royalties": ROYALTY_TOLERANCE, "reporting": REPORTING_TOLERANCE}
"""The spam probability from which the stages of a context leave a play out."""


def build_definitions(settings: Settings) -> dg.Definitions:
    """Build all stages as assets, the files they read as external assets, and the resources they need."""
    pipeline = Pipeline(settings)
    graph, keys = pipeline.graph, AssetKeys(settings.asset_prefix)

    if unknown := settings.run_tags.keys() - graph.stages.keys():
        raise WrongSetting(f"{PREFIX}RUN_TAGS: no stage is named {', '.join(sorted(unknown))}")

    def open_engine() -> Engine:
        pipeline.require_key_of_ones_own()
        return pipeline.engine

    def open_executor(context: dg.AssetExecutionContext, engine: Engine) -> AbstractContextManager[Executor | None]:
        kind, number = settings.executor
        if kind != "dagster":
            return pipeline.executor()
        return nullcontext(batch_runs(context, engine, WORK_SECONDS if number is None else number, settings.run_tags))

    def on_converged(found: Overview) -> None:
        update_home_page(found, settings)
        pipeline.notify(found)

    return dg.Definitions(
        assets=[
            *(
                source_asset(source, settings.start_date, keys, settings.landing_zone)
                for source in graph.sources.values()
            ),
            *(
                stage_asset(stage, graph, settings.start_date, RunByConvergence(), keys, _tags(stage.context))
                for stage in graph.stages.values()
            ),
            convergence_asset(open_engine, keys, list(graph.sources), open_executor, on_converged),
            waiting_asset(keys),
        ],
        asset_checks=[
            *(stage_checks(stage, graph, settings.start_date, keys) for stage in graph.stages.values()),
            *(staleness_check(name, keys) for name in graph.stages),
        ],
        sensors=[
            landing_sensor(open_engine, keys),
            publications_sensor(open_engine, keys, pipeline.notify),
            converge_sensor(list(graph.stages), keys),
        ],
        jobs=_jobs(pipeline, keys),
        resources={
            ENGINE: engine_resource(open_engine),
            READER: published_versions,
            # For assets of others, which ask for it by this name; read-only: a process that had the file open for writing would lock out every other one
            "warehouse": DuckDBResource(
                database=str(settings.warehouse), connection_config={"access_mode": "READ_ONLY"}
            ),
        },
        executor=dg.in_process_executor,  # a step takes 0.1 s here, and seconds in a process of its own
    )


def _jobs(pipeline: Pipeline, keys: AssetKeys) -> list[dg.JobDefinition | UnresolvedAssetJobDefinition]:
    """Everything that a person launches."""
    days = [name for name, stage in pipeline.graph.stages.items() if stage.partitions.grain is not Grain.MONTH]
    # Most days have nobody who was erased, and Dagster skips what reads a stage that makes nothing: the warehouse reads all of them.
    of_one_day = [name for name in days if name != erased_records.name]
    about_all_days = [dg.AssetCheckKey(keys.key(name), CONVERGED_CHECK) for name in days]
    return [
        batch_job(),
        dg.define_asset_job(
            "one_day",
            selection=keys.selection(of_one_day) - dg.AssetSelection.checks(*about_all_days),
            description="One day through all its stages, with the reference data and the model they rest on.",
        ),
        decision_job(keys),
        suspicion_job(lambda **asked: pipeline.decide_suspicion(**asked).as_text()),
        issue_job(lambda month, by: pipeline.issue(month, by=by).as_text()),
        prune_job(
            lambda grace, is_dry: facts_of(prune_pipeline(pipeline, grace=read_grace(grace), is_dry=is_dry)),
            retention_of(pipeline.settings.retention, EVERY_STAGE).days,
        ),
    ]


def _tags(context: str) -> dict[str, str]:
    tolerance = TOLERANCES.get(context)
    return {} if tolerance is None else {"spam_tolerance": str(tolerance)}


defs = build_definitions(settings_from_environment())
