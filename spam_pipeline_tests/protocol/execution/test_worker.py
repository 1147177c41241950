"""A worker's side of a batch, and what a coordinator makes of it. The workers are engines of their own in this process."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Barrier

import pytest
from typing_extensions import override

from spam_pipeline.protocol.execution.convergence import Converged, converge
from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.execution.executor import Batch, PartitionResult, terms_of
from spam_pipeline.protocol.execution.outcome import ActionTaken, Failure
from spam_pipeline.protocol.execution.worker import work
from spam_pipeline.protocol.foundation.errors import WorkerDiffers
from spam_pipeline.protocol.ledger.claims import Claims
from spam_pipeline.protocol.ledger.records import PRODUCTION
from spam_pipeline_tests.orchestration.toy_location import with_unlucky_numbers
from spam_pipeline_tests.protocol import slow_stages
from spam_pipeline_tests.protocol.toy_pipeline import land, toy_engine
from spam_pipeline_tests.protocol.toy_runs import digests, rebuilt

Reported = set[tuple[str, str, str, str]]
"""What a convergence reports: stage, partition, action, cause."""


@dataclass
class Workers:
    """An executor whose worker is an engine of its own, and may leave partitions out or die after some."""

    engine: Engine
    dies_after: int = 1_000
    is_silent: bool = False
    batches: list[Batch] = field(default_factory=list)

    def run(self, batch: Batch, seconds_each: float) -> Iterator[PartitionResult]:
        assert seconds_each >= 0
        self.batches.append(batch)
        for number, result in enumerate(work(self.engine, batch)):
            if number == self.dies_after:
                return
            if not self.is_silent:
                yield result


def converged(engine: Engine, executor: Workers | None, run: str | None = "run 1") -> tuple[Converged, Reported]:
    reported: list[tuple[str, str, str, str]] = []
    engine.observe()
    done = converge(
        engine,
        run=run,
        executor=executor,
        on_outcome=lambda status, why, outcome: reported.append(
            (
                status.stage,
                status.partition,
                outcome.error if isinstance(outcome, Failure) else outcome.action.value,
                str(why),
            )
        ),
    )
    assert len(reported) == len(set(reported)), "each is reported once"
    return done, set(reported)


def failures(home: Path) -> list[tuple[str]]:
    with closing(sqlite3.connect(home / "ledger.db")) as ledger:
        return ledger.execute("select error from failures").fetchall()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    for day in ("2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"):
        land(home, day, "a", f"{day} 1", f"{day} 2", "broken", "2026-01-01 7")
    return home


def test_workers_lead_to_the_same_versions_and_the_same_report(home: Path, tmp_path: Path) -> None:
    engine = toy_engine(home)
    executor = Workers(toy_engine(home))
    done, reported = converged(engine, executor)
    alone = toy_engine(tmp_path / "alone", landing_url=str(home / "landing"))
    done_alone, reported_alone = converged(alone, None)
    assert reported == reported_alone
    assert replace(done, seconds=0) == replace(done_alone, seconds=0)
    assert digests(engine) == digests(alone) == rebuilt(home)
    sent = {batch.stage: set(batch.causes) for batch in executor.batches}
    assert sent["numbers"] == {"2026-01-02", "2026-01-03", "2026-01-04"}, "the first shows how long one takes"
    assert "board" not in sent, "deliveries stay here"
    triggers = [publication.trigger for publication, _ in engine.ledger.publications_after(0, PRODUCTION)]
    assert {trigger.run for trigger in triggers} == {"run 1"}
    assert Counter(trigger.cause for trigger in triggers) == Counter(why for *_, why in reported)


@pytest.mark.parametrize("at_once", [2, 5])
def test_partitions_side_by_side_lead_to_the_same_versions_and_the_same_report(
    home: Path, tmp_path: Path, at_once: int
) -> None:
    engine = toy_engine(home, at_once=at_once, stages=with_unlucky_numbers())
    done, reported = converged(engine, None)
    alone = toy_engine(tmp_path / "alone", landing_url=str(home / "landing"), stages=with_unlucky_numbers())
    done_alone, reported_alone = converged(alone, None)
    assert [(item.stage, item.partition) for item in done.failed] == [("numbers", "2026-01-02")]
    assert reported == reported_alone
    assert replace(done, seconds=0) == replace(done_alone, seconds=0)
    assert digests(engine) == digests(alone)


class Meeting(Claims):
    """Claims that nobody gets alone."""

    meeting = Barrier(2, timeout=30)

    @override
    def on(self, recipe: str, *, wait: bool) -> AbstractContextManager[None]:
        self.meeting.wait()
        return super().on(recipe, wait=wait)


def test_as_many_run_at_once_as_the_engine_says(home: Path) -> None:
    engine = replace(toy_engine(home, at_once=2), claims=Meeting(f"sqlite:///{home / 'ledger.db'}"))
    engine.observe()
    assert converge(engine, ["received_numbers"]).computed == 4


@pytest.mark.parametrize("dies_after", [0, 1])
def test_what_a_worker_leaves_is_run_by_the_coordinator(home: Path, dies_after: int) -> None:
    engine = toy_engine(home)
    done, reported = converged(engine, Workers(toy_engine(home), dies_after))
    assert done.converged
    assert done.computed == len(reported) == len(engine.ledger.publications_after(0, PRODUCTION))
    assert digests(engine) == rebuilt(home)


def test_what_a_worker_published_without_saying_so_is_reported_as_it_was_done(home: Path) -> None:
    engine = toy_engine(home)
    done, _ = converged(engine, Workers(toy_engine(home), is_silent=True))
    assert done.computed == len(engine.ledger.publications_after(0, PRODUCTION))
    for day in ("2026-01-03", "2026-01-04"):
        (home / "landing" / day / "a.txt").write_text("", encoding="utf-8")
    done, reported = converged(toy_engine(home, factor=2), Workers(toy_engine(home, factor=2), is_silent=True))
    assert done.converged
    assert ("two_day_total", "2026-01-02", "computed", "code: setting factor") in reported


def test_a_batch_that_comes_late_does_nothing(home: Path) -> None:
    engine = toy_engine(home)
    converged(engine, None)
    batch = Batch("numbers", {"2026-01-01": "missing", "2026-01-09": "missing"}, terms_of(engine, "numbers"), None)
    published = engine.ledger.published(PRODUCTION, ["numbers"])["numbers"]["2026-01-01"]
    assert list(work(toy_engine(home), batch)) == [PartitionResult("2026-01-01", ActionTaken.NOTHING, published.recipe)]


def test_a_stage_that_fails_at_a_worker_is_a_failure_like_any_other(home: Path) -> None:
    stages = with_unlucky_numbers()
    done, reported = converged(toy_engine(home, stages=stages), Workers(toy_engine(home, stages=stages)))
    assert [(item.stage, item.partition) for item in done.failed] == [("numbers", "2026-01-02")]
    assert ("numbers", "2026-01-02", "ValueError: the second is an unlucky day", "missing") in reported
    assert ("numbers", "2026-01-03", "computed", "missing") in reported


@pytest.mark.parametrize(
    ("other", "differs"),
    [
        (lambda home: toy_engine(home, stages=with_unlucky_numbers()), "numbers and has other code than"),
        (lambda home: toy_engine(home, factor=2), "two_day_total and has other settings than"),
        (
            lambda home: toy_engine(home, environment="a_branch"),
            "rejected_numbers and has other environment than|other environment",
        ),
        (lambda home: toy_engine(home.with_name("other")), "other ledger"),
        (lambda home: toy_engine(home, stages=slow_stages.STAGES), "does not know the stage rejected_numbers"),
    ],
)
def test_a_worker_that_differs_refuses_and_nothing_counts_as_failed(
    home: Path, other: Callable[[Path], Engine], differs: str
) -> None:
    engine = toy_engine(home)
    with pytest.raises(WorkerDiffers, match=differs):
        converged(engine, Workers(other(home)))
    assert not failures(home)
    done, _ = converged(engine, Workers(toy_engine(home)))
    assert done.converged
    assert digests(engine) == rebuilt(home)
