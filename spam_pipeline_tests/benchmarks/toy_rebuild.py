"""The toy pipeline by hand: every partition computed from nothing, by calling the stages' functions one after the other.

Nothing here knows a ledger, a recipe, a code version or staleness. What a partition reads is told by the stage's selections,
which are part of its definition; which partitions there are, by the days that have landed, all of which have numbers.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from spam_pipeline.protocol import WHOLE, ArtifactContract, EveryStage, Grain, LandedFile, days_before, month_of
from spam_pipeline.protocol.definition.selection import Key, UpstreamKeys
from spam_pipeline.protocol.definition.stage import OWN_PARTITION
from spam_pipeline.protocol.operating import AnyStage, LandingZone, StageGraph
from spam_pipeline.protocol.storage.reader import CATALOGUE_TYPES
from spam_pipeline_tests.protocol.toy_pipeline import classify

Place = tuple[str, str]
"""A stage and one of its partitions."""

Value = Mapping[str, list[Any]]
"""What a partition holds: its parts by name, each with its frames (one for each landed file) or its object."""

Read = Mapping[str, Sequence[tuple[str, Key]]]
"""What each parameter reads: an upstream stage, with a partition and a part of it."""


@dataclass(frozen=True)
class Rebuilt:
    """Everything there is in one state of code, settings and landed files, and what each partition was made from."""

    values: Mapping[Place, Value]
    contents: Mapping[Place, str]
    provenance: Mapping[Place, str]


class Hand:
    """One state of code and settings, over the files that lie in a landing zone."""

    def __init__(self, graph: StageGraph, landing: Path) -> None:
        self.graph = graph
        self._zone = LandingZone(str(landing))

    @property
    def files(self) -> Mapping[str, list[LandedFile]]:
        """The files of each arrival day, in order."""
        found: dict[str, list[LandedFile]] = defaultdict(list)
        for state in sorted(self._zone.files(), key=lambda state: state.path):
            source, day = classify(state.path) or ("", "")
            seen = self._zone.digest(state.path)
            found[day].append(LandedFile(source, day, state.path, seen, state.size, self._zone))
        return found

    def partitions(self, stage: AnyStage) -> list[str]:
        """The partitions of a stage; days that are not settled yet are not among them."""
        days = sorted(self.files)
        if stage.partitions.grain is Grain.NONE:
            return [WHOLE]
        if stage.partitions.grain is Grain.MONTH:
            return sorted({month_of(day) for day in days})
        return [day for day in days if day <= days_before(days[-1], stage.settled_after_days or 0)]

    def rebuild(self) -> Rebuilt:
        """Compute everything from nothing."""
        values: dict[Place, Value] = {}
        provenance: dict[Place, str] = {}
        for stage in self.graph.stages.values():
            for partition in self.partitions(stage):
                read = self._read(stage, partition, values)
                provenance[stage.name, partition] = self._provenance(stage, partition, read, values)
                values[stage.name, partition] = self._call(stage, partition, read, values)
        return Rebuilt(values, {place: content_of(value) for place, value in values.items()}, provenance)

    def compute(self, name: str, partition: str, values: Mapping[Place, Value]) -> Value:
        """Compute one partition from what its upstreams hold in `values`, right or wrong."""
        stage = self.graph.stages[name]
        return self._call(stage, partition, self._read(stage, partition, values), values)

    def _read(self, stage: AnyStage, partition: str, values: Mapping[Place, Value]) -> Read:
        found: dict[str, list[tuple[str, Key]]] = {}
        for parameter, reads in stage.inputs.items():
            found[parameter] = []
            for upstream in self.graph.upstreams_of(stage, parameter):
                offered = _offered(self.graph.stages[upstream], reads.partitions.side_part, values)
                found[parameter] += [(upstream, key) for key in reads.partitions.keys(partition, offered)]
        return found

    def _provenance(self, stage: AnyStage, partition: str, read: Read, values: Mapping[Place, Value]) -> str:
        """Everything that a pure function can depend on: what the interpreter runs, settings, and what is read."""
        files = [(file.path, file.digest) for file in self.files[partition]] if stage.file_by_file else []
        parts = [
            (parameter, upstream, *key, content_of(values[upstream, key[0]][key[1]]))
            for parameter, keys in read.items()
            for upstream, key in keys
        ]
        settings = sorted(self.graph.configuration_of(stage).items())
        return _hashed(repr((running(stage.function), settings, files, parts)))

    def _call(self, stage: AnyStage, partition: str, read: Read, values: Mapping[Place, Value]) -> Value:
        if stage.file_by_file:
            return self._of_files(stage, partition)
        arguments: dict[str, Any] = {**self.graph.configuration_of(stage)}
        for name in stage.parameters:
            if name == OWN_PARTITION:
                arguments[name] = partition
            elif name in stage.inputs and isinstance(stage.inputs[name].partitions, EveryStage):
                arguments[name] = self._catalogue(read[name], values)
            elif name not in arguments:
                arguments[name] = self._loaded(stage, name, read[name], values)
        result = stage(**arguments)
        return {WHOLE: [result.collect() if isinstance(result, pl.LazyFrame) else result]}

    def _of_files(self, stage: AnyStage, partition: str) -> Value:
        value: dict[str, list[pl.DataFrame]] = defaultdict(list)
        for file in self.files[partition]:
            frames: dict[str, list[pl.DataFrame]] = defaultdict(list)
            for part, frame in stage(file):
                frames[part].append(frame)
            for part in frames.keys() - stage.private_parts:
                value[part].append(pl.concat(frames[part]))
        return value

    def _loaded(
        self, stage: AnyStage, name: str, keys: Sequence[tuple[str, Key]], values: Mapping[Place, Value]
    ) -> Any:
        upstream, side_part = self.graph.stages[name], stage.inputs[name].partitions.side_part
        found = [data for _, (partition, part) in keys for data in values[name, partition][part]]
        if isinstance(upstream.contract, ArtifactContract):
            return found[0]
        contract = upstream.side_parts[side_part] if side_part else upstream.contract
        return pl.concat(found).lazy() if found else contract.empty()

    def _catalogue(self, keys: Sequence[tuple[str, Key]], values: Mapping[Place, Value]) -> pl.LazyFrame:
        rows = []
        for name, (partition, part) in keys:
            files, context = values[name, partition][part], self.graph.stages[name].context
            of_part = (context, name, partition, part)
            rows += [(*of_part, content_of(data), data.height, content_of(files)) for data in files]
        return pl.LazyFrame(rows, schema=CATALOGUE_TYPES, orient="row").sort(
            "context", "stage", "partition", "part", "file"
        )


def content_of(value: Any) -> str:
    """The digest of a value, of a part of it, or of an object, by what is in it."""
    if isinstance(value, pl.DataFrame):
        return _hashed(repr((value.columns, value.rows())))
    if isinstance(value, Mapping):
        return _hashed(repr([(name, content_of(item)) for name, item in sorted(value.items())]))
    if isinstance(value, list):
        return _hashed(repr([content_of(item) for item in value]))
    return _hashed(repr(value))


def running(function: Any) -> tuple[Any, ...]:
    """What the interpreter runs of a function that defines no other inside: no docstring, no comments, no line numbers."""
    code = function.__code__
    constants = [item for item in code.co_consts if item != function.__doc__]
    return (code.co_code, code.co_names, code.co_varnames, constants)


def _offered(stage: AnyStage, side_part: str | None, values: Mapping[Place, Value]) -> UpstreamKeys:
    parts: dict[str, tuple[str, ...]] = {}
    for name, partition in sorted(place for place in values if place[0] == stage.name):
        of_side = {part: part in stage.side_parts for part in sorted(values[name, partition])}
        wanted = [part for part, aside in of_side.items() if (part == side_part if side_part else not aside)]
        parts[partition] = tuple(part for part in wanted if _has_rows(values[name, partition][part]))
    return UpstreamKeys.of(parts)


def _has_rows(files: list[Any]) -> bool:
    return any(not isinstance(data, pl.DataFrame) or data.height > 0 for data in files)


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
