"""Root causes: the files, code, settings and decisions that a change began with, for people who see only its end.

Two versions differ because their inputs differ, and those because of theirs. Followed down, that ends at landed files that
came, went or changed, at code and settings, and at people's decisions. Everything is read from the ledger; nothing is computed.
`causes` has what differs between two versions at first sight.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from spam_pipeline.protocol.code_version.code_version import CodeVersion, changed
from spam_pipeline.protocol.explanation.causes import listed
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.publication_spans import Span, spans
from spam_pipeline.protocol.ledger.recipe import InputRef
from spam_pipeline.protocol.ledger.records import Decision, DecisionKind, Publication, VersionSummary


class ChangeKind(Enum):
    """The kind of a root cause."""

    LANDED = "landed"
    REPLACED = "replaced"
    GONE = "gone"
    CODE = "code"
    SETTING = "setting"
    DECISION = "decision"
    SETTLED = "settled"


@dataclass(frozen=True)
class RootCause:
    """A root cause of a change: files of a source, definitions or settings of a stage, a person's decision about one, or days that settled.

    `where` is the source or the stage; `names` are the files, definitions or settings, the days, or what was decided.
    """

    kind: ChangeKind
    where: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        """The root cause as one line, such as `new data: the file plays/2026-01-05/10/a.jsonl landed`."""
        names, count = listed(self.names), len(self.names)
        return _SENTENCES[self.kind].format(
            where=self.where,
            names=names,
            definitions=listed(tuple(map(_short, self.names))),
            files=f"the file {names}" if count == 1 else f"{count} files of {self.where} ({names})",
            days=f"day {names}" if count == 1 else f"{count} days ({names})",
        )


_SENTENCES = {
    ChangeKind.LANDED: "new data: {files} landed",
    ChangeKind.REPLACED: "{files} changed",
    ChangeKind.GONE: "data was taken back: {files} went away",
    ChangeKind.CODE: "the definition of {where} changed: {definitions}",
    ChangeKind.SETTING: "a setting of {where} changed: {names}",
    ChangeKind.DECISION: "a decision about {where}: {names}",
    ChangeKind.SETTLED: "{days} settled",
}


class RootCauses:
    """Finds root causes, keeping what was read of the ledger for one change for the next.

    The `settling` stages wait until a day is settled, so that one of their days may appear without anything new in it.
    """

    def __init__(self, ledger: Ledger, environment: str, settling: Collection[str] = ()) -> None:
        self._remembered = _Remembered(ledger, environment)
        self._settling = frozenset(settling)

    def of(self, stage: str, old: int, new: int) -> list[RootCause]:
        """The root causes of the change between two versions of a partition, given by id.

        Changes through which the content of everything that was read stayed the same are left out. Empty where nothing differs
        that the ledger remembers.
        """
        since = self._remembered.last_equivalent(stage, old, new)
        walk = _Walk(self._remembered, self._remembered.published_at(since))
        walk.follow(_Pair(stage, since, new))
        return [*walk.files(), *walk.settled(self._settling), *walk.code(), *walk.settings(), *walk.decisions()]


class _Pair(NamedTuple):
    """Two versions of one partition of a stage; None where there is none on that side."""

    stage: str
    old: int | None
    new: int | None


class _Key(NamedTuple):
    """The identity of a thing that was read."""

    upstream: str
    partition: str
    part: str
    is_file: bool


class _Difference(NamedTuple):
    """A thing that two versions read differently; None on the side that does not read it."""

    stage: str
    key: _Key
    before: InputRef | None
    now: InputRef | None


_Place = tuple[str, str]
"""A stage and a partition."""


@dataclass
class _Remembered:
    """The ledger's records of versions, each read once."""

    ledger: Ledger
    environment: str
    versions: dict[int, VersionSummary] = field(default_factory=dict)
    settings: dict[int, Mapping[str, str]] = field(default_factory=dict)
    inputs: dict[int, Mapping[_Key, InputRef]] = field(default_factory=dict)
    spans: dict[str, dict[str, list[Span]]] = field(default_factory=dict)

    def published_at(self, version: int) -> datetime | None:
        """The time at which a version was last published."""
        return self.ledger.published_at(self.environment, [version]).get(version)

    def last_equivalent(self, stage: str, old: int, new: int) -> int:
        """The last version that readers saw with the content of the old one: what came between had no effect."""
        version = self.ledger.version_of_id(old)
        self.load_histories({(stage, version.partition)})
        seen = (span.version_id for span in reversed(self.spans[stage].get(version.partition, ())))
        return next((item for item in seen if item != new and self.versions[item].content == version.content), old)

    def load(self, ids: set[int]) -> None:
        """Load versions with their settings and inputs."""
        self.versions |= self.ledger.made_by_id(ids - self.versions.keys())
        for version_id, (settings, read) in self.ledger.provenance(ids - self.inputs.keys()).items():
            self.settings[version_id] = settings
            self.inputs[version_id] = {
                _Key(item.upstream, item.partition, item.part, item.is_file): item for item in read
            }

    def load_histories(self, wanted: set[_Place]) -> None:
        """Load the publication spans of partitions, and the versions in them."""
        unknown = {stage for stage, _ in wanted} - self.spans.keys()
        by_place: dict[_Place, list[Publication]] = defaultdict(list)
        for item in self.ledger.publications(self.environment, sorted(unknown)):
            by_place[item.stage, item.partition].append(item)
        self.spans |= {stage: {} for stage in unknown}
        for (stage, partition), items in by_place.items():
            self.spans[stage][partition] = list(spans(items, self.environment))
        seen = {span.version_id for stage, partition in wanted for span in self.spans[stage].get(partition, ())}
        self.versions |= self.ledger.made_by_id(seen - self.versions.keys())


@dataclass
class _Walk:
    """The walk from a pair of versions down through all differences, level by level, each pair once."""

    remembered: _Remembered
    since: datetime | None
    _seen: dict[_Pair, None] = field(default_factory=dict)
    _read_stages: set[str] = field(default_factory=set)
    _files: dict[_Place, ChangeKind] = field(default_factory=dict)
    _in_doubt: dict[int, _Place] = field(default_factory=dict)

    def follow(self, first: _Pair) -> None:
        """Follow a pair to its ends."""
        level = [first]
        while level:
            self._seen.update(dict.fromkeys(level))
            self.remembered.load({item for pair in level for item in pair[1:] if item is not None})
            found = [item for pair in level for item in self._differences(pair)]
            read = {(item.key.upstream, item.key.partition) for item in found if not item.key.is_file}
            self.remembered.load_histories(read)
            self._read_stages |= {stage for stage, _ in read}
            for item in found:
                if item.key.is_file:
                    self._note(item)
            pairs = dict.fromkeys(self._pair(item) for item in found if not item.key.is_file)
            level = [pair for pair in pairs if pair.old != pair.new and pair not in self._seen]

    def files(self) -> Iterator[RootCause]:
        """The files that came, went or changed, by source."""
        observed = self.remembered.ledger.observations.by_id(list(self._in_doubt))
        late = [place for id_, place in self._in_doubt.items() if self.since and observed[id_].observed_at > self.since]
        by_source: dict[tuple[str, ChangeKind], list[str]] = defaultdict(list)
        for (source, path), kind in {**dict.fromkeys(late, ChangeKind.LANDED), **self._files}.items():
            by_source[source, kind].append(path)
        for (source, kind), paths in sorted(by_source.items(), key=lambda item: (item[0][0], item[0][1].value)):
            yield RootCause(kind, source, tuple(sorted(paths)))

    def settled(self, settling: Collection[str]) -> Iterator[RootCause]:
        """The days that appeared in stages that wait for settled ones."""
        found: dict[str, list[str]] = defaultdict(list)
        for stage, old, new in self._seen:
            if stage in settling and old is None and new is not None:
                found[stage].append(self.remembered.ledger.version_of_id(new).partition)
        for stage, days in sorted(found.items()):
            yield RootCause(ChangeKind.SETTLED, stage, tuple(sorted(days)))

    def code(self) -> Iterator[RootCause]:
        """The definitions and libraries that changed, each with the stage that is furthest up."""
        pairs = [pair for pair in reversed(self._seen) if pair.old is not None and pair.new is not None]
        versions = {pair: self._code_versions(pair) for pair in pairs}
        differing = dict.fromkeys((pair.stage, *codes) for pair, codes in versions.items() if codes[0] != codes[1])
        known = self.remembered.ledger.attempts.code({digest for _, *codes in differing for digest in codes})
        named: set[str] = set()
        for stage, old, new in differing:
            names = [name for name in _changed(known.get(old), known.get(new)) if name not in named]
            named.update(names)
            if names:
                yield RootCause(ChangeKind.CODE, stage, tuple(names))

    def settings(self) -> Iterator[RootCause]:
        """The settings that changed, by stage."""
        found: dict[str, set[str]] = defaultdict(set)
        for stage, old, new in self._seen:
            if old is not None and new is not None:
                before, now = self.remembered.settings[old], self.remembered.settings[new]
                found[stage] |= {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}
        for stage, names in sorted(found.items()):
            if names:
                yield RootCause(ChangeKind.SETTING, stage, tuple(sorted(names)))

    def decisions(self) -> Iterator[RootCause]:
        """The decisions since the old version was published about any version that was met."""
        met = {item for pair in self._seen for item in pair[1:] if item is not None}
        for decision in self.remembered.ledger.all_decisions(self.remembered.environment):
            if decision.version_id in met and self.since is not None and decision.decided_at > self.since:
                yield RootCause(ChangeKind.DECISION, f"{decision.stage} {decision.partition}", (_decided(decision),))

    def _differences(self, pair: _Pair) -> Iterator[_Difference]:
        old, new = ({} if item is None else self.remembered.inputs[item] for item in pair[1:])
        for key in sorted(old.keys() | new.keys()):
            before, now = old.get(key), new.get(key)
            if not (before and now and before.content == now.content):
                yield _Difference(pair.stage, key, before, now)

    def _note(self, found: _Difference) -> None:
        """Note a file; that of a stage without a past may have been there all the time, which is checked later."""
        before, now = found.before, found.now
        place = found.key.upstream, found.key.part
        if now and before is None and not self._has_past(found.stage):
            self._in_doubt[now.record] = place
        elif before and now:
            self._files[place] = ChangeKind.REPLACED
        else:
            self._files.setdefault(place, ChangeKind.LANDED if now else ChangeKind.GONE)

    def _has_past(self, stage: str) -> bool:
        """Return True if readers saw anything of a stage when the old version was published, as they did of the first one."""
        if stage not in self._read_stages:
            return True
        seen = [item for items in self.remembered.spans[stage].values() for item in items]
        return any(self.since is None or item.published_at <= self.since for item in seen)

    def _pair(self, found: _Difference) -> _Pair:
        """The two versions behind a thing that was read, None for both if the same was read.

        A version remembers which one it read when it was computed. Later ones with the same content recomputed nothing, so the
        last of them is the one that the change set out from, or led to. A partition that was not read before has not changed
        by being read.
        """
        key, before, now = found.key, found.before, found.now
        seen = self.remembered.spans[key.upstream].get(key.partition, [])
        then = next((span for span in reversed(seen) if self.since is None or span.published_at <= self.since), None)
        is_over = then and then.superseded_at and self.since and then.superseded_at <= self.since
        current = seen[-1] if seen and seen[-1].superseded_at is None else None
        old = before.content if before else self._content(None if is_over else then, key)
        new = now.content if now else self._content(current, key)
        if old == new:
            return _Pair(key.upstream, None, None)
        sides = ((old, before), (new, now))
        return _Pair(key.upstream, *(self._last(seen, key, content, item) for content, item in sides))

    def _last(self, seen: Sequence[Span], key: _Key, content: str | None, item: InputRef | None) -> int | None:
        """The last version that readers saw with this content of what was read, or else the one that was read."""
        matching = (span.version_id for span in reversed(seen) if self._content(span, key) == content)
        return next(matching, item.record if item else None)

    def _content(self, span: Span | None, key: _Key) -> str | None:
        """The content of a part that readers saw; None where it has no rows, because then nobody reads it."""
        version = self.remembered.versions[span.version_id] if span else None
        parts = (*version.parts, *version.side_parts) if version else ()
        return next((part.content for part in parts if part.name == key.part and part.rows), None)

    def _code_versions(self, pair: _Pair) -> tuple[str, str]:
        old, new = (self.remembered.versions[item].code_version for item in pair[1:] if item is not None)
        return old, new


def _changed(old: CodeVersion | None, new: CodeVersion | None) -> Sequence[str]:
    return changed(old, new) if old and new else ["code that is not remembered"]


def _decided(decision: Decision) -> str:
    did = "accepted" if decision.kind is DecisionKind.ACCEPT else "rejected"
    return f"{decision.by} {did} it: {decision.reason}"


def _short(name: str) -> str:
    """A definition by its module and its own name; a library as it is."""
    return name if " -> " in name else ".".join(name.split(".")[-2:])
