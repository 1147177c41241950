"""Selections: which partitions and parts of an upstream stage one partition of a consumer reads.

A selection is a pure function from the consumer's partition to keys of the upstream; it never looks at data. What is
there to choose from comes as an `UpstreamKeys`, so that one look-up answers for a grid of thousands of partitions.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from typing_extensions import override

from spam_pipeline.protocol.foundation.partition import WHOLE, month_of

Key = tuple[str, str]
"""A partition of the upstream and one of its parts."""


@dataclass(frozen=True)
class UpstreamKeys:
    """What an upstream stage offers: the parts of each partition, indexed both ways.

    Parts without rows are not among them: nobody reads them, so an empty partition makes no consumer stale.
    """

    parts: Mapping[str, tuple[str, ...]]
    partitions_with: Mapping[str, tuple[str, ...]] = field(repr=False)

    @classmethod
    def of(cls, parts: Mapping[str, tuple[str, ...]]) -> "UpstreamKeys":
        """Index the parts of each partition; partitions and parts come in order."""
        holders: dict[str, list[str]] = defaultdict(list)
        for partition, names in parts.items():
            for name in names:
                holders[name].append(partition)
        return cls(parts, {name: tuple(partitions) for name, partitions in holders.items()})


class Selection:
    """Which keys of its upstream a consumer's partition reads; `side_part` names a part kept apart from the data."""

    side_part: str | None = None

    def keys(self, partition: str, upstream: UpstreamKeys) -> list[Key]:
        """The keys that `partition` reads, in canonical order; keys the upstream does not offer are left out."""
        raise NotImplementedError

    def scope(self, partition: str, upstream: UpstreamKeys) -> str:
        """What decides which keys are read: partitions of one scope read the same, which is then looked up once."""
        del upstream
        return partition

    def wanted(self, partitions: Iterable[str], upstream: UpstreamKeys) -> set[str]:
        """The consumer's partitions that there is something for, given the upstream's `partitions` and its published keys."""
        del upstream
        return set(partitions)

    def waits_for(self, partition: str, partitions: Collection[str]) -> list[str]:
        """Those of the upstream's `partitions` without which `partition` cannot be computed."""
        raise NotImplementedError


@dataclass(frozen=True)
class SamePartition(Selection):
    """The partition of the same key, or the whole of an upstream that is not partitioned."""

    side_part: str | None = None

    @override
    def scope(self, partition: str, upstream: UpstreamKeys) -> str:
        return partition if partition in upstream.parts else WHOLE

    @override
    def keys(self, partition: str, upstream: UpstreamKeys) -> list[Key]:
        return _all_parts(upstream, [self.scope(partition, upstream)])

    @override
    def waits_for(self, partition: str, partitions: Collection[str]) -> list[str]:
        return [key for key in dict.fromkeys((partition, WHOLE)) if key in partitions]


@dataclass(frozen=True)
class TrailingDays(Selection):
    """The same day and the days before it, `days` in all."""

    days: int

    @override
    def keys(self, partition: str, upstream: UpstreamKeys) -> list[Key]:
        return _all_parts(upstream, _days(partition, self.days))

    @override
    def waits_for(self, partition: str, partitions: Collection[str]) -> list[str]:
        return [day for day in _days(partition, self.days) if day in partitions]


@dataclass(frozen=True)
class DaysOfMonth(Selection):
    """Every day of the month that the consumer's partition names."""

    @override
    def keys(self, partition: str, upstream: UpstreamKeys) -> list[Key]:
        return _all_parts(upstream, _days_of(partition))

    @override
    def wanted(self, partitions: Iterable[str], upstream: UpstreamKeys) -> set[str]:
        del upstream
        return {month_of(day) for day in partitions}

    @override
    def waits_for(self, partition: str, partitions: Collection[str]) -> list[str]:
        return [day for day in _days_of(partition) if day in partitions]


@dataclass(frozen=True)
class EveryPartition(Selection):
    """Every partition there is."""

    @override
    def scope(self, partition: str, upstream: UpstreamKeys) -> str:
        del partition, upstream
        return WHOLE

    @override
    def keys(self, partition: str, upstream: UpstreamKeys) -> list[Key]:
        del partition
        return [(key, part) for key, names in upstream.parts.items() for part in names]

    @override
    def wanted(self, partitions: Iterable[str], upstream: UpstreamKeys) -> set[str]:
        del upstream
        return {WHOLE} if any(True for _ in partitions) else set()

    @override
    def waits_for(self, partition: str, partitions: Collection[str]) -> list[str]:
        del partition, partitions
        return []


@dataclass(frozen=True)
class PartForPartition(Selection):
    """The parts, in any partition of the upstream, that carry the name of the consumer's partition."""

    @override
    def keys(self, partition: str, upstream: UpstreamKeys) -> list[Key]:
        return [(holder, partition) for holder in upstream.partitions_with.get(partition, ())]

    @override
    def wanted(self, partitions: Iterable[str], upstream: UpstreamKeys) -> set[str]:
        del partitions
        return set(upstream.partitions_with) - {WHOLE}

    @override
    def waits_for(self, partition: str, partitions: Collection[str]) -> list[str]:
        del partition
        return [WHOLE] if WHOLE in partitions else []


@dataclass(frozen=True)
class PartsOfMonth(Selection):
    """The parts, in any partition of the upstream, that are named by a day of the month that the consumer's partition names."""

    @override
    def keys(self, partition: str, upstream: UpstreamKeys) -> list[Key]:
        return [(holder, day) for day in _days_of(partition) for holder in upstream.partitions_with.get(day, ())]

    @override
    def wanted(self, partitions: Iterable[str], upstream: UpstreamKeys) -> set[str]:
        del partitions
        return {month_of(day) for day in upstream.partitions_with if day != WHOLE}

    @override
    def waits_for(self, partition: str, partitions: Collection[str]) -> list[str]:
        del partition
        return [WHOLE] if WHOLE in partitions else []


@dataclass(frozen=True)
class PartsUpToMonth(Selection):
    """The parts of an unpartitioned upstream that are named by a month not after the consumer's partition.

    What first exists in a later month cannot matter to an earlier day, so a new account or track leaves the past fresh.
    """

    @override
    def keys(self, partition: str, upstream: UpstreamKeys) -> list[Key]:
        return [(WHOLE, part) for part in upstream.parts.get(WHOLE, ()) if part <= month_of(partition)]

    @override
    def scope(self, partition: str, upstream: UpstreamKeys) -> str:
        del upstream
        return month_of(partition)

    @override
    def waits_for(self, partition: str, partitions: Collection[str]) -> list[str]:
        del partition
        return [WHOLE] if WHOLE in partitions else []


@dataclass(frozen=True)
class PartitionsUpTo(Selection):
    """Every partition of a grid alike, up to and including the consumer's: a month and all months before it."""

    @override
    def keys(self, partition: str, upstream: UpstreamKeys) -> list[Key]:
        return _all_parts(upstream, [key for key in upstream.parts if key <= partition])

    @override
    def waits_for(self, partition: str, partitions: Collection[str]) -> list[str]:
        return sorted(key for key in partitions if key <= partition)


@dataclass(frozen=True)
class EveryStage(EveryPartition):
    """Not one upstream but the whole catalogue: every published version of every stage of frames that is not delivered."""


def _days(last: str, count: int) -> list[str]:
    end = date.fromisoformat(last).toordinal()
    return [date.fromordinal(end - back).isoformat() for back in reversed(range(count))]


def _days_of(month: str) -> list[str]:
    return [f"{month}-{day:02d}" for day in range(1, 32)]


def _all_parts(upstream: UpstreamKeys, partitions: Iterable[str]) -> list[Key]:
    return [(partition, part) for partition in partitions for part in upstream.parts.get(partition, ())]
