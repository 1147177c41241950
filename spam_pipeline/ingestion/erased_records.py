"""The account of erased records: how many went from which landed file, in a small JSON file for each day of arrival.

With it every record that was sent is accounted for: accepted, rejected or erased. It names files and numbers, and nobody. A manifest
of the producer, who counts what was sent, is made to say what is left of that.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import polars as pl

from spam_pipeline.ingestion.contracts import ErasedRecords
from spam_pipeline.ingestion.sources import MANIFEST, arrival_hour
from spam_pipeline.ingestion.stated_arrivals import WrongStatement, read_manifest
from spam_pipeline.protocol import LandedFile, column_types

_SENT = "sent"
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Erased(NamedTuple):
    """What has been taken out of a file whose bytes have this digest, compared with what was sent."""

    digest: str
    records: int
    bytes: int


Account = Mapping[str, tuple[Erased, ...]]
"""For each file the states that it was left in, the present one last. Earlier ones are for whoever goes on after a crash."""


def account_path(day: str) -> str:
    """The path of a day's account below the landing zone's root."""
    return f"erasures/{day}/records.json"


def read_account(content: bytes) -> Account:
    """Read an account. Raises `WrongStatement` when it is none; the message never quotes the file."""
    try:
        stated = json.loads(content)
        return {str(path): tuple(_erased(*state) for state in states) for path, states in stated.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise WrongStatement("expected an account of erased records") from None


def account_as_json(account: Account) -> bytes:
    """An account as the bytes of its file."""
    return json.dumps(account, indent=1, sort_keys=True).encode() + b"\n"


def noted(account: Account, path: str, before: str, erased: Erased) -> Account:
    """The account after `erased` has gone from a file whose bytes had the digest `before`.

    What had gone from those bytes counts as well; a file that was sent anew begins at nothing. So the same step twice is noted once.

    >>> once = noted({}, "a", "sent", Erased("left", 2, 100))
    >>> noted(once, "a", "sent", Erased("left", 2, 100)) == once
    True
    >>> noted(once, "a", "left", Erased("rest", 1, 40))["a"][-1]
    Erased(digest='rest', records=3, bytes=140)
    """
    states = {state.digest: state for state in account.get(path, ())}
    gone = states.get(before, Erased(before, 0, 0))
    now = Erased(erased.digest, gone.records + erased.records, gone.bytes + erased.bytes)
    if not states and not now.records:
        return account
    states.pop(erased.digest, None)
    return {**account, path: (*states.values(), now)}


def manifest_without(content: bytes, account: Account, folder: str) -> bytes | None:
    """A manifest of a folder that says what is left of what was sent; None when it says so already, or is no manifest.

    What the producer had said is kept in it as `sent`.
    """
    try:
        stated = read_manifest(content)
    except WrongStatement:
        return None
    everything: dict[str, Any] = json.loads(content)
    sent = everything.get(_SENT)
    first = {unit: sent[unit] for unit in stated} if isinstance(sent, dict) and stated.keys() <= sent.keys() else stated
    gone = [states[-1] for path, states in account.items() if path.startswith(f"{folder}/")]
    erased = {"records": sum(item.records for item in gone), "bytes": sum(item.bytes for item in gone)}
    left = {unit: first[unit] - erased.get(unit, 0) for unit in stated}
    return None if left == stated else json.dumps({**everything, **left, _SENT: first}, indent=1).encode() + b"\n"


def manifest_paths(account: Account) -> list[str]:
    """Where manifests lie that may count records of these files: for their hours, and for their day."""
    hours = {path.rpartition("/")[0] for path in account}
    return sorted(f"{folder}/{MANIFEST}" for folder in hours | {hour.rpartition("/")[0] for hour in hours})


def erased_of_day(file: LandedFile) -> pl.LazyFrame:
    """Read the `ErasedRecords` of a day's account. Raises `WrongStatement`."""
    with file.open() as raw:
        account = read_account(raw.read())
    try:
        rows = [(path, arrival_hour(path), states[-1].records) for path, states in sorted(account.items())]
    except ValueError:
        raise WrongStatement("expected an account of erased records") from None
    return pl.DataFrame(rows, schema=column_types(ErasedRecords), orient="row").lazy()


def _erased(digest: str, records: int, size: int) -> Erased:
    if not _DIGEST.fullmatch(digest) or type(records) is not int or type(size) is not int:
        raise ValueError
    return Erased(digest, records, size)
