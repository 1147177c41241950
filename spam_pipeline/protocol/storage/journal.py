"""The journal: the ledger's rows as immutable documents beside the files of the store, written as the ledger grows.

A ledger that was lost is filled from them again: its versions are known and not computed again, and what was published when is what it was. A
document has the rows that were added since the one before it, as lines of JSON, compressed; it lies at
`_ledger/<branch>/<number>/<SHA-256 of its bytes>.zst`. A branch is the history of one ledger from its first row. An earlier copy of a ledger that
somebody restored catches up with its branch. One that has gone its own way, and finds its next number taken, begins a branch of its own; so does one
whose process died before it could note what it had written, and one whose last document is gone.
"""

import io
import json
import logging
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import zstandard

from spam_pipeline.protocol.foundation.errors import PipelineError
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.claims import Claims
from spam_pipeline.protocol.ledger.export_log import Document, Exported
from spam_pipeline.protocol.ledger.exported_rows import WrongExport
from spam_pipeline.protocol.ledger.search import is_in_row
from spam_pipeline.protocol.storage.store import Store

JOURNAL = "_ledger"
"""The folder of the documents below the store's root. No context is called like this, and Spark and Hive read no folder with an underscore."""

_FORMAT = 1
_DOCUMENT = re.compile(rf"{JOURNAL}/[^/]+/[0-9]{{8}}/[0-9a-f]{{64}}\.zst")
_logger = logging.getLogger(__name__)


class TakenIn(NamedTuple):
    """What a ledger was filled with: documents, versions and publications; and the documents that were left out, each with the reason."""

    documents: int
    versions: int
    publications: int
    left_out: Mapping[str, str]


class Journal:
    """The documents of one ledger beside one store; what the ledger has of files lies in that store or in the `private` one."""

    def __init__(self, ledger: Ledger, store: Store, private: Store, claims: Claims) -> None:
        self._ledger = ledger
        self._store = store
        self._private = private
        self._claims = claims

    def export(self) -> None:
        """Write what the ledger has recorded since the last document, if anything. Raises `PlaceUnusable`, and `OSError`."""
        if self._new_rows():
            with self._claims.on_exporting():
                self._export()

    def try_to_export(self) -> None:
        """Export, and only log it where the store cannot be written: nothing depends on it unless the ledger is lost, and the next time makes up for it."""
        try:
            self.export()
        except (OSError, PipelineError) as problem:
            _logger.warning(
                "what the ledger has recorded could not be written beside the store %s: %s", self._store, problem
            )

    def catch_up(self) -> None:
        """Take in what this ledger had recorded before an earlier copy of it was restored, if that has recorded nothing of its own since."""
        if self._is_behind():
            with self._claims.on_exporting():
                if self._is_behind():
                    self.take_in()

    def take_in(self) -> TakenIn:
        """Fill a ledger that has no record from the documents of the newest branch, or one that is behind from those of its own; in one transaction."""
        listed, last = (*self._private.listing(), *self._store.listing()), self._ledger.exports.last()
        files = {file.path: file.bytes for file in listed}
        paths = sorted(path for path in files if _DOCUMENT.fullmatch(path))
        branch = last.branch if last else max((_place(path)[0] for path in paths), default="")
        documents = [
            Document(path, number, partial(_read, self._store, path))
            for path, (found, number) in zip(paths, map(_place, paths), strict=True)
            if found == branch and number > (last.number if last else 0)
        ]
        left_out = self._ledger.exports.take_in(documents, branch, lambda file: files.get(file.path) == file.bytes)
        for path, problem in left_out.items():
            _logger.warning("%s is left out, and what it is about is computed again: %s", path, problem)
        return TakenIn(len(documents), *self._ledger.exports.counts(), left_out)

    def documents_with(self, is_hit: Callable[[str], bool], keys: Collection[int]) -> list[str]:
        """The documents with a row like those that `search` finds in a ledger, and those that cannot be read, of which nobody knows."""
        return [path for path in self._listed() if self._has(path, is_hit, frozenset(keys))]

    def _has(self, path: str, is_hit: Callable[[str], bool], keys: frozenset[int]) -> bool:
        try:
            return any(is_in_row(table, row, is_hit, keys) for table, row in _read(self._store, path))
        except PipelineError:
            return True

    def rewrite(self, documents: Collection[str]) -> None:
        """Remove the branches of documents, which have what the ledger has forgotten; if its own is among them, it begins a new one first.

        Killed in between, the old documents are there beside the new ones, and are removed when this is done again.
        """
        with self._claims.on_exporting():
            branches, last = {_place(path)[0] for path in documents}, self._ledger.exports.last()
            if last and last.branch in branches:
                self._ledger.exports.forget()
                self._export()
            self._store.delete([path for path in self._listed() if _place(path)[0] in branches])

    def _listed(self) -> list[str]:
        return sorted(file.path for file in self._store.listing(JOURNAL) if _DOCUMENT.fullmatch(file.path))

    def _is_behind(self) -> bool:
        last = self._ledger.exports.last()
        return last is not None and self._new_rows() is None and self._is_taken(last.branch, last.number + 1)

    def _is_taken(self, branch: str, number: int) -> bool:
        return any(_DOCUMENT.fullmatch(file.path) for file in self._store.listing(_folder(branch, number)))

    def _new_rows(self) -> tuple[Exported | None, Mapping[str, int]] | None:
        last, until = self._ledger.exports.last(), self._ledger.exports.positions()
        return None if (dict(last.until) if last else {}) == until or not any(until.values()) else (last, until)

    def _export(self) -> None:
        found = self._new_rows()
        if found is None:  # another process has written it meanwhile
            return
        last, until = found
        if last is None or self._is_taken(last.branch, last.number + 1) or not self._is_taken(last.branch, last.number):
            branch = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid4().hex[:8]}"
            last = Exported(branch, 0, {})
        with self._store.scratch() as scratch:
            made = scratch / "rows.zst"
            _write(made, self._ledger.exports.lines(last.until, until))
            self._store.put(made, _folder(last.branch, last.number + 1))
        self._ledger.exports.record(Exported(last.branch, last.number + 1, until))


def _folder(branch: str, number: int) -> str:
    return f"{JOURNAL}/{branch}/{number:08d}"


def _place(path: str) -> tuple[str, int]:
    """The branch and the number in a document's path."""
    _, branch, number, _ = path.split("/")
    return branch, int(number)


def _write(made: Path, lines: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    with made.open("wb") as file, zstandard.ZstdCompressor().stream_writer(file) as compressed:
        compressed.write(json.dumps({"format": _FORMAT}).encode() + b"\n")
        for line in lines:
            compressed.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")


def _read(store: Store, path: str) -> Iterator[tuple[str, Any]]:
    """The lines of a document. Raises `StoreDamaged`, and `WrongExport` for what is none."""
    try:
        with store.locate(path).open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as content:
            lines = io.TextIOWrapper(content, encoding="utf-8")
            if json.loads(lines.readline()) != {"format": _FORMAT}:
                raise WrongExport("its format is one that this release does not read")
            for line in lines:
                name, row = json.loads(line)
                yield name, row
    except (ValueError, TypeError, zstandard.ZstdError) as wrong:
        raise WrongExport("it is not what a ledger writes") from wrong
