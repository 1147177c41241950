"""The job `prune`: retention as the command `spam-pipeline prune` has it, and runs of the Dagster instance by the same policy.

Deleting a run takes its events with it, and so the state of every partition that was materialized in it. So only finished runs without
an event about an asset or a check are deleted: batches of workers, decisions, issuing, and runs that failed before they did anything.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

import dagster as dg

from spam_pipeline.protocol import PipelineError

Prune = Callable[[str, bool], Mapping[str, str]]
"""Prunes, given the grace and True for a dry run; returns facts about it. Raises `PipelineError`, and `ValueError` for a wrong grace."""

_ASKED = {
    "dry_run": dg.Field(bool, default_value=True, description="only say what would go; false prunes"),
    "grace": dg.Field(str, default_value="1h", description="how long files of a pruned version stay for its readers"),
}

_FLAT = dg.ConfigMapping(lambda asked: {"ops": {"prune_versions": {"config": asked}}}, config_schema=_ASKED)
"""The launchpad asks for these fields alone, without the layers that Dagster puts around them."""

_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]

_ABOUT_ASSETS = {
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_OBSERVATION,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
}

_AT_ONCE = 500


def prune_job(prune: Prune, days: int | None) -> dg.JobDefinition:
    """The job, launched with the fields that it asks for; runs stay for as many `days`, for ever if that is None."""

    @dg.op(config_schema=_ASKED, out=dg.Out(dg.Nothing), description="Gives up what retention does not keep.")
    def prune_versions(context: dg.OpExecutionContext) -> None:
        is_dry = context.op_config["dry_run"]
        try:
            facts = prune(context.op_config["grace"], is_dry)
        except (PipelineError, ValueError) as problem:
            raise dg.Failure(str(problem), allow_retries=False) from problem
        deleted = 0 if days is None else delete_old_runs(context.instance, days, is_dry=is_dry)
        found = {**facts, "runs deleted": f"{deleted:,}"}
        context.add_output_metadata({name: dg.MetadataValue.text(text) for name, text in found.items()})

    @dg.job(
        name="prune",
        config=_FLAT,
        description="Give up the versions that SPAM_PIPELINE_RETENTION does not keep, and delete files that nobody has.",
    )
    def prune_once() -> None:
        prune_versions()

    return prune_once


def delete_old_runs(instance: dg.DagsterInstance, days: int, *, is_dry: bool) -> int:
    """Delete finished runs that are older and hold nothing that the UI knows an asset by; return how many, or would be in a dry run."""
    old = list(_old_runs(instance, datetime.now(UTC) - timedelta(days=days)))
    gone = [
        run_id for run_id in old if not instance.get_records_for_run(run_id, of_type=_ABOUT_ASSETS, limit=1).records
    ]
    if not is_dry:
        for run_id in gone:
            instance.delete_run(run_id)
    return len(gone)


def _old_runs(instance: dg.DagsterInstance, before: datetime) -> Iterator[str]:
    chosen = dg.RunsFilter(statuses=_FINISHED, created_before=before)
    cursor = None
    while runs := instance.get_runs(chosen, cursor=cursor, limit=_AT_ONCE):
        yield from (run.run_id for run in runs)
        cursor = runs[-1].run_id
