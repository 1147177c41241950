"""The stages of ingestion. Thin: their computations are in the modules beside this one, their promises in `contracts`."""

from collections.abc import Iterator
from datetime import date
from functools import partial
from typing import Annotated

import polars as pl

from spam_pipeline.ingestion import contracts, reference
from spam_pipeline.ingestion.erased_records import erased_of_day
from spam_pipeline.ingestion.plays import distinct_plays
from spam_pipeline.ingestion.received_plays import received_batches
from spam_pipeline.partitions import arrival_days, event_days, unpartitioned
from spam_pipeline.protocol import LandedFile, PartForPartition, Reads, SamePartition, column_types, stage

_OWNER = "team:ingestion"
_SIDE_PARTS = {"rejected": contracts.Rejected}
_SIDE_PARTS_OF_PLAYS = {
    **_SIDE_PARTS,
    "files": contracts.ReceivedFiles,
    "gaps": contracts.Gaps,
    "manifests": contracts.Manifests,
}
_RejectedRows = Annotated[pl.LazyFrame, Reads(SamePartition(side_part="rejected"))]

_PSEUDONYMS = ("cryptography", "numpy", "polars-hash")
"""The libraries that identifiers are hashed with."""

_reference_stage = partial(stage, partitions=unpartitioned, owner=_OWNER, libraries=("polars",))
"""Declares a stage over one reference file, with a side part for rejected rows."""


@stage(
    partitions=arrival_days,
    contract=contracts.ReceivedPlays,
    owner=_OWNER,
    libraries=(*_PSEUDONYMS, "geoip2fast", "polars", "protobuf", "pycountry", "zlib-ng", "zstandard"),
    side_parts=_SIDE_PARTS_OF_PLAYS,
    private_parts=("rejected_bytes",),
    file_by_file=True,
    small_files_together=True,
)
def received_plays(
    landed_plays: LandedFile, identifier_key: str, start_date: date
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Valid play events by day of arrival, repeated deliveries included.

    JSON and protobuf are decoded to the same columns, identifiers become keyed hashes, and each event goes to the part of
    the day on which it happened. A record that breaks a rule goes to `rejected`; the rest of its file is kept. What each file
    gave, and what of it could not be read, is in `files`.
    """
    return received_batches(landed_plays, identifier_key, start_date)


@stage(
    partitions=arrival_days,
    contract=contracts.Rejected,
    owner=_OWNER,
    libraries=("polars",),
)
def rejected(received_plays: _RejectedRows) -> pl.LazyFrame:
    """Rejected records by day of arrival, with file, line, field and reason, for whoever runs the sending side.

    Their bytes are kept in a private part, because they can contain personal data.
    """
    return received_plays.sort("file", "line")


@stage(
    partitions=arrival_days,
    contract=contracts.ReceivedFiles,
    owner=_OWNER,
    libraries=("polars",),
)
def received_files(
    received_plays: Annotated[pl.LazyFrame, Reads(SamePartition(side_part="files"))],
) -> pl.LazyFrame:
    """Landed files of plays by day of arrival, with their accepted and rejected records, and bytes that could not be read."""
    return received_plays.sort("file")


@stage(
    partitions=arrival_days,
    contract=contracts.ErasedRecords,
    owner=_OWNER,
    libraries=("polars",),
)
def erased_records(erased_records_file: LandedFile) -> pl.LazyFrame:
    """Records of erased people by day of arrival and landed file: how many were taken out of it, and not whose they were."""
    return erased_of_day(erased_records_file)


@stage(
    partitions=event_days,
    contract=contracts.Plays,
    owner=_OWNER,
    libraries=("polars", "polars-hash"),
)
def plays(
    received_plays: Annotated[pl.LazyFrame, Reads(PartForPartition(), columns=tuple(column_types(contracts.Plays)))],
) -> pl.LazyFrame:
    """Plays by event day, deduplicated across deliveries: one row per play, the basis of everything downstream.

    Where an event was delivered several times, the earliest arrival hour counts.
    """
    return distinct_plays(received_plays)


@_reference_stage(contract=contracts.Tracks, side_parts=_SIDE_PARTS, libraries=("polars", *_PSEUDONYMS))
def tracks(tracks_file: LandedFile, identifier_key: str) -> reference.Parts:
    """Track catalogue with artist, duration and day of upload, by month of upload."""
    return reference.tracks_by_month(tracks_file, identifier_key)


@_reference_stage(contract=contracts.Rights, side_parts=_SIDE_PARTS)
def rights(rights_file: LandedFile) -> reference.Parts:
    """Rights: the payees of each track, their share in parts per million, and the days on which it is valid."""
    return reference.all_rights(rights_file)


@_reference_stage(contract=contracts.Agreements, side_parts=_SIDE_PARTS)
def agreements(agreements_file: LandedFile) -> reference.Parts:
    """Payout rule of each payee, pro-rata or user-centric, by the month in which the agreement begins."""
    return reference.agreements_by_month(agreements_file)


@_reference_stage(contract=contracts.Accounts, side_parts=_SIDE_PARTS, libraries=("polars", "pycountry", *_PSEUDONYMS))
def accounts(accounts_file: LandedFile, identifier_key: str) -> reference.Parts:
    """Listener accounts with country and tier, by month of creation."""
    return reference.accounts_by_month(accounts_file, identifier_key)


@_reference_stage(contract=contracts.Revenue, side_parts=_SIDE_PARTS, libraries=("polars", "pycountry"))
def revenue(revenue_file: LandedFile) -> reference.Parts:
    """Net revenue in minor units of its currency, by month, country and tier: the royalty pools before the payout share."""
    return reference.revenue_by_month(revenue_file)


@_reference_stage(contract=contracts.Incidents, side_parts=_SIDE_PARTS, libraries=("polars", *_PSEUDONYMS))
def incidents(incidents_file: LandedFile, identifier_key: str) -> reference.Parts:
    """Incidents declared by experts, by event day: entities, time window, attack type and status."""
    return reference.incidents_by_day(incidents_file, identifier_key)


@stage(
    partitions=unpartitioned,
    contract=contracts.Rejected,
    owner=_OWNER,
    libraries=("polars",),
)
def rejected_reference(  # noqa: PLR0913, PLR0917 - one parameter for every file there is
    tracks: _RejectedRows,
    rights: _RejectedRows,
    agreements: _RejectedRows,
    accounts: _RejectedRows,
    revenue: _RejectedRows,
    incidents: _RejectedRows,
) -> pl.LazyFrame:
    """Rejected rows of the reference files, with file, line, column and reason, for whoever maintains those files."""
    return pl.concat([tracks, rights, agreements, accounts, revenue, incidents]).sort("file", "line")


STAGES = (
    received_plays,
    rejected,
    received_files,
    erased_records,
    plays,
    tracks,
    rights,
    agreements,
    accounts,
    revenue,
    incidents,
    rejected_reference,
)
