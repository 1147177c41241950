"""Staleness: which partitions are wanted, by which recipe, and how that compares with what is published.

A pure function of a snapshot of the ledger: nothing here reads a database, a file or a clock, and nothing depends on what
was looked at before. Who acts on the answer is `convergence` or the orchestrator; why a partition is stale is told by `plan`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from spam_pipeline.protocol.graph import AnyStage, StageGraph
from spam_pipeline.protocol.history import history_digest, nearest
from spam_pipeline.protocol.limit import Limit, breaches
from spam_pipeline.protocol.needs import (
    COMPLETE,
    DECISION,
    DELIVERY,
    HISTORY,
    NOT_REMARKABLE,
    RULES,
    Need,
    Needs,
    Snapshot,
    State,
    Work,
)
from spam_pipeline.protocol.partition import Grain, days_before
from spam_pipeline.protocol.recipe import (
    InputRead,
    Recipe,
    digest_of_read,
    read_label,
    read_line,
    recipe_digest,
    recipe_head,
)
from spam_pipeline.protocol.records import Published, PublishedPart
from spam_pipeline.protocol.selection import Key, Selection, UpstreamKeys

Assume = Callable[[Mapping[str, Need]], Mapping[str, Published | None]]
"""What consumers are to find published for a stage's needs: what is published, unless one plans ahead."""


def as_published(needs: Mapping[str, Need]) -> dict[str, Published | None]:
    """What is published for each need."""
    return {partition: need.published for partition, need in needs.items()}


class Assessment:
    """The needs of some stages, which come in the graph's order and with everything they rest on.

    `needs` includes what is published though nothing wants it any more; consumers are not offered that. What `earlier`
    says of a stage is taken over if nothing about the stage or what it rests on has changed since.
    """

    def __init__(
        self,
        graph: StageGraph,
        snapshot: Snapshot,
        stages: Iterable[AnyStage],
        assume: Assume = as_published,
        earlier: "Assessment | None" = None,
    ) -> None:
        self.known: dict[str, _StageAssessment] = dict(earlier.known) if earlier else {}
        found: dict[str, _StageAssessment] = {}
        for stage in stages:
            basis = _basis(graph, snapshot, found, stage)
            known = self.known.get(stage.name)
            if known is None or known.basis != basis:
                known = _StageAssessment(_Surroundings(graph, snapshot, found, assume), stage, basis)
            found[stage.name] = self.known[stage.name] = known
        self.needs: Needs = {name: stage.needs for name, stage in found.items()}

    def recipe(self, need: Need) -> Recipe:
        """The recipe behind a need's digest, with every input part read."""
        return self.known[need.stage].recipe(need.partition)


@dataclass(frozen=True)
class _Offer:
    """What a stage offers to one selection: its keys, with the part and the version behind each."""

    selection: Selection
    keys: UpstreamKeys
    contents: Mapping[Key, tuple[str, int]]
    lines: Mapping[Key, str]
    digests: dict[str, str] = field(default_factory=dict)

    def digest_of_read(self, partition: str) -> str:
        """The digest of what a consumer's partition reads, empty when that is nothing; found once for each scope."""
        scope = self.selection.scope(partition, self.keys)
        found = self.digests.get(scope)
        if found is None:
            lines = [self.lines[key] for key in self.selection.keys(partition, self.keys)]
            found = self.digests[scope] = digest_of_read(lines) if lines else ""
        return found


@dataclass(frozen=True)
class _Input:
    """One upstream of a stage, by the parameter that reads it."""

    parameter: str
    upstream: "_StageAssessment"
    offer: _Offer
    label: str
    unmet: Mapping[int, str]

    def waits_for(self, partition: str) -> list[str]:
        """The partitions of the upstream without which `partition` cannot be computed, and which are not published."""
        wanted = self.offer.selection.waits_for(partition, self.upstream.offers)
        return [key for key in wanted if key in self.upstream.unpublished]

    def does_not_meet(self, partition: str) -> Iterator[str]:
        """What is expected of the versions that a partition reads and is not so."""
        if self.unmet:
            for key in self.offer.selection.keys(partition, self.offer.keys):
                version = self.offer.contents[key][1]
                if version in self.unmet:
                    yield f"{self.upstream.name} {key[0]} {self.unmet[version]}"

    def read(self, partition: str) -> Iterator[InputRead]:
        """What a partition reads, part by part."""
        for key in self.offer.selection.keys(partition, self.offer.keys):
            yield InputRead(self.parameter, self.upstream.name, *key, *self.offer.contents[key])


@dataclass(frozen=True)
class _Surroundings:
    """What a stage is assessed in: the stages before it, and what consumers are to find published."""

    graph: StageGraph
    snapshot: Snapshot
    before: Mapping[str, "_StageAssessment"]
    assume: Assume


class _StageAssessment:
    """One stage's needs, given those of the stages before it, and what it offers to those after it."""

    def __init__(self, surroundings: _Surroundings, stage: AnyStage, basis: tuple[object, ...]) -> None:
        graph, snapshot, before = surroundings.graph, surroundings.snapshot, surroundings.before
        self.name = stage.name
        self.basis = basis
        self._stage = stage
        self._snapshot = snapshot
        self._published = snapshot.published.get(stage.name, {})
        self._code_version = graph.code_versions[stage.name].digest
        self._configuration = graph.configuration_digests(stage)
        self._head = recipe_head(stage.name, self._code_version, self._configuration)
        self._sources = [name for name in stage.parameters if name in graph.sources]
        self._inputs = [
            _Input(
                parameter,
                before[upstream],
                before[upstream].offer(selection),
                read_label(parameter, upstream),
                before[upstream].unmet(stage.expectations.get(parameter, ())),
            )
            for parameter, selection in stage.selections.items()
            for upstream in graph.upstreams_of(stage, parameter)
        ]
        self._offered: dict[Selection, _Offer] = {}
        self._incomplete = [item for item in self._inputs if item.upstream.unpublished]
        self._demanding = [item for item in self._inputs if item.unmet]
        self._watermark = watermark(graph, snapshot)
        self._is_judged_by_history = stage.name in graph.judged_by_history
        self._history_keys = sorted(self._published)
        wanted = {partition: self._need(partition) for partition in self._wanted()}
        unwanted = {
            partition: self._unwanted(partition) for partition in sorted(self._published.keys() - wanted.keys())
        }
        self.needs: dict[str, Need] = {**wanted, **unwanted}
        self.offers = surroundings.assume(self.needs if stage.never_retracted else wanted)
        self.unpublished: frozenset[str] = frozenset(key for key, version in self.offers.items() if version is None)

    def unmet(self, limits: tuple[Limit, ...]) -> dict[int, str]:
        """The published versions that do not keep a consumer's limits, by id, and in what."""
        numbers = self._snapshot.numbers if limits else {}
        broken = {
            item.version_id: breaches(limits, numbers[item.version_id])
            for item in self.offers.values()
            if item is not None and item.version_id in numbers
        }
        return {version: "; ".join(map(str, found)) for version, found in broken.items() if found}

    def offer(self, selection: Selection) -> _Offer:
        """What this stage offers to a selection; the same for all consumers that select alike."""
        found = self._offered.get(selection)
        if found is None:
            alike = (
                offer for offer in list(self._offered.values()) if offer.selection.side_part == selection.side_part
            )
            other = next(alike, None)
            parts = (other.keys, other.contents, other.lines) if other else self._parts(selection.side_part)
            found = self._offered[selection] = _Offer(selection, *parts)
        return found

    def _parts(self, side_part: str | None) -> tuple[UpstreamKeys, dict[Key, tuple[str, int]], dict[Key, str]]:
        """The parts that consumers can read, with what is behind each. Parts without rows are not among them."""
        names: dict[str, tuple[str, ...]] = {}
        contents: dict[Key, tuple[str, int]] = {}
        lines: dict[Key, str] = {}
        for partition, published in self.offers.items():
            if published is not None:
                own = _parts(published, side_part)
                names[partition] = tuple([part.name for part in own])
                for name, content, _ in own:
                    contents[partition, name] = (content, published.version_id)
                    lines[partition, name] = read_line(partition, name, content)
        return UpstreamKeys.of(names), contents, lines

    def recipe(self, partition: str) -> Recipe:
        """The recipe of a partition, input by input."""
        reads = [*self._files_read(partition)]
        for item in self._inputs:
            reads += item.read(partition)
        return Recipe(self._stage.name, partition, self._code_version, self._configuration, tuple(reads))

    def _wanted(self) -> list[str]:
        """The partitions there is something for, as far as the landing zone has moved past them."""
        drivers = self._stage.drivers
        found = {key for name in drivers if name in self._sources for key in self._snapshot.landed.get(name, {})}
        for item in self._inputs:
            if item.parameter in drivers:
                found |= item.offer.selection.wanted(item.upstream.offers, item.offer.keys)
        settled_after = self._stage.settled_after_days
        if settled_after is None:
            return sorted(found)
        last = days_before(self._watermark, settled_after)
        return sorted(partition for partition in found if partition <= last)

    def _need(self, partition: str) -> Need:
        """What a partition needs; while nothing can be done for it, what is read needs to be where it was decided to be.

        A decision about what is read is followed then, and its target holds what is read. Other rules say nothing of what is
        read in the meantime: it was accepted by those that it was made for.
        """
        need = self._need_of_wanted(partition)
        published = need.published
        if need.can_run or published is None or published.recipe == need.recipe:
            return need
        judged = self._snapshot.judged.get(published.recipe, NOT_REMARKABLE)
        if self._snapshot.decisions.get((need.stage, partition), 0) != judged.decision:
            return need._replace(work=Work.AUDIT, reason=DECISION, recipe=published.recipe)
        if self._is_delivered(published):
            return need
        return need._replace(work=Work.DELIVER, reason=DELIVERY, recipe=published.recipe)

    def _is_delivered(self, published: Published) -> bool:
        return self._stage.delivery is None or self._snapshot.delivered.get(self.name) == published.recipe

    def _need_of_wanted(self, partition: str) -> Need:
        name, published = self._stage.name, self._published.get(partition)
        unsettled = State.STALE if published else State.MISSING
        waiting = self._waiting(partition) if self._incomplete else ()
        if waiting:
            state = State.HELD if any(held for _, held in waiting) else unsettled
            reason = f"waits for {', '.join(upstream for upstream, _ in waiting)}"
            return Need(name, partition, state, Work.NOTHING, reason, "", published)
        unmet = [text for item in self._demanding for text in item.does_not_meet(partition)]
        if unmet:
            return Need(
                name, partition, State.HELD, Work.NOTHING, f"waits for better: {'; '.join(unmet)}", "", published
            )
        recipe = self._recipe_digest(partition)
        why = self._why_to_audit(partition, recipe)
        if published and published.recipe == recipe:
            return self._settled(partition, published, why)
        if recipe in self._snapshot.refused and not why:
            return Need(name, partition, State.HELD, Work.NOTHING, "its version was refused", recipe, published)
        work = Work.AUDIT if why else Work.MAKE
        return Need(name, partition, unsettled, work, why or unsettled.value, recipe, published)

    def _settled(self, partition: str, published: Published, why: str) -> Need:
        """A partition whose wanted recipe is published: it may still have to be audited or delivered."""
        name, recipe = self._stage.name, published.recipe
        if recipe in self._snapshot.refused:  # here, and then published in production, whose contract accepts it
            return Need(name, partition, State.STALE, Work.AUDIT, why or RULES, recipe, published)
        if why:
            return Need(name, partition, State.STALE, Work.AUDIT, why, recipe, published)
        if not self._is_delivered(published):
            return Need(name, partition, State.STALE, Work.DELIVER, DELIVERY, recipe, published)
        return Need(name, partition, State.FRESH, Work.NOTHING, "", recipe, published)

    def _why_to_audit(self, partition: str, recipe: str) -> str:
        """Why the version of a recipe is to be audited again, if there is one and it is; empty otherwise.

        Accepted is accepted until the rules change, somebody decides, or a partition that could still grow is complete. Only
        what is quarantined is judged again when the history that it was judged against has changed.
        """
        if recipe in self._snapshot.overdue:
            return RULES
        judged = self._snapshot.judged.get(recipe, NOT_REMARKABLE)
        is_known = judged is not NOT_REMARKABLE or self._is_read(partition, recipe)
        if is_known and self._snapshot.decisions.get((self._stage.name, partition), 0) != judged.decision:
            return DECISION
        if judged.is_provisional and not self._stage.partitions.is_open(partition, self._watermark):
            return COMPLETE
        if recipe in self._snapshot.refused and judged.history != self._history(partition, recipe):
            return HISTORY
        return ""

    def _is_read(self, partition: str, recipe: str) -> bool:
        published = self._published.get(partition)
        return published is not None and published.recipe == recipe

    def _history(self, partition: str, recipe: str) -> str:
        if not self._is_judged_by_history:
            return ""
        found = nearest(self._published, partition, keys=self._history_keys)
        return history_digest((key, version) for key, version in found if version.recipe != recipe)

    def _unwanted(self, partition: str) -> Need:
        name, published = self._stage.name, self._published[partition]
        if self._stage.never_retracted:
            return Need(
                name, partition, State.HELD, Work.NOTHING, "what it was made from is gone: restore it", "", published
            )
        reason = "there is nothing to compute it from any more"
        return Need(name, partition, State.STALE, Work.RETRACT, reason, "", published)

    def _waiting(self, partition: str) -> Sequence[tuple[str, bool]]:
        """The inputs that are wanted but not published, and whether each of them cannot come by itself."""
        return [
            (f"{item.upstream.name} {key}", item.upstream.needs[key].state is State.HELD)
            for item in self._incomplete
            for key in item.waits_for(partition)
        ]

    def _recipe_digest(self, partition: str) -> str:
        reads = [self._digest_of_files(source, partition) for source in self._sources]
        for item in self._inputs:
            read = item.offer.digest_of_read(partition)
            if read:
                reads.append(item.label + read)
        return recipe_digest(self._head, partition, reads)

    def _digest_of_files(self, source: str, partition: str) -> str:
        lines = [read_line(item.partition, item.part, item.content) for item in self._files_of(source, partition)]
        return read_label(source, source) + digest_of_read(lines) if lines else ""

    def _files_read(self, partition: str) -> Iterator[InputRead]:
        for source in self._sources:
            yield from self._files_of(source, partition)

    def _files_of(self, source: str, partition: str) -> Iterator[InputRead]:
        for seen in self._snapshot.landed.get(source, {}).get(partition, ()):
            yield InputRead(source, source, partition, seen.path, str(seen.digest), seen.id, is_file=True)


def _basis(
    graph: StageGraph, snapshot: Snapshot, before: Mapping[str, _StageAssessment], stage: AnyStage
) -> tuple[object, ...]:
    """What a stage's assessment rests on: if it is equal, so is the assessment."""
    looks_at_files = stage.settled_after_days is not None or any(name in graph.sources for name in stage.parameters)
    upstreams = [before[name] for name in graph.upstreams(stage)]
    landed = snapshot.landed_mark if looks_at_files else None
    moved = watermark(graph, snapshot) if stage.name in graph.judged_by_history else None
    return (snapshot.marks.get(stage.name), landed, moved, snapshot.delivered.get(stage.name), *upstreams)


def watermark(graph: StageGraph, snapshot: Snapshot) -> str:
    """The latest arrival day: how far the landing zone has moved."""
    arrivals = [
        max(snapshot.landed[name])
        for name, source in graph.sources.items()
        if source.partitions.grain is Grain.DAY and snapshot.landed.get(name)
    ]
    return max(arrivals, default="1970-01-01")


def _parts(published: Published, side_part: str | None) -> list[PublishedPart]:
    parts = published.parts if side_part is None else published.side_parts
    return [part for part in parts if part.rows and (side_part is None or part.name == side_part)]
