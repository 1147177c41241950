"""Staleness: which partitions are wanted, by which recipe, and how that compares with what is published.

A pure function of a snapshot of the ledger: nothing here reads a database, a file or a clock (but a recipe's files are read through the
snapshot), and no result depends on an
earlier one. `execution` and the orchestrator act on the result; `explanation.causes` explains it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from spam_pipeline.protocol.definition.graph import AnyStage, StageGraph
from spam_pipeline.protocol.foundation.partition import Grain, day_of, days_before
from spam_pipeline.protocol.ledger.history import history_digest, nearest, series
from spam_pipeline.protocol.ledger.recipe import (
    InputRef,
    Recipe,
    read_label,
    recipe_digest,
    recipe_head,
)
from spam_pipeline.protocol.ledger.records import VersionSummary
from spam_pipeline.protocol.planning.arrivals import Arrivals, Hours, in_words, missing_hours
from spam_pipeline.protocol.planning.offers import Input, StageOffers
from spam_pipeline.protocol.planning.partition_status import (
    NOT_REMARKABLE,
    PartitionStatus,
    PartitionStatuses,
    Reason,
    RequiredAction,
    Snapshot,
    State,
)

Assume = Callable[[Mapping[str, PartitionStatus]], Mapping[str, VersionSummary | None]]
"""Gives the versions that consumers find published, by a stage's statuses: those that are, or those that a plan assumes."""


def as_published(statuses: Mapping[str, PartitionStatus]) -> dict[str, VersionSummary | None]:
    """The published version of each partition."""
    return {partition: status.published for partition, status in statuses.items()}


class StalenessReport:
    """The statuses of some stages, which come in the graph's order and with all their upstreams.

    `statuses` includes published partitions that nothing wants any more; consumers are not offered those. The results of
    `earlier` are reused for a stage if nothing about it or its upstreams has changed since.
    """

    def __init__(
        self,
        graph: StageGraph,
        snapshot: Snapshot,
        stages: Iterable[AnyStage],
        assume: Assume = as_published,
        earlier: "StalenessReport | None" = None,
    ) -> None:
        self.known: dict[str, _StageReport] = dict(earlier.known) if earlier else {}
        found: dict[str, _StageReport] = {}
        for stage in stages:
            basis = _basis(graph, snapshot, found, stage)
            known = self.known.get(stage.name)
            if known is None or known.basis != basis:
                before = {name: found[name] for name in graph.waits_for(stage)}
                known = _reported(_StageState(graph, snapshot, before, stage), basis, assume)
            found[stage.name] = self.known[stage.name] = known
        self.statuses: PartitionStatuses = {name: stage.offers.statuses for name, stage in found.items()}

    def recipe(self, status: PartitionStatus) -> Recipe:
        """The recipe behind a status's digest, with every part that is read."""
        return self.known[status.stage].state.recipe(status.partition)


@dataclass(frozen=True, eq=False)
class _StageReport:
    """One stage in a report: the basis of its statuses, and its offers to the stages after it."""

    basis: tuple[object, ...]
    state: "_StageState"
    offers: StageOffers


@dataclass(frozen=True)
class _StageState:
    """One stage over a snapshot of the ledger, given the reports of the stages before it."""

    graph: StageGraph
    snapshot: Snapshot
    before: Mapping[str, _StageReport]
    stage: AnyStage

    @cached_property
    def published(self) -> Mapping[str, VersionSummary]:
        """The published versions of the stage, by partition."""
        return self.snapshot.published.get(self.stage.name, {})

    @cached_property
    def inputs(self) -> list[Input]:
        """The upstreams of the stage, by the parameters that read them."""
        return [
            Input(
                parameter,
                offers,
                offers.to(reads.partitions, self.graph.columns_read(self.stage, parameter, upstream)),
                read_label(parameter, upstream),
                offers.unmet(reads.expectations),
            )
            for parameter, reads in self.stage.inputs.items()
            for upstream in self.graph.upstreams_of(self.stage, parameter)
            for offers in [self.before[upstream].offers]
        ]

    @cached_property
    def incomplete(self) -> list[Input]:
        """The inputs with a partition that is wanted and not published."""
        return [item for item in self.inputs if item.upstream.unpublished]

    @cached_property
    def unmet(self) -> list[Input]:
        """The inputs with a version that does not meet its expectations."""
        return [item for item in self.inputs if item.unmet]

    def wanted(self) -> list[str]:
        """The partitions that have input and are settled: the landing zone has moved far enough past them."""
        by = self.stage.partitioned_by
        found = {key for name in by if name in self._sources for key in self.snapshot.landed.get(name, {})}
        for item in self.inputs:
            if item.parameter in by:
                found |= item.offer.selection.wanted(item.upstream.versions, item.offer.keys)
        if self.stage.settled_after_days is None:
            return sorted({*found, *self.missing_hours})
        newest = max((item.newest for item in self._arrivals), default="")
        last = days_before(newest, self.stage.settled_after_days) if newest else ""
        return sorted(key for key in found if day_of(key) <= last)

    def status(self, partition: str) -> PartitionStatus:
        """The status of a wanted partition.

        While nothing can be done for the wanted version, the published one is still kept in step: a new decision about it is
        followed, and its target holds it. Changed rules do not count for it meanwhile: those it was made under accepted it.
        """
        if self.missing_hours.get(partition) and not self._has_landed(partition):
            return self._without_files(partition)
        status = self._status_of_wanted(partition)
        published = status.published
        if status.can_run or published is None or published.recipe == status.recipe:
            return status
        if self._has_new_decision(partition, published.recipe):
            return status._replace(
                required_action=RequiredAction.AUDIT, reason=Reason.DECIDED, recipe=published.recipe, details=()
            )
        if self._is_delivered(published):
            return status
        return status._replace(
            required_action=RequiredAction.DELIVER, reason=Reason.TARGET_DIFFERS, recipe=published.recipe, details=()
        )

    def unwanted(self, partition: str) -> PartitionStatus:
        """The status of a partition that is published though there is nothing to compute it from any more."""
        if self._partitioning_sources:
            return self._without_files(partition)
        return self._with(partition, State.STALE, RequiredAction.RETRACT, Reason.UNWANTED)

    @cached_property
    def missing_hours(self) -> Mapping[str, Hours]:
        """The hours that have not landed of a source that decides which partitions are wanted, by day.

        Nothing is expected before the first day that was accepted: a folder with a mistyped year would ask for decades.
        """
        found: dict[str, Hours] = {}
        for name in self._partitioning_sources:
            if self.published and self.graph.sources[name].cadence is not None:
                landed = self.snapshot.landed.get(name, {})
                found |= missing_hours(self.graph.sources[name], landed, min(self.published))
        return found

    def recipe(self, partition: str) -> Recipe:
        """The recipe of a partition, input by input."""
        reads = [item for source in self._sources for item in self._files_of(source, partition)]
        for item in self.inputs:
            reads += item.read(partition)
        return Recipe(self.stage.name, partition, self._code_version, self._configuration, tuple(reads))

    @cached_property
    def _code_version(self) -> str:
        return self.graph.code_versions[self.stage.name].digest

    @cached_property
    def _configuration(self) -> Mapping[str, str]:
        return self.graph.configuration_digests(self.stage)

    @cached_property
    def _recipe_head(self) -> str:
        return recipe_head(self.stage.name, self._code_version, self._configuration)

    @cached_property
    def _sources(self) -> list[str]:
        return self.graph.sources_of(self.stage)

    @cached_property
    def _partitioning_sources(self) -> list[str]:
        return [name for name in self.stage.partitioned_by if name in self.graph.sources]

    def _has_landed(self, partition: str) -> bool:
        return any(self.snapshot.landed.get(name, {}).get(partition) for name in self._partitioning_sources)

    @cached_property
    def _arrivals(self) -> list[Arrivals]:
        """The days of arrival of the stages that settle the days of this one."""
        reports = [self.before[name] for name in self.graph.settled_by(self.stage)]
        return [Arrivals.of(report.offers, report.state.missing_hours) for report in reports]

    def _lacking_arrivals(self, partition: str) -> list[tuple[str, bool]]:
        """The days of arrival that settle a partition and are not accepted and complete, each with True if it comes by itself."""
        after = self.stage.settled_after_days
        if after is None:
            return []
        return [item for arrivals in self._arrivals for item in arrivals.lacking(partition, after)]

    @cached_property
    def _watermark(self) -> str:
        return watermark(self.graph, self.snapshot)

    @cached_property
    def _series(self) -> Mapping[str, list[str]]:
        return series(self.published, self.stage.partitions)

    def _without_files(self, partition: str) -> PartitionStatus:
        """The status of a partition that is made from files, when there is none.

        What was published stays until somebody rejects it: a folder that a sync has lost takes nothing back.
        """
        published = self.published.get(partition)
        if published is None:
            return self._with(partition, State.MISSING, RequiredAction.NOTHING, Reason.NOT_LANDED)
        if published.version_id in self.snapshot.rejected:
            return self._with(partition, State.STALE, RequiredAction.RETRACT, Reason.DECIDED)
        return self._with(partition, State.HELD, RequiredAction.NOTHING, Reason.SOURCE_REMOVED)

    def _status_of_waiting(self, partition: str) -> PartitionStatus | None:
        """The status of a partition that waits for days of arrival or for upstreams; None for one that does not."""
        published = self.published.get(partition)
        lacking = self._lacking_arrivals(partition)
        if any(not comes for _, comes in lacking):
            state = State.HELD if published else State.MISSING
            names = tuple(arrival for arrival, _ in lacking)
            return self._with(partition, state, RequiredAction.NOTHING, Reason.NOT_SETTLED, "", names)
        waiting = [(arrival, False) for arrival, _ in lacking] or (self._waiting(partition) if self.incomplete else ())
        if waiting:
            unsettled = State.STALE if published else State.MISSING
            state = State.HELD if any(held for _, held in waiting) else unsettled
            names = tuple(upstream for upstream, _ in waiting)
            return self._with(partition, state, RequiredAction.NOTHING, Reason.INPUTS_UNPUBLISHED, "", names)
        unmet = tuple(text for item in self.unmet for text in item.does_not_meet(partition))
        if unmet:
            return self._with(partition, State.HELD, RequiredAction.NOTHING, Reason.EXPECTATIONS_UNMET, "", unmet)
        return None

    def _status_of_wanted(self, partition: str) -> PartitionStatus:
        waits = self._status_of_waiting(partition)
        if waits:
            return waits
        published = self.published.get(partition)
        unsettled = State.STALE if published else State.MISSING
        recipe = self._recipe_digest(partition)
        why = self._why_to_audit(partition, recipe)
        if published and published.recipe == recipe:
            return self._status_of_published(partition, published, why)
        if why:
            return self._with(partition, unsettled, RequiredAction.AUDIT, why, recipe)
        if recipe in self.snapshot.refused:
            return self._with(partition, State.HELD, RequiredAction.NOTHING, Reason.REFUSED, recipe)
        is_settled = self.stage.settled_after_days is not None and published is None
        reason = Reason.DAY_SETTLED if is_settled else Reason.NOT_PUBLISHED
        return self._with(partition, unsettled, RequiredAction.MAKE, reason, recipe)

    def _status_of_published(self, partition: str, published: VersionSummary, why: Reason | None) -> PartitionStatus:
        """A partition whose wanted recipe is published: it may still have to be audited or delivered."""
        recipe = published.recipe
        if recipe in self.snapshot.refused:  # refused here, then published in production, whose contract accepts it
            why = why or Reason.RULES_CHANGED
        if why:
            return self._with(partition, State.STALE, RequiredAction.AUDIT, why, recipe)
        if not self._is_delivered(published):
            return self._with(partition, State.STALE, RequiredAction.DELIVER, Reason.TARGET_DIFFERS, recipe)
        missing = self.missing_hours.get(partition)
        if missing:
            lacks = (in_words(missing),)
            return self._with(partition, State.HELD, RequiredAction.NOTHING, Reason.NOT_COMPLETE, recipe, lacks)
        return self._with(partition, State.FRESH, RequiredAction.NOTHING, Reason.UP_TO_DATE, recipe)

    def _with(  # noqa: PLR0913, PLR0917 - the fields of a status in their order
        self,
        partition: str,
        state: State,
        action: RequiredAction,
        reason: Reason,
        recipe: str = "",
        details: tuple[str, ...] = (),
    ) -> PartitionStatus:
        published = self.published.get(partition)
        return PartitionStatus(self.stage.name, partition, state, action, reason, recipe, published, details)

    def _why_to_audit(self, partition: str, recipe: str) -> Reason | None:
        """The reason to audit the version of a recipe again; None if there is no version or no reason.

        Accepted is accepted until the rules change, somebody decides, or a partition that could still grow is complete. Only
        what is quarantined is audited again when its history has changed: otherwise one late file would put years of
        published data up for discussion.
        """
        if recipe in self.snapshot.overdue:
            return Reason.RULES_CHANGED
        audited = self.snapshot.audited.get(recipe, NOT_REMARKABLE)
        is_known = audited is not NOT_REMARKABLE or self._is_read(partition, recipe)
        if is_known and self._has_new_decision(partition, recipe):
            return Reason.DECIDED
        if audited.is_provisional and not self.stage.partitions.is_open(partition, self._watermark):
            return Reason.PARTITION_COMPLETE
        if recipe in self.snapshot.refused and audited.history != self._history(partition, recipe):
            return Reason.HISTORY_CHANGED
        return None

    def _has_new_decision(self, partition: str, recipe: str) -> bool:
        audited = self.snapshot.audited.get(recipe, NOT_REMARKABLE)
        return self.snapshot.decisions.get((self.stage.name, partition), 0) != audited.decision

    def _is_delivered(self, published: VersionSummary) -> bool:
        return self.snapshot.delivered.get(self.stage.name, published.recipe) == published.recipe

    def _is_read(self, partition: str, recipe: str) -> bool:
        published = self.published.get(partition)
        return published is not None and published.recipe == recipe

    def _history(self, partition: str, recipe: str) -> str:
        if self.stage.name not in self.graph.audited_against_history:
            return ""
        comparable = self._series.get(self.stage.partitions.series_of(partition), ())
        found = nearest(self.published, partition, keys=comparable)
        return history_digest((key, version) for key, version in found if version.recipe != recipe)

    def _waiting(self, partition: str) -> Sequence[tuple[str, bool]]:
        """The wanted inputs that are not published, each with True if it is held and cannot come by itself."""
        return [
            (f"{item.upstream.name} {key}", item.upstream.statuses[key].state is State.HELD)
            for item in self.incomplete
            for key in item.waits_for(partition)
        ]

    def _recipe_digest(self, partition: str) -> str:
        reads = [self._digest_of_files(source, partition) for source in self._sources]
        for item in self.inputs:
            read = item.offer.digest_of_read(partition)
            if read:
                reads.append(item.label + read)
        return recipe_digest(self._recipe_head, partition, reads)

    def _digest_of_files(self, source: str, partition: str) -> str:
        landed = self.snapshot.landed.get(source, {}).get(partition)
        return read_label(source, source) + landed.content if landed else ""

    def _files_of(self, source: str, partition: str) -> Iterator[InputRef]:
        for seen in self.snapshot.files(source, partition):
            yield InputRef(source, source, partition, seen.path, str(seen.digest), seen.id, is_file=True)


def _reported(state: _StageState, basis: tuple[object, ...], assume: Assume) -> _StageReport:
    wanted = {partition: state.status(partition) for partition in state.wanted()}
    unwanted = {key: state.unwanted(key) for key in sorted(state.published.keys() - wanted.keys())}
    # In the order of keys, as before one of them became unwanted: recipes have an order.
    statuses = dict(sorted({**wanted, **unwanted}.items()))
    versions = assume(
        {key: status for key, status in statuses.items() if status.required_action is not RequiredAction.RETRACT}
    )
    unpublished = frozenset(key for key, version in versions.items() if version is None)
    return _StageReport(
        basis, state, StageOffers(state.stage.name, statuses, versions, unpublished, state.snapshot.numbers)
    )


def _basis(
    graph: StageGraph, snapshot: Snapshot, before: Mapping[str, _StageReport], stage: AnyStage
) -> tuple[object, ...]:
    """The basis of a stage's report: where it is equal, so is the report."""
    upstreams = [before[name] for name in graph.waits_for(stage)]
    landed = snapshot.landed_mark if graph.sources_of(stage) else None
    moved = watermark(graph, snapshot) if stage.name in graph.audited_against_history else None
    delivered = stage.name in snapshot.delivered, snapshot.delivered.get(stage.name)
    return (snapshot.marks.get(stage.name), landed, moved, delivered, *upstreams)


def watermark(graph: StageGraph, snapshot: Snapshot) -> str:
    """The latest arrival day: how far the landing zone has moved."""
    arrivals = [
        day_of(max(snapshot.landed[name]))
        for name, source in graph.sources.items()
        if source.partitions.grain in {Grain.HOUR, Grain.DAY} and snapshot.landed.get(name)
    ]
    return max(arrivals, default="1970-01-01")
