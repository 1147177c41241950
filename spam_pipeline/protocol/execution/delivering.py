"""Delivering: what readers of an environment see is carried to the targets of its stages, such as a database file.

One process delivers to a target at a time, so that none takes it back to something older. How a target is written is up to
the stage's delivery.
"""

import logging
from functools import cached_property

from spam_pipeline.protocol.definition.graph import AnyStage, StageGraph
from spam_pipeline.protocol.execution.publishing import recorded_failure
from spam_pipeline.protocol.explanation.root_causes import RootCauses
from spam_pipeline.protocol.foundation.digest import digest
from spam_pipeline.protocol.foundation.errors import PipelineError
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.claims import Claims
from spam_pipeline.protocol.ledger.records import Trigger, Version
from spam_pipeline.protocol.storage.reader import Reader
from spam_pipeline.protocol.storage.store import Store

_logger = logging.getLogger(__name__)


class DeliveryReader(Reader):
    """A reader that also answers what changes began with; what the ledger was asked for one change is not asked again."""

    @cached_property
    def _root_causes(self) -> RootCauses:
        return RootCauses(self._ledger, self._environment)

    def root_causes(self, stage: str, old: int, new: int) -> list[str]:
        """The root causes of the change from one version of a partition to another, named by their ids."""
        return [str(cause) for cause in self._root_causes.of(stage, old, new)]


class Deliveries:
    """Keeps the targets of one environment's stages at what is published."""

    def __init__(self, graph: StageGraph, ledger: Ledger, store: Store, claims: Claims, environment: str) -> None:
        self._graph = graph
        self._ledger = ledger
        self._store = store
        self._claims = claims
        self._environment = environment

    def deliver(self, stage: AnyStage, version: Version, trigger: Trigger) -> bool:
        """Carry what is read now to its stage's target, if it has one that holds something else; return whether that was so.

        That is `version`, unless another process has published a newer one meanwhile.
        """
        if stage.delivery is None:
            return False
        target = self._graph.configuration[stage.delivery.target]
        with (
            recorded_failure(self._ledger, version, trigger),
            self._claims.on(digest(("deliver", target)), wait=True),
        ):
            read = self._ledger.published_version(self._environment, stage.name, version.partition) or version
            if self._graph.delivered(stage) == read.recipe:
                return False
            reader = DeliveryReader(self._graph, self._ledger, self._store, self._environment)
            stage.delivery.deliver(target, read, reader)
        return True

    def deliver_if_reachable(self, stage: AnyStage, partition: str, trigger: Trigger) -> None:
        """Carry what is read of a partition to its target; one that is away gets it once it answers."""
        version = self._ledger.published_version(self._environment, stage.name, partition)
        try:
            if version is not None:
                self.deliver(stage, version, trigger)
        except PipelineError as problem:
            _logger.warning("%s: %s", stage.name, problem)
