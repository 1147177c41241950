"""A machine of faults on a small home: files and rows that get lost, cut, flipped, renamed, doubled, replaced or late, in any order.

After each convergence what is published is what a rebuild from the landing zone publishes, or somebody is told: whatever
differs is held, refused, failed or passed over, and named. There is no third outcome.
"""

import os
import shutil
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis.strategies as st
import polars as pl
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.protocol import StoreDamaged
from spam_pipeline.protocol.operating import PRODUCTION, converge
from spam_pipeline.simulation import simulate
from spam_pipeline_tests.stories.conftest import START, open_pipeline

STAGES = ("plays", "rejected", "received_files", "rejected_reference")
"""All of ingestion: whatever is wrong with what came in or is kept shows there."""

HOURS_BETWEEN_FILES = 3
"""Eight files a day: each of them is decoded again by every rebuild, and a fault is one of any file."""

BYTE = st.floats(0, 1, exclude_max=True)
"""A place in a file."""

Contents = Mapping[tuple[str, str], str]


def converged(pipeline: Pipeline) -> tuple[Contents, str]:
    """What is published of all stages of ingestion, and everything that people are told."""
    pipeline.engine.observe()
    done = converge(pipeline.engine, STAGES)
    names = [stage.name for stage in pipeline.graph.with_upstreams(STAGES)]
    published = pipeline.engine.ledger.published(PRODUCTION, names)
    contents = {(name, key): item.content for name, by_key in published.items() for key, item in by_key.items()}
    failed = [f"{item.stage} {item.partition}: {item.error}" for item in done.failed]
    return contents, "\n".join([*done.held, *failed, *done.passed_over])


class Faults(RuleBasedStateMachine):
    """One home, and whatever happens to it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.home = Path(self.folder.name) / "home"
        self.aside = Path(self.folder.name) / "aside"
        self.rebuilds = 0
        self.damaged: set[str] = set()

    @initialize(seed=st.integers(0, 3))
    def begin(self, seed: int) -> None:
        simulate(self.home, days=3, plays_per_day=120, seed=seed, start=START)
        for hour in (self.home / "landing/plays").glob("*/[0-9][0-9]"):
            if int(hour.name) % HOURS_BETWEEN_FILES:
                shutil.rmtree(hour)
        self.aside.mkdir()
        _, told = self.check()
        assert told == ""

    def teardown(self) -> None:
        self.folder.cleanup()

    def landed(self, data: st.DataObject) -> Path:
        """Some landed file of plays."""
        return data.draw(
            st.sampled_from(sorted(path for path in (self.home / "landing/plays").rglob("*.*") if path.is_file()))
        )

    def check(self) -> tuple[Contents, str]:
        """Converge, and compare with a rebuild from what is there."""
        pipeline = open_pipeline(self.home)
        found, told = converged(pipeline)
        pipeline.engine.ledger.close()
        expected = self.rebuilt()
        different = {key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key)}
        roots = {(stage, key) for stage, key in different if stage not in {"plays", "rejected", "received_files"}}
        roots -= {("rejected_reference", "all")}
        for stage, key in roots:
            assert f"{stage} {key}" in told, f"{stage} {key} differs from a rebuild, and nobody is told:\n{told}"
        assert roots or not different, f"{different} differ, and nothing that they were made from does"
        return found, told

    def rebuilt(self) -> Contents:
        """What a rebuild publishes."""
        self.rebuilds += 1
        elsewhere = Path(self.folder.name) / f"rebuilt {self.rebuilds}"
        shutil.copytree(self.home / "landing", elsewhere / "landing")
        shutil.copy(self.home / "truth.parquet", elsewhere)
        pipeline = open_pipeline(elsewhere)
        contents, _ = converged(pipeline)
        pipeline.engine.ledger.close()
        shutil.rmtree(elsewhere)
        return contents

    # Landed files of plays

    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        self.landed(data).unlink()
        self.check()

    @rule(data=st.data())
    def lose_a_day(self, data: st.DataObject) -> None:
        days = sorted((self.home / "landing/plays").iterdir())
        if len(days) > 1:
            shutil.rmtree(data.draw(st.sampled_from(days)))
        self.check()

    @rule(data=st.data(), share=BYTE)
    def truncate(self, data: st.DataObject, share: float) -> None:
        file = self.landed(data)
        os.truncate(file, int(file.stat().st_size * share))
        self.check()

    @rule(data=st.data(), place=BYTE, bit=st.integers(0, 7))
    def flip(self, data: st.DataObject, place: float, bit: int) -> None:
        flip(self.landed(data), place, bit)
        self.check()

    @rule(data=st.data(), name=st.sampled_from(["5/a.jsonl", "24/a.jsonl", "07/a.json", "a.jsonl", "07/.a.jsonl"]))
    def rename_out_of_the_layout(self, data: st.DataObject, name: str) -> None:
        file = self.landed(data)
        target = file.parent.parent / name
        target.parent.mkdir(exist_ok=True)
        file.rename(target)
        self.check()

    @rule(data=st.data(), days=st.sampled_from([-1, 1, 40, 200_000]))
    def rename_into_another_day(self, data: st.DataObject, days: int) -> None:
        file = self.landed(data)
        day = START + timedelta(days=days)
        target = self.home / "landing/plays" / day.isoformat() / file.parent.name / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        file.rename(target)
        self.check()

    @rule(data=st.data())
    def duplicate(self, data: st.DataObject) -> None:
        file = self.landed(data)
        shutil.copy(file, file.with_name(f"again-{file.name}"))
        self.check()

    @rule(data=st.data(), place=BYTE)
    def replace_keeping_size_and_time(self, data: st.DataObject, place: float) -> None:
        file = self.landed(data)
        hidden = file.with_name(f".{file.name}")
        shutil.copy2(file, hidden)
        flip(hidden, place, 0)
        shutil.copystat(file, hidden)
        hidden.replace(file)
        self.check()

    @rule(data=st.data())
    def delay(self, data: st.DataObject) -> None:
        file = self.landed(data)
        kept = self.aside / str(file.relative_to(self.home / "landing/plays")).replace("/", " ")
        file.rename(kept)
        self.check()

    @rule()
    def deliver_what_was_delayed(self) -> None:
        for kept in self.aside.iterdir():
            target = self.home / "landing/plays" / kept.name.replace(" ", "/", 2)
            target.parent.mkdir(parents=True, exist_ok=True)
            kept.rename(target)
        self.check()

    # Reference rows

    @rule(name=st.sampled_from(["tracks", "rights", "accounts", "revenue"]), share=BYTE, what=st.sampled_from("lcdw"))
    def spoil_a_reference_file(self, name: str, share: float, what: str) -> None:
        file = self.home / f"landing/reference/{name}.csv"
        lines = file.read_text(encoding="utf-8").splitlines()
        at = 1 + int((len(lines) - 1) * share) if len(lines) > 1 else 0
        rows = {
            "l": lines[:at],  # the rest is lost
            "c": [
                *lines[:at],
                *(line[: len(line) // 2] for line in lines[at : at + 1]),
                *lines[at + 1 :],
            ],  # one is cut
            "d": [*lines, *lines[at : at + 1]],  # one is doubled
            "w": [
                *lines[:at],
                *(f"{line},and more" for line in lines[at : at + 1]),
                *lines[at + 1 :],
            ],  # one is too wide
        }[what]
        file.write_text("".join(f"{line}\n" for line in rows), encoding="utf-8")
        self.check()
        self.check_account(name, len(rows) - 1)

    def check_account(self, name: str, rows: int) -> None:
        """Every row of a reference file is accepted or rejected, in the newest version of it, published or not."""
        pipeline = open_pipeline(self.home)
        version = pipeline.versions(name)[-1][0] if pipeline.versions(name) else None
        if version is not None and f"{name} all" not in converged(pipeline)[1]:
            assert version.rows + sum(part.rows for part in version.side_parts) == max(rows, 0)
        pipeline.engine.ledger.close()

    # Stored files

    @rule(data=st.data(), place=BYTE, bit=st.integers(0, 7), what=st.sampled_from(["flip", "truncate", "lose"]))
    def damage_the_store(self, data: st.DataObject, place: float, bit: int, what: str) -> None:
        stored = sorted(path for path in (self.home / "store").rglob("*.parquet") if path.stat().st_size)
        file = data.draw(st.sampled_from(stored))
        self.damaged.add(file.relative_to(self.home / "store").as_posix())
        file.chmod(0o644)
        if what == "flip":
            flip(file, place, bit)
        elif what == "truncate":
            os.truncate(file, int(file.stat().st_size * place))
        else:
            file.unlink()
        self.check()
        pipeline = open_pipeline(self.home)
        for stage, key in converged(pipeline)[0]:
            if stage in {"plays", "received_files"}:
                self.check_read(pipeline, stage, key)
        pipeline.engine.ledger.close()

    def check_read(self, pipeline: Pipeline, stage: str, key: str) -> None:
        """What is published is read, or whoever reads it is told which file of it is damaged: nothing computes it again unasked."""
        named = None
        try:
            assert isinstance(pipeline.read(stage, key).collect(), pl.DataFrame)
        except StoreDamaged as damaged:
            named = damaged.path
        assert named is None or named in self.damaged


def flip(file: Path, place: float, bit: int) -> None:
    """Flip one bit of a file; of an empty one there is none."""
    content = bytearray(file.read_bytes())
    if content:
        content[int(len(content) * place)] ^= 1 << bit
        file.write_bytes(content)


TestFaults = Faults.TestCase
TestFaults.settings = settings(
    max_examples=3,
    stateful_step_count=4,
    suppress_health_check=[HealthCheck.too_slow],  # one step is two real convergences
)
