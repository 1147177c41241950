"""The protocol: immutable versions of data, named by everything that determined them, audited before anybody reads them.

This is the door for declaring stages: a context imports from here, and measures from `spam_pipeline.protocol.fingerprint`. Code
that operates an engine over stages, such as the orchestrator and the command line, also imports from
`spam_pipeline.protocol.operating`. Everything else in this package is behind these doors.
"""

from spam_pipeline.protocol.code_version.code_version import code_version as code_version_of
from spam_pipeline.protocol.definition.columns import NOT_NULL, DescribedColumn, described_columns
from spam_pipeline.protocol.definition.contract import ArtifactContract, Contract, ShowAsEarlier, column_types
from spam_pipeline.protocol.definition.delivery import Delivery, DescribedStage, Publications, StoredFiles
from spam_pipeline.protocol.definition.landed_file import LandedFile
from spam_pipeline.protocol.definition.reads import Reads
from spam_pipeline.protocol.definition.selection import (
    DaysOfMonth,
    EveryPartition,
    EveryStage,
    PartForPartition,
    PartitionsUpTo,
    PartsOfMonth,
    PartsOfTrailingDays,
    PartsUpToMonth,
    SamePartition,
    TrailingDays,
)
from spam_pipeline.protocol.definition.stage import HOURS, Cadence, Source, stage
from spam_pipeline.protocol.drift import HistoricFingerprint
from spam_pipeline.protocol.foundation.digest import digest
from spam_pipeline.protocol.foundation.errors import NotPublished, PipelineError, Pruned, StoreDamaged, WrongPartition
from spam_pipeline.protocol.foundation.finding import Clue, Curve, Evidence, Finding, Severity
from spam_pipeline.protocol.foundation.flushing import flush
from spam_pipeline.protocol.foundation.limit import Limit
from spam_pipeline.protocol.foundation.partition import WHOLE, Grain, Partitions, days_before, last_day_of, month_of
from spam_pipeline.protocol.foundation.slices import SLICE_ROWS, in_slices, key_ranges, rows_in, slices_of
from spam_pipeline.protocol.ledger.records import Version

__all__ = [
    "HOURS",
    "NOT_NULL",
    "SLICE_ROWS",
    "WHOLE",
    "ArtifactContract",
    "Cadence",
    "Clue",
    "Contract",
    "Curve",
    "DaysOfMonth",
    "Delivery",
    "DescribedColumn",
    "DescribedStage",
    "EveryPartition",
    "EveryStage",
    "Evidence",
    "Finding",
    "Grain",
    "HistoricFingerprint",
    "LandedFile",
    "Limit",
    "NotPublished",
    "PartForPartition",
    "Partitions",
    "PartitionsUpTo",
    "PartsOfMonth",
    "PartsOfTrailingDays",
    "PartsUpToMonth",
    "PipelineError",
    "Pruned",
    "Publications",
    "Reads",
    "SamePartition",
    "Severity",
    "ShowAsEarlier",
    "Source",
    "StoreDamaged",
    "StoredFiles",
    "TrailingDays",
    "Version",
    "WrongPartition",
    "code_version_of",
    "column_types",
    "days_before",
    "described_columns",
    "digest",
    "flush",
    "in_slices",
    "key_ranges",
    "last_day_of",
    "month_of",
    "rows_in",
    "slices_of",
    "stage",
]
