"""Printing what was backed up, and what was restored."""

import typer
from rich.filesize import decimal

from spam_pipeline.command_line.terminal import FAILED, out, print_json, progress
from spam_pipeline.operations.backup import backup, restore
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.settings import settings_from_environment


def print_backup(to: str, *, as_json: bool) -> None:
    """Back everything up, and print how much that was."""
    with progress() as on_progress:
        done = backup(Pipeline(), to, on_progress)
    if as_json:
        print_json(done._asdict())
        return
    out.print(
        f"{done.files:,} files are in the backup; {done.copied:,} of them, {decimal(done.copied_bytes)}, were copied now"
    )
    out.print(
        "the identifier key is not, nor are other settings (spam_pipeline.toml, variables): keep a copy of them elsewhere",
        soft_wrap=True,
    )


def print_restoration(source: str, *, as_json: bool) -> None:
    """Restore a backup, print what that was, and exit with the status of a failure if any of its files is damaged."""
    with progress() as on_progress:
        done = restore(settings_from_environment(), source, on_progress)
    if as_json:
        print_json(done._asdict())
    else:
        for path in done.damaged:
            out.print(f"damaged in the backup, and left out: {path}", style="red")
        out.print(
            f"{done.files:,} files, {decimal(done.bytes)}; a ledger with {done.versions:,} versions and {done.publications:,} publications"
        )
        out.print("next: spam-pipeline converge")
    if done.damaged:
        raise typer.Exit(FAILED)
