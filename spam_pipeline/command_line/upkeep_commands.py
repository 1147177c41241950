"""The commands that keep what is stored sound; see `cli` about imports."""

from typing import Annotated

import typer

from spam_pipeline.command_line.arguments import Environment, Json, use_environment


def verify_command(
    *,
    repair: Annotated[
        bool, typer.Option("--repair", help="Compute damaged and missing files again and put them back.")
    ] = False,
    environment: Environment = None,
    as_json: Json = False,
) -> None:
    """Check the bytes of every stored file that some version has. Exits with 1 when one is damaged or missing."""
    use_environment(environment)
    from spam_pipeline.command_line.verifying import print_verification

    print_verification(repair=repair, as_json=as_json)
