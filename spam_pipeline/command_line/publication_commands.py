"""The commands that read what is published, compare it, and export it to catalogues; see `cli` about imports."""

from pathlib import Path
from typing import Annotated

import typer

from spam_pipeline.command_line.arguments import (
    FILES_OF_ROWS,
    Environment,
    Json,
    OldVersion,
    Partition,
    Stage,
    StageOrEnvironment,
    Stages,
    use_environment,
)


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


def tables_command(
    *,
    to: Annotated[
        str, typer.Option(metavar="URL", help="A catalogue: sqlite:///FILE, postgresql://..., or a REST server.")
    ],
    metadata: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE", help="A folder or URL for what describes new tables; default: tables, in the home."
        ),
    ] = None,
    keep_days: Annotated[
        int | None, typer.Option(min=0, help="Of the past, keep what was current in these last days; default: all.")
    ] = None,
    environment: Environment = None,
    as_json: Json = False,
) -> None:
    """Bring Iceberg tables over what is published up to date, a snapshot for each publication; no data is copied."""
    use_environment(environment)
    from spam_pipeline.command_line.open_tables import export_tables

    export_tables(to, metadata, keep_days, as_json=as_json)


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
