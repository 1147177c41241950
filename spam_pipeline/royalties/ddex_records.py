"""The records of the DDEX Digital Sales Report (DSR), Basic Audio Profile 1.3: the order of their cells, and escaping.

Written from DDEX's public pages: Part 3 version 1.3 (dsr3.ddex.net, clause 5.3: blocks without release information), Part 8
version 1.4 (dsr8.ddex.net, clauses 5.1.1 HEAD, 5.1.2 FOOT, 5.2.1 SY01.02, 5.4.2 AS02.03, 5.6.2 SU02.02) and Part 1 (dsr1.ddex.net,
clauses 6.6.3, 6.6.4, 6.6.11: delimiters, escaping, numbers). It is the newest version of which all three are public.
The content of records is decided in `ddex`.
"""

from collections.abc import Mapping

import polars as pl

PROFILE, PROFILE_VERSION = "BasicAudioProfile", "1.3"

MESSAGE_VERSION = "dsrf/1.3/6/1.4"
"""Versions of Part 1 (architecture), of the allowed value sets, and of Part 8 (record types)."""

HEAD, SUMMARY, RESOURCE, USAGE, FOOT = "HEAD", "SY01.02", "AS02.03", "SU02.02", "FOOT"

CELLS = {
    HEAD: (
        *("RecordType", "MessageVersion", "Profile", "ProfileVersion", "MessageId", "MessageCreatedDateTime"),
        *("FileNumber", "NumberOfFiles", "UsageStartDate", "UsageEndDate", "SenderPartyId", "SenderName"),
        *("ServiceDescription", "RecipientPartyId", "RecipientName", "RepresentedRepertoire"),
    ),
    SUMMARY: (
        *("RecordType", "SummaryRecordId", "DistributionChannel", "DistributionChannelDPID", "CommercialModel"),
        *("UseType", "Territory", "ServiceDescription", "TotalUsages", "Subscribers", "CurrencyOfReporting"),
        *("NetRevenue", "IndirectValue", "CurrencyOfTransaction", "ExchangeRate"),
    ),
    RESOURCE: (
        *("RecordType", "BlockId", "ResourceReference", "DspResourceId", "ResourceISRC", "ResourceTitle"),
        *("ResourceSubTitle", "ResourceDisplayArtistName", "ResourceDisplayArtistPartyId", "ResourceDuration"),
        *("ResourceType", "MusicalWorkISWC", "MusicalWorkComposerAuthorName", "MusicalWorkComposerAuthorPartyId"),
        *("MusicalWorkArrangerName", "MusicalWorkArrangerPartyId", "MusicPublisherName", "MusicPublisherPartyId"),
        *("MusicalWorkContributorName", "MusicalWorkContributorPartyId", "ProprietaryMusicalWorkId"),
        *("IsMasterRecording", "IsSubjectToOwnershipConflict", "LastConflictCheck"),
    ),
    USAGE: (
        *("RecordType", "BlockId", "SummaryRecordId", "SalesTransactionId", "TransactedRelease"),
        *("TransactedResource", "IsRoyaltyBearing", "NumberOfStreams", "PriceConsumerPaidExcSalesTax"),
        *("PromotionalActivity", "UseType"),
    ),
    FOOT: (
        *("RecordType", "NumberOfLinesInFile", "NumberOfLinesInReport", "NumberOfSummaryRecords"),
        *("NumberOfBlocksInFile", "NumberOfBlocksInReport"),
    ),
}
"""The cells of each record type, all written, filled or not."""


def record(kind: str, cells: Mapping[str, pl.Expr]) -> pl.Expr:
    """Build one line per row: a record of this kind with these cells, the others empty."""
    of_kind = {"RecordType": pl.lit(kind), **cells}
    return pl.concat_str([of_kind.get(name, pl.lit("")) for name in CELLS[kind]], separator="\t")


def as_cell(value: pl.Expr) -> pl.Expr:
    """Escape text for a cell: a pipe is written behind two backslashes, a backslash behind two more.

    A string holds no control characters, so a tab or a line break becomes a space, and surrounding space is stripped: data
    cannot inject separators of cells or records, not even for a reader that ignores escaping.
    """
    printable = value.str.replace_all(r"[\p{Cc}\p{Zl}\p{Zp}]", " ").str.strip_chars()
    return printable.str.replace_all("\\", "\\\\\\", literal=True).str.replace_all("|", r"\\|", literal=True)
