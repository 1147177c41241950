"""Claims: while one process computes a recipe no other one does, and nothing is left behind when it dies."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from spam_pipeline.protocol.foundation.digest import digest
from spam_pipeline.protocol.foundation.errors import Claimed
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.claims import Claims
from spam_pipeline.protocol.ledger.records import PRODUCTION
from spam_pipeline_tests.protocol.made_up_records import landed
from spam_pipeline_tests.protocol.toy_pipeline import land, toy_engine

ROOT = Path(__file__).parents[2]
RECIPE, ANOTHER = digest("one"), digest("two")

HOLD = """
import sys
from spam_pipeline.protocol.ledger.claims import Claims

with Claims(sys.argv[1]).on(sys.argv[2], wait=True):
    print("held", flush=True)
    sys.stdin.read()
"""

HOLD_BATCH = HOLD.replace(".on(sys.argv[2], wait=True)", ".on_batch(sys.argv[2])")

CONVERGE_SLOWLY = """
import sys
from pathlib import Path
from spam_pipeline.protocol.execution.convergence import converge
from spam_pipeline_tests.protocol.slow_stages import STAGES
from spam_pipeline_tests.protocol.toy_pipeline import toy_engine

engine = toy_engine(Path(sys.argv[1]), stages=STAGES, ledger_url=sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
done = converge(engine)
print(done.computed, flush=True)
sys.exit(not done.converged)
"""


@contextmanager
def process(code: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that runs `code`, and is not left behind."""
    command = [sys.executable, "-c", code, *arguments]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as started:
        try:
            yield started
        finally:
            if started.poll() is None:
                started.kill()


@contextmanager
def held_elsewhere(url: str, recipe: str, code: str = HOLD) -> Iterator["subprocess.Popen[str]"]:
    """Another process that holds a claim until it is told to end, or killed."""
    with process(code, url, recipe) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder


@pytest.fixture
def claims(ledger: Ledger, ledger_url: str) -> Claims:
    """Claims beside a ledger that is there, on each database."""
    assert landed(ledger) == []
    return Claims(ledger_url)


def is_free(claims: Claims, recipe: str = RECIPE) -> bool:
    try:
        with claims.on(recipe, wait=False):
            return True
    except Claimed:
        return False


def test_a_claim_excludes_another_process_and_no_other_recipe(claims: Claims, ledger_url: str) -> None:
    with held_elsewhere(ledger_url, RECIPE):
        with pytest.raises(Claimed, match="another process is computing this"), claims.on(RECIPE, wait=False):
            pytest.fail("two processes hold the same claim")
        assert is_free(claims, ANOTHER)


def test_a_claim_is_given_up_when_its_holder_is_done(claims: Claims, ledger_url: str) -> None:
    with held_elsewhere(ledger_url, RECIPE) as holder:
        holder.communicate()
        assert holder.returncode == 0
        assert is_free(claims)


def test_a_claim_is_given_up_when_its_holder_is_killed(claims: Claims, ledger_url: str) -> None:
    with held_elsewhere(ledger_url, RECIPE) as holder:
        assert not is_free(claims)
        os.kill(holder.pid, signal.SIGKILL)
        with claims.on(RECIPE, wait=True):
            assert holder.wait() == -signal.SIGKILL


def test_who_waits_goes_on_once_the_claim_is_free(claims: Claims, ledger_url: str) -> None:
    with held_elsewhere(ledger_url, RECIPE) as holder, ThreadPoolExecutor(1) as pool:
        waits = threading.Event()

        def wait() -> bool:
            waits.set()
            with claims.on(RECIPE, wait=True):
                return True

        waiting = pool.submit(wait)
        assert waits.wait(60)
        assert not waiting.done()
        holder.communicate()
        assert waiting.result(60)


def test_a_claim_excludes_another_thread_of_the_same_process(claims: Claims) -> None:
    with claims.on(RECIPE, wait=False), ThreadPoolExecutor(1) as pool:
        assert not pool.submit(is_free, claims).result()
        assert pool.submit(is_free, claims, ANOTHER).result()
    assert is_free(claims)


def test_who_notifies_excludes_others_of_the_environment_and_nobody_who_converges(claims: Claims) -> None:
    with claims.on_notifying("production"):
        with pytest.raises(Claimed), claims.on_notifying("production"):
            pass
        with claims.on_notifying("night"), claims.on_converging("production"):
            pass
    with claims.on_notifying("production"):
        pass


def test_a_claim_is_given_up_when_what_it_was_for_fails(claims: Claims) -> None:
    with pytest.raises(ZeroDivisionError), claims.on(RECIPE, wait=False):
        raise ZeroDivisionError
    assert is_free(claims)


def test_claims_beside_a_ledger_in_a_file_are_a_few_files_however_many_recipes_there_are(tmp_path: Path) -> None:
    claims = Claims(f"sqlite:///{tmp_path / 'ledger.db'}")
    for number in range(400):
        with claims.on(digest(number), wait=False):
            pass
    assert len(list((tmp_path / "ledger.db-claims").iterdir())) <= 256


def test_two_processes_compute_each_recipe_once_and_share_the_work(tmp_path: Path, ledger_url: str) -> None:
    home = tmp_path / "home"
    days = [f"2026-01-{day:02d}" for day in range(1, 5)]
    for day in days:
        land(home, day, "a", f"{day} 1")
    engine = toy_engine(home, ledger_url=ledger_url)
    engine.observe()
    with (
        process(CONVERGE_SLOWLY, str(home), ledger_url) as one,
        process(CONVERGE_SLOWLY, str(home), ledger_url) as other,
    ):
        for started in (one, other):
            assert started.stdout is not None
            assert started.stdout.readline() == "ready\n"
        for started in (one, other):
            assert started.stdin is not None
            print("go", file=started.stdin, flush=True)
        ends = [started.communicate()[0] for started in (one, other)]
        assert (one.returncode, other.returncode) == (0, 0)
    computed = [int(end) for end in ends]
    names = ("received_numbers", "numbers", "slow_copy")
    tried = [version.recipe for name in names for day in days for version, _ in engine.ledger.versions(name, day)]
    assert len(tried) == sum(computed) == 3 * len(days), "each recipe was computed once"
    assert min(computed) > 0, "none of them waited for the other to do it all"
    assert engine.ledger.attempts.of(tried) == {}
    assert all(len(by_day) == len(days) for by_day in engine.ledger.published(PRODUCTION, names).values())
    engine.ledger.close()


@pytest.mark.parametrize("is_killed", [True, False])
def test_a_worker_that_ends_or_is_killed_works_no_more(ledger_url: str, *, is_killed: bool) -> None:
    Ledger(ledger_url).close()
    claims = Claims(ledger_url)
    assert not claims.is_working("a batch")
    with held_elsewhere(ledger_url, "a batch", HOLD_BATCH) as worker:
        assert claims.is_working("a batch")
        assert not claims.is_working("another batch")
        if is_killed:
            worker.kill()
        else:
            worker.communicate("")
        worker.wait()
        assert not claims.is_working("a batch")
    with claims.on_batch("a batch"):
        assert Claims(ledger_url).is_working("a batch")
    assert not claims.is_working("a batch")
