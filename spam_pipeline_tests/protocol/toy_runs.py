"""Converging the toy pipeline, and what is published then."""

import shutil
from pathlib import Path

from spam_pipeline.protocol.convergence import Converged, Failure, converge
from spam_pipeline.protocol.graph import AnyStage
from spam_pipeline.protocol.records import PRODUCTION
from spam_pipeline.protocol.runner import Runner
from spam_pipeline_tests.protocol.toy_pipeline import STAGES, toy_runner


def run(runner: Runner, *names: str) -> tuple[Converged, list[tuple[str, str, str]]]:
    """Observe and converge; also tell which partitions were computed or reused."""
    did: list[tuple[str, str, str]] = []
    runner.observe()
    done = converge(
        runner,
        names or None,
        on_outcome=lambda need, _, outcome: did.append(
            (need.stage, need.partition, "failed" if isinstance(outcome, Failure) else outcome.action.value)
        ),
    )
    return done, did


def digests(runner: Runner) -> dict[tuple[str, str], str]:
    """The published content of every partition."""
    published = runner.ledger.published(PRODUCTION, list(runner.graph.stages))
    return {(name, key): item.content for name, by_key in published.items() for key, item in by_key.items()}


def rebuilt(home: Path) -> dict[tuple[str, str], str]:
    """The digests of a rebuild from nothing on the same landing zone."""
    elsewhere = home.with_name(f"{home.name}-rebuilt")
    shutil.rmtree(elsewhere, ignore_errors=True)
    elsewhere.mkdir()
    shutil.copytree(home / "landing", elsewhere / "landing")
    runner = toy_runner(elsewhere)
    run(runner)
    return digests(runner)


def total(runner: Runner, name: str, partition: str) -> int:
    return int(runner.reader.read(name, [partition]).collect()["total"].sum())


def with_other(other: AnyStage) -> tuple[AnyStage, ...]:
    """The toy pipeline with another stage of the same name."""
    return tuple(other if stage.name == other.name else stage for stage in STAGES)
