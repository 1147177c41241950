"""Printing what was issued, how a payment is made up, and which files of a month were written."""

from pathlib import Path

import typer

from spam_pipeline.command_line.explained import explained_tables
from spam_pipeline.command_line.terminal import (
    err,
    out,
    print_json,
    print_narrow_table,
    print_record,
    print_table,
    progress,
    working,
)
from spam_pipeline.operations.explaining import Explained
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.royalties.ddex import UNREGISTERED, Sender, is_party_id

_SHORTENED = 16


def print_issued(month: str, by: str, *, as_json: bool) -> None:
    """Issue a month, and print what was issued."""
    issued = Pipeline().issue(month, by=by)
    if as_json:
        print_json(issued._asdict())
        return
    print_record(issued.as_text(), as_json=False)
    out.print("downstream stages converge with the daemon, or with spam-pipeline converge")


def print_explanation(payee: str, month: str, *, as_json: bool) -> None:
    """Print what a payment is made up of."""
    with working("adding up"):
        found = Pipeline().explain(payee, month)
    if as_json:
        print_json(found.as_record())
    else:
        _print_explained(found)


def print_statement_files(
    month: str, folder: Path | None, sender: str | None, sender_name: str | None, *, as_json: bool
) -> None:
    """Write the files of a month, and print what they are."""
    licensee = Sender(sender or UNREGISTERED.party_id, sender_name or UNREGISTERED.name)
    if not is_party_id(licensee.party_id):
        raise typer.BadParameter(
            f"{licensee.party_id!r} is not a DDEX Party Identifier: expected PADPIDA, ten characters and a check character",
            param_hint="--sender",
        )
    with progress() as on_progress:
        written = Pipeline().write_statements(month, folder, licensee, on_progress)
    print_record(written._asdict(), as_json=as_json)


def _print_explained(found: Explained) -> None:
    explanation = found.explanation
    state = "issued" if explanation.is_issued else "not issued yet"
    out.print(f"{explanation.payee_id} in {explanation.month}: {state}; paid by the rule {explanation.rule}")
    for table in explained_tables(explanation):
        out.print(f"\n{table.title}:")
        shortened = print_narrow_table(table.columns, table.rows)
        if shortened:
            err.print(f"{shortened}; a wider terminal shows more, --json everything")
    out.print("\nevery number above was recomputed from these versions and adds up:")
    rows = [
        (version.stage, version.recipe[:_SHORTENED], version.code_version[:_SHORTENED], str(len(version.inputs)))
        for version in found.versions
    ]
    print_table(("stage", "recipe", "code_version", "inputs"), rows)
    out.print("--json lists every input, tracks by country and tier, and whole minor units")
