"""Keeping erased people out: landed files are rewritten without their records, before anything of these files is recorded.

Whoever observes the landing zone screens what is new or replaced in it; `erasing` screens everything once. A file that was rewritten
is a changed file like any other, and what follows from it follows by itself.
"""

import hashlib
import io
import tempfile
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from typing import BinaryIO, NamedTuple

from spam_pipeline.ingestion.erased_people import PEOPLE_PATH, ErasedPeople, read_people
from spam_pipeline.ingestion.erased_records import (
    Account,
    Erased,
    account_as_json,
    account_path,
    manifest_paths,
    manifest_without,
    noted,
    read_account,
)
from spam_pipeline.ingestion.incidents_file import INCIDENTS_PATH
from spam_pipeline.ingestion.sources import classify, landed_plays, stated_in
from spam_pipeline.ingestion.without_people import (
    ACCOUNTS_PATH,
    records_of_people,
    rows_without_people,
    write_without,
)
from spam_pipeline.protocol import PipelineError
from spam_pipeline.protocol.operating import Claims, LandingZone, Observation

_FILES_AT_ONCE = 2
_IN_MEMORY_BYTES = 64 * 1024 * 1024
_BUFFER_BYTES = 1024 * 1024

REFERENCE_PATHS = (ACCOUNTS_PATH, INCIDENTS_PATH)
"""The landed files that name people, beside those of plays."""


class NotRewritten(PipelineError):
    """A landed file that has to be rewritten without an erased person's records, and cannot be. Nothing was recorded of it."""


class Screened(NamedTuple):
    """What screening did: the records and rows that it took out, by the path of the file, and every path that it has rewritten."""

    erased: dict[str, int]
    rewritten: frozenset[str]


@dataclass(frozen=True)
class Screening:
    """Screens the files of a landing zone for the people on its list."""

    landing: LandingZone
    claims: Claims
    identifier_key: str

    def __call__(self, batch: list[Observation]) -> list[Observation]:
        """Screen observed files and return those that stay as they are. Raises `NotRewritten`, and `WrongErasureList`."""
        people = self.people()
        if not people:
            return batch
        rewritten = self.screen([item.path for item in batch if item.digest is not None], people).rewritten
        return [item for item in batch if item.path not in rewritten]

    def people(self) -> ErasedPeople:
        """Everybody on the list. Raises `WrongErasureList`."""
        return ErasedPeople.of(read_people(_content(self.landing, PEOPLE_PATH)), self.identifier_key)

    def count(self, paths: Iterable[str], people: ErasedPeople) -> dict[str, int]:
        """The records and rows of people in landed files, by path; only those that have some. Rewrites nothing."""
        with ThreadPoolExecutor(_FILES_AT_ONCE) as readers:
            found = readers.map(lambda path: (path, self._count(path, people)), filter(names_people, paths))
            return {path: records for path, records in found if records}

    def screen(self, paths: Collection[str], people: ErasedPeople) -> Screened:
        """Take the records of people out of landed files. Raises `NotRewritten`."""
        of_reference = [path for path in paths if path in REFERENCE_PATHS]
        erased, rewritten = dict[str, int](), set[str]()
        for path, records in self.count(of_reference, people).items():
            self._rewrite_rows(path, people)
            erased[path] = records
        for day, some in groupby(sorted(filter(_is_of_plays, paths)), _day_of):
            of_day = self._screen_day(day, list(some), people)
            erased |= of_day.erased
            rewritten |= of_day.rewritten
        return Screened(erased, frozenset(rewritten | erased.keys()))

    def _count(self, path: str, people: ErasedPeople) -> int:
        if path in REFERENCE_PATHS:
            return rows_without_people(_content(self.landing, path), path, people)[1]
        return len(self._records(path, people))

    def _records(self, path: str, people: ErasedPeople) -> frozenset[int]:
        with suppress(FileNotFoundError), self.landing.open(path) as raw:
            return records_of_people(raw, path, people)
        return frozenset()

    def _screen_day(self, day: str, paths: list[str], people: ErasedPeople) -> Screened:
        plays = [path for path in paths if stated_in(path) is None]
        counted = self.count(plays, people)
        if not counted and not _content(self.landing, account_path(day)):
            return Screened({}, frozenset())
        with self.claims.on_rewriting():
            account = self._account(day)
            for path in plays:
                account = self._rewrite(day, path, account, people if path in counted else None)
            rewritten = list(self._rewrite_manifests(account))
        return Screened(counted, frozenset([*counted, *rewritten]))

    def _rewrite(self, day: str, path: str, account: Account, people: ErasedPeople | None) -> Account:
        """Rewrite a file without people, and note in the day's account what went; without `people`, only that nothing did.

        The account is written first: after a crash between the two, doing it again notes the same.
        """
        state = self.landing.state(path)
        if state is None:
            return account
        before = self.landing.digest(path)
        if people is None:
            return self._write_account(day, account, noted(account, path, before, Erased(before, 0, 0)))
        records = self._records(path, people)
        with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as left, self.landing.open(path) as raw:
            write_without(raw, path, records, left)  # type: ignore[arg-type]  # it is a stream to everybody else
            size = left.tell()
            left.seek(0)
            after = _digest_of(left)  # type: ignore[arg-type]
            now = noted(account, path, before, Erased(after, len(records), state.size - size))
            self._write_account(day, account, now)
            if (
                self.landing.state(path) == state
            ):  # else somebody has sent it anew, and it is screened when it is observed
                self._replace(path, left)  # type: ignore[arg-type]
        return now

    def _rewrite_rows(self, path: str, people: ErasedPeople) -> None:
        with self.claims.on_rewriting():
            state = self.landing.state(path)
            content, _ = rows_without_people(_content(self.landing, path), path, people)
            if self.landing.state(path) == state:
                self._replace(path, io.BytesIO(content))

    def _rewrite_manifests(self, account: Account) -> Iterator[str]:
        for path in manifest_paths(account):
            left = manifest_without(_content(self.landing, path), account, path.rpartition("/")[0])
            if left is not None:
                self._replace(path, io.BytesIO(left))
                yield path

    def _account(self, day: str) -> Account:
        content = _content(self.landing, account_path(day))
        return read_account(content) if content else {}

    def _write_account(self, day: str, before: Account, now: Account) -> Account:
        if now != before:
            self._replace(account_path(day), io.BytesIO(account_as_json(now)))
        return now

    def _replace(self, path: str, content: BinaryIO) -> None:
        try:
            self.landing.replace(path, content)
        except OSError as problem:
            raise NotRewritten(
                f"{path} holds records of an erased person, and cannot be rewritten without them: let the pipeline write to the "
                f"landing zone ({problem.strerror or type(problem).__name__})"
            ) from problem


def names_people(path: str) -> bool:
    """Tell whether a landed file has records or rows about people: one of plays, of accounts or of incidents."""
    return path in REFERENCE_PATHS or (_is_of_plays(path) and stated_in(path) is None)


def _is_of_plays(path: str) -> bool:
    place = classify(path)
    return place is not None and place[0] is landed_plays


def _day_of(path: str) -> str:
    return path.split("/")[1]


def _content(landing: LandingZone, path: str) -> bytes:
    """The bytes of a small file; none where it is not there."""
    if landing.state(path) is None:
        return b""
    with landing.open(path) as file:
        return file.read()


def _digest_of(stream: BinaryIO) -> str:
    found = hashlib.sha256()
    while piece := stream.read(_BUFFER_BYTES):
        found.update(piece)
    stream.seek(0)
    return found.hexdigest()
