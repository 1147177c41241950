"""Printing the versions of a partition, and how two of them compare."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import typer

from spam_pipeline.command_line.terminal import FAILED, out, print_json, print_table, working
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.pages.comparison_markdown import markdown_of
from spam_pipeline.pages.comparison_page import page_of
from spam_pipeline.protocol import Version
from spam_pipeline.protocol.fingerprint import numbers
from spam_pipeline.protocol.operating import (
    NEWEST,
    PUBLISHED,
    Audit,
    Comparison,
    comparison_lines,
    comparison_to_json,
    finding_lines,
    finding_to_json,
)

_SHORTENED = 19


def print_versions(stage: str, partition: str | None, *, as_json: bool) -> None:
    """Print every version of a partition, by default of the newest, with its fingerprint and the findings of its audit."""
    pipeline = Pipeline()
    partition = partition or pipeline.newest(stage)
    found = pipeline.versions(stage, partition)
    published = pipeline.published_at(found)
    pruned = pipeline.engine.ledger.prunings.of([version.id for version, _ in found])
    described = [
        _version_to_json(version, audit, published.get(version.id), pruned.get(version.id)) for version, audit in found
    ]
    if as_json:
        print_json(described)
        return
    if not found:
        out.print(f"{stage} {partition} has no versions: none was ever computed{_known(pipeline.partitions(stage))}")
        return
    out.print(f"{stage} {partition}")
    columns = ("recipe", "content", "code_version", "rows", "computed_at", "audit", "published_at")
    print_table(columns, [[str(item[name])[:_SHORTENED] for name in columns] for item in described])
    for version, audit in found:
        measured = (
            _pruned(pruned[version.id]) if version.id in pruned else f"fingerprint: {numbers(version.fingerprint)}"
        )
        out.print(f"{version.recipe[:_SHORTENED]} {measured}")
        for line in (line for finding in audit.findings for line in finding_lines(finding)):
            out.print(f"  {line}")


def _pruned(when: datetime) -> str:
    return f"was pruned on {when:%Y-%m-%d %H:%M} UTC: its data is gone, and it is computed again once it is wanted"


def _known(partitions: Sequence[str]) -> str:
    return f"; there are {' to '.join(dict.fromkeys((partitions[0], partitions[-1])))}" if partitions else ""


def compared_versions(pipeline: Pipeline, stage: str, partition: str, old: str | None, new: str | None) -> Comparison:
    """Compare two versions; where none is named and the newest is the published one, that with what was published before."""
    found = pipeline.diff(stage, partition, old or PUBLISHED, new or NEWEST)
    before = pipeline.published_before(stage, partition) if old is None and new is None else []
    return found if found.differs or not before else pipeline.diff(stage, partition, before[0].recipe, PUBLISHED)


class ComparisonForm(NamedTuple):
    """How a comparison is printed, and whether a difference is a failure."""

    html: Path | None
    as_markdown: bool
    as_json: bool
    fails: bool


FOR_A_PERSON = ComparisonForm(html=None, as_markdown=False, as_json=False, fails=False)
"""Text at a terminal, where comparing a version with itself is no answer."""


def print_comparison(stage: str, partition: str | None, old: str | None, new: str | None, form: ComparisonForm) -> None:
    """Compare two versions of a partition or a range, or all that an environment publishes with another one."""
    pipeline = Pipeline()
    is_environment = stage not in pipeline.graph.stages and partition is None
    with working("comparing"):
        compared = (
            pipeline.diff_environment(stage)
            if is_environment
            else [compared_versions(pipeline, stage, partition or pipeline.newest(stage), old, new)]
            if form == FOR_A_PERSON
            else [pipeline.diff(stage, partition or pipeline.newest(stage), old or PUBLISHED, new or NEWEST)]
        )
    if form.html:
        form.html.write_text(page_of(compared), encoding="utf-8")
    own = pipeline.settings.environment
    if form.as_json:
        found = [comparison_to_json(item) for item in compared]
        print_json(found if is_environment else found[0])
    elif form.as_markdown:
        what = f"{own} compared with {stage}" if is_environment else f"{stage} {partition or ''}".strip()
        out.print(markdown_of(compared, what), soft_wrap=True)
    else:
        lines = [line for item in compared for line in comparison_lines(item)]
        for line in lines or [f"{own} publishes the same as {stage}"]:
            out.print(line, soft_wrap=True)
    if form.fails and any(item.differs for item in compared):
        raise typer.Exit(FAILED)


def _version_to_json(
    version: Version, audit: Audit, published_at: datetime | None, pruned_at: datetime | None
) -> dict[str, Any]:
    return {
        "recipe": version.recipe,
        "content": version.content,
        "code_version": version.code_version,
        "rows": version.rows,
        "rows_read": version.rows_read,
        "bytes": version.bytes,
        "fingerprint": numbers(version.fingerprint),
        "audit": audit.verdict.value,
        "findings": [f"{finding.severity.value}: {finding}" for finding in audit.findings],
        "evidence": [finding_to_json(finding) for finding in audit.findings if finding.evidence],
        "inputs": [
            {"from": item.upstream, "partition": item.partition, "part": item.part, "content": item.content}
            for item in version.inputs
        ],
        "computed_at": version.computed_at.isoformat(),
        "published_at": published_at.isoformat() if published_at else None,
        "pruned_at": pruned_at.isoformat() if pruned_at else None,
    }
