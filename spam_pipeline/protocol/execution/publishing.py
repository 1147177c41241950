"""Publishing: a version is audited, and then published or quarantined; a published one that is refused falls back to an earlier one.

A version goes in, an outcome comes out, and the ledger has recorded it in one transaction. Nothing is computed or delivered here;
`audit` makes the findings.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from spam_pipeline.protocol.definition.graph import AnyStage, StageGraph
from spam_pipeline.protocol.execution.auditor import Auditor
from spam_pipeline.protocol.execution.outcome import ActionTaken, Outcome, format_error
from spam_pipeline.protocol.foundation.errors import NotPublished, Pruned
from spam_pipeline.protocol.foundation.finding import Finding
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.records import Audit, Trigger, Verdict, Version
from spam_pipeline.protocol.planning.partition_status import PartitionStatus


class Publisher:
    """Audits and publishes versions in one environment of a ledger."""

    def __init__(self, graph: StageGraph, ledger: Ledger, auditor: Auditor, environment: str) -> None:
        self._graph = graph
        self._ledger = ledger
        self._auditor = auditor
        self._environment = environment

    def audit(self, stage: AnyStage, version: Version, on_data: list[Finding]) -> Audit:
        """Audit a version that was just computed, given the findings on its data; the ledger does not know of it yet."""
        return self._auditor.first(stage, version, on_data)

    def publish_computed(self, version: Version, audit: Audit, trigger: Trigger) -> Outcome:
        """Record a version that was just computed, with its audit; publish it if it passed."""
        done = _with_action(trigger, ActionTaken.COMPUTED)
        recorded, publication = self._ledger.record(version, audit, self._environment, done)
        return Outcome(ActionTaken.COMPUTED, recorded, audit, publication)

    def publish_known(self, stage: AnyStage, version: Version, last: Audit | None, trigger: Trigger) -> Outcome:
        """Publish a version that was computed before; audit it first if the present rules have not, or somebody has decided."""
        if last is None or self._auditor.has_new_decision(version, last):
            return self._audit(stage, version, last, trigger)
        if last.verdict is Verdict.REFUSED:
            return Outcome(ActionTaken.NOTHING, version, last, None)
        done = _with_action(trigger, ActionTaken.REUSED)
        publication = self._ledger.publish(version, self._environment, done)
        return Outcome(ActionTaken.REUSED if publication else ActionTaken.NOTHING, version, last, publication)

    def audit_again(self, stage: AnyStage, recipe: str, trigger: Trigger, *, is_decided: bool) -> Outcome:
        """Audit a recorded version; with `is_decided`, by earlier rules if the present ones have not audited it.

        Raises `Pruned` when the ledger has no such version any more.
        """
        known = self.known(stage, recipe)
        if known is None:
            raise Pruned(f"{stage.name}: the ledger has no version of recipe {recipe} any more")
        version, last = known
        if last is None and is_decided:
            last = self.recorded(recipe)[1]
        return self._audit(stage, version, last, trigger)

    def audit_now(self, name: str, partition: str, wanted: str) -> tuple[Version, Audit] | None:
        """Audit the version of the wanted recipe, or else the newest of a partition, without recording it. Pruned ones don't count."""
        stage = self._graph.find([name])[0]
        found = self._ledger.versions(name, stage.partitions.check(partition), self._environment)
        pruned = self._ledger.prunings.of([version.id for version, _ in found])
        versions = [version for version, _ in found if version.id not in pruned]
        if not versions:
            return None
        chosen = next((item for item in versions if item.recipe == wanted), versions[-1])
        return self._auditor.by_new_rules(stage, chosen)

    def retract(self, status: PartitionStatus, trigger: Trigger) -> Outcome:
        """Publish nothing for a partition any more."""
        if status.published is None:
            raise NotPublished(f"{status.stage} {status.partition} is not published")
        version, audit = self.recorded(status.published.recipe)
        done = _with_action(trigger, ActionTaken.RETRACTED)
        publication = self._ledger.retract(status.stage, status.partition, self._environment, done)
        return Outcome(ActionTaken.RETRACTED, version, audit, publication)

    def known(self, stage: AnyStage, recipe: str) -> tuple[Version, Audit | None] | None:
        """The version of a recipe, if it was ever computed, with its last audit by the present rules."""
        return self._ledger.audited(recipe, self._graph.contract_digests[stage.name], self._environment)

    def recorded(self, recipe: str) -> tuple[Version, Audit]:
        """A version that is in the ledger, with its last audit by any contract."""
        recorded = self._ledger.version(recipe, self._environment)
        if recorded is None:
            raise NotPublished(f"the ledger has no version of recipe {recipe}")
        return recorded

    def is_read(self, version: Version) -> bool:
        """Return True if the environment's readers see this version."""
        found = self._ledger.published_version(self._environment, version.stage, version.partition)
        return found is not None and found.id == version.id

    def _audit(self, stage: AnyStage, version: Version, last: Audit | None, trigger: Trigger) -> Outcome:
        """Audit a version that was computed before. If it is refused, readers fall back to an earlier one."""
        with recorded_failure(self._ledger, version, trigger):
            if last is None:
                version, audit = self._auditor.by_new_rules(stage, version)
            else:
                audit = self._auditor.again(stage, version, last)
            falls_back = audit.verdict is Verdict.REFUSED and self.is_read(version)
            fall_back_to = self._last_accepted(stage, version) if falls_back else None
        measured = version.fingerprint if last is None else None
        done = _with_action(trigger, ActionTaken.AUDITED)
        publication = self._ledger.record_audit(
            version, audit, self._environment, done, fall_back_to, fingerprint=measured
        )
        return Outcome(ActionTaken.AUDITED, version, audit, publication)

    def _last_accepted(self, stage: AnyStage, refused: Version) -> int | None:
        """The last version before a refused one that the present contract accepts, auditing those that it has not."""
        for version in self._ledger.published_before(self._environment, stage.name, refused.partition):
            _, last = self.known(stage, version.recipe) or (version, None)
            if last is None or last.is_provisional:
                _, last = self._auditor.by_new_rules(stage, version, replacing=refused.recipe)
            if version.id != refused.id and last.verdict is Verdict.PASSED:
                return version.id
        return None


@contextmanager
def recorded_failure(ledger: Ledger, version: Version, trigger: Trigger) -> Iterator[None]:
    """Record a failed audit or delivery of a version that is there already, so that it counts as a try."""
    try:
        yield
    except Exception as error:
        attempt = ledger.attempts.begin(version.recipe, version.stage, version.partition, trigger.run)
        ledger.attempts.fail(attempt, format_error(error))
        raise


def _with_action(trigger: Trigger, action: ActionTaken) -> Trigger:
    return trigger._replace(action=action.value)
