"""Converging the toy pipeline, and what is published then."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

from spam_pipeline.protocol.definition.graph import AnyStage
from spam_pipeline.protocol.execution.convergence import Converged, Failure, converge
from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.ledger.records import PRODUCTION, Decision, DecisionKind
from spam_pipeline_tests.protocol.made_up_records import record_decision
from spam_pipeline_tests.protocol.toy_pipeline import STAGES, toy_engine


def run(engine: Engine, *names: str) -> tuple[Converged, list[tuple[str, str, str]]]:
    """Observe and converge; also tell which partitions were computed or reused."""
    did: list[tuple[str, str, str]] = []
    engine.observe()
    done = converge(
        engine,
        names or None,
        on_outcome=lambda status, _, outcome: did.append(
            (status.stage, status.partition, "failed" if isinstance(outcome, Failure) else outcome.action.value)
        ),
    )
    return done, did


def take_back(engine: Engine, stage: str, partition: str, file: Path) -> None:
    """Remove the file that a published partition was made from, and record that somebody rejects it; nothing follows yet."""
    file.unlink()
    engine.observe()
    version = engine.reader.version(stage, partition)
    record_decision(
        engine.ledger,
        Decision(
            environment=engine.environment,
            version_id=version.id,
            stage=stage,
            partition=partition,
            content=version.content,
            kind=DecisionKind.REJECT,
            by="eve",
            reason="withdrawn",
            findings=(),
            decided_at=datetime.now(UTC),
        ),
        last=0,
    )


def digests(engine: Engine) -> dict[tuple[str, str], str]:
    """The published content of every partition."""
    published = engine.ledger.published(PRODUCTION, list(engine.graph.stages))
    return {(name, key): item.content for name, by_key in published.items() for key, item in by_key.items()}


def rebuilt(home: Path) -> dict[tuple[str, str], str]:
    """The digests of a rebuild from nothing on the same landing zone."""
    elsewhere = home.with_name(f"{home.name}-rebuilt")
    shutil.rmtree(elsewhere, ignore_errors=True)
    elsewhere.mkdir()
    shutil.copytree(home / "landing", elsewhere / "landing")
    engine = toy_engine(elsewhere)
    run(engine)
    return digests(engine)


def total(engine: Engine, name: str, partition: str) -> int:
    return int(engine.reader.read(name, [partition]).collect()["total"].sum())


def with_other(other: AnyStage) -> tuple[AnyStage, ...]:
    """The toy pipeline with another stage of the same name."""
    return tuple(other if stage.name == other.name else stage for stage in STAGES)
