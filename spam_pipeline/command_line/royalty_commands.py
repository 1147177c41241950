"""The commands about money, with their arguments, options and help; see `cli`, which they are commands of, about imports."""

from typing import Annotated

import typer

from spam_pipeline.command_line.arguments import Environment, Json, Month, PartyId, StatementsFolder, use_environment


def issue_command(
    month: Month,
    by: Annotated[str, typer.Option(help="Who issues.")],
    as_json: Json = False,
) -> None:
    """Issue a month's statement as it is published, once and for all; later changes to the month become adjustments."""
    from spam_pipeline.command_line.royalties import print_issued

    print_issued(month, by, as_json=as_json)


def explain_command(
    payee: Annotated[str, typer.Argument(help="The id of a payee.")],
    month: Month,
    environment: Environment = None,
    as_json: Json = False,
) -> None:
    """Explain a payment: its pools, plays, exclusions with their reasons, and versions. All sums are recomputed."""
    use_environment(environment)
    from spam_pipeline.command_line.royalties import print_explanation

    print_explanation(payee, month, as_json=as_json)


def statements_command(  # noqa: PLR0913, PLR0917 - one parameter per argument and option of the command
    month: Month,
    folder: StatementsFolder = None,
    sender: PartyId = None,
    sender_name: Annotated[str | None, typer.Option(help="The licensee's name; default: spam-pipeline.")] = None,
    environment: Environment = None,
    as_json: Json = False,
) -> None:
    """Write a month's files: a statement for each payee as CSV, and the DDEX sales report, Basic Audio Profile."""
    use_environment(environment)
    from spam_pipeline.command_line.royalties import print_statement_files

    print_statement_files(month, folder, sender, sender_name, as_json=as_json)
