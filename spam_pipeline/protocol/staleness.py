"""Staleness: which partitions are wanted, by which recipe, and how that compares with what is published.

A pure function of a snapshot of the ledger: nothing here reads a database, a file or a clock, and nothing depends on what
was looked at before. Who acts on the answer is `convergence` or the orchestrator.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from spam_pipeline.protocol.graph import AnyStage, StageGraph
from spam_pipeline.protocol.partition import Grain, days_before
from spam_pipeline.protocol.records import InputRead, Observation, Published, PublishedPart, Recipe
from spam_pipeline.protocol.selection import Key, Selection, UpstreamKeys
from spam_pipeline.protocol.stage import OWN_PARTITION


class State(Enum):
    """How a wanted partition stands."""

    FRESH = "fresh"
    STALE = "stale"
    HELD = "held"
    MISSING = "missing"


@dataclass(frozen=True)
class Snapshot:
    """The state of the ledger that staleness is a function of."""

    landed: Mapping[str, Mapping[str, tuple[Observation, ...]]]
    published: Mapping[str, Mapping[str, Published]]
    refused: frozenset[str] = frozenset()
    delivered: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Need:
    """One wanted partition: its state and why; `recipe` is None while an input has yet to be published."""

    stage: str
    partition: str
    state: State
    reason: str
    recipe: Recipe | None
    published: Published | None

    @property
    def can_run(self) -> bool:
        """Whether something is to be done, and everything for it is there."""
        return self.recipe is not None and self.state in (State.STALE, State.MISSING)


Needs = Mapping[str, Mapping[str, Need]]
"""Needs by stage and partition."""


def landed_by_source(observed: Iterable[Observation]) -> dict[str, dict[str, tuple[Observation, ...]]]:
    """Files that are there now, by source and partition, each group ordered by path."""
    grouped: dict[str, dict[str, list[Observation]]] = defaultdict(lambda: defaultdict(list))
    for item in sorted(observed, key=lambda item: item.path):
        if item.digest is not None:
            grouped[item.source][item.partition].append(item)
    return {source: {key: tuple(files) for key, files in by_key.items()} for source, by_key in grouped.items()}


def assess(graph: StageGraph, snapshot: Snapshot, stages: Iterable[AnyStage]) -> dict[str, dict[str, Need]]:
    """The needs of `stages`, which come in the graph's order and with everything they rest on."""
    needs: dict[str, dict[str, Need]] = {}
    for stage in stages:
        assessment = _StageAssessment(graph, snapshot, needs, stage)
        needs[stage.name] = {partition: assessment.need(partition) for partition in assessment.wanted()}
    return needs


@dataclass(frozen=True)
class _Input:
    """One upstream of a stage: what it offers to the selection, with the content and the version behind each key."""

    parameter: str
    upstream: str
    selection: Selection
    keys: UpstreamKeys
    contents: Mapping[Key, tuple[str, int]]


class _StageAssessment:
    """One stage's needs, given those of the stages before it."""

    def __init__(self, graph: StageGraph, snapshot: Snapshot, needs: Needs, stage: AnyStage) -> None:
        self._stage = stage
        self._snapshot = snapshot
        self._needs = needs
        self._published = snapshot.published.get(stage.name, {})
        self._code_version = graph.code_versions[stage.name].digest
        self._configuration = graph.configuration_digest(stage)
        self._watermark = _watermark(graph, snapshot)
        self._sources = [name for name in stage.parameters if name in graph.sources]
        self._inputs = [
            self._input(parameter, upstream, selection)
            for parameter, selection in stage.selections.items()
            for upstream in graph.upstreams_of(stage, parameter)
        ]

    def wanted(self) -> list[str]:
        """The partitions there is something for, as far as the landing zone has moved past them."""
        driver = next(name for name in self._stage.parameters if name != OWN_PARTITION)
        if driver in self._sources:
            return sorted(self._snapshot.landed.get(driver, {}))
        found: set[str] = set()
        for item in self._inputs:
            if item.parameter == driver:
                found |= item.selection.wanted(self._needs[item.upstream], item.keys)
        return sorted(filter(self._is_settled, found))

    def need(self, partition: str) -> Need:
        """The state of one wanted partition."""
        published = self._published.get(partition)
        unsettled = State.STALE if published else State.MISSING
        waiting, held = self._waiting(partition)
        if waiting:
            state = State.HELD if held else unsettled
            return Need(self._stage.name, partition, state, f"waits for {', '.join(waiting)}", None, published)
        recipe = self._recipe(partition)
        if published and published.recipe == recipe.digest:
            return self._delivered(partition, recipe, published)
        if recipe.digest in self._snapshot.refused:
            return Need(self._stage.name, partition, State.HELD, "its version was refused", recipe, published)
        return Need(self._stage.name, partition, unsettled, unsettled.value, recipe, published)

    def _delivered(self, partition: str, recipe: Recipe, published: Published) -> Need:
        if self._stage.delivery and self._snapshot.delivered.get(self._stage.name) != recipe.digest:
            reason = "its target holds something else"
            return Need(self._stage.name, partition, State.STALE, reason, recipe, published)
        return Need(self._stage.name, partition, State.FRESH, "", recipe, published)

    def _is_settled(self, partition: str) -> bool:
        days = self._stage.settled_after_days
        return days is None or days_before(self._watermark, days) >= partition

    def _waiting(self, partition: str) -> tuple[list[str], bool]:
        """The inputs that are wanted but not published, and whether one of them cannot come by itself."""
        waiting, held = [], False
        for item in self._inputs:
            needs = self._needs[item.upstream]
            for key in item.selection.waits_for(partition, needs):
                if needs[key].published is None:
                    waiting.append(f"{item.upstream} {key}")
                    held = held or needs[key].state is State.HELD
        return waiting, held

    def _recipe(self, partition: str) -> Recipe:
        reads = [*self._files_read(partition)]
        for item in self._inputs:
            for key, part in item.selection.keys(partition, item.keys):
                reads.append(InputRead(item.parameter, item.upstream, key, part, *item.contents[key, part]))
        return Recipe(self._stage.name, partition, self._code_version, self._configuration, tuple(reads))

    def _files_read(self, partition: str) -> Iterable[InputRead]:
        for source in self._sources:
            for seen in self._snapshot.landed.get(source, {}).get(partition, ()):
                yield InputRead(source, source, partition, seen.path, str(seen.digest), seen.id, is_file=True)

    def _input(self, parameter: str, upstream: str, selection: Selection) -> _Input:
        offered: dict[str, list[str]] = {}
        contents: dict[Key, tuple[str, int]] = {}
        for partition, need in self._needs[upstream].items():
            if need.published is None:
                continue
            parts = [part for part in _parts(need.published, selection.side_part) if part.rows]
            offered[partition] = [part.name for part in parts]
            contents.update({(partition, part.name): (part.content, need.published.version_id) for part in parts})
        return _Input(parameter, upstream, selection, UpstreamKeys.of(offered), contents)


def _watermark(graph: StageGraph, snapshot: Snapshot) -> str:
    """The latest arrival day: how far the landing zone has moved."""
    arrivals = [
        max(snapshot.landed[name])
        for name, source in graph.sources.items()
        if source.partitions.grain is Grain.DAY and snapshot.landed.get(name)
    ]
    return max(arrivals, default="1970-01-01")


def _parts(published: Published, side_part: str | None) -> tuple[PublishedPart, ...]:
    if side_part is None:
        return published.parts
    return tuple(part for part in published.side_parts if part.name == side_part)
