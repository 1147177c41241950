"""The commands about environments, but for `diff`, which compares them too; see `cli` about imports."""

from typing import Annotated

import typer

from spam_pipeline.command_line.arguments import Environment, Json, use_environment


def environments_command(as_json: Json = False) -> None:
    """List the environments: what each publishes itself, how much of that differs from production, and since when."""
    from spam_pipeline.command_line.environments import print_environments

    print_environments(as_json=as_json)


def promote_command(
    by: Annotated[str, typer.Option(help="Who promotes.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; without a terminal nobody can be asked.")] = False,
    environment: Environment = None,
    as_json: Json = False,
) -> None:
    """Publish to production what an environment publishes, in one transaction, without computing anything.

    Shows what readers of production would see then, and asks.
    """
    use_environment(environment)
    from spam_pipeline.command_line.environments import print_promotion

    print_promotion(by, is_confirmed=yes, as_json=as_json)


def drop_command(environment: Environment = None, as_json: Json = False) -> None:
    """Discard what an environment publishes itself, so that it reads everything from production again."""
    use_environment(environment)
    from spam_pipeline.command_line.environments import print_drop

    print_drop(as_json=as_json)
