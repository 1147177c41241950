"""Offers of a stage to the selections of its consumers: its parts, and the version behind each.

An offer serves a whole grid of partitions: consumers with equal selections share an index, and partitions that read the same
share a digest. `staleness` decides which partitions are wanted, and which are stale.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from spam_pipeline.protocol.definition.selection import Key, Selection, UpstreamKeys
from spam_pipeline.protocol.foundation.limit import Limit, Numbers, breaches
from spam_pipeline.protocol.ledger.recipe import ColumnsRead, InputRef, digest_of_read, read_line
from spam_pipeline.protocol.ledger.records import PartSummary, VersionSummary
from spam_pipeline.protocol.planning.partition_status import PartitionStatus

Offered = tuple[str, int, str]
"""One part as a consumer finds it: its content, its version, and the digest of the columns that count instead, empty where none do.

Plain tuples, because the garbage collector passes over those: with records, one late file took half as long again to plan.
"""


@dataclass(frozen=True)
class Offer:
    """The keys that one selection finds in a stage, with what is offered under each and its line; `columns` are those that are read, if not all."""

    selection: Selection
    columns: tuple[str, ...]
    keys: UpstreamKeys
    parts: Mapping[Key, Offered]
    lines: Mapping[Key, str]
    digests: dict[str, str] = field(default_factory=dict)

    def digest_of_read(self, partition: str) -> str:
        """The digest of what a consumer's partition reads, empty when that is nothing; computed once per scope."""
        scope = self.selection.scope(partition, self.keys)
        found = self.digests.get(scope)
        if found is None:
            lines = [self.lines[key] for key in self.selection.keys(partition, self.keys)]
            found = self.digests[scope] = digest_of_read(lines) if lines else ""
        return found


@dataclass(frozen=True)
class StageOffers:
    """The versions that consumers of a stage find, by partition; None where one is wanted and not published.

    `statuses` are those of all its partitions, and `numbers` those of fingerprints that a consumer has expectations of.
    """

    name: str
    statuses: Mapping[str, PartitionStatus]
    versions: Mapping[str, VersionSummary | None]
    unpublished: frozenset[str]
    numbers: Mapping[int, Numbers]
    _by_selection: dict[tuple[Selection, tuple[str, ...]], Offer] = field(default_factory=dict)

    def unmet(self, limits: tuple[Limit, ...]) -> dict[int, str]:
        """The published versions that break a consumer's limits, by id, with the breaches in words."""
        if not limits:
            return {}
        broken = {
            item.version_id: breaches(limits, self.numbers[item.version_id])
            for item in self.versions.values()
            if item is not None and item.version_id in self.numbers
        }
        return {version: "; ".join(map(str, found)) for version, found in broken.items() if found}

    def to(self, selection: Selection, columns: tuple[str, ...] = ()) -> Offer:
        """The offer to a selection of partitions and columns, all if empty; selections of the same part and columns share its index."""
        found = self._by_selection.get((selection, columns))
        if found is None:
            known = [offer for offer in self._by_selection.values() if offer.selection.side_part == selection.side_part]
            same = next((offer for offer in known if offer.columns == columns), None)
            keys = known[0].keys if known else self._keys(selection.side_part)
            index = (same.parts, same.lines) if same else self._index(selection.side_part, columns)
            found = self._by_selection[selection, columns] = Offer(selection, columns, keys, *index)
        return found

    def _keys(self, side_part: str | None) -> UpstreamKeys:
        """The keys of the parts that consumers can read."""
        offered = ((partition, item) for partition, item in self.versions.items() if item is not None)
        return UpstreamKeys.of(
            {partition: tuple([part.name for part in _parts(item, side_part)]) for partition, item in offered}
        )

    def _index(self, side_part: str | None, columns: tuple[str, ...]) -> tuple[dict[Key, Offered], dict[Key, str]]:
        """The parts that consumers can read, and their lines. Parts without rows are left out."""
        parts: dict[Key, Offered] = {}
        lines: dict[Key, str] = {}
        for partition, published in self.versions.items():
            if published is None:
                continue
            for name, content, _, known in _parts(published, side_part):
                digest = known.of(columns) if columns and known else ""
                parts[partition, name] = (content, published.version_id, digest)
                lines[partition, name] = read_line(partition, name, digest or content)
        return parts, lines


@dataclass(frozen=True)
class Input:
    """One upstream of a stage, by the parameter that reads it; `unmet` has the versions that break its expectations."""

    parameter: str
    upstream: StageOffers
    offer: Offer
    label: str
    unmet: Mapping[int, str]

    def waits_for(self, partition: str) -> list[str]:
        """The unpublished partitions of the upstream without which `partition` cannot be computed."""
        wanted = self.offer.selection.waits_for(partition, self.upstream.versions)
        return [key for key in wanted if key in self.upstream.unpublished]

    def does_not_meet(self, partition: str) -> Iterator[str]:
        """The expectations that versions read by a partition do not meet."""
        if self.unmet:
            for key in self.offer.selection.keys(partition, self.offer.keys):
                version = self.offer.parts[key][1]
                if version in self.unmet:
                    yield f"{self.upstream.name} {key[0]} {self.unmet[version]}"

    def read(self, partition: str) -> Iterator[InputRef]:
        """The parts that a partition reads."""
        for key in self.offer.selection.keys(partition, self.offer.keys):
            content, version, digest = self.offer.parts[key]
            read = ColumnsRead(self.offer.columns, digest) if digest else None
            yield InputRef(self.parameter, self.upstream.name, *key, content, version, columns=read)


def _parts(published: VersionSummary, side_part: str | None) -> list[PartSummary]:
    parts = published.parts if side_part is None else published.side_parts
    return [part for part in parts if part.rows and (side_part is None or part.name == side_part)]
