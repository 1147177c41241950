"""The auditor: gathers data and context of a version from the store and the ledger, and has it audited.

`audit` makes the findings, `publishing` acts on them. Nothing is recorded here.
"""

from collections.abc import Callable
from dataclasses import replace

from spam_pipeline.protocol.definition.graph import AnyStage, StageGraph
from spam_pipeline.protocol.drift import HistoricFingerprint
from spam_pipeline.protocol.execution.audit import ON_DATA, AuditContext, Schema, evaluate, verdict_of
from spam_pipeline.protocol.execution.computation import Computation
from spam_pipeline.protocol.execution.repairing import Repairs
from spam_pipeline.protocol.fingerprint import Fingerprint
from spam_pipeline.protocol.foundation.finding import Finding
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.history import history_digest, nearest, series
from spam_pipeline.protocol.ledger.records import Audit, Version, VersionSummary
from spam_pipeline.protocol.planning.partition_status import Snapshot
from spam_pipeline.protocol.planning.staleness import watermark

History = list[tuple[str, VersionSummary]]
"""Published partitions of a stage in the order of their keys."""

_Fingerprints = dict[int, Fingerprint]
"""Fingerprints by version id."""


class Auditor:
    """Audits versions in one environment, in the context that `snapshot` gives at each moment."""

    def __init__(  # noqa: PLR0913, PLR0917 - what an audit reads, each named
        self,
        graph: StageGraph,
        ledger: Ledger,
        computation: Computation,
        environment: str,
        snapshot: Callable[[], Snapshot],
        repairs: Repairs,
    ) -> None:
        self._graph = graph
        self._ledger = ledger
        self._computation = computation
        self._environment = environment
        self._snapshot = snapshot
        self._repairs = repairs
        self._remembered: dict[str, _Fingerprints] = {}
        self._schemas: dict[tuple[str, str], Schema] = {}

    def first(self, stage: AnyStage, version: Version, on_data: list[Finding]) -> Audit:
        """Audit a version that was just computed and examined by the present rules."""
        return self._audit(stage, version, on_data)

    def by_new_rules(self, stage: AnyStage, version: Version, replacing: str = "") -> tuple[Version, Audit]:
        """Audit a version by rules that have not audited it yet. It is measured again, because they may measure more.

        Its history does not contain the refused version, of recipe `replacing`, that is to fall back to it.
        """
        fingerprint, findings = self._repairs.mending(
            lambda: self._computation.examined(stage, version.parts, version.side_parts)
        )
        measured = replace(version, fingerprint=fingerprint)
        return measured, self._audit(stage, measured, findings, replacing)

    def again(self, stage: AnyStage, version: Version, last: Audit) -> Audit:
        """Audit a version again by the same rules in the present context; no data is read."""
        return self._audit(stage, version, [finding for finding in last.findings if finding.rule in ON_DATA])

    def has_new_decision(self, version: Version, last: Audit) -> bool:
        """Return True if somebody has decided about a version's partition since an audit."""
        return self._snapshot().decisions.get((version.stage, version.partition), 0) != last.decision

    def _audit(self, stage: AnyStage, version: Version, on_data: list[Finding], replacing: str = "") -> Audit:
        seen = self._snapshot()
        published, grid = seen.published.get(stage.name, {}), stage.partitions
        found = nearest(published, version.partition, keys=series(published, grid)[grid.series_of(version.partition)])
        history = [(key, item) for key, item in found if item.recipe not in {version.recipe, replacing}]
        last = seen.decisions.get((stage.name, version.partition), 0)
        is_audited_against_history = stage.name in self._graph.audited_against_history
        known = AuditContext(
            history=self._past(stage, history) if is_audited_against_history else (),
            is_open=stage.partitions.is_open(version.partition, watermark(self._graph, seen)),
            is_judged_for_losses=self._is_judged_for_losses(stage, version, history),
            decisions=tuple(self._ledger.decisions(self._environment, stage.name, version.partition)) if last else (),
            published=self._published_schema(version, history),
            readers=self._graph.readers(stage),
        )
        findings = evaluate(stage.contract, version, on_data, known)
        return Audit(
            verdict_of(findings),
            tuple(findings),
            self._graph.contract_digests[stage.name],
            history=history_digest(history) if is_audited_against_history else "",
            is_provisional=known.is_open and is_audited_against_history,
            decision=last,
        )

    def _is_judged_for_losses(self, stage: AnyStage, version: Version, history: History) -> bool:
        published = next((item for key, item in history if key == version.partition), None)
        if published is None:
            return False
        return bool(self._graph.sources_of(stage)) or published.code_version != version.code_version

    def _past(self, stage: AnyStage, history: History) -> tuple[HistoricFingerprint, ...]:
        """The fingerprints of a history; those of the last one asked for are kept, because the next one shares most of them."""
        known = self._remembered.get(stage.name, {})
        missing = [item.version_id for _, item in history if item.version_id not in known]
        known = {**known, **self._ledger.fingerprints(missing)} if missing else known
        kept = {item.version_id: known[item.version_id] for _, item in history if item.version_id in known}
        self._remembered[stage.name] = kept
        return tuple(
            HistoricFingerprint(key, kept[item.version_id]) for key, item in history if item.version_id in kept
        )

    def _published_schema(self, version: Version, history: History) -> Schema | None:
        """The schema that readers have now of the partition, or of the nearest one before it."""
        before = [item for key, item in history if key <= version.partition] or [item for _, item in history]
        if not before or before[-1].code_version == version.code_version:
            return None
        key = (version.stage, before[-1].code_version)
        if key not in self._schemas:
            recorded = self._ledger.version(before[-1].recipe, self._environment)
            if recorded is None:
                return None
            self._schemas[key] = Schema(recorded[0].schema_version, recorded[0].columns)
        return self._schemas[key]
