"""Publications as Dagster events: what was published elsewhere appears in a Dagster instance.

The ledger is the truth; an instance remembers how far it has been told. An instance that was deleted is told everything
again. Publications that a run of the same instance made are already there and are passed over.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from filelock import FileLock

from spam_pipeline.orchestration.metadata import CONTRACT_CHECK, audit_metadata, version_metadata, version_tags
from spam_pipeline.protocol.digest import digest
from spam_pipeline.protocol.graph import StageGraph
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.partition import Grain
from spam_pipeline.protocol.records import Audit, Publication, Verdict, Version

_JOB = "converge"


def report_publications(
    instance: dg.DagsterInstance, ledger: Ledger, graph: StageGraph, environment: str, place: str
) -> int:
    """Tell the instance what it does not know yet; return how many publications that was.

    `place` tells apart several ledgers that one instance is told about.
    """
    cursor = f"spam_pipeline/{digest((place, environment))}"
    with _alone(instance):
        told = int(instance.run_storage.get_cursor_values({cursor}).get(cursor, "0"))
        found = ledger.publications_after(told, environment)
        elsewhere = [
            (publication, version, audit)
            for publication, version, audit in found
            if publication.stage in graph.stages and not (publication.run and instance.has_run(publication.run))
        ]
        if elsewhere:
            run_id = _add_run(instance, environment)
            for item in elsewhere:
                _report(instance, graph, run_id, item)
        if found:
            instance.run_storage.set_cursor_values({cursor: str(found[-1][0].id)})
    return len(elsewhere)


def _report(
    instance: dg.DagsterInstance, graph: StageGraph, run_id: str, told: tuple[Publication, Version, Audit]
) -> None:
    publication, version, audit = told
    is_partitioned = graph.stages[publication.stage].partitions.grain is not Grain.NONE
    partition = publication.partition if is_partitioned else None
    instance.report_runless_asset_event(
        dg.AssetMaterialization(
            asset_key=publication.stage,
            partition=partition,
            metadata={
                **version_metadata(version),
                "published_at": dg.MetadataValue.timestamp(publication.published_at),
            },
            tags=version_tags(version),
        )
    )
    evaluation = dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(publication.stage),
        check_name=CONTRACT_CHECK,
        passed=audit.verdict is Verdict.PASSED,
        metadata=audit_metadata(audit),
        partition=partition,
    )
    # A runless evaluation collides with an earlier one of the same partition in Dagster's table, so it gets a run.
    event = dg.DagsterEvent(
        event_type_value=dg.DagsterEventType.ASSET_CHECK_EVALUATION.value,
        job_name=_JOB,
        event_specific_data=evaluation,
    )
    instance.report_dagster_event(event, run_id=run_id)


def _add_run(instance: dg.DagsterInstance, environment: str) -> str:
    run = dg.DagsterRun(
        job_name=_JOB,
        run_id=str(uuid.uuid4()),
        status=dg.DagsterRunStatus.SUCCESS,
        tags={"spam_pipeline/environment": environment},
    )
    instance.add_run(run)
    return run.run_id


@contextmanager
def _alone(instance: dg.DagsterInstance) -> Iterator[None]:
    """One process at a time tells an instance, so that nothing is told twice."""
    with FileLock(Path(instance.root_directory) / "spam_pipeline.lock"):
        yield
