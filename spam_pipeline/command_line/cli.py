"""The command `spam-pipeline`: its commands with their arguments, options and help, and its exit status.

Exit status: 0 on success, 1 on failure with one message, 2 on wrong usage, 3 when `converge` left something held. What a command
does and prints is in the module that it imports when it runs, so that help and usage errors load nothing that computes: that is why
imports stand inside functions here and in `royalty_commands`, and nowhere else.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

import spam_pipeline
from spam_pipeline.command_line.arguments import (
    FILES_OF_ROWS,
    OF_SUSPICIONS,
    Decision,
    Devices,
    Environment,
    FirstDay,
    Json,
    LastDay,
    LogLevel,
    OldVersion,
    Partition,
    Queue,
    Scenarios,
    Skill,
    Stage,
    StageOrEnvironment,
    Stages,
    StartDay,
    VersionOrSuspicion,
    use_environment,
)
from spam_pipeline.command_line.royalty_commands import explain_command, issue_command, statements_command
from spam_pipeline.command_line.terminal import err, log_from, log_to_terminal, out

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
            "--from-landing", help="Fill a ledger that was lost from the landing zone; it says what that does not have."
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
def status_command(stages: Stages = None, environment: Environment = None, as_json: Json = False) -> None:
    """Count the partitions of each stage that are fresh, stale, held, or missing."""
    use_environment(environment)
    from spam_pipeline.command_line.converging import print_status

    print_status(stages, as_json=as_json)


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


@app.command("versions")
def versions_command(
    stage: Stage,
    partition: Partition = None,
    environment: Environment = None,
    as_json: Json = False,
) -> None:
    """List the versions of a partition, oldest first, with recipe, content, code version, fingerprint and audit."""
    use_environment(environment)
    from spam_pipeline.command_line.versions import print_versions

    print_versions(stage, partition, as_json=as_json)


@app.command("diff")
def diff_command(  # noqa: PLR0913, PLR0917 - one parameter per argument and option of the command
    stage: StageOrEnvironment,
    partition: Annotated[
        str | None,
        typer.Argument(help="A partition, or a range of partitions: 2026-01-01..2026-01-31; default: the newest."),
    ] = None,
    old: OldVersion = None,
    new: Annotated[str | None, typer.Argument(help="The same; default: newest.")] = None,
    html: Annotated[Path | None, typer.Option(help="Also write a page with charts to this file.")] = None,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a pull request.")] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 when data differs, as git diff does.")
    ] = False,
    environment: Environment = None,
    as_json: Json = False,
) -> None:
    """Compare two versions: figures with the significance of each shift, rows, and why they differ."""
    if as_markdown and as_json:
        raise typer.BadParameter("a comparison is printed as Markdown or as JSON", param_hint="--markdown")
    use_environment(environment)
    from spam_pipeline.command_line.versions import ComparisonForm, print_comparison

    print_comparison(stage, partition, old, new, ComparisonForm(html, as_markdown, as_json, exit_code))


@app.command("suspicions")
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


@app.command("decide")
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


@app.command("decisions")
def decisions_command(environment: Environment = None, as_json: Json = False) -> None:
    """List who decided what, when and why, oldest first."""
    use_environment(environment)
    from spam_pipeline.command_line.decisions import print_decisions

    print_decisions(as_json=as_json)


@app.command("environments")
def environments_command(as_json: Json = False) -> None:
    """List the environments: what each publishes itself, how much of that differs from production, and since when."""
    from spam_pipeline.command_line.environments import print_environments

    print_environments(as_json=as_json)


@app.command("promote")
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


@app.command("drop")
def drop_command(environment: Environment = None, as_json: Json = False) -> None:
    """Discard what an environment publishes itself, so that it reads everything from production again."""
    use_environment(environment)
    from spam_pipeline.command_line.environments import print_drop

    print_drop(as_json=as_json)


@app.command("contracts")
def contracts_command(
    *,
    stages: Stages = None,
    to: Annotated[Path | None, typer.Option(help="A folder for one file each; default: print them.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page of all columns for people.")] = False,
) -> None:
    """Print the contracts of stages in the Open Data Contract Standard, or the page of all columns."""
    from spam_pipeline.command_line.contracts import export_contracts, print_columns

    if markdown:
        print_columns()
    else:
        export_contracts(stages, to)


@app.command("lineage")
def lineage_command(
    *,
    to: Annotated[str, typer.Option(metavar="FILE|URL", help="A file to append to, or a server of OpenLineage.")],
    after: Annotated[int, typer.Option(min=0, help="Publications after this one; the last run says which it was.")] = 0,
    environment: Environment = None,
    as_json: Json = False,
) -> None:
    """Send what was published, from which versions, as OpenLineage events."""
    use_environment(environment)
    from spam_pipeline.command_line.lineage import send_lineage

    send_lineage(to, after, as_json=as_json)


@app.command("query")
def query_command(  # noqa: PLR0913, PLR0917 - one parameter per argument and option of the command
    sql: Annotated[str, typer.Argument(help="One SELECT statement.")],
    as_of: Annotated[
        str | None,
        typer.Option(help="Query what was published then: YYYY-MM-DD (its end) or an ISO 8601 date and time."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the rows to FILE.csv or FILE.parquet.")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the rows as CSV.")] = False,
    environment: Environment = None,
    as_json: Json = False,
) -> None:
    """Run SQL (DuckDB) over published data: one view per stage, such as reporting.daily_plays ("show all tables"). Files, CSV and JSON have values in full."""
    if file is not None and file.suffix not in FILES_OF_ROWS:
        raise typer.BadParameter(f"{file} ends in neither of {', '.join(FILES_OF_ROWS)}", param_hint="--out")
    if as_csv and (as_json or file is not None):
        raise typer.BadParameter("rows are printed as CSV, or as JSON, or written to a file", param_hint="--csv")
    use_environment(environment)
    from spam_pipeline.command_line.querying import print_answer, print_csv, print_written

    if file is not None:
        print_written(sql, as_of, file, as_json=as_json)
    elif as_csv:
        print_csv(sql, as_of)
    else:
        print_answer(sql, as_of, as_json=as_json)


@app.command("settings")
def settings_command(environment: Environment = None, as_json: Json = False) -> None:
    """Print every setting that counts, and whether it comes from a variable, from a file, or is the default; secrets are masked."""
    use_environment(environment)
    from spam_pipeline.command_line.setting_sources import print_settings

    print_settings(as_json=as_json)


@app.command("verify")
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


@app.command("demo")
def demo_command() -> None:
    """Simulate ten days, converge, and print a tour of what happened."""
    from spam_pipeline.command_line.demonstration import print_demonstration

    print_demonstration()


@app.command("declare-gap")
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
