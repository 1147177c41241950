"""The list of erased people: whose records are kept out, by marks that name nobody and join with nothing.

A mark is a keyed hash of a pseudonym, so that it is found by an id and by a pseudonym alike, and neither stands anywhere. What is
done with a record of theirs is decided in `without_people`; the list is written by `operations`.
"""

import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

import polars as pl

from spam_pipeline.ingestion.addresses import canonical_addresses
from spam_pipeline.ingestion.pseudonyms import key_in_text, keyed_hash
from spam_pipeline.protocol import PipelineError

PEOPLE_PATH = "erasures/people.csv"
"""Where the list lies, below the landing zone's root."""

USER, DEVICE, ADDRESS = "user", "device", "ip"
KINDS: Final = (USER, DEVICE, ADDRESS)
"""The kinds of identifiers that can be erased, as pseudonyms and incidents name them."""

_ENTRY_TYPES = {"kind": pl.String(), "mark": pl.UInt64(), "asked_ms": pl.Int64()}
_WORD = re.compile(r'[^\s",;|{}\[\]\x00-\x1f]+')
_PLAIN_WORD = re.compile(r"[0-9A-Za-z_.:@+-]+")


class WrongErasureList(PipelineError):
    """A list of erased people that cannot be read, or that was made with another identifier key. Nothing is read until it can be."""


class Erasure(NamedTuple):
    """An entry of the list: a mark of a kind, the identifier key it was made with (a digest), and who asked for it, why and when (UTC)."""

    kind: str
    mark: int
    made_with: str
    by: str
    reason: str
    asked_at: datetime


@dataclass(frozen=True)
class ErasedPeople:
    """Whom to leave out, with the time until which what they did is erased: `entries` has `kind`, `mark` and `asked_ms`."""

    entries: pl.DataFrame
    identifier_key: str

    @classmethod
    def of(cls, erasures: Iterable[Erasure], identifier_key: str) -> "ErasedPeople":
        """Those of a list. Raises `WrongErasureList` where another key made an entry, which would keep nobody out."""
        listed = list(erasures)
        if strangers := sum(item.made_with != made_with(identifier_key) for item in listed):
            raise WrongErasureList(
                f"{PEOPLE_PATH} has {strangers:,} entries of another identifier key, which keep nobody out: "
                "take them out of the list, and erase these people again under this key"
            )
        rows = [(item.kind, item.mark, int(item.asked_at.timestamp() * 1000)) for item in listed]
        frame = pl.DataFrame(rows, schema=_ENTRY_TYPES, orient="row")
        return cls(frame.group_by("kind", "mark").agg(pl.col("asked_ms").max()), identifier_key)

    def __bool__(self) -> bool:
        """True if there is anybody to leave out."""
        return self.entries.height > 0

    def of_ids(self, ids: pl.Series, kind: str, at_ms: pl.Series) -> pl.Series:
        """Tell for each id whether it is that of somebody erased after `at_ms`; null is before any time, and a null id nobody's."""
        return self.of_keys(keys_of(ids, kind, self.identifier_key), kind, at_ms)

    def of_keys(self, keys: pl.Series, kind: str, at_ms: pl.Series) -> pl.Series:
        """The same for pseudonyms."""
        distinct = keys.unique().drop_nulls()
        known = pl.DataFrame({"key": distinct, "mark": marks_of(distinct, kind, self.identifier_key)})
        erased = known.join(self.entries.filter(kind=kind), on="mark").select("key", "asked_ms")
        until = pl.DataFrame({"key": keys, "at": at_ms}).join(erased, on="key", how="left", maintain_order="left")
        is_before = pl.col("at").is_null() | (pl.col("at") < pl.col("asked_ms"))
        return until.select((pl.col("asked_ms").is_not_null() & is_before).alias("erased")).to_series()

    def in_texts(self, texts: Sequence[str]) -> list[bool]:
        """Tell for each text that is no record whether a word in it is the id or the pseudonym of somebody, whenever they were erased."""
        words = [sorted(_words(text)) for text in texts]
        listed = pl.DataFrame({"text": range(len(texts)), "word": words}, schema_overrides={"word": pl.List(pl.String)})
        named = listed.explode("word").drop_nulls()
        never = pl.Series([None], dtype=pl.Int64).extend_constant(None, named.height).head(named.height)
        keys = named.select(key_in_text(pl.col("word"))).to_series()
        hits = [
            self.of_ids(named["word"], kind, never) | self.of_keys(keys, kind, never)
            for kind in self.entries["kind"].unique()
        ]
        found = set(named.filter(pl.any_horizontal(hits))["text"]) if hits and named.height else set[int]()
        return [number in found for number in range(len(texts))]


def keys_of(ids: pl.Series, kind: str, identifier_key: str) -> pl.Series:
    """The pseudonyms of ids as clients send them; null for an address that is none."""
    return keyed_hash(canonical_addresses(ids) if kind == ADDRESS else ids, kind, identifier_key)


def marks_of(keys: pl.Series, kind: str, identifier_key: str) -> pl.Series:
    """The marks of pseudonyms."""
    return keyed_hash(keys.cast(pl.String), f"erased {kind}", identifier_key)


def made_with(identifier_key: str) -> str:
    """What an entry says of the key that it was made with."""
    return f"{keyed_hash(pl.Series(['erasures']), 'check', identifier_key).item():016x}"


def read_people(content: bytes) -> list[Erasure]:
    """Read the list; nobody is in an empty one. Raises `WrongErasureList`, which names the line and quotes nothing of it."""
    rows = csv.reader(io.StringIO(content.decode(errors="replace"), newline=""), strict=True)
    try:
        header = next(rows, list(Erasure._fields))
        if tuple(header) != Erasure._fields:
            raise WrongErasureList(f"{PEOPLE_PATH}: the header is not {','.join(Erasure._fields)}")
        return [_erasure(row, rows.line_num) for row in rows if row]
    except csv.Error as problem:
        raise WrongErasureList(f"{PEOPLE_PATH}: line {rows.line_num} is no CSV") from problem


def with_people(content: bytes, added: Collection[Erasure]) -> bytes:
    """The list with further entries; every byte that is there is kept."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    if not content:
        writer.writerow(Erasure._fields)
    for item in added:
        asked_at = item.asked_at.astimezone(UTC).isoformat(timespec="milliseconds")
        writer.writerow([*item._replace(mark=f"{item.mark:016x}")[:-1], asked_at])  # type: ignore[arg-type]
    kept = content if not content or content.endswith(b"\n") else content + b"\n"
    return kept + text.getvalue().encode()


def _erasure(row: Sequence[str], line: int) -> Erasure:
    try:
        kind, mark, key, by, reason, asked_at = row
        entry = Erasure(kind, int(mark, 16), key, by, reason, datetime.fromisoformat(asked_at))
    except ValueError as problem:
        raise WrongErasureList(f"{PEOPLE_PATH}: line {line} is no entry of the list") from problem
    if kind not in KINDS or not 0 <= entry.mark < 2**64 or entry.asked_at.tzinfo is None:
        raise WrongErasureList(f"{PEOPLE_PATH}: line {line} is no entry of the list")
    return entry


def _words(text: str) -> Iterator[str]:
    """Whatever may be an id in a text that is no record; also without its first character, which may be the length of a message's field."""
    for word in {*_WORD.findall(text), *_PLAIN_WORD.findall(text)}:
        yield from (word, word[1:]) if len(word) > 1 else (word,)
