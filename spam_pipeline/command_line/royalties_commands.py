"""The commands about money: issuing a statement, explaining a payment, and writing a month's files. Part of the command line, as thin as the rest of it."""

from pathlib import Path
from typing import Annotated

import typer

from spam_pipeline.command_line.terminal import Json, out, print_json, print_record, print_table, progress
from spam_pipeline.operations.explaining import Explained
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.royalties.ddex import UNREGISTERED, Sender, is_party_id

royalties = typer.Typer()

_TITLES = {
    "balances": "what is owed, paid and carried, in minor units",
    "pools": "lines of pools, as they stand now and as they were issued, in minor units",
    "tracks": "plays of tracks, those that are excluded beside those that earn",
    "settled": "adjustments of earlier months that this month pays",
    "changes": "changed since it was issued, and open",
}
_SHORTEST_DIGEST = 16


@royalties.command("issue")
def issue_command(
    month: Annotated[str, typer.Argument(help="The month, YYYY-MM.")],
    by: Annotated[str, typer.Option(help="Who decides.")],
    as_json: Json = False,
) -> None:
    """Issue a month's statement as it is published, once and for ever; what changes about it later becomes adjustments."""
    issued = Pipeline().issue(month, by=by)
    if as_json:
        print_json(issued._asdict())
        return
    print_record(issued.as_text(), as_json=False)
    out.print("what follows converges: by the daemon, or with spam-pipeline converge")


@royalties.command("explain")
def explain_command(
    payee: Annotated[str, typer.Argument(help="The id of a payee.")],
    month: Annotated[str, typer.Argument(help="The month, YYYY-MM.")],
    as_json: Json = False,
) -> None:
    """What a payment is made of: pools, plays, what is excluded and why, and versions; every number is added up again."""
    found = Pipeline().explain(payee, month)
    if as_json:
        print_json(found.as_record())
    else:
        _print_explained(found)


@royalties.command("statements")
def statements_command(
    month: Annotated[str, typer.Argument(help="The month, YYYY-MM.")],
    folder: Annotated[
        Path | None,
        typer.Option("--out", help="Where a folder of the month is made; default: statements/ in the home."),
    ] = None,
    sender: Annotated[str, typer.Option(help="The licensee's DDEX Party Identifier.")] = UNREGISTERED.party_id,
    sender_name: Annotated[str, typer.Option(help="The licensee's name.")] = UNREGISTERED.name,
    as_json: Json = False,
) -> None:
    """Write a month's files: a statement for each payee as CSV, and the DDEX sales report, Basic Audio Profile."""
    if not is_party_id(sender):
        raise typer.BadParameter(
            f"{sender!r} is no DDEX Party Identifier: expected PADPIDA, ten characters and a check character",
            param_hint="--sender",
        )
    with progress() as on_progress:
        made = Pipeline().write_statements(month, folder, Sender(sender, sender_name), on_progress)
    print_record(made._asdict(), as_json=as_json)


def _print_explained(found: Explained) -> None:
    explanation = found.explanation
    state = "issued" if explanation.is_issued else "not issued yet"
    out.print(f"{explanation.payee_id} in {explanation.month}: {state}; paid by the rule {explanation.rule}")
    for name, table in explanation.tables().items():
        if not table.is_empty():
            out.print(f"\n{_TITLES[name]}:")
            print_table(table.columns, [[str(value) for value in row] for row in table.rows()])
    out.print("\nevery number above is the sum of what it was made of, in these versions:")
    rows = [
        (
            version.stage,
            version.recipe[:_SHORTEST_DIGEST],
            version.code_version[:_SHORTEST_DIGEST],
            str(len(version.inputs)),
        )
        for version in found.versions
    ]
    print_table(("stage", "recipe", "code_version", "inputs"), rows)
    out.print("--json names every input, and how every number was made")
