"""The sources of ingestion: the landed files it reads, and their paths in the landing zone.

Anybody with write access to the landing zone chooses paths, so only exact matches belong to a source. Nothing here opens a file.
"""

import re
from datetime import UTC, datetime

from spam_pipeline.partitions import arrival_days, unpartitioned
from spam_pipeline.protocol import WHOLE, Source, WrongPartition

landed_plays = Source(
    "landed_plays",
    arrival_days,
    "Play events as clients sent them: JSON lines or length-delimited protobuf, by arrival day and hour.",
)
tracks_file = Source("tracks_file", unpartitioned, "The catalogue of tracks, `reference/tracks.csv`.")
rights_file = Source("rights_file", unpartitioned, "Who is paid for which track, `reference/rights.csv`.")
agreements_file = Source(
    "agreements_file", unpartitioned, "By which rule payees are paid, `reference/agreements.csv`; it may be missing."
)
accounts_file = Source("accounts_file", unpartitioned, "Listeners' accounts, `reference/accounts.csv`.")
revenue_file = Source("revenue_file", unpartitioned, "Net revenue by month, country and tier, `reference/revenue.csv`.")
incidents_file = Source("incidents_file", unpartitioned, "What experts declared about spam, `incidents.csv`.")

SOURCES = (landed_plays, tracks_file, rights_file, agreements_file, accounts_file, revenue_file, incidents_file)

_SINGLE_FILES = {
    "reference/tracks.csv": tracks_file,
    "reference/rights.csv": rights_file,
    "reference/agreements.csv": agreements_file,
    "reference/accounts.csv": accounts_file,
    "reference/revenue.csv": revenue_file,
    "incidents.csv": incidents_file,
}

# A name that starts with a dot is hidden or still being written; control characters would break messages and listings,
# and a surrogate stands for bytes that are not UTF-8 and fit into no ledger. The year 9999 has no day after its last.
_NAME = r"[^/.\x00-\x1f\x7f\ud800-\udfff][^/\x00-\x1f\x7f\ud800-\udfff]*"
_PLAYS = re.compile(rf"plays/((?!9999)[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})/([01][0-9]|2[0-3])/{_NAME}")
_JSON_ENDINGS = (".jsonl", ".jsonl.gz", ".jsonl.zst")
_PROTOBUF_ENDINGS = (".pb", ".pb.gz", ".pb.zst")


def classify(path: str) -> tuple[Source, str] | None:
    """Return the source and the partition of a POSIX `path` below the landing zone's root, or None."""
    single = _SINGLE_FILES.get(path)
    if single is not None:
        return single, WHOLE
    matched = _PLAYS.fullmatch(path)
    if matched is None or not path.endswith(_JSON_ENDINGS + _PROTOBUF_ENDINGS):
        return None
    try:
        return landed_plays, arrival_days.check(matched[1])
    except WrongPartition:
        return None


def arrival_hour(path: str) -> datetime:
    """Return the arrival hour (its start, UTC) of a file of plays. Raises `ValueError` for any other path."""
    matched = _PLAYS.fullmatch(path)
    if matched is None:
        raise ValueError(f"{path!r} is no file of plays: expected plays/YYYY-MM-DD/HH/name")
    return datetime.strptime(f"{matched[1]} {matched[2]}", "%Y-%m-%d %H").replace(tzinfo=UTC)


def holds_json(path: str) -> bool:
    """Return true for a file of plays in JSON lines; the others are length-delimited protobuf."""
    return path.endswith(_JSON_ENDINGS)
