"""Converging without a daemon: the same stages, run here and now, and a Dagster instance told about it afterwards."""

from collections.abc import Callable, Collection

from spam_pipeline.orchestration.events import report_publications
from spam_pipeline.orchestration.instance import open_instance
from spam_pipeline.pipeline import Pipeline
from spam_pipeline.protocol.convergence import Converged, converge
from spam_pipeline.protocol.errors import PipelineError
from spam_pipeline.protocol.runner import Outcome
from spam_pipeline.protocol.staleness import Need


class NothingLanded(PipelineError):
    """There is no landing zone to observe."""


def converge_headless(
    pipeline: Pipeline, names: Collection[str] | None = None, tell: Callable[[str], None] = lambda _text: None
) -> Converged:
    """Observe the landing zone, converge, and report the publications to the Dagster instance.

    `tell` receives a line for every stage that has something to do. Raises `NothingLanded` when there is no landing zone.
    """
    settings = pipeline.settings
    if not settings.landing.is_dir():
        raise NothingLanded(
            f"no landing zone at {settings.landing}: set SPAM_PIPELINE_HOME, or run spam-pipeline simulate"
        )
    names = names or None
    pipeline.runner.store.sweep()
    tell("observing the landing zone")
    pipeline.runner.observe()

    def on_outcome(need: Need, outcome: Outcome | None) -> None:
        tell(f"{need.stage} {need.partition} {outcome.action.value if outcome else 'failed'}")

    done = converge(pipeline.runner, names, on_outcome=on_outcome)
    tell("telling the Dagster instance")
    with open_instance(settings.dagster_home) as instance:
        report_publications(instance, pipeline.runner.ledger, pipeline.graph, settings.environment, settings.ledger)
    return done
