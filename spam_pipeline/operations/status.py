"""The status of the pipeline in numbers: how many partitions of each stage are in which state, and what waits or is late."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from spam_pipeline.protocol.operating import Engine, Late, Overview, State, Waiting


class Status(NamedTuple):
    """The state of partitions: counts by stage and state, those that wait for somebody, and why; and paths that were passed over.

    `converged` says that nothing could run; `late` are partitions that were not ready by the deadline of their stage.
    """

    counts: Mapping[str, Mapping[str, int]]
    converged: bool
    waiting: tuple[Waiting, ...]
    passed_over: Mapping[str, str]
    late: tuple[Late, ...] = ()


def status_of(engine: Engine, stages: Sequence[str] | None) -> Status:
    """The status of the named stages, or of all, by what is observed."""
    found = Overview(engine, engine.planner.report(stages))
    statuses = {stage: found.report.statuses[stage] for stage in stages or found.report.statuses}
    all_of_them = [status for by_partition in statuses.values() for status in by_partition.values()]
    return Status(
        counts={
            stage: {state.value: sum(status.state is state for status in by_partition.values()) for state in State}
            for stage, by_partition in statuses.items()
        },
        converged=not any(status.can_run for status in all_of_them),
        waiting=tuple(item for item in found.waiting if item.stage in statuses),
        passed_over=engine.passed_over(),
        late=tuple(item for item in found.late if item.stage in statuses),
    )
