"""What dividing a month costs: seconds and peak memory of a statement under all rules, beside reading the same usage once.

Run as `python -m spam_pipeline_tests.benchmarks.divide_a_month [EARNING_PLAYS] [ACCOUNTS] [TRACKS] [PAYEES] [FOLDER]`. The usage of
thirty days is made up and written as the pipeline would write it, into FOLDER if one is named, where another run finds it.
Popularity has a long tail; a tenth of plays is logged out, others are short, spam or withheld; some rights change within the month, a few
are broken, and a third of payees is user-centric. Each measurement has a process of its own.
"""

import multiprocessing
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from spam_pipeline.ingestion.contracts import Accounts, Agreements, Revenue, Rights
from spam_pipeline.protocol import column_types
from spam_pipeline.royalties.contracts import EARNING, SHORT, SPAM, WITHHELD, RoyaltyUsage
from spam_pipeline.royalties.statements import Terms, statement

MONTH = "2026-01"
FIRST_DAY = date(2026, 1, 1)
DAYS = 30
CURRENCIES = {
    **dict.fromkeys(("DE", "FR", "ES", "IT", "NL", "IE", "AT", "FI"), "EUR"),
    "CA": "CAD",
    "AU": "AUD",
    "KR": "KRW",
    "IN": "INR",
    "US": "USD",
    "GB": "GBP",
    "JP": "JPY",
    "BR": "BRL",
    "SE": "SEK",
    "MX": "MXN",
    "KW": "KWD",
    "PL": "PLN",
}
STATUSES = {EARNING: 1.0, SHORT: 0.12, SPAM: 0.02, WITHHELD: 0.01}
"""Plays of each status for every earning one."""


@dataclass(frozen=True)
class Size:
    """How much of everything there is in the month."""

    earning_plays: int
    accounts: int
    tracks: int
    payees: int


def long_tail(rng: np.random.Generator, count: int, exponent: float) -> npt.NDArray[np.float64]:
    return np.cumsum(rng.permutation(np.arange(1, count + 1)) ** -exponent)


def drawn(rng: np.random.Generator, cumulative: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.int64]:
    return np.searchsorted(cumulative, rng.random(count) * cumulative[-1]).clip(max=len(cumulative) - 1)


def accounts_of(size: Size) -> pl.DataFrame:
    rng = np.random.default_rng(1)
    home = drawn(rng, long_tail(rng, len(CURRENCIES), 0.9), size.accounts)
    return pl.DataFrame(
        {
            "user_key": rng.integers(0, 2**63, size.accounts, dtype=np.uint64),
            "country": pl.Series(list(CURRENCIES)).gather(home),
            "tier": pl.Series(["free", "premium"]).gather(rng.integers(0, 2, size.accounts)),
            "created_on": [date(2025, 1, 1)] * size.accounts,
        },
        schema=column_types(Accounts),
    )


def land_usage(folder: Path, size: Size, members: pl.DataFrame) -> None:
    rng = np.random.default_rng(2)
    activity = np.cumsum(rng.lognormal(0, 1.2, size.accounts))
    popularity = long_tail(rng, size.tracks, 0.9)
    for number in range(DAYS):
        plays = round(size.earning_plays / DAYS * sum(STATUSES.values()))
        listener, track = drawn(rng, activity, plays), drawn(rng, popularity, plays)
        is_account = rng.random(plays) < 0.9
        status = drawn(rng, np.cumsum(list(STATUSES.values())), plays)
        day = FIRST_DAY + timedelta(days=number)
        rows = members[listener].select("country", "tier", listener_key="user_key")
        counted = rows.with_columns(
            pl.when(pl.Series(is_account)).then("tier").otherwise(pl.lit("free")).alias("tier"),
            is_account=pl.Series(is_account),
            track_id=track_ids(track),
            event_day=pl.lit(day),
            arrival_day=pl.lit(day),
            status=pl.Series(list(STATUSES)).gather(status),
            incident_id=incident_of(status, track),
            ms_played=pl.Series(rng.integers(30_000, 300_000, plays)),
        )
        sums = (pl.len().cast(pl.Int64).alias("plays"), pl.col("ms_played").sum())
        usage = counted.lazy().group_by(RoyaltyUsage.primary_key()).agg(sums).select(*column_types(RoyaltyUsage))
        written(usage.sort(RoyaltyUsage.primary_key()), folder / f"usage-{day}.parquet")


def track_ids(numbers: npt.NDArray[np.int64]) -> pl.Series:
    return "t" + pl.Series(numbers).cast(pl.String).str.zfill(9)


def incident_of(status: npt.NDArray[np.int64], track: npt.NDArray[np.int64]) -> pl.Series:
    """What is withheld is withheld for one of fifty incidents, by the track."""
    incident = "incident-" + pl.Series(track % 50).cast(pl.String)
    return incident.zip_with(pl.Series(status == list(STATUSES).index(WITHHELD)), pl.Series([""]))


def written(frame: pl.LazyFrame, path: Path) -> None:
    """Sink a frame as `spam_pipeline.protocol.storage.writer` does."""
    frame.sink_parquet(path, compression="zstd", compression_level=1, row_group_size=250_000, statistics=True)


def rights_of(size: Size) -> pl.DataFrame:
    """One to three payees a track; one track in 250 is sold within the month, one in 1,000 has shares that don't add up."""
    rng = np.random.default_rng(3)
    catalogue = long_tail(rng, size.payees, 0.6)
    tracks = pl.DataFrame({"track_id": track_ids(np.arange(size.tracks))})
    split = drawn(rng, np.cumsum([0.7, 0.2, 0.1]), size.tracks)
    parts = []
    for position, shares in enumerate([(1_000_000, 600_000, 333_334), (0, 400_000, 333_333), (0, 0, 333_333)]):
        payee = f"payee-{position}-" + pl.Series(drawn(rng, catalogue, size.tracks)).cast(pl.String)
        share = pl.Series(np.array(shares)[split])
        broken = share - pl.Series(rng.random(size.tracks) < 0.001).cast(pl.Int64)
        parts.append(tracks.with_columns(payee_id=payee, share_ppm=broken).filter(share > 0))
    is_sold = pl.col("track_id").hash(1) % 250 == 0
    sale = FIRST_DAY + timedelta(days=14)
    kept = pl.concat(parts).with_columns(
        valid_from=pl.lit(date(2020, 1, 1)), valid_to=pl.when(is_sold).then(pl.lit(sale - timedelta(days=1)))
    )
    sold = kept.filter(is_sold).with_columns(
        payee_id=pl.col("payee_id") + "-heirs", valid_from=pl.lit(sale), valid_to=pl.lit(None, pl.Date)
    )
    return pl.concat([kept, sold]).select(*column_types(Rights))


def land(folder: Path, size: Size) -> None:
    """Write everything that a statement reads."""
    members, rights = accounts_of(size), rights_of(size)
    land_usage(folder, size, members)
    members.write_parquet(folder / "accounts.parquet")
    rights.write_parquet(folder / "rights.parquet")
    payees = rights["payee_id"].unique().sort()[::3]
    agreed = pl.DataFrame({"payee_id": payees}).with_columns(
        valid_from=pl.lit(date(2025, 1, 1)), rule=pl.lit("user_centric")
    )
    agreed.select(*column_types(Agreements)).write_parquet(folder / "agreements.parquet")
    pools = [
        (MONTH, country, tier, currency, 10**9)
        for country, currency in CURRENCIES.items()
        for tier in ("free", "premium")
    ]
    pl.DataFrame(pools, schema=column_types(Revenue), orient="row").write_parquet(folder / "revenue.parquet")


def read_once(folder: Path) -> pl.DataFrame:
    """Decode every column of the usage and keep nothing."""
    text = pl.col(pl.String).str.len_bytes().sum()
    rest = (pl.exclude(pl.String).cast(pl.UInt64) % 1000).sum()
    return pl.scan_parquet(folder / "usage-*.parquet").select(text, rest).collect(engine="streaming")


def divide(folder: Path) -> pl.DataFrame:
    """Write the statement of the month as the pipeline would, and count its lines."""
    names = ("revenue", "rights", "accounts", "agreements")
    terms = Terms(*(pl.scan_parquet(folder / f"{name}.parquet") for name in names))
    lines = statement(MONTH, pl.scan_parquet(folder / "usage-*.parquet"), terms)
    written(lines, folder / "statement.parquet")
    return pl.scan_parquet(folder / "statement.parquet").select(pl.len()).collect()


@dataclass(frozen=True)
class Measured:
    """What some work took, and the first number that came out."""

    seconds: float
    processor_seconds: float
    peak_gib: float
    result: int

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s ({self.processor_seconds:.1f} s of processors), peak {self.peak_gib:.1f} GiB"


def measured(work: Callable[[], pl.DataFrame]) -> Measured:
    started = time.perf_counter(), time.process_time()
    result = work().item(0, 0)
    seconds, of_processors = time.perf_counter() - started[0], time.process_time() - started[1]
    return Measured(seconds, of_processors, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, result)


def in_a_new_process(work: Callable[[], pl.DataFrame]) -> Measured:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(measured, work).result()


def main(size: Size, folder: Path) -> None:
    """Make the month unless it is there, divide it, and say what that took."""
    if not (folder / "revenue.parquet").exists():
        land(folder, size)
    read_once(folder)
    reading = in_a_new_process(partial(read_once, folder))
    dividing = in_a_new_process(partial(divide, folder))
    usage = pl.scan_parquet(folder / "usage-*.parquet")
    earning = usage.filter(pl.col("status") == EARNING).select(pl.col("plays").sum()).collect(engine="streaming").item()
    rows = usage.select(pl.len()).collect().item()
    ratios = f"{dividing.seconds / reading.seconds:.1f}, {dividing.processor_seconds / reading.processor_seconds:.1f}"
    report = [
        f"{platform.machine()}, {os.cpu_count()} cores; {rows:,} rows of usage, {earning:,} earning plays",
        f"{size.accounts:,} accounts, {size.tracks:,} tracks, {size.payees:,} payees",
        f"reading once: {reading}",
        f"{dividing.result:,} lines under three rules, written: {dividing}; ratios {ratios}",
    ]
    sys.stdout.write("\n".join(report) + "\n")


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:5]]
    size = Size(*numbers, *[50_000_000, 2_000_000, 500_000, 100_000][len(numbers) :])
    with tempfile.TemporaryDirectory() as scratch:
        named = [Path(argument) for argument in sys.argv[5:]] or [Path(scratch)]
        main(size, named[0])
