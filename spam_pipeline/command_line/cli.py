"""The command `spam-pipeline`: what runs and shows the pipeline, with arguments, options and help; the other commands by name; its exit status.

Exit status: 0 on success, 1 on failure with one message, 2 on wrong usage, 3 when `converge` left something held. What a command
does and prints is in the module that it imports when it runs, so that help and usage errors load nothing that computes: that is why
imports stand inside functions here and in the modules called `..._commands`, and nowhere else.
"""

import sys
from typing import Annotated

import typer

import spam_pipeline
from spam_pipeline.command_line.arguments import (
    Environment,
    Json,
    LogLevel,
    Scenarios,
    Skill,
    Stages,
    StartDay,
    use_environment,
)
from spam_pipeline.command_line.decision_commands import (
    decide_command,
    decisions_command,
    declare_gap_command,
    suspicions_command,
)
from spam_pipeline.command_line.environment_commands import drop_command, environments_command, promote_command
from spam_pipeline.command_line.publication_commands import (
    contracts_command,
    diff_command,
    lineage_command,
    query_command,
    tables_command,
    versions_command,
)
from spam_pipeline.command_line.royalty_commands import explain_command, issue_command, statements_command
from spam_pipeline.command_line.terminal import err, log_from, log_to_terminal, out
from spam_pipeline.command_line.upkeep_commands import (
    adopt_command,
    backup_command,
    erase_command,
    prune_command,
    restore_command,
    verify_command,
)

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


def _print_version(*, is_asked: bool) -> None:
    if is_asked:
        out.print(spam_pipeline.__version__)
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[  # noqa: ARG001 - its callback prints it
        bool, typer.Option("--version", help="Print the installed version.", is_eager=True, callback=_print_version)
    ] = False,
    log_level: Annotated[
        LogLevel,
        typer.Option(
            metavar="LEVEL",
            case_sensitive=False,
            help="The least level of messages: debug (with tracebacks), info (each partition), warning or error.",
        ),
    ] = LogLevel.WARNING,
    environment: Environment = None,
) -> None:
    """Classify plays as spam or legitimate, and turn them into royalties and reports."""
    log_from(log_level.value)
    use_environment(environment)


@app.command("simulate")
def simulate_command(  # noqa: PLR0913 - one parameter per option of the command
    *,
    days: Annotated[int, typer.Option(min=1, help="Days of arrivals.")] = 14,
    plays_per_day: Annotated[int, typer.Option(min=1, help="Plays per day, on average.")] = 20_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random numbers; equal seeds, equal plays.")] = 1,
    start: StartDay = None,
    scenario: Scenarios = None,
    skill: Annotated[
        Skill, typer.Option(help="How attackers hide: 0 is naive, 4 has a real listener's taste, ramp grows slowly.")
    ] = Skill.NAIVE,
    as_json: Json = False,
) -> None:
    """Write a landing zone of simulated plays, and the ground truth of every attack to truth.parquet beside it."""
    from spam_pipeline.command_line.simulating import print_simulation

    print_simulation(days, plays_per_day, seed, start, scenario, skill.value, as_json=as_json)


@app.command("converge")
def converge_command(
    *,
    stages: Stages = None,
    from_landing: Annotated[
        bool,
        typer.Option(
            "--from-landing",
            help="Fill a ledger that was lost from its journal and the landing zone; it says what is lost.",
        ),
    ] = False,
    environment: Environment = None,
    as_json: Json = False,
) -> None:
    """Observe the landing zone, then bring the stages up to date. Exits with 3 when something is held."""
    use_environment(environment)
    from spam_pipeline.command_line.converging import print_convergence

    print_convergence(stages, from_landing=from_landing, as_json=as_json)


@app.command("status")
def status_command(
    *,
    stages: Stages = None,
    all_stages: Annotated[bool, typer.Option("--all", help="Also list the stages that are fresh.")] = False,
    environment: Environment = None,
    as_json: Json = False,
) -> None:
    """Say what waits or is late, and count the partitions of each stage that are fresh, stale, held, or missing."""
    use_environment(environment)
    from spam_pipeline.command_line.converging import print_status

    print_status(stages, all_stages=all_stages, as_json=as_json)


@app.command("waiting")
def waiting_command(environment: Environment = None, as_json: Json = False) -> None:
    """List what waits for somebody: why, since when, whose it is, what follows, and the command and pages to decide it."""
    use_environment(environment)
    from spam_pipeline.command_line.waiting import print_waiting

    print_waiting(as_json=as_json)


@app.command("plan")
def plan_command(stages: Stages = None, environment: Environment = None, as_json: Json = False) -> None:
    """List every partition that would run, why, and whether it would be computed, reused or audited again. Runs nothing."""
    use_environment(environment)
    from spam_pipeline.command_line.converging import print_plan

    print_plan(stages, as_json=as_json)


@app.command("settings")
def settings_command(environment: Environment = None, as_json: Json = False) -> None:
    """Print every setting that counts, and whether it comes from a variable, from a file, or is the default; secrets are masked."""
    use_environment(environment)
    from spam_pipeline.command_line.setting_sources import print_settings

    print_settings(as_json=as_json)


@app.command("demo")
def demo_command() -> None:
    """Simulate ten days, converge, and print a tour of what happened."""
    from spam_pipeline.command_line.demonstration import print_demonstration

    print_demonstration()


app.command("versions")(versions_command)
app.command("diff")(diff_command)
app.command("suspicions")(suspicions_command)
app.command("decide")(decide_command)
app.command("decisions")(decisions_command)
app.command("environments")(environments_command)
app.command("promote")(promote_command)
app.command("drop")(drop_command)
app.command("contracts")(contracts_command)
app.command("lineage")(lineage_command)
app.command("tables")(tables_command)
app.command("query")(query_command)
app.command("verify")(verify_command)
app.command("backup")(backup_command)
app.command("restore")(restore_command)
app.command("adopt")(adopt_command)
app.command("erase")(erase_command)
app.command("prune")(prune_command)
app.command("declare-gap")(declare_gap_command)
app.command("issue")(issue_command)
app.command("explain")(explain_command)
app.command("statements")(statements_command)


def main() -> None:
    """Run the command line; every expected failure is one message on standard error."""
    log_to_terminal()
    try:
        app()
    except Exception as error:
        from spam_pipeline.command_line.exit_status import status_of

        status = status_of(error)
        if status is None:
            raise
        err.print(f"error: {error}", style="red")
        sys.exit(status)
