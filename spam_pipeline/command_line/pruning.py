"""Printing what retention gives up and keeps, and what was deleted."""

from datetime import timedelta
from typing import Any

from spam_pipeline.command_line.terminal import out, print_json, print_table, progress
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.operations.pruning import megabytes, prune_pipeline
from spam_pipeline.protocol.operating import Pruning, StagePruning


def print_pruning(grace: timedelta, *, is_confirmed: bool, as_json: bool) -> None:
    """Prune, or say what pruning would do, and print what goes and what is kept."""
    with progress() as on_progress:
        found = prune_pipeline(Pipeline(), grace=grace, is_dry=not is_confirmed, on_progress=on_progress)
    if as_json:
        print_json(_to_json(found, is_done=is_confirmed))
        return
    columns = ("stage", "retention", "versions that go", "MB", "kept")
    print_table(columns, [_cells(stage) for stage in found.stages])
    goes = "pruned" if is_confirmed else "would be pruned"
    deleted = "deleted" if is_confirmed else "would be deleted"
    out.print(
        f"{found.versions:,} versions {goes}, {megabytes(found.bytes)} MB that no other version has", soft_wrap=True
    )
    out.print(
        f"{found.deleted.number:,} files {deleted}, {megabytes(found.deleted.bytes)} MB; {found.waiting.number:,} files, "
        f"{megabytes(found.waiting.bytes)} MB, of pruned versions wait for the next time after their grace of {grace}",
        soft_wrap=True,
    )
    if not is_confirmed:
        out.print("nothing was changed: spam-pipeline prune --yes does it", soft_wrap=True)


def _cells(stage: StagePruning) -> tuple[str, ...]:
    kept = ", ".join(f"{files.number:,} {reason.value}" for reason, files in stage.kept.items())
    return stage.stage, stage.policy, f"{stage.versions:,}", megabytes(stage.bytes), kept


def _to_json(found: Pruning, *, is_done: bool) -> dict[str, Any]:
    return {
        "done": is_done,
        "versions": found.versions,
        "bytes": found.bytes,
        "deleted": {"files": found.deleted.number, "bytes": found.deleted.bytes},
        "waiting": {"files": found.waiting.number, "bytes": found.waiting.bytes},
        "stages": {
            stage.stage: {
                "retention": stage.policy,
                "versions": stage.versions,
                "bytes": stage.bytes,
                "kept": {
                    reason.value: {"versions": files.number, "bytes": files.bytes}
                    for reason, files in stage.kept.items()
                },
            }
            for stage in found.stages
        },
    }
