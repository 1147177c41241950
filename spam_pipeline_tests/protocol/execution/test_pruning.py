"""Pruning: what nothing refers to goes in two steps, nothing that is read is lost, and what is wanted again is computed again."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from spam_pipeline.protocol.definition.delivery import Delivery
from spam_pipeline.protocol.execution import pruning
from spam_pipeline.protocol.execution.decision import decide
from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.execution.promotion import drop
from spam_pipeline.protocol.execution.pruning import Pruning, forget, prune
from spam_pipeline.protocol.execution.retention import KeptFor, Retention, kept
from spam_pipeline.protocol.execution.running import run as run_status
from spam_pipeline.protocol.execution.verifying import verify
from spam_pipeline.protocol.foundation.errors import Pruned, UnknownVersion
from spam_pipeline.protocol.ledger.pruning_log import StageHistory
from spam_pipeline.protocol.ledger.records import PRODUCTION, DecisionKind, Version
from spam_pipeline.protocol.planning.partition_status import RequiredAction, State
from spam_pipeline.protocol.storage.reader import Reader
from spam_pipeline_tests.protocol.toy_home import Fuse, Killed, mortal
from spam_pipeline_tests.protocol.toy_pipeline import (
    STAGES,
    board,
    deliver_lines,
    delivered_recipe,
    land,
    toy_engine,
    two_day_total,
)
from spam_pipeline_tests.protocol.toy_runs import digests, rebuilt, run, total
from spam_pipeline_tests.protocol.toy_variants import total_with_one

DAY = "2026-01-04"
PUBLISHED_ONLY = {"*": Retention(0)}
AT_ONCE = timedelta(0)
_CLEANED = 4
"""Files at whose writing somebody prunes: those of the first two stages."""


@pytest.fixture
def engine(home: Path) -> Iterator[Engine]:
    """A home where a late number has replaced what was published of a day and of what rests on it."""
    yield from opened(home)


@pytest.fixture
def on_each(home: Path, ledger_url: str) -> Iterator[Engine]:
    """The same on each database."""
    yield from opened(home, ledger_url=ledger_url)


def opened(home: Path, **options: Any) -> Iterator[Engine]:
    engine = toy_engine(home, **options)
    run(engine)
    land(home, DAY, "a", f"{DAY} 100", f"{DAY} 101")
    run(engine)
    yield engine
    engine.ledger.close()


def pruned(engine: Engine, **options: Any) -> Pruning:
    return prune(engine, PUBLISHED_ONLY, grace=AT_ONCE, **options)


def expire(engine: Engine) -> None:
    """Prune what is not published, and delete nothing."""
    for _, stage in engine.ledger.prunings.stages():
        engine.ledger.prunings.prune(stage, everything_but_published, "expired")


def everything_but_published(history: StageHistory) -> set[int]:
    return {version.id for version in history.versions} - kept(history, Retention(0), datetime.now(UTC)).keys()


def first_version(engine: Engine, stage: str, partition: str = DAY) -> Version:
    return engine.ledger.versions(stage, partition)[0][0]


def stored(home: Path, store: str = "store") -> set[str]:
    return {file.name for file in (home / store).rglob("*.*") if file.is_file()}


def everything(home: Path) -> dict[str, bytes]:
    return {
        str(file): file.read_bytes() for file in home.rglob("*") if file.is_file() and "ledger.db-" not in file.name
    }


def age(home: Path, store: str = "store") -> None:
    """Let all files of a store be two days old."""
    then = time.time() - 2 * 24 * 3600
    for file in (home / store).rglob("*.*"):
        os.utime(file, (then, then))


def test_what_nothing_refers_to_goes_and_what_is_published_reads_as_before(on_each: Engine, home: Path) -> None:
    before = digests(on_each)
    replaced = first_version(on_each, "numbers")
    done = pruned(on_each)
    assert done.versions == 9
    assert done.deleted.number == 8, "but for the shard, which is young, and has one file alone"
    assert not (home / "store" / replaced.parts[0].files[0].path).exists()
    assert digests(on_each) == before == rebuilt(home)
    assert total(on_each, "two_day_total", DAY) == 201
    assert verify(on_each, repair=False).damaged == {}
    assert run(on_each)[1] == []
    assert pruned(on_each).versions == 0


def test_going_back_to_what_was_pruned_computes_it_again_digest_for_digest(on_each: Engine, home: Path) -> None:
    first = first_version(on_each, "numbers")
    pruned(on_each)
    land(home, DAY, "a", f"{DAY} 100")
    assert run(on_each)[0].computed == 9
    again = first_version(on_each, "numbers")
    assert (again.id, again.recipe, again.content) == (first.id, first.recipe, first.content)
    assert again.computed_at > first.computed_at
    assert again.fingerprint == first.fingerprint
    assert on_each.ledger.prunings.of([again.id]) == {}
    assert digests(on_each) == rebuilt(home)


def test_the_plan_computes_what_was_pruned_instead_of_reusing_it(engine: Engine) -> None:
    recipe = first_version(engine, "numbers").recipe
    assert engine.ledger.made([recipe])
    pruned(engine)
    assert engine.ledger.made([recipe]) == {}
    assert engine.ledger.audited(recipe, engine.graph.contract_digests["numbers"]) is None


def test_a_dry_run_says_the_same_and_changes_nothing(home: Path) -> None:
    engine = toy_engine(home)
    run(engine)
    land(home, DAY, "a", f"{DAY} 100", f"{DAY} 101")
    run(engine)
    before = everything(home)
    told = pruned(engine, is_dry=True)
    assert everything(home) == before
    done = pruned(engine)
    assert told.stages == done.stages
    assert told.bytes > 0
    numbers = next(stage for stage in told.stages if stage.stage == "numbers")
    assert {reason: files.number for reason, files in numbers.kept.items()} == {KeptFor.PUBLISHED: 3}


def test_files_stay_for_a_grace_and_whoever_holds_a_frame_reads_on(engine: Engine, home: Path) -> None:
    replaced = first_version(engine, "numbers")
    frame = engine.reader.rows(replaced)
    files = stored(home)
    assert prune(engine, PUBLISHED_ONLY).versions == 0, "it was read until a moment ago"
    expire(engine)
    waiting = prune(engine, PUBLISHED_ONLY)
    assert (waiting.deleted.number, waiting.waiting.number) == (0, 8)
    assert stored(home) == files
    assert frame.collect().height == 1
    assert pruned(engine).deleted.number == 8


def test_a_reader_of_what_is_gone_is_told_that_it_was_pruned_and_when(engine: Engine) -> None:
    seen = first_version(engine, "numbers")
    published = engine.ledger.published_at(PRODUCTION, [seen.id])[seen.id]
    pruned(engine)
    with pytest.raises(
        Pruned, match=rf"numbers {DAY}: the version of recipe {seen.recipe[:12]} was pruned on \d{{4}}-"
    ):
        engine.reader.read("numbers", [DAY], as_of=published)
    with pytest.raises(Pruned):
        engine.reader.check(seen.parts[0].files[0].path)
    kept = first_version(engine, "numbers")
    assert (kept.rows, kept.inputs) == (seen.rows, seen.inputs), "what it was stays readable"


def test_what_as_of_the_last_days_needs_is_kept(engine: Engine) -> None:
    seen = first_version(engine, "numbers")
    published = engine.ledger.published_at(PRODUCTION, [seen.id])[seen.id]
    assert prune(engine, {"*": Retention(1)}, grace=AT_ONCE).versions == 0
    assert engine.reader.read("numbers", [DAY], as_of=published).collect().height == 1
    assert prune(engine, {"*": Retention(1), "numbers": Retention(0)}, grace=AT_ONCE).versions == 1


def test_what_something_issued_rests_on_is_kept(engine: Engine) -> None:
    pinned = first_version(engine, "monthly_total", "2026-01")
    pruned(engine, pinned={pinned.recipe})
    assert engine.reader.rows(pinned).collect()["total"].to_list() == [113]


def test_a_dropped_environment_frees_what_only_it_had(engine: Engine, home: Path) -> None:
    stages = tuple(stage for stage in STAGES if stage.delivery is None)
    other = tuple(replace(stage, function=total_with_one) if stage is two_day_total else stage for stage in stages)
    branch = toy_engine(home, environment="branch", stages=other)
    run(branch)
    kept = prune(engine, {"*": Retention(9)}, grace=AT_ONCE)
    assert kept.versions == 0
    before = digests(engine)
    drop(branch)
    assert prune(engine, {"*": Retention(9)}, grace=AT_ONCE).versions == 3
    assert digests(engine) == before
    branch.ledger.close()


def test_what_is_quarantined_can_still_be_decided_about_and_what_is_pruned_cannot(engine: Engine, home: Path) -> None:
    land(home, DAY, "b", f"{DAY} -5")
    run(engine)
    waiting = engine.ledger.versions("received_numbers", DAY)[-1][0]
    pruned(engine)
    assert decide(engine, waiting.recipe, DecisionKind.ACCEPT, "Ada", "so it is").outcome is not None
    with pytest.raises(UnknownVersion, match="was pruned"):
        decide(engine, first_version(engine, "numbers").recipe, DecisionKind.REJECT, "Ada", "so it is")


def test_a_version_that_is_pruned_between_plan_and_publication_is_computed_again(on_each: Engine, home: Path) -> None:
    land(home, DAY, "a", f"{DAY} 100")
    on_each.observe()
    report, status = on_each.planner.status("received_numbers", DAY)
    reused: Callable[..., Any] = on_each.ledger.publish
    on_each.ledger.publish = lambda *args: (pruned(on_each), reused(*args))[1]  # type: ignore[method-assign]  # the other process
    outcome = run_status(on_each, report, status)
    assert outcome.action.value == "computed"
    assert outcome.publication is not None
    on_each.ledger.publish = reused  # type: ignore[method-assign]
    run(on_each)
    assert digests(on_each) == rebuilt(home)
    assert verify(on_each, repair=False).damaged == {}


@pytest.mark.parametrize("moment", ["before it is put", "after it was put"])
def test_a_file_that_is_written_again_meanwhile_survives(engine: Engine, home: Path, moment: str) -> None:
    """Equal content under another recipe: the writer has begun, and finds the condemned file there, or has put it already."""
    expire(engine)
    land(home, DAY, "a", f"{DAY} 100")
    store, put = engine.stores[0], engine.stores[0].put
    cleaned = list[int]()

    def put_meanwhile(made: Path, folder: str) -> str:
        if moment == "before it is put" and len(cleaned) < _CLEANED:
            cleaned.append(pruned(engine).deleted.number)
        path = put(made, folder)
        if moment == "after it was put" and len(cleaned) < _CLEANED:
            cleaned.append(pruned(engine).deleted.number)
        return path

    store.put = put_meanwhile  # type: ignore[method-assign]  # the other process
    run(engine)
    assert sum(cleaned) > 0, "what nobody was writing at that moment went"
    assert digests(engine) == rebuilt(home)
    assert verify(engine, repair=False).damaged == {}
    store.put = put  # type: ignore[method-assign]


def test_what_never_became_part_of_a_version_goes_after_a_day_and_other_peoples_files_never(
    engine: Engine, home: Path
) -> None:
    left = home / "store/protocol/numbers" / DAY / f"{'0' * 64}.parquet"
    others = [home / "store/README.md", home / "store/protocol/numbers/notes.txt", home / "store/exports/a/b/c.parquet"]
    others.append(home / "store/exports/publications/2026-01" / left.name)
    for file in (left, *others):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("left")
    prune(engine, {"*": Retention(None)})
    assert left.exists()
    before = digests(engine)
    age(home)
    assert prune(engine, {"*": Retention(None)}).deleted.number == 1
    assert not left.exists()
    assert all(file.exists() for file in others)
    assert (digests(engine), verify(engine, repair=False).damaged) == (before, {})


def test_a_store_of_which_the_ledger_knows_little_is_left_alone(engine: Engine, home: Path) -> None:
    """An older copy of the ledger, or that of somebody else, must not take the files of the right one."""
    folder = home / "store/protocol/numbers" / DAY
    for number in range(10):
        (folder / f"{number:064}.parquet").write_text("of another ledger")
    age(home)
    assert prune(engine, {"*": Retention(None)}).deleted.number == 0
    assert len(list(folder.iterdir())) == 12


def test_private_files_that_no_shard_has_go_too(engine: Engine, home: Path) -> None:
    kept = stored(home, "private")
    folder = next((home / "private").rglob("*.parquet")).parent
    (folder / f"{'0' * 64}.parquet").write_text("left")
    age(home, "private")
    assert prune(engine, {"*": Retention(None)}).deleted.number == 1
    assert stored(home, "private") == kept != set()


def test_private_files_of_an_earlier_release_stay(engine: Engine, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = engine.ledger.prunings
    shards = log.shards("received_numbers")
    without = [
        replace(shard, files={k: v for k, v in shard.files.items() if k != "rejected_bytes"}) for shard in shards
    ]
    monkeypatch.setattr(log, "shards", lambda _stage: without)
    age(home, "private")
    kept = stored(home, "private")
    prune(engine, {"*": Retention(None)})
    assert stored(home, "private") == kept != set()


def test_shards_of_which_no_version_has_all_files_go_and_are_decoded_again(
    engine: Engine, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "_NOBODYS_AFTER", timedelta(0))
    assert len(engine.ledger.prunings.shards("received_numbers")) == 4
    pruned(engine)
    assert len(engine.ledger.prunings.shards("received_numbers")) == 3
    land(home, DAY, "a", f"{DAY} 100")
    run(engine)
    assert digests(engine) == rebuilt(home)


def test_forgetting_takes_files_shards_and_private_files_at_once_and_leaves_what_is_published(
    on_each: Engine, home: Path
) -> None:
    land(home, DAY, "a", f"{DAY} 100", "nobody is to read this")
    run(on_each)
    old = [version for version, _ in on_each.ledger.versions("received_numbers", DAY)]
    land(home, DAY, "a", f"{DAY} 1")
    run(on_each)
    now = on_each.ledger.versions("received_numbers", DAY)[-1][0]
    private = stored(home, "private")
    done = forget(on_each, [*(version.id for version in old), now.id], "asked for")
    assert (done.versions, done.published, done.busy) == (tuple(version.id for version in old), (now.id,), ())
    kept = {file.path for part in now.parts for file in part.files}
    gone = {file.path for version in old for part in version.parts for file in part.files} - kept
    assert not any((home / "store" / path).exists() for path in gone)
    assert gone
    assert len(private - stored(home, "private")) == 1
    assert forget(on_each, [version.id for version in old], "asked for").versions == done.versions
    assert digests(on_each) == rebuilt(home)
    assert verify(on_each, repair=False).damaged == {}


def test_another_content_of_a_pruned_recipe_takes_its_place(on_each: Engine) -> None:
    first = first_version(on_each, "numbers")
    pruned(on_each)
    other = replace(first, content="another", id=0)
    recorded, _ = on_each.ledger.record(other, on_each.ledger.version(first.recipe)[1], PRODUCTION)  # type: ignore[index]
    assert recorded.id > first.id
    assert recorded.content == "another"
    assert on_each.ledger.version_of_id(first.id).content == first.content
    assert on_each.ledger.prunings.of([first.id, recorded.id]).keys() == {first.id}


def test_a_death_at_any_moment_loses_nothing_and_the_next_run_makes_up_for_it(home: Path) -> None:
    """Cut just before and just after each transaction that prunes or removes, and each deletion of files."""
    engine = toy_engine(home, stages=STAGES[:3])
    run(engine)
    land(home, DAY, "a", f"{DAY} 100", f"{DAY} 101")
    run(engine)
    expected, before = digests(engine), home.with_name("before")
    engine.ledger.close()
    shutil.copytree(home, before)
    pruned(toy_engine(home, stages=STAGES[:3]))
    left, deaths = stored(home), 0
    for effects in range(60):
        shutil.rmtree(home)
        shutil.copytree(before, home)
        dying = toy_engine(home, stages=STAGES[:3])
        fuse = Fuse(effects)
        mortals = replace(
            dying, ledger=mortal(dying.ledger, fuse), stores=tuple(mortal(item, fuse) for item in dying.stores)
        )
        try:
            pruned(mortals)
        except Killed:
            deaths += 1
        else:
            break
        assert digests(dying) == expected
        assert verify(dying, repair=False).damaged == {}
        pruned(dying)
        assert stored(home) == left
        dying.ledger.close()
    assert deaths > 10


def test_a_target_that_shows_the_past_is_filled_again_with_what_is_left(home: Path) -> None:
    shown = list[set[str]]()

    def deliver(target: str, version: Version, reader: Reader) -> None:
        shown.append(set(reader.history().collect()["file"]))
        deliver_lines(target, version, reader)

    delivery = Delivery("board", delivered_recipe, deliver, shows_past=True)
    stages = tuple(replace(stage, delivery=delivery) if stage is board else stage for stage in STAGES)
    engine = toy_engine(home, stages=stages)
    run(engine)
    land(home, DAY, "a", f"{DAY} 100", f"{DAY} 101")
    run(engine)
    replaced = first_version(engine, "numbers").parts[0].files[0].path
    assert replaced in shown[-1]
    pruned(engine)
    assert run(engine)[1] == [("board", "all", "delivered")]
    assert replaced not in shown[-1]
    assert shown[-1] == {file.path for file in engine.stores[0].listing("protocol") if file.path in shown[-1]}
    assert run(engine)[1] == []


def test_a_process_that_has_been_there_forgets_what_was_refused_and_pruned(on_each: Engine, home: Path) -> None:
    """The same as a process that begins then: what is wanted again is computed again, and refused again."""
    land(home, DAY, "b", f"{DAY} -5")
    run(on_each)
    [(refused, _)] = on_each.ledger.versions("received_numbers", DAY)[-1:]
    assert on_each.planner.statuses()["received_numbers"][DAY].state is State.HELD
    forget(on_each, [refused.id], "asked for")
    assert on_each.planner.statuses()["received_numbers"][DAY].required_action is RequiredAction.MAKE
    assert run(on_each)[0].computed == 1
    assert on_each.planner.statuses()["received_numbers"][DAY].state is State.HELD
