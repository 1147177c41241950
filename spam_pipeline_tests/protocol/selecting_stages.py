"""Stages that select in every way there is, over states of a ledger that are made up: nothing is stored or computed.

What a version would contain is a digest of its recipe, so whatever changes a recipe changes what its consumers read.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from typing import Annotated

import polars as pl

from spam_pipeline.partitions import arrival_days, event_days, statement_months, unpartitioned
from spam_pipeline.protocol.definition.delivery import Delivery
from spam_pipeline.protocol.definition.graph import AnyStage, StageGraph
from spam_pipeline.protocol.definition.reads import Reads
from spam_pipeline.protocol.definition.selection import (
    DaysOfMonth,
    EveryPartition,
    EveryStage,
    PartForPartition,
    PartsUpToMonth,
    SamePartition,
    Selection,
    TrailingDays,
)
from spam_pipeline.protocol.definition.stage import Source, stage
from spam_pipeline.protocol.foundation.digest import digest
from spam_pipeline.protocol.foundation.partition import WHOLE, Partitions
from spam_pipeline.protocol.ledger.records import Observation, PartSummary, VersionSummary
from spam_pipeline.protocol.planning.landed import LandedFiles, landed_files
from spam_pipeline.protocol.planning.partition_status import PartitionStatus, RequiredAction, Snapshot
from spam_pipeline.protocol.planning.staleness import StalenessReport
from spam_pipeline_tests.protocol.toy_pipeline import (
    Catalogue,
    Rejected,
    Total,
    deliver_lines,
    delivered_recipe,
    landed_numbers,
)

MOMENT = datetime(2026, 1, 5, 12, tzinfo=UTC)

accounts_file = Source("accounts_file", unpartitioned, "One file of accounts.")


@stage(
    partitions=arrival_days, contract=Total, owner="team:toys", libraries=["polars"], side_parts={"rejected": Rejected}
)
def received(landed_numbers: pl.LazyFrame) -> pl.LazyFrame:
    """What arrived, in a part for the day itself and one for the day before."""
    return landed_numbers


@stage(partitions=unpartitioned, contract=Total, owner="team:toys", libraries=["polars"])
def accounts(accounts_file: pl.LazyFrame) -> pl.LazyFrame:
    """Accounts, in a part for each month."""
    return accounts_file


@stage(partitions=event_days, contract=Total, owner="team:toys", libraries=["polars"])
def daily(received: Annotated[pl.LazyFrame, Reads(PartForPartition())]) -> pl.LazyFrame:
    """What happened on a day."""
    return received


@stage(partitions=event_days, contract=Total, owner="team:toys", libraries=["polars"])
def with_accounts(
    daily: pl.LazyFrame, accounts: Annotated[pl.LazyFrame, Reads(PartsUpToMonth())], factor: int
) -> pl.LazyFrame:
    """A day with the accounts of its time."""
    return pl.concat([daily, accounts]).select(pl.all() * factor)


@stage(
    partitions=unpartitioned,
    contract=Catalogue,
    owner="team:toys",
    libraries=["polars"],
    delivery=Delivery("board", delivered_recipe, deliver_lines),
)
def everything(catalogue: Annotated[pl.LazyFrame, Reads(EveryStage())]) -> pl.LazyFrame:
    """Everything there is."""
    return catalogue


@stage(partitions=event_days, contract=Total, owner="team:toys", libraries=["polars"])
def of_days(daily: pl.LazyFrame) -> pl.LazyFrame:
    """Something about the days selected."""
    return daily


@stage(partitions=event_days, contract=Total, owner="team:toys", libraries=["polars"])
def of_arrivals(received: pl.LazyFrame) -> pl.LazyFrame:
    """Something about the arrivals selected."""
    return received


def selecting(base: AnyStage, name: str, selection: Selection, partitions: Partitions = event_days) -> AnyStage:
    """A stage of another name that selects in its own way from what `base` reads."""
    return replace(base, name=name, partitions=partitions, inputs={base.parameters[0]: Reads(selection)})


same_day = selecting(of_days, "same_day", SamePartition())
trailing = selecting(of_days, "trailing", TrailingDays(3))
of_month = selecting(of_days, "of_month", DaysOfMonth(), statement_months)
all_days = selecting(of_days, "all_days", EveryPartition(), unpartitioned)
settled = replace(selecting(of_days, "settled", SamePartition()), settled_after_days=2)
rejected = selecting(of_arrivals, "rejected", SamePartition("rejected"), arrival_days)

STAGES: tuple[AnyStage, ...] = (
    received,
    accounts,
    daily,
    rejected,
    same_day,
    trailing,
    of_month,
    all_days,
    settled,
    with_accounts,
    everything,
)


def graph_of(
    stages: Iterable[AnyStage] = STAGES,
    factor: int = 1,
    sources: Iterable[Source] = (landed_numbers, accounts_file),
) -> StageGraph:
    return StageGraph(stages, sources, {"factor": factor, "board": "a board"})


def parts_of(status: PartitionStatus, content: str) -> tuple[PartSummary, ...]:
    """The parts that a version of these stages has; those of `received` are named by event days."""
    if status.stage == "accounts":
        return tuple(PartSummary(month, digest((content, month)), 1) for month in ("2025-11", "2026-02"))
    if status.stage != "received":
        return (PartSummary(WHOLE, content, 1),)
    days = (status.partition, *(["2026-01-01"] if status.partition == "2026-01-05" else []))
    return tuple(PartSummary(day, digest((content, day)), 1) for day in sorted(days))


@dataclass
class World:
    """A ledger's state that is made up; every change of it leaves a mark, as in a ledger."""

    graph: StageGraph
    landed: dict[str, Observation] = field(default_factory=dict)
    published: dict[str, dict[str, VersionSummary]] = field(default_factory=dict)
    audited: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    overdue: set[str] = field(default_factory=set)
    rejected: set[int] = field(default_factory=set)
    delivered: dict[str, str | None] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)
    landed_mark: int = 0
    ids: "count[int]" = field(default_factory=lambda: count(1))

    @property
    def stages(self) -> list[AnyStage]:
        return list(self.graph.stages.values())

    def snapshot(self) -> Snapshot:
        files = self._files()
        return Snapshot(
            landed=self._landed(files),
            files=lambda source, partition: files.get((source, partition), []),
            published={name: dict(versions) for name, versions in self.published.items()},
            refused=frozenset(self.refused),
            overdue=frozenset(self.overdue),
            rejected=frozenset(self.rejected),
            delivered=dict(self.delivered),
            marks=dict(self.marks),
            landed_mark=self.landed_mark,
        )

    def _files(self) -> dict[tuple[str, str], list[Observation]]:
        """The files that are there, by source and partition, in the order of their paths."""
        found: dict[tuple[str, str], list[Observation]] = defaultdict(list)
        for _, seen in sorted(self.landed.items()):
            if seen.digest is not None:
                found[seen.source, seen.partition].append(seen)
        return found

    def _landed(self, files: Mapping[tuple[str, str], list[Observation]]) -> dict[str, dict[str, LandedFiles]]:
        found: dict[str, dict[str, LandedFiles]] = defaultdict(dict)
        for (source, day), of_day in files.items():
            found[source][day] = landed_files(self.graph.sources[source], day, of_day)
        return dict(found)

    def assess(self, earlier: StalenessReport | None = None) -> StalenessReport:
        return StalenessReport(self.graph, self.snapshot(), self.stages, earlier=earlier)

    def land(self, days: Iterable[str], content: str | None = "first", source: Source = landed_numbers) -> None:
        """Land one file for each day, or take it away."""
        for day in days:
            self.landed_mark = next(self.ids)
            path = f"{source.name}/{day}"
            self.landed[path] = replace(a_file(source.name, day, path), digest=content, id=self.landed_mark)

    def land_accounts(self, content: str = "first") -> None:
        self.land([WHOLE], content, accounts_file)

    def publish(self, status: PartitionStatus, content: str = "") -> None:
        """What running a need leads to."""
        self.marks[status.stage] = next(self.ids)
        versions = self.published.setdefault(status.stage, {})
        if self.graph.stages[status.stage].delivery:
            self.delivered[status.stage] = status.recipe
        if status.required_action is RequiredAction.RETRACT:
            del versions[status.partition]
            return
        self._judge(status)
        if status.published is None or status.published.recipe != status.recipe:
            made = content or digest(status.recipe)
            side = (PartSummary("rejected", digest((made, "rejected")), 1),) if status.stage == "received" else ()
            versions[status.partition] = VersionSummary(
                next(self.ids), status.recipe, "", made, parts_of(status, made), side
            )

    def refuse(self, status: PartitionStatus) -> None:
        """What running a need leads to when its version breaks the contract: where it is published, it is no more."""
        self.marks[status.stage] = next(self.ids)
        self._judge(status)
        self.refused.add(status.recipe)
        if status.published and status.published.recipe == status.recipe:
            del self.published[status.stage][status.partition]

    def reject(self, stage: str, partition: str) -> None:
        """Let somebody decide that a published version is wrong."""
        self.marks[stage] = next(self.ids)
        self.rejected.add(self.published[stage][partition].version_id)

    def judge_elsewhere(self, status: PartitionStatus) -> None:
        """Let an environment with another contract make or audit the version; this one may have yet to judge it."""
        self.marks[status.stage] = next(self.ids)
        if status.recipe not in self.audited:
            self.overdue.add(status.recipe)

    def outdate(self, stage: str, partition: str) -> None:
        """Say that a published version was judged by contracts of the past only."""
        self.marks[stage] = next(self.ids)
        recipe = self.published[stage][partition].recipe
        self.audited.discard(recipe)
        self.overdue.add(recipe)

    def _judge(self, status: PartitionStatus) -> None:
        self.audited.add(status.recipe)
        self.refused.discard(status.recipe)
        self.overdue.discard(status.recipe)

    def converge(self) -> StalenessReport:
        """Publish all that is wanted, stage by stage."""
        report = self.assess()
        for name in self.graph.stages:
            for status in report.statuses[name].values():
                if status.can_run:
                    self.publish(status)
            report = self.assess(report)
        return report


def a_file(source: str, day: str, path: str) -> Observation:
    return Observation(source, day, path, "first", 1, "1", MOMENT)


def partitions(
    statuses: Mapping[str, Mapping[str, PartitionStatus]], keep: Callable[[PartitionStatus], bool]
) -> dict[str, list[str]]:
    """The partitions of the needs to keep, by stage; stages without any are left out."""
    kept = {name: [key for key, status in by_key.items() if keep(status)] for name, by_key in statuses.items()}
    return {name: keys for name, keys in kept.items() if keys}


def to_run(statuses: Mapping[str, Mapping[str, PartitionStatus]]) -> dict[str, list[str]]:
    """The partitions that can be run, by stage."""
    return partitions(statuses, lambda status: status.can_run)
