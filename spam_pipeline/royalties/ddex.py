"""The usage of a month as a DDEX sales report: plays by pool and track, and which of them royalties are due for.

The Basic Audio Profile gives a licensor the means to compute royalties, not the royalties: net revenue per pool, and plays
per track and pool. So it has no price per play; payments are in the files for payees. Choices made here:

* A summary record for each pool. An audience with pools in several currencies is counted once: its usage is under the pool
  that comes first by currency, the others carry revenue only. An audience without revenue has an empty pool in `XXX`.
* A block for each track, of a resource record and a usage record for each summary and status. The catalogue has no releases
  and no musical works, and artists by their ids only.
* `IsRoyaltyBearing` is true where plays earn. Withheld, spam and short plays are on usage records of their own, so that the
  streams of the file are the plays of the month; `SalesTransactionId` ends in the status.
* A track in escrow, because its rights don't sum to 100 %, is subject to an ownership conflict; it was last checked
  on the last day of the month.

How records are written is in `ddex_records`.
"""

import gzip
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import polars as pl

from spam_pipeline.currencies import as_decimal
from spam_pipeline.protocol import last_day_of
from spam_pipeline.royalties.contracts import EARNING, NO_CURRENCY, PLAY_STATUSES
from spam_pipeline.royalties.ddex_records import (
    FOOT,
    HEAD,
    MESSAGE_VERSION,
    PROFILE,
    PROFILE_VERSION,
    RESOURCE,
    SUMMARY,
    USAGE,
    as_cell,
    record,
)
from spam_pipeline.royalties.usage import FREE_TIER, UNKNOWN_COUNTRY

PREMIUM_TIER = "premium"
SERVICE = f"{FREE_TIER}-{PREMIUM_TIER}"
"""The service tiers of the report, in the form of the standard."""

WORLDWIDE = "Worldwide"
"""DDEX's territory of all territories: of a report on several, and of plays of unknown country."""

ROWS_AT_ONCE, COMPRESSION = 50_000, 6


class Sender(NamedTuple):
    """The sender of a report: its DDEX Party Identifier, which DDEX allots to each licensee, and its name."""

    party_id: str
    name: str


UNREGISTERED = Sender("PADPIDA0000000000Q", "spam-pipeline")
"""The default sender: an identifier in valid form that DDEX has allotted to nobody."""


def is_party_id(text: str) -> bool:
    """Return true for a DDEX Party Identifier without dashes: `PADPIDA`, ten characters, a check character (ISO 7064, mod 37,36)."""
    if not re.fullmatch(r"PADPIDA[0-9A-Z]{11}", text):
        return False
    check = 36
    for character in text[:-1]:
        check = (check + int(character, 36)) % 36 or 36
        check = check * 2 % 37
    return (check + int(text[-1], 36)) % 36 == 1


class Message(NamedTuple):
    """The identity of a report. `message_id` is never reused for another content; `created_at` is in UTC."""

    month: str
    message_id: str
    created_at: datetime
    sender: Sender

    @property
    def file_name(self) -> str:
        """The file name that the standard prescribes; the recipient is left out where there are several."""
        created = self.created_at.strftime("%Y%m%dT%H%M%S")
        return f"DSR__{self.sender.party_id}_{SERVICE}_{self.month}_{WORLDWIDE}_1of1_{created}.tsv.gz"


class Heard(NamedTuple):
    """The input of a report: `RoyaltyUsage`, `RoyaltyStatements` and `Revenue` of the month, `Accounts` and `Tracks`."""

    usage: pl.LazyFrame
    statement: pl.LazyFrame
    revenue: pl.LazyFrame
    accounts: pl.LazyFrame
    tracks: pl.LazyFrame


class Written(NamedTuple):
    """The totals of a written report."""

    lines: int
    summaries: int
    blocks: int


def write_sales_report(file: Path, message: Message, heard: Heard) -> Written:
    """Write the report as one gzip file, the same bytes for the same message and data.

    The usage is never in memory: its counts are sorted in a file beside `file` meanwhile. Above 4 GB before compression, which
    is some 80 million records, sender and recipient have to agree that the report is one file (Part 1, 6.6.13).
    """
    counted = file.with_name(file.name + ".counted.parquet")
    try:
        summaries, blocks = summaries_of(message.month, heard), blocks_of(message.month, heard)
        counted_usage(heard.usage, summaries, blocks).sink_parquet(counted)
        with _compressed(file) as out:
            return _write_records(out, message, summaries, _in_batches(counted, blocks))
    finally:
        counted.unlink(missing_ok=True)


def summaries_of(month: str, heard: Heard) -> pl.DataFrame:
    """Build a row for each summary record, numbered by `summary`; at least one, as the standard requires.

    Columns: `summary`, `country`, `tier`, `currency`, `net_revenue_minor`, `plays`, `subscribers`.
    """
    audience = ["country", "tier"]
    plays = heard.usage.group_by(audience).agg(pl.col("plays").sum()).collect(engine="streaming")
    revenue = (
        heard.revenue.filter(pl.col("month") == month).select(*audience, "currency", "net_revenue_minor").collect()
    )
    subscribers = heard.accounts.group_by(audience).agg(subscribers=pl.len()).collect(engine="streaming")
    pools = plays.join(revenue, on=audience, how="full", coalesce=True)
    if pools.is_empty():
        nobody = {"country": [UNKNOWN_COUNTRY], "tier": [FREE_TIER], "plays": [0]}
        pools = pl.concat([pools, pl.DataFrame(nobody)], how="diagonal_relaxed")
    is_first = pl.int_range(pl.len()).over(audience) == 0
    return (
        pools.with_columns(pl.col("currency").fill_null(NO_CURRENCY), pl.col("net_revenue_minor").fill_null(0))
        .sort(*audience, "currency")
        .with_columns(plays=pl.when(is_first).then(pl.col("plays").fill_null(0)).otherwise(0))
        .join(subscribers, on=audience, how="left", maintain_order="left")
        .with_row_index("summary", offset=1)
    )


def blocks_of(month: str, heard: Heard) -> pl.DataFrame:
    """Build a row for each track with plays, numbered by `block` in the order of `track_id`, with its `resource` record."""
    tracks = heard.usage.select("track_id").unique().collect(engine="streaming").sort("track_id")
    in_conflict = heard.statement.filter(pl.col("track_id") != "").select("track_id", in_conflict=pl.lit(value=True))
    catalogue = heard.tracks.select("track_id", "title", "artist_id", "isrc", "duration_ms")
    about = tracks.with_row_index("block", offset=1).lazy()
    for known in (catalogue, in_conflict.unique()):
        about = about.join(known, on="track_id", how="left")
    return about.select("block", "track_id", _resource(month).alias("resource")).sort("block").collect()


def counted_usage(usage: pl.LazyFrame, summaries: pl.DataFrame, blocks: pl.DataFrame) -> pl.LazyFrame:
    """Count plays per block, summary and status, in that order, earning plays first."""
    audience = ["country", "tier"]
    under = summaries.lazy().group_by(audience).agg(pl.col("summary").min())
    key = ("block", "summary", "status")
    return (
        usage.select("track_id", *audience, pl.col("status").cast(pl.Enum(PLAY_STATUSES)), "plays")
        .join(under, on=audience)
        .join(blocks.lazy().select("track_id", "block"), on="track_id")
        .group_by(key)
        .agg(pl.col("plays").sum())
        .sort(key)
    )


def _in_batches(counted: Path, blocks: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield counted plays in batches; `resource` is set on the first row of a block, null on its others."""
    resources = blocks.lazy().select("block", "resource")
    rows = pl.scan_parquet(counted).join(resources, on="block", how="left", maintain_order="left")
    last = 0
    for batch in rows.collect_batches(chunk_size=ROWS_AT_ONCE, maintain_order=True):
        begins = pl.col("block") != pl.col("block").shift(1, fill_value=last)
        yield batch.with_columns(resource=pl.when(begins).then("resource"))
        *_, last = (last, *batch["block"].tail(1))


def _write_records(
    out: gzip.GzipFile, message: Message, summaries: pl.DataFrame, usage: Iterable[pl.DataFrame]
) -> Written:
    """Write all records and count them on the way, because the last one holds their number."""
    out.write(_lines(pl.select(_head(message))) + _lines(summaries.select(_summary())))
    lines, blocks = 1 + summaries.height, 0
    for batch in usage:
        begun = batch.height - batch["resource"].null_count()
        lines, blocks = lines + batch.height + begun, blocks + begun
        out.write(_lines(batch.select(_usage())))
    written = Written(lines + 1, summaries.height, blocks)
    out.write(_lines(pl.select(_foot(written))))
    return written


def _head(message: Message) -> pl.Expr:
    cells = {
        "MessageVersion": MESSAGE_VERSION,
        "Profile": PROFILE,
        "ProfileVersion": PROFILE_VERSION,
        "MessageId": message.message_id,
        "MessageCreatedDateTime": message.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "FileNumber": "1",
        "NumberOfFiles": "1",
        "UsageStartDate": f"{message.month}-01",
        "UsageEndDate": last_day_of(message.month),
        "SenderPartyId": message.sender.party_id,
        "SenderName": message.sender.name,
        "ServiceDescription": SERVICE,
    }
    return record(HEAD, {name: as_cell(pl.lit(value)) for name, value in cells.items()})


def _summary() -> pl.Expr:
    country, revenue = pl.col("country"), pl.col("net_revenue_minor")
    is_premium = pl.col("tier") == PREMIUM_TIER
    model = pl.when(is_premium).then(pl.lit("SubscriptionModel")).otherwise(pl.lit("AdvertisementSupportedModel"))
    subscribers = pl.when(is_premium).then(pl.col("subscribers").fill_null(0).cast(pl.String)).otherwise(pl.lit(""))
    # The standard writes a decimal of zero as 0, never as 0.00.
    decimal = pl.when(revenue == 0).then(pl.lit("0")).otherwise(as_decimal(revenue, pl.col("currency")))
    cells = {
        "SummaryRecordId": pl.col("summary").cast(pl.String),
        "CommercialModel": model,
        "UseType": pl.lit("OnDemandStream"),
        "Territory": pl.when(country == UNKNOWN_COUNTRY).then(pl.lit(WORLDWIDE)).otherwise(country),
        "ServiceDescription": pl.col("tier"),
        "TotalUsages": pl.col("plays").cast(pl.String),
        "Subscribers": subscribers,
        "CurrencyOfReporting": pl.col("currency"),
        "NetRevenue": decimal,
    }
    return record(SUMMARY, cells)


def _usage() -> pl.Expr:
    """Build the usage record of a row, behind the resource record of its track where a block begins."""
    block, summary = pl.col("block").cast(pl.String), pl.col("summary").cast(pl.String)
    cells = {
        "BlockId": block,
        "SummaryRecordId": summary,
        "SalesTransactionId": pl.concat_str(block, summary, "status", separator="."),
        "TransactedResource": pl.lit("1"),
        "IsRoyaltyBearing": (pl.col("status") == EARNING).cast(pl.String),
        "NumberOfStreams": pl.col("plays").cast(pl.String),
    }
    return pl.concat_str("resource", record(USAGE, cells), separator="\n", ignore_nulls=True)


def _resource(month: str) -> pl.Expr:
    """Build the resource record of a track from the catalogue; an unknown or untitled track has its id as title."""
    track_id, title = as_cell(pl.col("track_id")), as_cell(pl.col("title").fill_null(""))
    in_conflict = pl.col("in_conflict").fill_null(value=False)
    cells = {
        "BlockId": pl.col("block").cast(pl.String),
        "ResourceReference": pl.lit("1"),
        "DspResourceId": track_id,
        "ResourceISRC": _isrc(),
        "ResourceTitle": pl.when(title == "").then(track_id).otherwise(title),
        "ResourceDisplayArtistName": as_cell(pl.col("artist_id").fill_null("")),
        "ResourceDuration": _duration(),
        "ResourceType": pl.lit("SoundRecording"),
        "IsSubjectToOwnershipConflict": in_conflict.cast(pl.String),
        "LastConflictCheck": pl.when(in_conflict).then(pl.lit(last_day_of(month))).otherwise(pl.lit("")),
    }
    return record(RESOURCE, cells)


def _isrc() -> pl.Expr:
    """Normalise an ISRC by removing the dashes of its printed form; null where invalid (ISO 3901)."""
    code = pl.col("isrc").str.to_uppercase().str.replace_all(r"[-\s]", "")
    is_valid = code.str.contains(r"^[A-Z]{2}[A-Z0-9]{3}[0-9]{7}$").fill_null(value=False)
    return pl.when(is_valid).then(code).otherwise(pl.lit(""))


def _duration() -> pl.Expr:
    """Write the duration of a track as in ISO 8601, such as `PT182.5S`."""
    duration = pl.col("duration_ms")
    fraction = (duration % 1000).cast(pl.String).str.zfill(3).str.strip_chars_end("0")
    seconds = pl.concat_str(duration // 1000, pl.when(fraction != "").then("." + fraction).otherwise(pl.lit("")))
    return pl.format("PT{}S", seconds).fill_null("")


def _foot(written: Written) -> pl.Expr:
    lines, blocks = str(written.lines), str(written.blocks)
    cells = {
        "NumberOfLinesInFile": lines,
        "NumberOfLinesInReport": lines,
        "NumberOfSummaryRecords": str(written.summaries),
        "NumberOfBlocksInFile": blocks,
        "NumberOfBlocksInReport": blocks,
    }
    return record(FOOT, {name: pl.lit(value) for name, value in cells.items()})


def _lines(records: pl.DataFrame) -> bytes:
    """Write one record per line. They hold no line break but the one behind a resource record."""
    return records.write_csv(include_header=False, quote_style="never").encode()


@contextmanager
def _compressed(file: Path) -> Iterator[gzip.GzipFile]:
    """Open a file for gzip without time stamp or name, so that equal reports are equal bytes."""
    with file.open("wb") as raw, gzip.GzipFile("", "wb", COMPRESSION, raw, mtime=0) as compressed:
        yield compressed
