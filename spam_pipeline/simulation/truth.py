"""The ground truth of scenario plays, kept on disk day by day until it is combined, so that memory stays bounded."""

import shutil
from pathlib import Path
from typing import Final

import polars as pl

_COLUMNS: Final = (
    "event_id",
    "occurred_at",
    "event_day",
    "track_id",
    "user_id",
    "device_id",
    "ip",
    "is_spam",
    "attack_type",
    "scenario",
)
_ROWS_PER_GROUP: Final = 131_072


def truth_of(plays: pl.DataFrame, attacks: list[str]) -> pl.DataFrame:
    """Label the plays of scenarios with `is_spam`, `attack_type` (null for hard negatives) and `scenario`; drop organic ones."""
    occurred_at = pl.col("occurred_ms").cast(pl.Datetime("ms", "UTC"))
    is_spam = pl.col("scenario").is_in(attacks)
    return (
        plays.filter(pl.col("scenario").is_not_null())
        .with_columns(occurred_at=occurred_at, is_spam=is_spam, attack_type=pl.when(is_spam).then("scenario"))
        .with_columns(event_day=pl.col("occurred_at").dt.date())
        .select(*_COLUMNS)
    )


def keep_day(home: Path, day: int, truth: pl.DataFrame) -> None:
    """Keep one day's truth until `put_together`."""
    folder = home / ".truth"
    folder.mkdir(parents=True, exist_ok=True)
    truth.write_parquet(folder / f"{day:05}.parquet")


def put_together(home: Path) -> None:
    """Combine the days that were kept into `truth.parquet`, in the order of time."""
    folder = home / ".truth"
    unfinished = folder / "truth.tmp"
    days = pl.scan_parquet(sorted(folder.glob("*.parquet")))
    days.sink_parquet(unfinished, row_group_size=_ROWS_PER_GROUP, maintain_order=True)
    unfinished.replace(home / "truth.parquet")
    shutil.rmtree(folder)
