"""Publications as OpenLineage events, for catalogues that gather the lineage of many systems.

Each publication of a version is one completed run of its stage. What it was computed from is exact: every input has the versions
that were read, with their code versions. A run has the same id whenever it is sent, so that sending it again changes nothing.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import islice
from uuid import NAMESPACE_URL, uuid5

import attr
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    InputDatasetFacet,
    RunFacet,
    column_lineage_dataset,
    dataset_version_dataset,
    documentation_job,
    job_type_job,
    output_statistics_output_dataset,
    ownership_job,
    schema_dataset,
)

from spam_pipeline import __version__
from spam_pipeline.protocol import Version, described_columns, digest
from spam_pipeline.protocol.operating import (
    PRODUCTION,
    AnyStage,
    Engine,
    InputRef,
    Ledger,
    Publication,
    StageGraph,
    VersionSummary,
)

PRODUCER = f"urn:spam-pipeline:{__version__}"
"""The program that made these events."""

_AT_ONCE = 200
"""Publications that are read from the ledger at once."""

_LISTED = 100
"""Versions of an input that are listed at most: the warehouse reads every day of years. `count` has them all."""


@attr.define(kw_only=True)
class VersionsReadFacet(InputDatasetFacet):
    """The parts of an input that were read, the first ones if they are many, each with its version; landed files have none."""

    count: int
    versions: list[dict[str, str]]


@attr.define(kw_only=True)
class PublicationFacet(RunFacet):
    """What was published and why."""

    environment: str
    partition: str
    recipe: str
    codeVersion: str  # noqa: N815 - OpenLineage writes names so
    action: str
    cause: str
    seconds: float


def events_after(engine: Engine, publication_id: int = 0) -> Iterator[tuple[int, RunEvent]]:
    """Yield the event of each publication of a version after a given one, oldest first, by the publication's id."""
    while some := engine.ledger.publications_after(publication_id, engine.environment, _AT_ONCE):
        for publication, found in some:
            publication_id = publication.id
            if found is not None and publication.stage in engine.graph.stages:
                yield publication.id, _event(engine.graph, engine.ledger, publication, found[0])


def _event(graph: StageGraph, ledger: Ledger, publication: Publication, version: Version) -> RunEvent:
    stage = graph.stages[publication.stage]
    namespace = _namespace(publication.environment)
    return RunEvent(
        eventType=RunState.COMPLETE,
        eventTime=publication.published_at.isoformat(),
        producer=PRODUCER,
        run=Run(
            runId=str(uuid5(NAMESPACE_URL, f"urn:spam-pipeline:{ledger.identity}:{publication.id}")),
            facets={"spam_pipeline_publication": _publication_facet(publication, version)},
        ),
        job=_job(stage, namespace),
        inputs=[
            _input(graph, ledger, namespace, upstream, read) for upstream, read in _by_upstream(version.inputs).items()
        ],
        outputs=[_output(graph, namespace, stage, version)],
    )


def _namespace(environment: str) -> str:
    """The namespace of jobs and datasets: what an environment publishes is not production's.

    >>> _namespace("production"), _namespace("new_signal")
    ('spam-pipeline', 'spam-pipeline/new_signal')
    """
    return "spam-pipeline" if environment == PRODUCTION else f"spam-pipeline/{environment}"


def _publication_facet(publication: Publication, version: Version) -> PublicationFacet:
    return PublicationFacet(
        producer=PRODUCER,
        environment=publication.environment,
        partition=publication.partition,
        recipe=version.recipe,
        codeVersion=version.code_version,
        action=publication.trigger.action,
        cause=publication.trigger.cause,
        seconds=version.seconds,
    )


def _job(stage: AnyStage, namespace: str) -> Job:
    return Job(
        namespace,
        _name(stage),
        facets={
            "documentation": documentation_job.DocumentationJobFacet(stage.description, producer=PRODUCER),
            "jobType": job_type_job.JobTypeJobFacet("BATCH", "SPAM_PIPELINE", "STAGE", producer=PRODUCER),
            "ownership": ownership_job.OwnershipJobFacet([ownership_job.Owner(stage.owner)], producer=PRODUCER),
        },
    )


def _name(stage: AnyStage) -> str:
    return f"{stage.context}.{stage.name}"


def _by_upstream(inputs: tuple[InputRef, ...]) -> Mapping[str, list[InputRef]]:
    found: dict[str, list[InputRef]] = defaultdict(list)
    for item in inputs:
        found[item.upstream].append(item)
    return found


def _input(graph: StageGraph, ledger: Ledger, namespace: str, upstream: str, read: list[InputRef]) -> InputDataset:
    listed = list(islice(read, _LISTED))
    made = ledger.made_by_id({item.record for item in listed if not item.is_file})
    versions = [_version_read(item, None if item.is_file else made[item.record]) for item in listed]
    named = {item.get("version", item["content"]) for item in versions}
    is_one = len(read) == len(listed) and len(named) == 1
    content = named.pop() if is_one else digest([item.content for item in read])
    return InputDataset(
        namespace,
        _name(graph.stages[upstream]) if upstream in graph.stages else f"landing.{upstream}",
        facets={"version": dataset_version_dataset.DatasetVersionDatasetFacet(content, producer=PRODUCER)},
        inputFacets={
            "spam_pipeline_versions": VersionsReadFacet(count=len(read), versions=versions, producer=PRODUCER)
        },
    )


def _version_read(read: InputRef, version: VersionSummary | None) -> dict[str, str]:
    """One part that was read, and the version that it is of; a landed file is of none."""
    part = {"partition": read.partition, "part": read.part, "content": read.content}
    if version is None:
        return part
    return {**part, "version": version.content, "recipe": version.recipe, "codeVersion": version.code_version}


def _output(graph: StageGraph, namespace: str, stage: AnyStage, version: Version) -> OutputDataset:
    texts = {column.name: column.sentence for column in described_columns(stage.contract)}
    fields = [
        schema_dataset.SchemaDatasetFacetFields(name, dtype, texts.get(name)) for name, dtype in version.columns.items()
    ]
    passed = {
        name: column_lineage_dataset.Fields(
            [column_lineage_dataset.InputField(namespace, _name(graph.stages[upstream]), name)]
        )
        for name, upstream in graph.columns_passed_on(stage).items()
    }
    files = sum(len(part.files) for part in version.parts)
    return OutputDataset(
        namespace,
        _name(stage),
        facets={
            "version": dataset_version_dataset.DatasetVersionDatasetFacet(version.content, producer=PRODUCER),
            "schema": schema_dataset.SchemaDatasetFacet(fields, producer=PRODUCER),
            "columnLineage": column_lineage_dataset.ColumnLineageDatasetFacet(passed, producer=PRODUCER),
        },
        outputFacets={
            "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                version.rows, version.bytes, files, producer=PRODUCER
            )
        },
    )
