"""Printing the versions of a partition, and how two of them compare."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import typer

from spam_pipeline.command_line.terminal import FAILED, out, print_json, print_narrow_table, working
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.pages.comparison_markdown import markdown_of
from spam_pipeline.pages.comparison_page import page_of
from spam_pipeline.protocol import Version
from spam_pipeline.protocol.fingerprint import Measured, Scale, numbers
from spam_pipeline.protocol.operating import (
    NEWEST,
    PUBLISHED,
    Adoption,
    Audit,
    Comparison,
    comparison_lines,
    comparison_to_json,
    finding_lines,
    finding_to_json,
    format_number,
)

_SHORTENED = 16
"""The first digits of a digest, by which commands take it."""

_MOST_NUMBERS = 8
"""The numbers of a fingerprint that are printed: a contract names first what matters most."""

_FINER = ("effective_", "top_share_of_")
"""How the names of numbers begin that stand beside the count of the same values."""


def print_versions(stage: str, partition: str | None, *, as_json: bool) -> None:
    """Print every version of a partition, by default of the newest, with its fingerprint and the findings of its audit."""
    pipeline = Pipeline()
    partition = partition or pipeline.newest(stage)
    found = pipeline.versions(stage, partition)
    published = pipeline.published_at(found)
    ids = [version.id for version, _ in found]
    adopted, pruned = pipeline.engine.ledger.adoptions.of(ids), pipeline.engine.ledger.prunings.of(ids)
    described = [
        {
            **_version_to_json(version, audit, published.get(version.id), pruned.get(version.id)),
            **_adoption_to_json(adopted.get(version.id)),
        }
        for version, audit in found
    ]
    if as_json:
        print_json(described)
        return
    if not found:
        out.print(f"{stage} {partition} has no versions: none was ever computed{_known(pipeline.partitions(stage))}")
        return
    out.print(f"{stage} {partition}")
    print_narrow_table(
        ("recipe", "rows", "computed", "audit", "published"),
        [
            (
                version.recipe[:_SHORTENED],
                f"{version.rows:,}",
                f"{version.computed_at:%Y-%m-%d %H:%M}",
                audit.verdict.value,
                f"{published[version.id]:%Y-%m-%d %H:%M}" if version.id in published else "never",
            )
            for version, audit in found
        ],
    )
    for version, audit in found:
        if version.id in adopted:
            out.print(f"{version.recipe[:_SHORTENED]} {_in_words(adopted[version.id])}", soft_wrap=True)
        if version.id in pruned:
            out.print(f"{version.recipe[:_SHORTENED]} {_pruned(pruned[version.id])}", soft_wrap=True)
        else:
            _print_version(version)
        for line in (line for finding in audit.findings for line in finding_lines(finding)):
            out.print(f"  {line}", soft_wrap=True)


def _print_version(version: Version) -> None:
    """Print what a version holds, a number a line."""
    content, code = version.content[:_SHORTENED], version.code_version[:_SHORTENED]
    out.print(f"{version.recipe[:_SHORTENED]}: content {content}, code {code}", soft_wrap=True)
    shares = {label for name, kind in version.fingerprint.items() for label in _shares(name, kind)}
    shown = {
        label: format_number(number, is_share=label in shares)
        for label, number in numbers(version.fingerprint).items()
        if not label.startswith(_FINER)
    }
    first = dict(list(shown.items())[:_MOST_NUMBERS])
    for label, number in first.items():
        out.print(f"  {label:<{max(map(len, first))}}  {number:>{max(map(len, first.values()))}}", soft_wrap=True)
    rest = len(numbers(version.fingerprint)) - len(first)
    if rest:
        out.print(f"  and {rest} more numbers: --json")


def _shares(name: str, measured: Measured) -> Iterator[str]:
    return (label for label, item in measured.estimates(name).items() if item.scale is Scale.LOGIT)


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


def _in_words(adoption: Adoption) -> str:
    computed = ", ".join(item.partition for item in adoption.evidence)
    at = adoption.adopted_at.isoformat(timespec="seconds")
    return (
        f"adopted from {adoption.adopted_from[:_SHORTENED]} by {adoption.by} at {at}, not computed: "
        f"the same code led to the same of {computed}"
    )


def _adoption_to_json(adoption: Adoption | None) -> dict[str, Any]:
    if adoption is None:
        return {"adopted_from": None}
    return {
        "adopted_from": adoption.adopted_from,
        "adopted_by": adoption.by,
        "adopted_at": adoption.adopted_at.isoformat(),
        "evidence_of_adoption": [item._asdict() for item in adoption.evidence],
    }


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
