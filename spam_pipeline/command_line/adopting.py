"""Printing what was adopted without being computed, or the difference that ended it."""

from collections.abc import Sequence
from typing import Any

import typer

from spam_pipeline.command_line.terminal import FAILED, out, print_json, progress
from spam_pipeline.operations.adopting import adopt_published
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.protocol.operating import Adopted, comparison_lines, comparison_to_json


def print_adopted(stages: Sequence[str] | None, *, by: str, sample: int, as_json: bool) -> None:
    """Adopt what is stale by code alone, print it by stage, and exit with the status of a failure where the code made something else."""
    with progress() as on_progress:
        found = adopt_published(Pipeline(), by, stages, sample, lambda stage: on_progress(f"computing {stage}"))
    if as_json:
        print_json([_to_json(item) for item in found])
    else:
        for item in found:
            _print(item)
        if not found:
            out.print("nothing is stale by its code alone")
    if any(item.difference for item in found):
        raise typer.Exit(FAILED)


def _print(item: Adopted) -> None:
    if item.difference is None:
        out.print(f"{item.stage}: {len(item.computed)} computed and equal, {len(item.adopted)} adopted")
        return
    out.print(f"{item.stage}: the code makes something else, nothing of it is adopted", style="red")
    for line in comparison_lines(item.difference):
        out.print(line, soft_wrap=True)


def _to_json(item: Adopted) -> dict[str, Any]:
    return {
        "stage": item.stage,
        "computed": list(item.computed),
        "adopted": list(item.adopted),
        "difference": comparison_to_json(item.difference) if item.difference else None,
    }
