"""Converged equals rebuilt: whatever happened, it is as if everything had been computed once, from what is there now.

Random histories of the toy pipeline over a real store and ledger: late, replaced, repeated and removed files, edited code
and contracts, refused versions, killed and competing processes, two environments.
"""

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from spam_pipeline.protocol.execution.adoption import adopt
from spam_pipeline.protocol.execution.convergence import Failure, converge
from spam_pipeline.protocol.execution.decision import WrongDecision, decide
from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.execution.outcome import ActionTaken, Outcome
from spam_pipeline.protocol.execution.plan import Planned, PlannedAction, plan
from spam_pipeline.protocol.execution.running import run
from spam_pipeline.protocol.foundation.partition import days_before, month_of
from spam_pipeline.protocol.ledger.records import PRODUCTION, DecisionKind
from spam_pipeline.protocol.planning.partition_status import PartitionStatus, Reason, State
from spam_pipeline_tests.protocol.toy_home import Fuse, Home, Key, Killed, Landed
from spam_pipeline_tests.protocol.toy_variants import CONTRACTS, EDITS, Code

BRANCH = "branch"
REFACTORINGS = {0: 1, 1: 0}
"""Variants of `numbers` that make the same of everything, each with the other one."""

DAYS = ("2026-01-30", "2026-01-31", "2026-02-01", "2026-02-02", "2026-02-06")
PATHS = tuple((day, name) for day in DAYS for name in "ab")

LINE = st.builds("{} {}".format, st.sampled_from(DAYS), st.sampled_from((0, 0, 1, 2, 7, 70, 70, "word", -5)))
LINES = st.lists(LINE, min_size=1, max_size=3).map(tuple)


@dataclass(frozen=True)
class Rebuilt:
    """What there is after computing everything once: the content of each partition, and what is held."""

    contents: Mapping[Key, str]
    held: frozenset[Key]


def rebuilt(files: Landed, code: Code) -> Rebuilt:
    """A rebuild from nothing on the same files and code."""
    return _rebuilt(tuple(sorted(files.items())), code)


@cache
def _rebuilt(files: tuple[tuple[Key, tuple[str, ...]], ...], code: Code) -> Rebuilt:
    with TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        home.have(dict(files))
        engine = home.engine(code)
        engine.observe()
        assert not converge(engine).failed
        done = Rebuilt(home.published(PRODUCTION, engine.graph.stages), held(engine))
        home.close()
        return done


def held(engine: Engine, *reasons: Reason) -> frozenset[Key]:
    """The partitions that are held, for any reason or for one of those."""
    statuses = [status for by_partition in engine.planner.statuses().values() for status in by_partition.values()]
    return frozenset(
        (status.stage, status.partition)
        for status in statuses
        if status.state is State.HELD and status.reason in (reasons or Reason)
    )


def rests_on(key: Key, days: set[str]) -> bool:
    """Whether a partition of a stage after `received_numbers` may rest on numbers of some event days."""
    name, partition = key
    if name in {"numbers", "settled_total"}:
        return partition in days
    if name == "two_day_total":
        return any(days_before(partition, back) in days for back in range(3))
    if name == "monthly_total":
        return any(month_of(day) == partition for day in days)
    return name in {"model", "share", "board"} and bool(days)


@dataclass
class Convergence:
    """What one convergence did, partition by partition."""

    outcomes: list[tuple[PartitionStatus, Outcome]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def note(self, status: PartitionStatus, _why: object, outcome: Outcome | Failure) -> None:
        if isinstance(outcome, Failure):
            self.failures.append(outcome)
        else:
            self.outcomes.append((status, outcome))

    @property
    def keys(self) -> list[Key]:
        return [(status.stage, status.partition) for status, _ in self.outcomes]

    def recipes(self, action: ActionTaken) -> list[str]:
        return [status.recipe for status, outcome in self.outcomes if outcome.action is action]


class Histories(RuleBasedStateMachine):
    """One history; whenever somebody converges it must be as if nothing had ever happened but a rebuild."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.home = Home(Path(self.folder.name) / "home")
        self.code = {PRODUCTION: Code(), BRANCH: Code()}
        self.days_of: dict[str, set[str]] = {}
        self.past: list[Landed] = []
        self.decided: set[Key] = set()

    def teardown(self) -> None:
        for environment in self.code:
            self.converge(environment)
        self.home.close()
        self.folder.cleanup()

    def have(self, files: Landed) -> None:
        self.past.append(dict(self.home.files))
        self.home.have(files)
        for (arrival, _), lines in files.items():
            self.days_of.setdefault(arrival, set()).update(line.split(" ")[0] for line in lines)

    # What happens in the landing zone and to the code

    @initialize(first=st.dictionaries(st.sampled_from(PATHS), LINES, min_size=1, max_size=3))
    def begin(self, first: Landed) -> None:
        self.have(first)

    @rule(path=st.sampled_from(PATHS), lines=LINES)
    def land_or_replace(self, path: Key, lines: tuple[str, ...]) -> None:
        self.have({**self.home.files, path: lines})

    @rule(path=st.sampled_from(PATHS), data=st.data(), moved=st.booleans())
    def deliver_again_elsewhere(self, path: Key, data: st.DataObject, moved: bool) -> None:  # noqa: FBT001 - drawn
        known = data.draw(st.sampled_from(sorted(self.home.files)))
        lines = self.home.files[known]
        kept = {key: value for key, value in self.home.files.items() if key != known or not moved}
        self.have({**kept, path: lines})

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        gone = data.draw(st.sampled_from(sorted(self.home.files)))
        if len(self.home.files) > 1:
            self.have({path: lines for path, lines in self.home.files.items() if path != gone})

    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        files = data.draw(st.sampled_from(self.past))
        if files:
            self.have(files)

    @rule(edit=st.sampled_from(EDITS), environment=st.sampled_from((PRODUCTION, PRODUCTION, BRANCH)))
    def edit(self, edit: tuple[str, int], environment: str) -> None:
        self.code[environment] = replace(self.code[environment], **dict([edit]))

    @rule(edit=st.sampled_from(CONTRACTS), environment=st.sampled_from((PRODUCTION, BRANCH)))
    def change_rules(self, edit: tuple[str, int], environment: str) -> None:
        self.code[environment] = replace(self.code[environment], **dict([edit]))

    @rule(environment=st.sampled_from((PRODUCTION, PRODUCTION, BRANCH)), effects=st.sampled_from((4, 6, 8, 1000)))
    def adopt(self, environment: str, effects: int) -> None:
        """Refactor how numbers are made, and adopt what is published by this code or the one before; or die meanwhile.

        Whoever adopts answers for the code doing the same, which is so of these two.
        """
        self.converge(environment)
        code = self.code[environment]
        if code.numbers not in REFACTORINGS:
            return
        self.code[environment] = replace(code, numbers=REFACTORINGS[code.numbers])
        engine = self.home.engine(self.code[environment], environment, Fuse(effects))
        known = {
            self.home.engine(replace(code, numbers=item)).graph.code_versions["numbers"].digest for item in REFACTORINGS
        }
        with suppress(Killed):
            engine.observe()
            made_by = {item.code_version for item in engine.planner.snapshot().published.get("numbers", {}).values()}
            if made_by <= known:
                assert not any(item.difference for item in adopt(engine, "somebody", ["numbers"], sample=1))

    @rule(
        data=st.data(),
        environment=st.sampled_from((PRODUCTION, PRODUCTION, BRANCH)),
        kind=st.sampled_from(DecisionKind),
    )
    def decide(self, data: st.DataObject, environment: str, kind: DecisionKind) -> None:
        """Accept something that is quarantined, or reject something that is published."""
        engine = self.home.daemon(self.code[environment], environment)
        engine.observe()
        statuses = [status for by_partition in engine.planner.statuses().values() for status in by_partition.values()]
        if kind is DecisionKind.ACCEPT:
            recipes = {status.recipe for status in statuses if status.state is State.HELD and status.recipe}
        else:
            recipes = {status.published.recipe for status in statuses if status.published}
        if recipes:
            with suppress(WrongDecision):  # an audit that is overdue may leave nothing to decide
                decided = decide(engine, data.draw(st.sampled_from(sorted(recipes))), kind, "somebody", "drawn")
                self.decided.add((decided.version.stage, decided.version.partition))

    # Convergences that do not come to their end, or do more than one thing

    @rule(effects=st.integers(0, 120), environment=st.sampled_from((PRODUCTION, BRANCH)))
    def die(self, effects: int, environment: str) -> None:
        engine = self.home.engine(self.code[environment], environment, Fuse(effects))
        with suppress(Killed):
            engine.observe()
            converge(engine)

    @rule(path=st.sampled_from(PATHS), lines=LINES)
    def converge_while_a_file_is_replaced(self, path: Key, lines: tuple[str, ...]) -> None:
        engine = self.home.daemon(self.code[PRODUCTION], PRODUCTION)
        engine.observe()
        self.have({**self.home.files, path: lines})
        done = Convergence()
        converge(engine, on_outcome=done.note)
        assert all(item.error.startswith("LandingChanged") for item in done.failures)

    @rule(name=st.sampled_from(("numbers", "model", "share", "two_day_total")), seen=st.booleans())
    def converge_in_part(self, name: str, seen: bool) -> None:  # noqa: FBT001 - drawn
        engine = self.home.daemon(self.code[PRODUCTION], PRODUCTION)
        if seen:
            engine.observe()
        if name in engine.graph.stages:
            done = Convergence()
            converge(engine, [name], on_outcome=done.note)
            assert all(item.error.startswith("LandingChanged") for item in done.failures)

    @rule()
    def run_partitions_in_any_order(self) -> None:
        """The last stages first, and each partition by itself: what rests on something that is to come is early."""
        engine = self.home.daemon(self.code[PRODUCTION], PRODUCTION)
        engine.observe()
        for by_partition in reversed(list(engine.planner.statuses().values())):
            for status in by_partition.values():
                report, now = engine.planner.status(status.stage, status.partition)
                if now.can_run:
                    run(engine, report, now)

    # Convergences

    @rule(environment=st.sampled_from((PRODUCTION, PRODUCTION, BRANCH)), writers=st.sampled_from((1, 1, 1, 2)))
    def observe_and_converge(self, environment: str, writers: int) -> None:
        self.converge(environment, writers)

    def converge(self, environment: str, writers: int = 1) -> None:
        code = self.code[environment]
        engine = self.home.daemon(code, environment)
        engine.observe()
        planned, known, tried = plan(engine), self.home.recipes(), self.home.attempts()
        production = self.home.published(PRODUCTION, engine.graph.stages)
        before = self.home.published(environment, engine.graph.stages)
        parts = _parts_received(engine)

        done = Convergence()
        if writers == 1:
            converge(engine, on_outcome=done.note)
        else:
            others = [self.home.engine(code, environment) for _ in range(writers)]
            with ThreadPoolExecutor(writers) as pool:
                list(pool.map(lambda other: converge(other, on_outcome=done.note), others))

        assert done.failures == []
        computed = done.recipes(ActionTaken.COMPUTED)
        wanted = {status.recipe for by_key in engine.planner.statuses().values() for status in by_key.values()}
        assert self.home.attempts() - tried == Counter(computed), "each was computed once"
        assert set(computed) == wanted - known - {""}, "computed is what is wanted and was not there"
        assert self.home.recipes() == known | set(computed)
        if writers == 1:
            assert len(set(done.keys)) == len(done.keys), "nothing ran twice"
            now = _parts_received(engine)
            moved = {part for key in now.keys() & parts.keys() for part in now[key] ^ parts[key]}
            moved = moved.union(*(now[key] for key in now.keys() - parts.keys()))
            _check_plan(planned, done, before, moved)
        self._check_nothing_is_left(engine)
        self._check_rebuilt(engine)
        if environment == BRANCH:
            assert self.home.published(PRODUCTION, engine.graph.stages) == production

    def _check_nothing_is_left(self, engine: Engine) -> None:
        assert plan(engine) == []
        again = Convergence()
        for other in (engine, self.home.engine(self.code[engine.environment], engine.environment)):
            converge(other, on_outcome=again.note)
            assert (again.keys, again.failures) == ([], [])
            assert other.planner.statuses() == engine.planner.statuses()

    def _check_rebuilt(self, engine: Engine) -> None:
        """What rests on something that is held may rest on an earlier version of it here, and on none in the rebuild.

        So does what rests on files that are gone: it is held here, and the rebuild never knew of it. Nobody has decided anything there, so what somebody decided about here counts as if it were held.
        """
        expected, is_held = rebuilt(self.home.files, self.code[engine.environment]), held(engine)
        either = expected.held | is_held | self.decided
        arrivals = {key for name, key in either if name == "received_numbers"}
        unclear = set[str]().union(*(self.days_of[key] for key in arrivals))
        days = unclear | {key for name, key in either if name == "numbers"}

        def is_clear(key: Key) -> bool:
            name, partition = key
            if key in self.decided or (name == "share" and ("model", "all") in self.decided):
                return False
            if name == "settled_total" and any(day >= partition for day in arrivals):
                return False
            if name in {"numbers", "rejected_numbers"}:
                return partition not in (unclear if name == "numbers" else arrivals)
            return not rests_on(key, days) and not (name == "board" and either)

        gone = held(engine, Reason.SOURCE_REMOVED)
        assert {key for key in is_held - gone if is_clear(key)} == {key for key in expected.held if is_clear(key)}
        found = self.home.published(engine.environment, engine.graph.stages)
        assert {key: found[key] for key in found if key not in either and is_clear(key)} == {
            key: content for key, content in expected.contents.items() if key not in either and is_clear(key)
        }
        board = engine.ledger.published_version(engine.environment, "board", "all")
        if board:
            assert (self.home.folder / "board.txt").read_text(encoding="utf-8").startswith(board.recipe)


def _parts_received(engine: Engine) -> dict[str, set[str]]:
    published = engine.ledger.published(engine.environment, ["received_numbers"])["received_numbers"]
    return {key: {part.name for part in (*item.parts, *item.side_parts)} for key, item in published.items()}


def _check_plan(planned: list[Planned], done: Convergence, before: Mapping[Key, str], moved: set[str]) -> None:
    """What was certain has happened, and what happened was planned, except for days that nobody knew would come or go."""
    if any(outcome.refused for _, outcome in done.outcomes):
        return

    def is_known(key: Key) -> bool:
        return not rests_on(key, moved) and not (key[0] == "rejected_numbers" and "rejected" in moved)

    happened = dict(zip(done.keys, [outcome.action for _, outcome in done.outcomes], strict=True))
    told = {(item.stage, item.partition): item for item in planned}
    certain = {key for key, item in told.items() if item.cause.is_certain and is_known(key)}
    assert certain - happened.keys() == set()
    assert {key for key in happened.keys() & before.keys() if is_known(key)} - told.keys() == set()
    reused = {key for key in certain if told[key].action is PlannedAction.REUSE}
    assert {key for key in reused if happened[key] is ActionTaken.COMPUTED} == set()


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=10,
    stateful_step_count=8,
    suppress_health_check=[HealthCheck.too_slow],  # one step is a real convergence, with files and transactions
)


def test_an_environment_does_not_read_what_its_own_rules_refuse_though_production_publishes_it(tmp_path: Path) -> None:
    home, strict = Home(tmp_path / "home"), Code(numbers=3)
    home.have({("2026-01-30", "a"): ("2026-01-30 70",)})
    for code, environment in ((strict, BRANCH), (Code(), PRODUCTION), (strict, BRANCH)):
        engine = home.daemon(code, environment)
        engine.observe()
        assert not converge(engine).failed
    assert ("numbers", "2026-01-30") in held(home.daemon(strict, BRANCH))
    assert home.published(BRANCH, ["numbers"]) == {}
    assert home.published(PRODUCTION, ["numbers"]).keys() == {("numbers", "2026-01-30")}
    home.close()
