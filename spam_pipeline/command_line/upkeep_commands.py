"""The commands that keep what is stored sound; see `cli` about imports."""

from datetime import timedelta
from typing import Annotated

import typer

from spam_pipeline.command_line.arguments import Environment, Grace, Json, Stages, use_environment


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


def backup_command(
    to: Annotated[str, typer.Argument(metavar="TO", help="A path, or any fsspec URL such as s3://bucket/backup.")],
    *,
    as_json: Json = False,
) -> None:
    """Copy ledger, store, rejected records and landing zone to a place, as far as they are not there; the pipeline may run meanwhile."""
    from spam_pipeline.command_line.backing_up import print_backup

    print_backup(to, as_json=as_json)


def restore_command(
    source: Annotated[str, typer.Argument(metavar="FROM", help="The place of a backup: a path, or any fsspec URL.")],
    *,
    as_json: Json = False,
) -> None:
    """Bring a backup back to the places that the settings name, where nothing may be. Exits with 1 when files of the backup are damaged."""
    from spam_pipeline.command_line.backing_up import print_restoration

    print_restoration(source, as_json=as_json)


def adopt_command(
    stages: Stages = None,
    *,
    by: Annotated[str, typer.Option(help="Who says that the code was only refactored.")],
    sample: Annotated[
        int, typer.Option(min=1, help="Partitions of each stage to compute: the newest, the oldest, then the largest.")
    ] = 3,
    environment: Environment = None,
    as_json: Json = False,
) -> None:
    """After a refactoring: publish what is stale by code alone without computing it, if a sample comes out the same.

    Exits with 1 at the first stage whose sample differs, with the difference; that stage and those after it are left as they are.
    """
    use_environment(environment)
    from spam_pipeline.command_line.adopting import print_adopted

    print_adopted(stages, by=by, sample=sample, as_json=as_json)


def erase_command(  # noqa: PLR0913 - one parameter per option of the command
    *,
    user: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="A user id; - reads one a line from standard input. May be repeated."),
    ] = None,
    device: Annotated[list[str] | None, typer.Option(metavar="ID", help="A device id, likewise.")] = None,
    address: Annotated[list[str] | None, typer.Option(metavar="IP", help="An IP address, likewise.")] = None,
    by: Annotated[str, typer.Option(help="Who answers for it; needed with --yes.")] = "",
    reason: Annotated[str, typer.Option(help="On which ground; needed with --yes.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without, only say where they occur.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 if they occur anywhere.")] = False,
    as_json: Json = False,
) -> None:
    """Erase people from everything that landed or was made of it, and prove it. Exits with 1 while they occur anywhere."""
    if yes and check:
        raise typer.BadParameter("erasing ends with the same check: leave it out", param_hint="--check")
    if not (user or device or address):
        raise typer.BadParameter("name at least one --user, --device or --address")
    if yes and not (by.strip() and reason.strip()):
        raise typer.BadParameter("say who answers for it and on which ground", param_hint="--by, --reason")
    from spam_pipeline.command_line.erasing import print_erasing, print_traces

    named = {"user": user or [], "device": device or [], "ip": address or []}
    if yes:
        print_erasing(named, by, reason, as_json=as_json)
    else:
        print_traces(named, is_check=check, as_json=as_json)


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
