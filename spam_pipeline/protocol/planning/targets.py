"""Targets: the places outside that an environment's stages are delivered to, and which of them are this process's to fill.

A target that a setting names belongs to everyone with that setting, and holds one delivery for all of them. One that is only
the default of a home belongs to the first home that delivered: with a ledger that several machines share, each of them would
otherwise see its own empty target, and want what another one has long delivered. What a delivery does is in `execution`.
"""

import logging
import socket
from collections.abc import Collection

from spam_pipeline.protocol.definition.graph import AnyStage, StageGraph
from spam_pipeline.protocol.foundation.errors import PipelineError
from spam_pipeline.protocol.foundation.shown_url import without_credentials
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.records import Version

_logger = logging.getLogger(__name__)


class Targets:
    """The targets of one environment. `unnamed` are the entries of the configuration that yield to another home's delivery."""

    def __init__(
        self, graph: StageGraph, ledger: Ledger, environment: str, unnamed: Collection[str] = frozenset()
    ) -> None:
        self._graph = graph
        self._ledger = ledger
        self._environment = environment
        self._unnamed = frozenset(unnamed)

    def held(self, stages: Collection[AnyStage]) -> dict[str, str | None]:
        """The recipe that the target of each stage holds, by stage; None where it holds nothing or cannot be reached.

        A stage whose target is another home's is absent: nothing is wanted of this process.
        """
        delivered = [stage for stage in stages if stage.delivery]
        owners = self._owners(delivered)
        return {stage.name: self._held(stage) for stage in delivered if self._is_ours(stage, owners)}

    def is_ours(self, stage: AnyStage) -> bool:
        """Return True if this process delivers a stage; False for a stage without a delivery."""
        return stage.delivery is not None and self._is_ours(stage, self._owners([stage]))

    def holds(self, stage: AnyStage) -> str | None:
        """The recipe that a target holds, None if it shows a past that was pruned since. Raises what reaching it raises."""
        if stage.delivery and stage.delivery.shows_past and self._is_past_pruned(stage):
            return None
        return self._graph.delivered(stage)

    def _is_past_pruned(self, stage: AnyStage) -> bool:
        return self._ledger.prunings.are_since_delivery(self._environment, stage.name)

    def record(self, stage: AnyStage, version: Version) -> None:
        """Note in the ledger that the target of a stage was given a version."""
        self._ledger.deliveries.record(self._environment, stage.name, self._place(stage), version.id)

    def _owners(self, stages: Collection[AnyStage]) -> dict[str, str]:
        may_yield = any(stage.delivery and stage.delivery.target in self._unnamed for stage in stages)
        return self._ledger.deliveries.last_places(self._environment) if may_yield else {}

    def _is_ours(self, stage: AnyStage, owners: dict[str, str]) -> bool:
        if stage.delivery is None or stage.delivery.target not in self._unnamed:
            return True
        place = self._place(stage)
        return owners.get(stage.name, place) == place

    def _held(self, stage: AnyStage) -> str | None:
        """The recipe that a target holds, or None where it cannot be reached: only delivering to it has to fail then."""
        try:
            return self.holds(stage)
        except PipelineError as problem:
            _logger.warning("%s: %s", stage.name, problem)
            return None

    def _place(self, stage: AnyStage) -> str:
        return place_of_target(str(self._graph.configuration[stage.delivery.target])) if stage.delivery else ""


def place_of_target(target: str) -> str:
    """The place of a target as the ledger and messages name it: a path with its machine, a URL without a user and a password."""
    return without_credentials(target) if "://" in target else f"{socket.gethostname()}:{target}"
