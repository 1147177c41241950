"""The sources of ingestion: the landed files it reads, and their paths in the landing zone.

Anybody with write access to the landing zone chooses paths, so only exact matches belong to a source; what almost matches is
passed over with the reason. Nothing here opens a file.
"""

import re
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime

from spam_pipeline.partitions import arrival_days, unpartitioned
from spam_pipeline.protocol import HOURS, WHOLE, Cadence, Source, WrongPartition

GAP, MANIFEST = "gap.json", "manifest.json"
"""Names of files that speak for their folder, a day or an hour: somebody says that nothing arrives, or a producer how much."""

INGESTION, ROYALTIES, TRUST_AND_SAFETY = "team:ingestion", "team:royalties", "team:trust-and-safety"
"""Who answers for a file: whoever asks others for it, and hears of it when it is wrong."""

# A name that starts with a dot is hidden or still being written; control characters would break messages and listings,
# and a surrogate stands for bytes that are not UTF-8 and fit into no ledger. The year 9999 has no day after its last.
_NAME = r"[^/.\x00-\x1f\x7f\ud800-\udfff][^/\x00-\x1f\x7f\ud800-\udfff]*"
_DAY, _HOUR = r"(?!9999)[0-9]{4}-[0-9]{2}-[0-9]{2}", r"[01][0-9]|2[0-3]"
_PLAYS = re.compile(rf"plays/({_DAY})/({_HOUR})/{_NAME}")
_STATED = re.compile(rf"plays/({_DAY})(?:/({_HOUR}))?/({re.escape(GAP)}|{re.escape(MANIFEST)})")
_ERASED = re.compile(rf"erasures/({_DAY})/records\.json")
_JSON_ENDINGS = (".jsonl", ".jsonl.gz", ".jsonl.zst")
_PROTOBUF_ENDINGS = (".pb", ".pb.gz", ".pb.zst")
_ENDINGS = _JSON_ENDINGS + _PROTOBUF_ENDINGS


def hours_of(path: str) -> Collection[str]:
    """The hours that a file of `landed_plays` delivers: its own; all for a gap of a whole day; none for a manifest."""
    stated = _STATED.fullmatch(path)
    if stated is None:
        return (path.split("/")[2],)
    if stated[3] == MANIFEST:
        return ()
    return (stated[2],) if stated[2] else HOURS


landed_plays = Source(
    "landed_plays",
    arrival_days,
    "Play events as clients sent them: JSON lines or length-delimited protobuf, by arrival day and hour.",
    cadence=Cadence.DAY,
    owner=INGESTION,
    hours_of=hours_of,
)
tracks_file = Source("tracks_file", unpartitioned, "The catalogue of tracks, `reference/tracks.csv`.", owner=INGESTION)
rights_file = Source(
    "rights_file", unpartitioned, "Who is paid for which track, `reference/rights.csv`.", owner=ROYALTIES
)
agreements_file = Source(
    "agreements_file",
    unpartitioned,
    "By which rule payees are paid, `reference/agreements.csv`; it may be missing.",
    owner=ROYALTIES,
)
accounts_file = Source(
    "accounts_file", unpartitioned, "Listeners' accounts, `reference/accounts.csv`.", owner=INGESTION
)
revenue_file = Source(
    "revenue_file", unpartitioned, "Net revenue by month, country and tier, `reference/revenue.csv`.", owner=ROYALTIES
)
incidents_file = Source(
    "incidents_file", unpartitioned, "What experts declared about spam, `incidents.csv`.", owner=TRUST_AND_SAFETY
)
erased_records_file = Source(
    "erased_records_file",
    arrival_days,
    "How many records of erased people went from which file, `erasures/<day>/records.json`: the pipeline writes it.",
    owner=INGESTION,
)

_SINGLE_FILES = {
    "reference/tracks.csv": tracks_file,
    "reference/rights.csv": rights_file,
    "reference/agreements.csv": agreements_file,
    "reference/accounts.csv": accounts_file,
    "reference/revenue.csv": revenue_file,
    "incidents.csv": incidents_file,
}


def sources(plays_cadence: Cadence) -> tuple[Source, ...]:
    """Return the sources, given how often plays have to land."""
    return replace(landed_plays, cadence=plays_cadence), *_SINGLE_FILES.values(), erased_records_file


def classify(path: str) -> tuple[Source, str] | None:
    """Return the source and the partition of a POSIX `path` below the landing zone's root, or None."""
    single = _SINGLE_FILES.get(path)
    if single is not None:
        return single, WHOLE
    plays = _PLAYS.fullmatch(path)
    erased = _ERASED.fullmatch(path)
    matched = plays if plays and path.endswith(_ENDINGS) else _STATED.fullmatch(path) or erased
    if matched is None:
        return None
    try:
        return erased_records_file if erased else landed_plays, arrival_days.check(matched[1])
    except WrongPartition:
        return None


def why_passed_over(path: str) -> str | None:
    """Return why a path that no source has is none of theirs, if somebody may have meant it to be; None for anything else.

    Names that begin with a dot or an underscore are those of files in the making, and of marks like `_SUCCESS`.

    >>> print(why_passed_over("plays/2026-01-05/5/a.jsonl"))
    its hour is 5: expected two digits, 00 to 23
    """
    folder, *below = path.split("/")
    if any(name.startswith((".", "_")) for name in (folder, *below)):
        return None
    if folder == "plays":
        return _problem_with_plays(below)
    if folder == "reference" or path.casefold().startswith("incidents"):
        return f"expected {', '.join(_SINGLE_FILES)}"
    return None


def _problem_with_plays(below: list[str]) -> str:
    if len(below) != len(("day", "hour", "name")):
        return "expected plays/YYYY-MM-DD/HH/name"
    day, hour, name = below
    if not re.fullmatch(_DAY, day) or classify(f"plays/{day}/{GAP}") is None:
        return f"its day is {day}: expected YYYY-MM-DD"
    if not re.fullmatch(_HOUR, hour):
        return f"its hour is {hour}: expected two digits, 00 to 23"
    if not name.endswith(_ENDINGS):
        return f"its ending is none of {', '.join(_ENDINGS)}"
    return "its name has characters that cannot be printed"


def arrival_hour(path: str) -> datetime:
    """Return the arrival hour (its start, UTC) of a file of plays. Raises `ValueError` for any other path."""
    matched = _PLAYS.fullmatch(path)
    if matched is None:
        raise ValueError(f"{path!r} is no file of plays: expected plays/YYYY-MM-DD/HH/name")
    return datetime.strptime(f"{matched[1]} {matched[2]}", "%Y-%m-%d %H").replace(tzinfo=UTC)


def holds_json(path: str) -> bool:
    """Return true for a file of plays in JSON lines; the others are length-delimited protobuf."""
    return path.endswith(_JSON_ENDINGS)


def stated_in(path: str) -> tuple[str, int | None] | None:
    """Return `GAP` or `MANIFEST`, and the hour (0 to 23) that the file speaks for or None for a whole day; None for other files."""
    stated = _STATED.fullmatch(path)
    return None if stated is None else (stated[3], int(stated[2]) if stated[2] else None)
