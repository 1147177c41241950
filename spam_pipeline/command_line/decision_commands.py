"""The commands by which people decide: about versions and suspicions, and about gaps in what landed; see `cli` about imports."""

from typing import Annotated

import typer

from spam_pipeline.command_line.arguments import (
    OF_SUSPICIONS,
    Decision,
    Devices,
    Environment,
    FirstDay,
    Json,
    LastDay,
    Queue,
    VersionOrSuspicion,
    use_environment,
)


def suspicions_command(  # noqa: PLR0913 - one parameter per argument and option of the command
    suspicion: Annotated[str | None, typer.Argument(help="The id of a suspicion; omit it to list them.")] = None,
    *,
    day: Annotated[str | None, typer.Option(help="An event day, YYYY-MM-DD; default: the latest one.")] = None,
    queue: Annotated[Queue | None, typer.Option(help="One queue; default: both.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The most suspicions of a queue.")] = 20,
    environment: Environment = None,
    as_json: Json = False,
) -> None:
    """List what may be an attack, ranked by queue; or everything about one suspicion, and how to decide it."""
    use_environment(environment)
    if suspicion is not None and (day or queue):
        raise typer.BadParameter("--day and --queue are for the list: a suspicion has all its days")
    from spam_pipeline.command_line.suspicions import print_suspicion, print_suspicions

    if suspicion is None:
        print_suspicions(day, queue, limit, as_json=as_json)
    else:
        print_suspicion(suspicion, as_json=as_json)


def decide_command(  # noqa: PLR0913 - one parameter per argument and option of the command
    action: Annotated[
        Decision,
        typer.Argument(
            help="Accept a quarantined version, or reject a published one; confirm a suspicion as spam, or clear it."
        ),
    ],
    about: VersionOrSuspicion,
    *,
    by: Annotated[str, typer.Option(help="Who decides.")],
    reason: Annotated[str, typer.Option(help="Why.")],
    all_matching: Annotated[
        bool,
        typer.Option(
            help="Also accept the stage's other versions that the same code made and the same findings refuse."
        ),
    ] = False,
    first_day: FirstDay = None,
    last_day: LastDay = None,
    device: Devices = None,
    environment: Environment = None,
    as_json: Json = False,
) -> None:
    """Accept or reject a version, confirm or clear a suspicion; everything downstream is stale then and converges."""
    use_environment(environment)
    if action in OF_SUSPICIONS:
        if all_matching:
            raise typer.BadParameter("only versions match each other", param_hint="--all-matching")
        if environment:
            raise typer.BadParameter("a suspicion is decided for all environments", param_hint="--environment")
        from spam_pipeline.command_line.suspicions import print_suspicion_decision

        print_suspicion_decision(action, about, by, reason, first_day, last_day, device, as_json=as_json)
        return
    if first_day or last_day or device:
        raise typer.BadParameter("--from, --until and --device narrow a suspicion: a version is decided as a whole")
    from spam_pipeline.command_line.decisions import print_decision

    print_decision(action, about, by, reason, all_matching=all_matching, as_json=as_json)


def decisions_command(environment: Environment = None, as_json: Json = False) -> None:
    """List who decided what, when and why, oldest first."""
    use_environment(environment)
    from spam_pipeline.command_line.decisions import print_decisions

    print_decisions(as_json=as_json)


def declare_gap_command(
    day: Annotated[str, typer.Argument(help="A day of arrival, YYYY-MM-DD.")],
    by: Annotated[str, typer.Option(help="Who declares it.")],
    reason: Annotated[str, typer.Option(help="Why nothing arrived.")],
    hour: Annotated[str | None, typer.Option(help="One hour of the day, 00 to 23; default: the whole day.")] = None,
    as_json: Json = False,
) -> None:
    """Declare that no plays arrive for a day or an hour, so that nobody waits for it any longer."""
    from spam_pipeline.command_line.decisions import print_gap

    print_gap(day, hour, by, reason, as_json=as_json)
