"""The team's Dagster code location: its own home, ledger and landing zone, and sensors on one of the pipeline's assets and on a table.

It knows the pipeline by Dagster's events alone: what was published of `daily_plays`, and the numbers that came with it.
"""

import json
import os
import re
from collections.abc import Callable
from datetime import date
from functools import cache, partial
from pathlib import Path

import dagster as dg
import sqlalchemy as sa

from examples.advertising.billing import billed_plays, event_days, published_counts
from examples.advertising.markets import SOURCES, STAGES, classify_for_markets, spot_prices
from examples.advertising.tables import land_changed_cards
from spam_pipeline.orchestration.asset_keys import AssetKeys
from spam_pipeline.orchestration.assets import ENGINE, READER, source_asset, stage_asset
from spam_pipeline.orchestration.automation import stale
from spam_pipeline.orchestration.checks import stage_checks
from spam_pipeline.orchestration.grids import partitions_definition
from spam_pipeline.orchestration.io_manager import published_versions
from spam_pipeline.orchestration.preview_apis import preview_apis
from spam_pipeline.orchestration.sensors import landing_sensor
from spam_pipeline.orchestration.staleness_check import staleness_check
from spam_pipeline.protocol import operating

PIPELINE = AssetKeys(tuple(filter(None, os.environ.get("SPAM_PIPELINE_ASSET_PREFIX", "").split("/"))))
DAILY_PLAYS = PIPELINE.key("daily_plays")
START = date(2026, 1, 1)
GRAPH = operating.StageGraph([billed_plays, *STAGES], [published_counts, *SOURCES], {"price_per_thousand_minor": 450})

_EVENTS_PER_TICK = 100


@cache
def open_engine(home: Path) -> operating.Engine:
    """What runs the stage, over the team's own home."""
    home.mkdir(parents=True, exist_ok=True)
    ledger = f"sqlite:///{home / 'ledger.db'}"
    return operating.open_engine(
        graph=GRAPH,
        ledger=operating.Ledger(ledger),
        store=operating.Store(str(home / "store"), home / "cache"),
        private_store=operating.Store(str(home / "private"), home / "cache"),
        landing=operating.LandingZone(str(home / "landing")),
        classify=_source_and_partition,
        claims=operating.Claims(ledger),
        environment=operating.PRODUCTION,
    )


def build_definitions(home: Path, database: str | None = None) -> dg.Definitions:
    """The stages, what lands for them, and what starts by itself; `database` is where the sales team keeps its rate cards."""
    engine = partial(open_engine, home)
    counts = _counts_asset(home / "landing")
    condition = ~dg.AutomationCondition.in_progress() & stale(engine)
    with preview_apis():
        converge = dg.AutomationConditionSensorDefinition(
            "converge",
            target=dg.AssetSelection.assets(*GRAPH.stages),
            default_status=dg.DefaultSensorStatus.RUNNING,
            use_user_code_server=True,
        )
    return dg.Definitions(
        assets=[
            counts,
            *(source_asset(source, START) for source in SOURCES),
            *(stage_asset(stage, GRAPH, START, condition) for stage in GRAPH.stages.values()),
        ],
        asset_checks=[
            *(stage_checks(stage, GRAPH, START) for stage in GRAPH.stages.values()),
            *(staleness_check(name) for name in GRAPH.stages),
        ],
        sensors=[
            _publications_sensor(counts),
            landing_sensor(engine),
            converge,
            *([_rate_cards_sensor(engine, sa.create_engine(database))] if database else []),
        ],
        resources={ENGINE: dg.ResourceDefinition(lambda _context: engine()), READER: published_versions},
        executor=dg.in_process_executor,
    )


def _publications_sensor(counts: dg.AssetsDefinition) -> dg.SensorDefinition:
    """Starts one run for each publication of `daily_plays`.

    Dagster's `asset_sensor` sees the last event before a tick and no other, and a convergence publishes many days at once.
    """

    @dg.sensor(
        description="Lands the count of a day whenever the platform publishes one, or a correction of it.",
        target=[counts],
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def daily_plays_published(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        wanted = dg.AssetRecordsFilter(DAILY_PLAYS, after_storage_id=int(context.cursor) if context.cursor else None)
        seen = context.instance.fetch_materializations(wanted, _EVENTS_PER_TICK, ascending=True).records
        requests = [
            dg.RunRequest(run_key=str(record.storage_id), partition_key=record.partition_key)
            for record in seen
            if _published_plays(context.instance, record) is not None
        ]
        return dg.SensorResult(requests, cursor=str(seen[-1].storage_id) if seen else context.cursor)

    return daily_plays_published


def _rate_cards_sensor(open_engine: Callable[[], operating.Engine], database: sa.Engine) -> dg.SensorDefinition:
    """Lands the rate cards that changed. Its cursor is the watermark, so one that is reset asks for all of them, which costs nothing else."""

    @dg.sensor(
        description="Lands the rate card of a market when the sales team changes it.",
        target=dg.AssetSelection.assets(spot_prices.name),
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def rate_cards_changed(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        return dg.SensorResult(cursor=land_changed_cards(database, open_engine().landing, context.cursor or ""))

    return rate_cards_changed


def _counts_asset(landing: Path) -> dg.AssetsDefinition:
    """Lands what is published of a day now: neither the order of runs matters, nor one that was lost."""

    @dg.asset(
        name=published_counts.name,
        description=published_counts.description,
        group_name="landing",
        partitions_def=partitions_definition(event_days, START),
        deps=[DAILY_PLAYS],
    )
    def count_of_day(context: dg.AssetExecutionContext) -> None:
        day, instance = context.partition_key, context.instance
        wanted = dg.AssetRecordsFilter(DAILY_PLAYS, asset_partitions=[day])
        events = instance.fetch_materializations(wanted, _EVENTS_PER_TICK).records
        plays = next(found for event in events if (found := _published_plays(instance, event)) is not None)
        landing.mkdir(parents=True, exist_ok=True)
        unfinished = landing / f".{day}.json"
        unfinished.write_text(json.dumps({"day": day, "plays": plays}), encoding="utf-8")
        unfinished.replace(landing / f"{day}.json")

    return count_of_day


def _published_plays(instance: dg.DagsterInstance, record: dg.EventLogRecord) -> int | None:
    """Plays without spam of the day that an event publishes; None where it does not tell of a publication in production.

    Running a fresh day materializes it without publishing anything, and earlier releases showed branches in the same instance.
    """
    run, event = instance.get_run_by_id(record.run_id), record.asset_materialization
    environment = run.tags.get("spam_pipeline/environment") if run else None
    if event is None or "published_at" not in event.metadata or environment not in {None, operating.PRODUCTION}:
        return None
    plays = event.metadata["fingerprint/plays_without_spam"].value
    return int(plays) if isinstance(plays, int | float) else None


def _source_and_partition(path: str) -> tuple[str, str] | None:
    matched = re.fullmatch(r"([0-9]{4}-[0-9]{2}-[0-9]{2})\.json", path)
    return (published_counts.name, event_days.check(matched[1])) if matched else classify_for_markets(path)


defs = build_definitions(
    Path(os.environ.get("ADVERTISING_HOME", ".advertising")).absolute(), os.environ.get("ADVERTISING_DATABASE_URL")
)
