"""Decisions in the landing zone: each lands as a document before the ledger has it, and a ledger takes in those that it does not have.

So what people decided outlives the ledger. A document is taken in once there is a version that it can be about; what it says and what makes
it none is in `decision_document`.
"""

import io
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from spam_pipeline.protocol.definition.graph import StageGraph
from spam_pipeline.protocol.execution.decision_document import (
    DECISIONS,
    MOST_BYTES,
    LandedDecision,
    WrongDecisionDocument,
    document_of,
    path_of_document,
    place_of_document,
    read_document,
)
from spam_pipeline.protocol.foundation.errors import WrongPartition
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.claims import Claims
from spam_pipeline.protocol.ledger.records import Decision, DecisionKind
from spam_pipeline.protocol.storage.landing_zone import LandingZone

_logger = logging.getLogger(__name__)


class DecisionDocuments:
    """The documents of decisions in one landing zone, and the ledger that follows them."""

    def __init__(self, graph: StageGraph, ledger: Ledger, landing: LandingZone, claims: Claims) -> None:
        self._graph = graph
        self._ledger = ledger
        self._landing = landing
        self._claims = claims

    def land(self, decision: Decision, recipe: str, last: int) -> Decision:
        """Land a decision about the version of a recipe, then record it; whoever decides holds the claim on deciding.

        Killed in between, it is taken in by the next convergence. Raises `AlreadyDecided`.
        """
        landed, content = document_of(decision, recipe, self._ledger.landed_decisions.document_before(decision))
        self._landing.add(path_of_document(landed), io.BytesIO(content))
        return self._ledger.landed_decisions.record(decision, last, landed.document)

    def land_earlier(self) -> None:
        """Land the decisions that have no document: those that releases before 0.12 recorded. Where that is not allowed, it is only logged."""
        if not self._ledger.landed_decisions.without_document():
            return
        with self._claims.on_deciding():
            for decision, recipe in self._ledger.landed_decisions.without_document():
                landed, content = document_of(decision, recipe, self._ledger.landed_decisions.document_before(decision))
                path = path_of_document(landed)
                try:
                    if self._landing.state(path) is None:
                        self._landing.add(path, io.BytesIO(content))
                except OSError as problem:
                    _logger.warning("decisions cannot be written to the landing zone %s: %s", self._landing, problem)
                    return
                self._ledger.landed_decisions.note(decision.id, landed.document)

    def waiting(self) -> list[LandedDecision]:
        """The observed documents that the ledger does not have and may take in, in the order of their times."""
        found = [read for _, read in self._unknown() if isinstance(read, LandedDecision)]
        return sorted(found, key=lambda item: (item.decision.decided_at, item.document))

    def refused(self) -> dict[str, str]:
        """The observed documents that are never taken in as they are, by path, each with the reason."""
        return {path: read for path, read in self._unknown() if isinstance(read, str)}

    def take_in(self, waiting: list[LandedDecision]) -> list[LandedDecision]:
        """Record the decisions that there is a version for by now, and return the others."""
        found = [(item, None if self._objection(item) else self._version_for(item)) for item in waiting]
        if any(version for _, version in found):
            with self._claims.on_deciding():
                known = self._ledger.landed_decisions.documents()
                for item, version in found:
                    if version is not None and item.document not in known:
                        decision = replace(item.decision, version_id=version)
                        self._ledger.landed_decisions.record(decision, None, item.document)
        return [item for item, version in found if version is None]

    def _unknown(self) -> Iterator[tuple[str, LandedDecision | str]]:
        """The observed documents without a row, each as it reads, or why it is refused."""
        known = self._ledger.landed_decisions.documents()
        for path, state in self._ledger.observations.below(DECISIONS).items():
            place = place_of_document(path) if state.source == DECISIONS else None
            if place is None or place[1] in known:
                continue
            try:
                landed = self._read(path, place[1])
            except FileNotFoundError:
                continue
            except WrongDecisionDocument as wrong:
                yield path, str(wrong)
            else:
                yield path, self._objection(landed) or landed

    def _read(self, path: str, digest: str) -> LandedDecision:
        with self._landing.open(path) as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise WrongDecisionDocument(f"it has more than {MOST_BYTES:,} bytes")
        return read_document(digest, content)

    def _objection(self, landed: LandedDecision) -> str | None:
        """Return why a well-formed document cannot be about anything here; None if it can."""
        decision = landed.decision
        stage = self._graph.stages.get(decision.stage)
        if stage is None:
            return "it is about a stage that there is not"
        try:
            stage.partitions.check(decision.partition)
        except WrongPartition:
            return f"it is about a partition that {stage.name} does not have"
        if decision.decided_at > datetime.now(UTC):
            return "it is ahead of the clock"
        about = self._ledger.version(landed.recipe)
        if about and (about[0].stage, about[0].partition, about[0].content) != (
            *(decision.stage, decision.partition, decision.content),
        ):
            return "the version of its recipe has another content"
        later = self._ledger.decisions(decision.environment, decision.stage, decision.partition)
        if any(item.content == decision.content and item.decided_at > decision.decided_at for item in later):
            return "somebody has decided about the same content since"
        return None

    def _version_for(self, landed: LandedDecision) -> int | None:
        """The id of the version that a decision can be about: of its recipe, or else of its content; None while there is none.

        Files and code may have changed since, so that nothing is ever computed by that recipe again. A rejection is about its content alone;
        what was accepted also covers the same findings in other versions of the partition, as it did when those were computed.
        """
        decision = landed.decision
        versions = [version for version, _ in self._ledger.versions(decision.stage, decision.partition)]
        same = [version.id for version in versions if version.recipe == landed.recipe]
        same += [version.id for version in versions if version.content == decision.content]
        if not same and decision.kind is DecisionKind.ACCEPT:
            same = [version.id for version in versions]
        return next(iter(same), None)
