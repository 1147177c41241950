"""Exporting what is published as Iceberg tables."""

from datetime import UTC, datetime, timedelta

from spam_pipeline.command_line.contracts import extra
from spam_pipeline.command_line.terminal import print_record, progress
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.protocol import PipelineError
from spam_pipeline.shown_urls import masked_url


class NoPlaceForMetadata(PipelineError):
    """Tables over files elsewhere have no default place for their metadata."""


def export_tables(to: str, metadata: str | None, keep_days: int | None, *, as_json: bool) -> None:
    """Bring the tables of a catalogue up to date."""
    with extra("iceberg"):
        from spam_pipeline.operations.open_tables.catalogue import opened  # noqa: PLC0415 - it may not be installed
        from spam_pipeline.operations.open_tables.export import export  # noqa: PLC0415 - the same
    pipeline = Pipeline()
    since = datetime.now(UTC) - timedelta(days=keep_days) if keep_days is not None else None
    with progress() as show, opened(to, metadata or _beside(pipeline, to)) as catalogue:
        done = export(pipeline.engine, catalogue, since, show)
    print_record({"tables": done.tables, "snapshots": done.snapshots, "last": done.last}, as_json=as_json)


def _beside(pipeline: Pipeline, to: str) -> str | None:
    """The folder for metadata that nobody named; a server has a place of its own."""
    if to.startswith("http"):
        return None
    if "://" in pipeline.settings.store:
        raise NoPlaceForMetadata(
            f"the store is {masked_url(pipeline.settings.store)}: say with --metadata at which URL engines find the metadata of tables"
        )
    place = pipeline.settings.home.absolute() / "tables"
    place.mkdir(parents=True, exist_ok=True)
    return str(place)
