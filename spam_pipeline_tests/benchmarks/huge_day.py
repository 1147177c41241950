"""How much memory a day of millions of plays takes in each stage that goes through it play by play, and how long.

    python -m spam_pipeline_tests.benchmarks.huge_day [PLAYS] [FOLDER] [WHAT ...]

A simulated day is tiled to so many plays, every copy with listeners, devices, addresses, networks and tracks of its own; then a fifth of
plays go to one track, and another fifth come through one network. A hundredth is delivered twice. The six days before are the same plays.
Each stage with writing its result, each fingerprint and each audit has a process of its own, which reports the most memory that it ever
held. What is made stays in FOLDER if one is named, and another run goes on there, with WHAT of it alone if something is named.
"""

import multiprocessing
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from spam_pipeline.ingestion import assets as ingestion
from spam_pipeline.ingestion.contracts import Incidents, Plays
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.protocol import Contract, column_types
from spam_pipeline.protocol.execution.audit import findings_on_data
from spam_pipeline.protocol.fingerprint import measure
from spam_pipeline.protocol.operating import Store, converge
from spam_pipeline.protocol.storage.writer import write_result
from spam_pipeline.settings import Settings
from spam_pipeline.simulation import simulate
from spam_pipeline.trust_and_safety import assets as trust_and_safety
from spam_pipeline.trust_and_safety.contracts import ClassifiedPlays, EntityFacts, LabelledExamples, PlaySignals
from spam_pipeline.trust_and_safety.estimators import SpamModel
from spam_pipeline.trust_and_safety.incidents import CONFIRMED
from spam_pipeline.trust_and_safety.suspicions_contract import CarriedDevices, SuspectedPlays
from spam_pipeline_tests.trust_and_safety.made_up_examples import campaign, ordinary, trained_on

PLAYS, SIMULATED_PLAYS = 5_000_000, 50_000
START = date(2026, 1, 1)
DAY = START.isoformat()
DAYS_BEFORE = 6
COPIES_IN_A_FILE = 20
PERSONAL = ("user_key", "device_key", "ip_key", "network_key", "user_agent_key", "track_key")
HOT_KEY = 2**63 + 1
CONTRACTS: Mapping[str, type[Contract]] = {
    "plays": Plays,
    "entity_facts": EntityFacts,
    "play_signals": PlaySignals,
    "labelled_examples": LabelledExamples,
    "classified_plays": ClassifiedPlays,
}


def prepare(folder: Path, count: int) -> None:
    """Write what was received on a day of `count` plays, and the catalogue, accounts and incidents that belong to it."""
    pipeline = _simulated(folder / "home", min(count, SIMULATED_PLAYS))
    on_day = pl.col("occurred_at").dt.date() == START
    received = pipeline.read("received_plays", DAY).filter(on_day).collect()
    tracks, accounts = (pipeline.read(name).collect() for name in ("tracks", "accounts"))
    copies = -(-count // received.height)
    for start in range(0, copies, COPIES_IN_A_FILE):
        numbers = range(start, min(start + COPIES_IN_A_FILE, copies))
        skewed = pl.concat(_skewed(_copied(received, n, *PERSONAL, named="event_id")) for n in numbers)
        for (hour,), arrived in skewed.partition_by("arrival_hour", as_dict=True).items():
            _put(folder, "received", f"{hour:%dT%H}-{start}", [arrived])
        _put(folder, "tracks", start, [_copied(tracks, n, "track_key", named="artist_id") for n in numbers])
        _put(folder, "accounts", start, [_copied(accounts, n, "user_key") for n in numbers])
    again = read(folder, "received").head(count // 100).with_columns(pl.col("arrival_hour") + timedelta(hours=9))
    _put(folder, "received", "again", [again.collect()])
    _put(folder, "incidents", 0, [_incidents(received)])
    _put(folder, "carried_devices", 0, [CarriedDevices.empty().collect()])
    _put(folder, "suspected_plays", 0, [SuspectedPlays.empty().collect()])


def _simulated(home: Path, plays: int) -> Pipeline:
    simulate(home, start=START, days=1, plays_per_day=plays)
    pipeline = Pipeline(Settings(home=home, start_date=START, identifier_key="the key of a huge day"))
    pipeline.engine.observe()
    converge(pipeline.engine, {"received_plays", "tracks", "accounts"})
    return pipeline


def _copied(frame: pl.DataFrame, number: int, *keys: str, named: str = "") -> pl.DataFrame:
    """The same with other keys, which are as evenly spread as before; the first copy is the original."""
    fresh = frame.with_columns(pl.col(keys) ^ pl.lit(number * 0x9E37_79B9_7F4A_7C15 % 2**64, pl.UInt64))
    return fresh.with_columns(pl.format("{}-{}", named, pl.lit(number)).alias(named)) if named and number else fresh


def _skewed(plays: pl.DataFrame) -> pl.DataFrame:
    row = pl.int_range(pl.len())
    return plays.with_columns(
        track_key=pl.when(row % 5 == 0).then(pl.lit(HOT_KEY, pl.UInt64)).otherwise("track_key"),
        network_key=pl.when(row % 5 == 1).then(pl.lit(HOT_KEY, pl.UInt64)).otherwise("network_key"),
    )


def _incidents(received: pl.DataFrame) -> pl.DataFrame:
    """A confirmed incident of a hundred devices, and one of the first hundred tracks that are played."""
    starts = datetime(START.year, START.month, START.day, tzinfo=UTC)
    window = {
        "starts_at": starts,
        "ends_at": starts + timedelta(days=1),
        "status": CONFIRMED,
        "attack_type": "bot_farm",
    }
    rows = [
        {"incident_id": f"incident-{kind}", "entity_type": kind, "entity_key": key, **window}
        for kind in ("device", "track")
        for key in received[f"{kind}_key"].unique().sort().head(100)
    ]
    return pl.DataFrame(rows, schema=column_types(Incidents))


def _put(folder: Path, name: str, number: int | str, frames: list[pl.DataFrame]) -> None:
    (folder / name).mkdir(exist_ok=True)
    pl.concat(frames).write_parquet(folder / name / f"{number}.parquet", compression="zstd", compression_level=1)


def read(folder: Path, name: str, *columns: str) -> pl.LazyFrame:
    found = pl.scan_parquet(folder / name / "*.parquet")
    return found.select(columns) if columns else found


def plays_of_day(folder: Path) -> pl.LazyFrame:
    return read(folder, "plays", *column_types(Plays))


def week(folder: Path) -> pl.LazyFrame:
    """The plays of the day and of the six days before, which have files of their own as they do in the pipeline."""
    earlier = [folder / f"plays-{back}" / "all.parquet" for back in range(DAYS_BEFORE, 0, -1)]
    for back, file in zip(range(DAYS_BEFORE, 0, -1), earlier, strict=True):
        if not file.exists():
            file.parent.mkdir(exist_ok=True)
            shifted = plays_of_day(folder).with_columns(pl.col("occurred_at") - timedelta(days=back))
            shifted.sink_parquet(file, compression="zstd", compression_level=1)
    return pl.scan_parquet([*earlier, *(folder / "plays").iterdir()]).select(*column_types(Plays))


def model() -> SpamModel:
    """A trained model that calls devices with cut-off plays."""
    days = range(6)
    attacks = [campaign(f"incident-{day}", {"device_cut_off_share": 3, "device_plays": 2}, on_day=day) for day in days]
    return trained_on(pl.concat([*attacks, *(ordinary(day) for day in days)]).lazy())


STAGES: Mapping[str, Callable[[Path], pl.LazyFrame]] = {
    "plays": lambda folder: ingestion.plays(received_plays=read(folder, "received", *column_types(Plays))),
    "entity_facts": lambda folder: trust_and_safety.entity_facts(
        plays=plays_of_day(folder), tracks=read(folder, "tracks"), accounts=read(folder, "accounts")
    ),
    "play_signals": lambda folder: trust_and_safety.play_signals(
        plays=week(folder), entity_facts=read(folder, "entity_facts"), partition=DAY
    ),
    "labelled_examples": lambda folder: trust_and_safety.labelled_examples(
        plays=plays_of_day(folder),
        play_signals=read(folder, "play_signals"),
        entity_facts=read(folder, "entity_facts"),
        incidents=read(folder, "incidents"),
        suspected_plays=read(folder, "suspected_plays"),
    ),
    "classified_plays": lambda folder: trust_and_safety.classified_plays(
        plays=plays_of_day(folder),
        play_signals=read(folder, "play_signals"),
        spam_model=model(),
        incidents=read(folder, "incidents"),
        carried_devices=read(folder, "carried_devices"),
        suspected_plays=read(folder, "suspected_plays"),
    ),
}


def _compute(folder: Path, stage: str) -> None:
    store = Store(str(folder / "store"), folder / "cache")
    (written,) = write_result(store, stage, STAGES[stage](folder))["all"]
    (folder / stage).mkdir(exist_ok=True)
    for former in (folder / stage).iterdir():
        former.unlink()
    (folder / stage / Path(written.path).name).hardlink_to(store.locate(written.path))


def _measure(folder: Path, stage: str) -> None:
    measure(CONTRACTS[stage].fingerprint(), read(folder, stage))


def _audit(folder: Path, stage: str) -> None:
    findings = findings_on_data(CONTRACTS[stage], read(folder, stage), stage)
    assert not findings, findings


KINDS: Mapping[str, Callable[[Path, str], None]] = {"compute": _compute, "measure": _measure, "audit": _audit}


def report(what: str, folder: Path) -> str:
    """Do one thing in this process; return a line with what it took."""
    kind, stage = what.split(":")
    started = time.perf_counter()
    KINDS[kind](folder, stage)
    seconds, used = time.perf_counter() - started, sum(os.times()[:2])
    rows = read(folder, "plays").select(pl.len()).collect().item()
    digest = next((folder / stage).iterdir()).name[:8]
    return f"{what:<28}{seconds:>8.1f} s{used:>8.1f} CPU s{rows / seconds:>12,.0f} plays/s{_most_memory_gib():>8.2f} GiB  {digest}"


def _most_memory_gib() -> float:
    """The most memory that this process ever held; `getrusage` would count the process that started it too."""
    status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    line = next(line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024**2


def everything() -> list[str]:
    """What is measured, in an order in which each finds its inputs."""
    return [f"{kind}:{stage}" for stage in STAGES for kind in KINDS]


def main(count: int, folder: Path, chosen: list[str]) -> None:
    """Prepare, then measure in a fresh process each."""
    folder.mkdir(exist_ok=True)
    if not (folder / "received").exists():
        prepare(folder, count)
    sys.stdout.write(f"{platform.machine()}, {os.cpu_count()} cores, polars {pl.__version__}; {count:,} plays\n")
    sys.stdout.flush()
    for what in chosen or everything():
        if what == "compute:play_signals":
            first = multiprocessing.get_context("spawn").Process(target=week, args=(folder,))
            first.start()
            first.join()
        subprocess.run([sys.executable, "-m", __spec__.name, what, str(folder)], check=False)


if __name__ == "__main__":
    if len(sys.argv) > 2 and ":" in sys.argv[1]:
        sys.stdout.write(report(sys.argv[1], Path(sys.argv[2])) + "\n")
    else:
        size = int(sys.argv[1]) if len(sys.argv) > 1 else PLAYS
        with tempfile.TemporaryDirectory() as name:
            main(size, Path(sys.argv[2]) if len(sys.argv) > 2 else Path(name), sys.argv[3:])
