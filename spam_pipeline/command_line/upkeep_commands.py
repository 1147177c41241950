"""The commands that keep what is stored sound; see `cli` about imports."""

from datetime import timedelta
from typing import Annotated

import typer

from spam_pipeline.command_line.arguments import Environment, Grace, Json, use_environment


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


def prune_command(
    *,
    is_confirmed: Annotated[bool, typer.Option("--yes", help="Prune; without it, only say what would go.")] = False,
    grace: Grace = timedelta(hours=1),
    environment: Environment = None,
    as_json: Json = False,
) -> None:
    """Give up the versions that SPAM_PIPELINE_RETENTION does not keep, and delete what nobody has. A dry run without --yes."""
    use_environment(environment)
    from spam_pipeline.command_line.pruning import print_pruning

    print_pruning(grace, is_confirmed=is_confirmed, as_json=as_json)
