"""What has landed, by source and partition, kept in a size that depends on partitions and not on files.

Of a partition's files planning needs one digest, and what their names say of its hours. Whatever needs the files themselves reads them from
the ledger. `storage.observation` finds out what has landed.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from spam_pipeline.protocol.definition.stage import HOURS, Cadence, Source
from spam_pipeline.protocol.ledger.observation_log import ObservationLog
from spam_pipeline.protocol.ledger.recipe import read_line
from spam_pipeline.protocol.ledger.records import KnownState, Observation, SeenFile
from spam_pipeline.protocol.storage.looks import dated_folder
from spam_pipeline.protocol.storage.observation import PASSED_OVER, Known


class LandedFiles(NamedTuple):
    """The files of one partition of a source that are there.

    `content` is the digest of their paths and bytes as a recipe has it, `hours` those of a day that they deliver, as far as the source's
    cadence asks, and `paths` the first and the last path.
    """

    content: str
    hours: tuple[str, ...]
    paths: tuple[str, str]


LandedBySource = Mapping[str, Mapping[str, LandedFiles]]
"""What has landed, by source and partition."""


FilesOf = Callable[[str, str], Sequence[Observation]]
"""Gives the files of a source's partition that are there, ordered by path."""


class LandedState:
    """What has landed by the observations up to an id, kept up to date by reading only those added since the last time."""

    def __init__(self, log: ObservationLog, sources: Mapping[str, Source]) -> None:
        self._log = log
        self._sources = sources
        self._until = 0
        self._files = 0
        self._folders = Counter[str]()
        self._undated: dict[str, KnownState] = {}
        self.by_source: LandedBySource = {}

    def refresh(self, until: int) -> None:
        """Read what was observed up to an id. What `by_source` was before stays as it is."""
        if not self._until:
            self._read_everything(until)
        elif self._until < until:
            self._read_added(until)
        self._until = until

    def known(self) -> Known:
        """The files that are known, as observing needs them."""
        return Known(self._files, dict(+self._folders), dict(self._undated), self._log.below, self._log.last)

    def reader(self) -> FilesOf:
        """Reads the files of a partition as they are known now, also when others have been observed since."""
        return partial(_files, self._log, self.by_source, self._until)

    def _read_everything(self, until: int) -> None:
        groups: dict[tuple[str, str], _Group] = {}
        undated: list[str] = []
        for batch in self._log.every_file(until):
            for place, run in groupby(batch, key=itemgetter(0, 1)):
                if place not in groups:
                    groups[place] = _Group(place[1], self._sources.get(place[0]))
                groups[place].add(list(run))
            for folder, seen in groupby(batch, key=_folder):
                some = list(seen)
                self._count(folder, some, 1)
                undated += [] if folder else [item.path for item in some]
        found: dict[str, dict[str, LandedFiles]] = defaultdict(dict)
        for (source, partition), group in groups.items():
            if source != PASSED_OVER:
                found[source][partition] = group.landed()
        self.by_source = dict(found)
        self._undated = {path: _state_of(item) for path, item in self._log.last(undated, until).items()}

    def _read_added(self, until: int) -> None:
        added = self._log.added(self._until, until)
        before = self._log.last([item.path for item in added], self._until)
        touched: dict[tuple[str, str], set[str]] = defaultdict(set)
        for item in added:
            for seen, sign in ((before.get(item.path), -1), (item, 1)):
                if seen is not None and seen.digest is not None:
                    self._count(_folder(seen), [seen], sign)
                    touched[seen.source, seen.partition].add(seen.path)
            if not _folder(item):
                self._undated.pop(item.path, None)
                self._undated |= {item.path: _state_of(item)} if item.digest is not None else {}
        found = {source: dict(by_partition) for source, by_partition in self.by_source.items()}
        for (source, partition), paths in touched.items():
            if source != PASSED_OVER:
                self._read_partition(found.setdefault(source, {}), source, partition, paths, until)
        self.by_source = {source: by_partition for source, by_partition in found.items() if by_partition}

    def _read_partition(
        self, found: dict[str, LandedFiles], source: str, partition: str, paths: set[str], until: int
    ) -> None:
        known = found.pop(partition, None)
        paths |= set(known.paths) if known else set()
        files = self._log.files(source, partition, (min(paths), max(paths)), until)
        if files:
            found[partition] = landed_files(self._sources.get(source), partition, files)

    def _count(self, folder: str, items: Sequence[SeenFile | Observation], sign: int) -> None:
        if folder:
            self._folders[folder] += sign * len(items)
        self._files += sign * sum(item.source != PASSED_OVER for item in items)


def _files(
    log: ObservationLog, by_source: LandedBySource, until: int, source: str, partition: str
) -> Sequence[Observation]:
    found = by_source.get(source, {}).get(partition)
    return log.files(source, partition, found.paths, until) if found else ()


def landed_files(source: Source | None, partition: str, files: Sequence[SeenFile | Observation]) -> LandedFiles:
    """What planning needs of the files of one partition, which are there and ordered by path."""
    group = _Group(partition, source)
    group.add(files)
    return group.landed()


class _Group:
    """The files of one partition, added in the order of their paths."""

    def __init__(self, partition: str, source: Source | None) -> None:
        self._partition = partition
        self._source = source
        self._digest = hashlib.sha256()
        self._hours = set[str]()
        self._first = self._last = ""

    def add(self, files: Sequence[SeenFile | Observation]) -> None:
        """Add further files."""
        lines = (read_line(self._partition, item.path, str(item.digest)) for item in files)
        self._digest.update("".join(lines).encode("utf-8", "surrogatepass"))
        self._first, self._last = self._first or files[0].path, files[-1].path
        self._add_hours(item.path for item in files)

    def landed(self) -> LandedFiles:
        """The files so far."""
        return LandedFiles(self._digest.hexdigest(), tuple(sorted(self._hours)), (self._first, self._last))

    def _add_hours(self, paths: Iterable[str]) -> None:
        """Note the hours of paths. A cadence of days asks for any hour at all."""
        if self._source is None or self._source.cadence is None:
            return
        enough = 1 if self._source.cadence is Cadence.DAY else len(HOURS)
        for path in paths:
            if len(self._hours) >= enough:
                return
            self._hours.update(self._source.hours_of(path))


def _folder(seen: SeenFile | Observation) -> str:
    return dated_folder(seen.path) or ""


def _state_of(item: Observation) -> KnownState:
    return KnownState(item.source, item.partition, item.size, item.marker)
