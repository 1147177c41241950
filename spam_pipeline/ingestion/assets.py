"""The stages of ingestion. Thin: what they compute is in the modules beside, what they promise in `contracts`."""

from collections.abc import Iterator
from datetime import date

import polars as pl

from spam_pipeline.ingestion import contracts, reference
from spam_pipeline.ingestion.plays import distinct_plays
from spam_pipeline.ingestion.received_plays import received_batches
from spam_pipeline.partitions import arrival_days, event_days, unpartitioned
from spam_pipeline.protocol.contract import Reads, column_types
from spam_pipeline.protocol.landed_file import LandedFile
from spam_pipeline.protocol.selection import PartNamedAlike, SamePartition
from spam_pipeline.protocol.stage import stage

_OWNER = "team:ingestion"
_REJECTED_ROWS = SamePartition(side_part="rejected")
_SIDE_PARTS = {"rejected": contracts.Rejected}
_CSV_LIBRARIES = ("cryptography", "polars", "polars-hash", "pycountry")


@stage(
    partitions=arrival_days,
    contract=contracts.ReceivedPlays,
    owner=_OWNER,
    libraries=("cryptography", "geoip2fast", "polars", "polars-hash", "protobuf", "pycountry", "zstandard"),
    side_parts=_SIDE_PARTS,
    private_parts=("rejected_bytes",),
    file_by_file=True,
)
def received_plays(
    landed_plays: LandedFile, identifier_key: str, start_date: date
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Every play event that arrived on a day and keeps the event's rules, repeated deliveries included.

    JSON and protobuf are decoded alike, identifiers become keyed hashes, and each event goes to the part of the day on
    which it happened. A record that breaks a rule costs nobody but itself: it goes to `rejected`.
    """
    return received_batches(landed_plays, identifier_key, start_date)


@stage(
    partitions=arrival_days,
    contract=contracts.Rejected,
    owner=_OWNER,
    libraries=("polars",),
    selections={"received_plays": _REJECTED_ROWS},
)
def rejected(received_plays: pl.LazyFrame) -> pl.LazyFrame:
    """The records of a day's arrivals that were rejected: file, line, field and reason, for whoever runs the sending side.

    Their bytes are kept apart, because they can name people.
    """
    return received_plays.sort("file", "line")


@stage(
    partitions=event_days,
    contract=contracts.Plays,
    owner=_OWNER,
    libraries=("polars", "polars-hash"),
    selections={"received_plays": PartNamedAlike()},
    reads={"received_plays": Reads(tuple(column_types(contracts.Plays)))},
)
def plays(received_plays: pl.LazyFrame) -> pl.LazyFrame:
    """The plays of a day, one row each, however often and however late they were delivered: what everybody builds on.

    Of several deliveries of one event the earliest arrival hour counts.
    """
    return distinct_plays(received_plays)


@stage(
    partitions=unpartitioned, contract=contracts.Tracks, owner=_OWNER, libraries=_CSV_LIBRARIES, side_parts=_SIDE_PARTS
)
def tracks(tracks_file: LandedFile, identifier_key: str) -> reference.Parts:
    """The catalogue of tracks with artist, duration and day of upload, by month of upload."""
    return reference.tracks_by_month(tracks_file, identifier_key)


@stage(
    partitions=unpartitioned, contract=contracts.Rights, owner=_OWNER, libraries=_CSV_LIBRARIES, side_parts=_SIDE_PARTS
)
def rights(rights_file: LandedFile) -> reference.Parts:
    """Who is paid for a track, from when until when, and with which share in parts per million."""
    return reference.all_rights(rights_file)


@stage(
    partitions=unpartitioned,
    contract=contracts.Agreements,
    owner=_OWNER,
    libraries=_CSV_LIBRARIES,
    side_parts=_SIDE_PARTS,
)
def agreements(agreements_file: LandedFile) -> reference.Parts:
    """By which rule a payee agreed to be paid, pro-rata or user-centric, and from when, by the month in which that is."""
    return reference.agreements_by_month(agreements_file)


@stage(
    partitions=unpartitioned,
    contract=contracts.Accounts,
    owner=_OWNER,
    libraries=_CSV_LIBRARIES,
    side_parts=_SIDE_PARTS,
)
def accounts(accounts_file: LandedFile, identifier_key: str) -> reference.Parts:
    """Listeners' accounts with country and tier, by month of creation."""
    return reference.accounts_by_month(accounts_file, identifier_key)


@stage(
    partitions=unpartitioned, contract=contracts.Revenue, owner=_OWNER, libraries=_CSV_LIBRARIES, side_parts=_SIDE_PARTS
)
def revenue(revenue_file: LandedFile) -> reference.Parts:
    """Net revenue in minor units of its currency, by month, country and tier: the pools that royalties share out."""
    return reference.revenue_by_month(revenue_file)


@stage(
    partitions=unpartitioned,
    contract=contracts.Incidents,
    owner=_OWNER,
    libraries=_CSV_LIBRARIES,
    side_parts=_SIDE_PARTS,
)
def incidents(incidents_file: LandedFile, identifier_key: str) -> reference.Parts:
    """What experts declared about spam: entities, a window, an attack type and a status, in every event day it touches."""
    return reference.incidents_by_day(incidents_file, identifier_key)


@stage(
    partitions=unpartitioned,
    contract=contracts.Rejected,
    owner=_OWNER,
    libraries=("polars",),
    selections=dict.fromkeys(("tracks", "rights", "agreements", "accounts", "revenue", "incidents"), _REJECTED_ROWS),
)
def rejected_reference(  # noqa: PLR0913, PLR0917 - one parameter for every file there is
    tracks: pl.LazyFrame,
    rights: pl.LazyFrame,
    agreements: pl.LazyFrame,
    accounts: pl.LazyFrame,
    revenue: pl.LazyFrame,
    incidents: pl.LazyFrame,
) -> pl.LazyFrame:
    """The rows of the reference files that were rejected: file, line, column and reason, for whoever keeps those files."""
    return pl.concat([tracks, rights, agreements, accounts, revenue, incidents]).sort("file", "line")


STAGES = (
    received_plays,
    rejected,
    plays,
    tracks,
    rights,
    agreements,
    accounts,
    revenue,
    incidents,
    rejected_reference,
)
