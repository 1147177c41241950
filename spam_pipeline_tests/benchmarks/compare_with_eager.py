"""What a change makes run: our convergence, the minimum, and plain Dagster assets under `AutomationCondition.eager()`.

Run as `python -m spam_pipeline_tests.benchmarks.compare_with_eager`. One history of the toy pipeline over thirty days of landed
numbers: each change meets the state that the change before it leads to, with everything right.

The minimum is found without our ledger, code versions or staleness: before and after each change everything is computed from
nothing by calling the functions. A partition counts when anything that its function can depend on (the instructions that the
interpreter runs, settings, the contents of all that it reads) differs from the state before, whether or not its content turns
out to differ: without calling the function nobody can know. It is to be computed when that was so in no earlier state, and to be
reused otherwise. `differ` is how many of them hold another content afterwards.

Ours is what a convergence computes and reuses, and whether all that is published then is what the functions give from nothing.
Dagster's is how many partitions are executed (a partition twice counts twice) until nothing is requested, and whether the same
holds. Its code versions are set by hand: a person changes the one of the stage they edit, for a comment too, and the one of the
stage that reads a setting; sets it back when they revert; and forgets to once.
"""

import importlib.util
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from spam_pipeline.protocol import PipelineError, days_before
from spam_pipeline.protocol.operating import (
    ActionTaken,
    Engine,
    Failure,
    Outcome,
    PartitionStatus,
    StageGraph,
    converge,
)
from spam_pipeline_tests.benchmarks.toy_in_dagster import CONDITIONS, ROUNDS, PlainDagster
from spam_pipeline_tests.benchmarks.toy_rebuild import Hand, Place, Rebuilt, content_of
from spam_pipeline_tests.protocol import toy_pipeline
from spam_pipeline_tests.protocol.toy_pipeline import land

DAYS = tuple(days_before("2026-01-15", -number) for number in range(30))
"""Thirty days in two months, each of them with files."""

EDIT = (
    'return received_numbers.unique().sort("number")',
    'return received_numbers.unique().filter(pl.col("number") < 1000).sort("number")',
)
"""Leaves out large numbers, which there are once a week."""

OTHER_WORDS = ('"""The day\'s distinct numbers."""', '"""Every number of the day, once."""')

HEADER = ("change", "minimum: compute / reuse", "ours: computed / reused", *CONDITIONS)
WIDTHS = (36, 24, 23, *(max(len(name), 12) for name in CONDITIONS))


@dataclass(frozen=True)
class Deployed:
    """What is deployed: the toy pipeline's source with some text replaced, a setting, and the code versions set by hand."""

    edits: tuple[tuple[str, str], ...] = ()
    factor: int = 1
    versions: Mapping[str, str] = field(default_factory=dict)

    def load(self, folder: Path) -> Any:
        """Load the pipeline anew, as a process that starts with this code does. Raises `ValueError` for an edit of nothing."""
        source = Path(toy_pipeline.__file__).read_text(encoding="utf-8")
        for old, new in self.edits:
            if source.count(old) != 1:
                raise ValueError(f"the toy pipeline does not have once: {old}")
            source = source.replace(old, new)
        path = Path(tempfile.mkdtemp(dir=folder)) / "deployed_toy.py"
        path.write_text(source, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} is no module")
        module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


@dataclass(frozen=True)
class Change:
    """One change: a file that lands on an arrival day, or something else that is deployed from then on.

    Where `is_also_forgotten` it is also looked at what happens when nobody sets the code version by hand.
    """

    name: str
    deployed: Deployed
    file: tuple[str, str, tuple[str, ...]] | None = None
    is_also_forgotten: bool = False


def usual_lines(number: int) -> tuple[str, ...]:
    """What lands on a day: two numbers of that day and one of the day before, and once a week a large one."""
    large = [f"{DAYS[number]} {1000 + number}"] if number % 7 == 3 else []
    late = f"{DAYS[max(0, number - 1)]} {number + 40}"
    return (late, *large, f"{DAYS[number]} {number + 1}", f"{DAYS[number]} {number + 2}")


ORIGINAL = Deployed()
REWORDED = Deployed((OTHER_WORDS,), versions={"numbers": "3"})
CHANGES = (
    Change("1 a late file for a day long past", ORIGINAL, (DAYS[-1], "late", (f"{DAYS[2]} 77",))),
    Change("2 a file delivered twice", ORIGINAL, (DAYS[20], "again", usual_lines(20))),
    Change("3 another definition in the middle", Deployed((EDIT,), versions={"numbers": "2"}), is_also_forgotten=True),
    Change("4 that reverted", ORIGINAL),
    Change("5 another docstring", REWORDED),
    Change("6 a replaced file", REWORDED, (DAYS[10], "usual", (*usual_lines(10)[:-1], f"{DAYS[10]} 78"))),
    Change("6 another setting", replace(REWORDED, factor=2, versions={**REWORDED.versions, "two_day_total": "2"})),
)


class History:
    """The toy pipeline over thirty days, as it goes through one change after the other."""

    def __init__(self, home: Path) -> None:
        self._home = home
        for number, day in enumerate(DAYS):
            land(home, day, "usual", *usual_lines(number), *(["broken"] if number == 5 else []))
        self._deploy(ORIGINAL)
        self._states = [self._hand.rebuild()]
        self._converge()

    def go_through(self, change: Change) -> Iterator[tuple[str, ...]]:
        """The row of a change, and another one for what happens when its code version is forgotten."""
        versions_before = self._deployed.versions
        others = self._others()
        forgetful = self._others() if change.is_also_forgotten else []
        if change.file:
            day, name, lines = change.file
            land(self._home, day, name, *lines)
        self._deploy(change.deployed)
        self._states.append(self._hand.rebuild())
        settled = [self._settled(other, change, change.deployed.versions) for other in others]
        yield change.name, self._minimum(), self._converge(), *settled
        if forgetful:
            settled = [self._settled(other, change, versions_before) for other in forgetful]
            yield "  its code version forgotten", "the same", "the same", *settled

    def _others(self) -> list[PlainDagster]:
        """Dagster under each condition, with everything as it is now."""
        versions, state = self._deployed.versions, self._states[-1]
        return [PlainDagster(condition, self._hand, versions, state) for condition in CONDITIONS.values()]

    def _deploy(self, deployed: Deployed) -> None:
        module = deployed.load(self._home)
        self._deployed = deployed
        self._engine: Engine = module.toy_engine(self._home, factor=deployed.factor)
        self._hand = Hand(self._engine.graph, self._home / "landing")

    def _minimum(self) -> str:
        *past, before, now = self._states
        touched = [place for place, provenance in now.provenance.items() if before.provenance.get(place) != provenance]
        known = sum(any(state.provenance.get(place) == now.provenance[place] for state in past) for place in touched)
        differ = sum(before.contents.get(place) != content for place, content in now.contents.items())
        return f"{len(touched) - known} / {known} ({differ} differ)"

    def _converge(self) -> str:
        done: Counter[ActionTaken] = Counter()

        def count(status: PartitionStatus, _why: object, outcome: Outcome | Failure) -> None:
            if isinstance(outcome, Failure):
                raise PipelineError(f"{status.stage} {status.partition}: {outcome.error}")
            done[outcome.action] += 1

        self._engine.observe()
        converge(self._engine, on_outcome=count)
        is_right = published(self._engine) == readable(self._states[-1], self._engine.graph)
        return f"{done[ActionTaken.COMPUTED]} / {done[ActionTaken.REUSED]}, {_said(is_right)}"

    def _settled(self, other: PlainDagster, change: Change, versions: Mapping[str, str]) -> str:
        rounds = other.settle(self._hand, versions, [change.file[0]] if change.file else [])
        is_right = other.contents() == self._states[-1].contents
        other.close()
        return f"{len(other.executed)}, {_said(is_right)}" + (" (given up)" if rounds == ROUNDS else "")


def published(engine: Engine) -> dict[Place, str]:
    """What everybody who reads a published partition finds in it."""
    by_stage = engine.ledger.published(engine.environment, list(engine.graph.stages))
    places = [(name, partition) for name, by_partition in by_stage.items() for partition in by_partition]
    return {(name, partition): _in_sight(engine.reader.read(name, [partition])) for name, partition in places}


def readable(state: Rebuilt, graph: StageGraph) -> dict[Place, str]:
    """The same of a state that was computed by hand."""
    found = {}
    for place, value in state.values.items():
        own = [data for part in sorted(value.keys() - graph.stages[place[0]].side_parts.keys()) for data in value[part]]
        found[place] = _in_sight(pl.concat(own) if isinstance(own[0], pl.DataFrame) else own[0])
    return found


def _in_sight(data: Any) -> str:
    """The content apart from the names of files and digests in a catalogue, which the store chooses."""
    frame = data.collect() if isinstance(data, pl.LazyFrame) else data
    return content_of(frame.drop("file", "content", strict=False) if isinstance(frame, pl.DataFrame) else frame)


def _said(is_right: bool) -> str:  # noqa: FBT001 - it says nothing but this
    return "right" if is_right else "WRONG"


def _line(cells: Sequence[str]) -> str:
    return " | ".join(f"{cell:{width}}" for cell, width in zip(cells, WIDTHS, strict=True)).rstrip() + "\n"


def main() -> None:
    """Go through all changes and print what each of them took."""
    started = time.perf_counter()
    sys.stdout.write(_line(HEADER))
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder))
        for change in CHANGES:
            for row in history.go_through(change):
                sys.stdout.write(_line(row))
                sys.stdout.flush()
    sys.stdout.write(
        f"{platform.machine()}, {os.cpu_count()} cores, dagster {version('dagster')}: {time.perf_counter() - started:.0f} s\n"
    )


if __name__ == "__main__":
    main()
