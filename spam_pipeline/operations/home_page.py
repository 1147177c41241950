"""The home page of reports after a convergence: how the pipeline stands, and what waits for somebody."""

import logging

from spam_pipeline.dagster_links import decision_path, evidence_path
from spam_pipeline.pages.state import PipelineState, WaitingItem
from spam_pipeline.protocol.operating import Overview, State, Waiting
from spam_pipeline.reporting.errors import TargetUnreachable
from spam_pipeline.reporting.report_folder import put_state
from spam_pipeline.settings import Settings

_logger = logging.getLogger(__name__)


def update_home_page(found: Overview, settings: Settings) -> None:
    """Write how the pipeline stands on the home page, where one is delivered; data is published whether or not that works."""
    target, state = str(settings.reports), pipeline_state(found, settings)
    try:
        # Beside a delivery this took back that the delivery is unfinished: killed, it passed for the one before.
        with found.engine.deliveries.alone_at(target):
            put_state(target, state)
    except TargetUnreachable as problem:
        _logger.warning("the home page of reports shows an earlier state: %s", problem)


def pipeline_state(found: Overview, settings: Settings) -> PipelineState:
    """Gather how the pipeline stands."""
    statuses = [status for by_partition in found.report.statuses.values() for status in by_partition.values()]
    return PipelineState(
        found.at,
        sum(status.state is State.FRESH for status in statuses),
        sum(status.can_run for status in statuses),
        [_in_words(item, settings) for item in found.waiting],
    )


def _in_words(item: Waiting, settings: Settings) -> WaitingItem:
    return WaitingItem(
        place=item.place,
        owner=item.owner,
        since=f"{item.since:%Y-%m-%d %H:%M} UTC" if item.since else "",
        why=item.why,
        consequence=item.consequence,
        command=item.command,
        evidence=settings.dagster_url + evidence_path(item, settings.asset_prefix),
        launchpad=settings.dagster_url + decision_path(*item.decision) if item.decision else "",
    )
