"""Delivering: published versions are carried to the targets of their stages, such as a database file.

One process delivers to a target at a time: without that, a slow delivery of an old version replaced a newer one. How a target
is written is up to the stage's delivery.
"""

import logging
from contextlib import AbstractContextManager
from functools import cached_property, partial

from spam_pipeline.protocol.definition.graph import AnyStage, StageGraph
from spam_pipeline.protocol.execution.publishing import recorded_failure
from spam_pipeline.protocol.execution.repairing import Repairs
from spam_pipeline.protocol.explanation.root_causes import RootCauses
from spam_pipeline.protocol.foundation.digest import digest
from spam_pipeline.protocol.foundation.errors import PipelineError
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.claims import Claims
from spam_pipeline.protocol.ledger.records import Trigger, Version
from spam_pipeline.protocol.planning.targets import Targets
from spam_pipeline.protocol.storage.reader import Reader
from spam_pipeline.protocol.storage.store import Store

_logger = logging.getLogger(__name__)


class DeliveryReader(Reader):
    """A reader that also finds root causes, reading the ledger once for all changes of a delivery."""

    @cached_property
    def _root_causes(self) -> RootCauses:
        settling = {stage.name for stage in self._graph.stages.values() if stage.settled_after_days is not None}
        return RootCauses(self._ledger, self._environment, settling)

    def root_causes(self, stage: str, old: int, new: int) -> list[str]:
        """The root causes of the change between two versions of a partition, given by id."""
        return [str(cause) for cause in self._root_causes.of(stage, old, new)]


class Deliveries:
    """Keeps the targets of one environment's stages at the published versions."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a delivery reads, each named
        self,
        graph: StageGraph,
        ledger: Ledger,
        store: Store,
        claims: Claims,
        environment: str,
        repairs: Repairs,
        targets: Targets,
    ) -> None:
        self._graph = graph
        self._ledger = ledger
        self._store = store
        self._claims = claims
        self._environment = environment
        self._repairs = repairs
        self._targets = targets

    def deliver(self, stage: AnyStage, version: Version, trigger: Trigger) -> bool:
        """Deliver a published version, unless its stage has no target here or the target holds it; return True if it was delivered.

        If another process has published a newer version meanwhile, that is the one.
        """
        if stage.delivery is None or not self._targets.is_ours(stage):
            return False
        target = self._graph.configuration[stage.delivery.target]
        with (
            recorded_failure(self._ledger, version, trigger),
            self.alone_at(target),
        ):
            read = self._ledger.published_version(self._environment, stage.name, version.partition) or version
            if self._targets.holds(stage) == read.recipe:
                return False
            reader = DeliveryReader(self._graph, self._ledger, self._store, self._environment)
            self._repairs.mending(partial(stage.delivery.deliver, target, read, reader))
            self._targets.record(stage, read)
        return True

    def alone_at(self, target: str) -> AbstractContextManager[None]:
        """Wait until no other process delivers to a target, and keep it from doing so meanwhile."""
        return self._claims.on(digest(("deliver", target)), wait=True)

    def deliver_if_reachable(self, stage: AnyStage, partition: str, trigger: Trigger) -> None:
        """Deliver the published version of a partition; a target that is away gets it once it answers."""
        version = self._ledger.published_version(self._environment, stage.name, partition)
        try:
            if version is not None:
                self.deliver(stage, version, trigger)
        except PipelineError as problem:
            _logger.warning("%s: %s", stage.name, problem)
