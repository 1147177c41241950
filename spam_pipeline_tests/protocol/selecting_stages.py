"""Stages that select in every way there is, over states of a ledger that are made up: nothing is stored or computed.

What a version would contain is a digest of its recipe, so whatever changes a recipe changes what its consumers read.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count

import polars as pl

from spam_pipeline.partitions import arrival_days, event_days, statement_months, unpartitioned
from spam_pipeline.protocol.delivery import Delivery
from spam_pipeline.protocol.digest import digest
from spam_pipeline.protocol.graph import AnyStage, StageGraph
from spam_pipeline.protocol.needs import Need, Snapshot, Work, landed_by_source
from spam_pipeline.protocol.partition import WHOLE, Partitions
from spam_pipeline.protocol.records import Observation, Published, PublishedPart
from spam_pipeline.protocol.selection import (
    DaysOfMonth,
    EveryPartition,
    EveryStage,
    PartNamedAlike,
    PartsUpToMonth,
    SamePartition,
    Selection,
    TrailingDays,
)
from spam_pipeline.protocol.stage import Source, stage
from spam_pipeline.protocol.staleness import Assessment
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


@stage(partitions=arrival_days, contract=Total, owner="team:toys", side_parts={"rejected": Rejected})
def received(landed_numbers: pl.LazyFrame) -> pl.LazyFrame:
    """What arrived, in a part for the day itself and one for the day before."""
    return landed_numbers


@stage(partitions=unpartitioned, contract=Total, owner="team:toys")
def accounts(accounts_file: pl.LazyFrame) -> pl.LazyFrame:
    """Accounts, in a part for each month."""
    return accounts_file


@stage(partitions=event_days, contract=Total, owner="team:toys", selections={"received": PartNamedAlike()})
def daily(received: pl.LazyFrame) -> pl.LazyFrame:
    """What happened on a day."""
    return received


@stage(partitions=event_days, contract=Total, owner="team:toys", selections={"accounts": PartsUpToMonth()})
def with_accounts(daily: pl.LazyFrame, accounts: pl.LazyFrame, factor: int) -> pl.LazyFrame:
    """A day with the accounts of its time."""
    return pl.concat([daily, accounts]).select(pl.all() * factor)


@stage(
    partitions=unpartitioned,
    contract=Catalogue,
    owner="team:toys",
    selections={"catalogue": EveryStage()},
    delivery=Delivery("board", delivered_recipe, deliver_lines),
)
def everything(catalogue: pl.LazyFrame) -> pl.LazyFrame:
    """Everything there is."""
    return catalogue


@stage(partitions=event_days, contract=Total, owner="team:toys")
def of_days(daily: pl.LazyFrame) -> pl.LazyFrame:
    """Something about the days selected."""
    return daily


@stage(partitions=event_days, contract=Total, owner="team:toys")
def of_arrivals(received: pl.LazyFrame) -> pl.LazyFrame:
    """Something about the arrivals selected."""
    return received


def selecting(base: AnyStage, name: str, selection: Selection, partitions: Partitions = event_days) -> AnyStage:
    """A stage of another name that selects in its own way from what `base` reads."""
    return replace(base, name=name, partitions=partitions, selections={base.parameters[0]: selection})


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


def graph_of(stages: Iterable[AnyStage] = STAGES, factor: int = 1) -> StageGraph:
    return StageGraph(stages, [landed_numbers, accounts_file], {"factor": factor, "board": "a board"})


def parts_of(need: Need, content: str) -> tuple[PublishedPart, ...]:
    """The parts that a version of these stages has; those of `received` are named by event days."""
    if need.stage == "accounts":
        return tuple(PublishedPart(month, digest((content, month)), 1) for month in ("2025-11", "2026-02"))
    if need.stage != "received":
        return (PublishedPart(WHOLE, content, 1),)
    days = (need.partition, *(["2026-01-01"] if need.partition == "2026-01-05" else []))
    return tuple(PublishedPart(day, digest((content, day)), 1) for day in sorted(days))


@dataclass
class World:
    """A ledger's state that is made up; every change of it leaves a mark, as in a ledger."""

    graph: StageGraph
    landed: dict[str, Observation] = field(default_factory=dict)
    published: dict[str, dict[str, Published]] = field(default_factory=dict)
    judged: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    overdue: set[str] = field(default_factory=set)
    delivered: dict[str, str | None] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)
    landed_mark: int = 0
    ids: "count[int]" = field(default_factory=lambda: count(1))

    @property
    def stages(self) -> list[AnyStage]:
        return list(self.graph.stages.values())

    def snapshot(self) -> Snapshot:
        return Snapshot(
            landed=landed_by_source(self.landed.values()),
            published={name: dict(versions) for name, versions in self.published.items()},
            refused=frozenset(self.refused),
            overdue=frozenset(self.overdue),
            delivered=dict(self.delivered),
            marks=dict(self.marks),
            landed_mark=self.landed_mark,
        )

    def assess(self, earlier: Assessment | None = None) -> Assessment:
        return Assessment(self.graph, self.snapshot(), self.stages, earlier=earlier)

    def land(self, days: Iterable[str], content: str | None = "first", source: Source = landed_numbers) -> None:
        """Land one file for each day, or take it away."""
        for day in days:
            self.landed_mark = next(self.ids)
            path = f"{source.name}/{day}"
            self.landed[path] = replace(a_file(source.name, day, path), digest=content, id=self.landed_mark)

    def land_accounts(self, content: str = "first") -> None:
        self.land([WHOLE], content, accounts_file)

    def publish(self, need: Need, content: str = "") -> None:
        """What running a need leads to."""
        self.marks[need.stage] = next(self.ids)
        versions = self.published.setdefault(need.stage, {})
        if self.graph.stages[need.stage].delivery:
            self.delivered[need.stage] = need.recipe
        if need.work is Work.RETRACT:
            del versions[need.partition]
            return
        self._judge(need)
        if need.published is None or need.published.recipe != need.recipe:
            made = content or digest(need.recipe)
            side = (PublishedPart("rejected", digest((made, "rejected")), 1),) if need.stage == "received" else ()
            versions[need.partition] = Published(next(self.ids), need.recipe, "", made, parts_of(need, made), side)

    def refuse(self, need: Need) -> None:
        """What running a need leads to when its version breaks the contract: where it is published, it is no more."""
        self.marks[need.stage] = next(self.ids)
        self._judge(need)
        self.refused.add(need.recipe)
        if need.published and need.published.recipe == need.recipe:
            del self.published[need.stage][need.partition]

    def judge_elsewhere(self, need: Need) -> None:
        """Let an environment with another contract make or audit the version; this one may have yet to judge it."""
        self.marks[need.stage] = next(self.ids)
        if need.recipe not in self.judged:
            self.overdue.add(need.recipe)

    def outdate(self, stage: str, partition: str) -> None:
        """Say that a published version was judged by contracts of the past only."""
        self.marks[stage] = next(self.ids)
        recipe = self.published[stage][partition].recipe
        self.judged.discard(recipe)
        self.overdue.add(recipe)

    def _judge(self, need: Need) -> None:
        self.judged.add(need.recipe)
        self.refused.discard(need.recipe)
        self.overdue.discard(need.recipe)

    def converge(self) -> Assessment:
        """Publish all that is wanted, stage by stage."""
        assessment = self.assess()
        for name in self.graph.stages:
            for need in assessment.needs[name].values():
                if need.can_run:
                    self.publish(need)
            assessment = self.assess(assessment)
        return assessment


def a_file(source: str, day: str, path: str) -> Observation:
    return Observation(source, day, path, "first", 1, "1", MOMENT)


def partitions(needs: Mapping[str, Mapping[str, Need]], keep: Callable[[Need], bool]) -> dict[str, list[str]]:
    """The partitions of the needs to keep, by stage; stages without any are left out."""
    kept = {name: [key for key, need in by_key.items() if keep(need)] for name, by_key in needs.items()}
    return {name: keys for name, keys in kept.items() if keys}


def to_run(needs: Mapping[str, Mapping[str, Need]]) -> dict[str, list[str]]:
    """The partitions that can be run, by stage."""
    return partitions(needs, lambda need: need.can_run)
