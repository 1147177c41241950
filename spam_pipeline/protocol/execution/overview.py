"""How all stages stand at one moment, for whoever tells somebody: each part is computed once, when it is first asked for, and handed on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.execution.lateness import late_partitions
from spam_pipeline.protocol.execution.outlook import Outlook, outlook
from spam_pipeline.protocol.explanation.waiting import Waiting, waiting
from spam_pipeline.protocol.planning.deadlines import Late
from spam_pipeline.protocol.planning.quarantine import Quarantine, quarantine
from spam_pipeline.protocol.planning.staleness import StalenessReport


@dataclass(frozen=True)
class Overview:
    """A report on all stages of an engine, and what it says; `at` is when it was made."""

    engine: Engine
    report: StalenessReport
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @classmethod
    def of(cls, engine: Engine) -> "Overview":
        """The overview of this moment."""
        return cls(engine, engine.planner.report())

    @cached_property
    def quarantined(self) -> Quarantine:
        """The quarantined versions, by stage and partition."""
        return quarantine(self.report, self.engine.planner.snapshot([]))

    @cached_property
    def waiting(self) -> tuple[Waiting, ...]:
        """The partitions that wait for somebody, in the order of the stages."""
        engine = self.engine
        return waiting(engine.graph, engine.ledger, engine.environment, self.report, self.quarantined)

    @cached_property
    def late(self) -> tuple[Late, ...]:
        """The partitions that are late; their clocks are kept as `late_partitions` does."""
        return tuple(late_partitions(self.engine, self.report, self.at))

    @cached_property
    def outlooks(self) -> Mapping[str, Outlook]:
        """The outlook of each stage."""
        return {stage: outlook(self.engine, self.report, stage, self.late) for stage in self.report.statuses}
