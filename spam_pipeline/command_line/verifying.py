"""Printing which stored files are damaged or missing, and which were put back."""

import typer

from spam_pipeline.command_line.terminal import FAILED, out, print_json, progress
from spam_pipeline.operations.pipeline import Pipeline


def print_verification(*, repair: bool, as_json: bool) -> None:
    """Verify the store, print what was found, and exit with the status of a failure if anything is left damaged."""
    with progress() as on_progress:
        found = Pipeline().verify(repair=repair, on_progress=on_progress)
    if as_json:
        damaged = [{"path": path, "problem": problem} for path, problem in found.damaged.items()]
        print_json({"files": found.files, "repaired": list(found.repaired), "damaged": damaged})
    else:
        for path in found.repaired:
            out.print(f"repaired: {path}")
        for problem in found.damaged.values():
            out.print(f"damaged: {problem}", style="red")
        out.print(f"{found.files:,} files: {len(found.repaired):,} repaired, {len(found.damaged):,} damaged or missing")
    if found.damaged:
        raise typer.Exit(FAILED)
