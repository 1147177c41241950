"""Selections: which partitions and parts of an upstream stage one partition of a consumer reads.

A selection is a pure function from the consumer's partition to keys of the upstream; it never inspects data. The keys to
choose from come as an `UpstreamKeys`, so that one look-up serves a grid of thousands of partitions.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from typing_extensions import override

from spam_pipeline.protocol.foundation.partition import WHOLE, day_of, key_of, month_of, name_of, span_of

Key = tuple[str, str]
"""A partition of the upstream and one of its parts."""


@dataclass(frozen=True)
class UpstreamKeys:
    """The parts of an upstream stage, by partition, and its partitions by part.

    Parts without rows are left out: nobody reads them, so an empty partition makes no consumer stale.
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
    """A choice of keys of the upstream for each partition of a consumer; `side_part` names a part kept apart from the data."""

    side_part: str | None = None

    def keys(self, partition: str, upstream: UpstreamKeys) -> list[Key]:
        """The keys that `partition` reads, in canonical order; keys the upstream does not offer are left out."""
        raise NotImplementedError

    def scope(self, partition: str, upstream: UpstreamKeys) -> str:
        """The scope of a partition: partitions of one scope read the same keys, which are then looked up once."""
        del upstream
        return partition

    def wanted(self, partitions: Iterable[str], upstream: UpstreamKeys) -> set[str]:
        """The consumer's partitions that have input, given the upstream's `partitions` and its published keys."""
        del upstream
        return set(partitions)

    def waits_for(self, partition: str, partitions: Collection[str]) -> list[str]:
        """The upstream's `partitions` without which `partition` cannot be computed."""
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
    """The same day and the days before it, `days` in all.

    >>> plays = UpstreamKeys.of({"2026-01-04": ("all",), "2026-01-05": ("all",), "2026-01-06": ("all",)})
    >>> TrailingDays(3).keys("2026-01-05", plays)
    [('2026-01-04', 'all'), ('2026-01-05', 'all')]
    """

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
class HoursOfDay(Selection):
    """Every hour of the day that the consumer's partition names."""

    @override
    def keys(self, partition: str, upstream: UpstreamKeys) -> list[Key]:
        return _all_parts(upstream, _hours_of(partition))

    @override
    def wanted(self, partitions: Iterable[str], upstream: UpstreamKeys) -> set[str]:
        del upstream
        return {day_of(hour) for hour in partitions}

    @override
    def waits_for(self, partition: str, partitions: Collection[str]) -> list[str]:
        return [hour for hour in _hours_of(partition) if hour in partitions]


@dataclass(frozen=True)
class EachName(Selection):
    """For a consumer with a partition for each of some names: what `of` selects for its span, the same for every name.

    >>> plays = UpstreamKeys.of({"2026-01-05": ("all",)})
    >>> sorted(EachName(("DE", "FR")).wanted(["2026-01-05"], plays))
    ['2026-01-05|DE', '2026-01-05|FR']
    >>> EachName(("DE", "FR")).keys("2026-01-05|FR", plays)
    [('2026-01-05', 'all')]
    """

    names: tuple[str, ...]
    of: Selection = field(default_factory=SamePartition)

    @override
    def keys(self, partition: str, upstream: UpstreamKeys) -> list[Key]:
        return self.of.keys(self._span(partition), upstream)

    @override
    def scope(self, partition: str, upstream: UpstreamKeys) -> str:
        return self.of.scope(self._span(partition), upstream)

    @override
    def wanted(self, partitions: Iterable[str], upstream: UpstreamKeys) -> set[str]:
        return {key_of(span, name) for span in self.of.wanted(partitions, upstream) for name in self.names}

    @override
    def waits_for(self, partition: str, partitions: Collection[str]) -> list[str]:
        return self.of.waits_for(self._span(partition), partitions)

    def _span(self, partition: str) -> str:
        return WHOLE if partition in self.names else span_of(partition)


@dataclass(frozen=True)
class SameName(Selection):
    """For a consumer with spans and names: the partition of its name, in an upstream that has names alone.

    >>> SameName().keys("2026-01-05|FR", UpstreamKeys.of({"DE": ("all",), "FR": ("all",)}))
    [('FR', 'all')]
    """

    @override
    def keys(self, partition: str, upstream: UpstreamKeys) -> list[Key]:
        return _all_parts(upstream, [name_of(partition)])

    @override
    def scope(self, partition: str, upstream: UpstreamKeys) -> str:
        del upstream
        return name_of(partition)

    @override
    def waits_for(self, partition: str, partitions: Collection[str]) -> list[str]:
        return [name for name in [name_of(partition)] if name in partitions]


@dataclass(frozen=True)
class EveryName(Selection):
    """For a consumer without names: the partitions of its span of all the names that the upstream has.

    >>> sold = UpstreamKeys.of({"2026-01-05|DE": ("all",), "2026-01-05|FR": ("all",), "2026-01-06|FR": ("all",)})
    >>> EveryName(("DE", "FR")).keys("2026-01-05", sold)
    [('2026-01-05|DE', 'all'), ('2026-01-05|FR', 'all')]
    """

    names: tuple[str, ...]

    @override
    def keys(self, partition: str, upstream: UpstreamKeys) -> list[Key]:
        return _all_parts(upstream, self._keys(partition))

    @override
    def wanted(self, partitions: Iterable[str], upstream: UpstreamKeys) -> set[str]:
        del upstream
        return {span_of(key) for key in partitions}

    @override
    def waits_for(self, partition: str, partitions: Collection[str]) -> list[str]:
        return [key for key in self._keys(partition) if key in partitions]

    def _keys(self, partition: str) -> list[str]:
        return [key_of(partition, name) for name in self.names]


@dataclass(frozen=True)
class EveryPartition(Selection):
    """Every partition there is."""

    side_part: str | None = None

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
    """The parts named like the consumer's partition, in any partition of the upstream.

    So a late file makes exactly the days stale that it has plays for. Here plays of the 4th and 5th arrived on two days:

    >>> received = UpstreamKeys.of({"2026-01-05": ("2026-01-04", "2026-01-05"), "2026-01-09": ("2026-01-05",)})
    >>> PartForPartition().keys("2026-01-05", received)
    [('2026-01-05', '2026-01-05'), ('2026-01-09', '2026-01-05')]
    """

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
    """The parts named by a day of the consumer's month, in any partition of the upstream."""

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
class PartsOfTrailingDays(Selection):
    """The parts named by the consumer's day or one of the days before it, `days` in all, in any partition of the upstream.

    >>> incidents = UpstreamKeys.of({"all": ("2026-01-04", "2026-01-05", "2026-01-06")})
    >>> PartsOfTrailingDays(2).keys("2026-01-05", incidents)
    [('all', '2026-01-04'), ('all', '2026-01-05')]
    """

    days: int

    @override
    def keys(self, partition: str, upstream: UpstreamKeys) -> list[Key]:
        named = _days(partition, self.days)
        return [(holder, day) for day in named for holder in upstream.partitions_with.get(day, ())]

    @override
    def waits_for(self, partition: str, partitions: Collection[str]) -> list[str]:
        del partition
        return [WHOLE] if WHOLE in partitions else []


@dataclass(frozen=True)
class PartsUpToMonth(Selection):
    """The parts of an unpartitioned upstream that are named by a month up to that of the consumer's partition.

    What first exists in a later month cannot matter to an earlier day, so a new account or track leaves the past fresh.

    >>> accounts = UpstreamKeys.of({"all": ("2025-12", "2026-01", "2026-02")})
    >>> PartsUpToMonth().keys("2026-01-15", accounts)
    [('all', '2025-12'), ('all', '2026-01')]
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
    """The partitions up to and including the consumer's, on the same grid: a month and all months before it."""

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


def _hours_of(day: str) -> list[str]:
    return [f"{day}T{hour:02d}" for hour in range(24)]


def _days_of(month: str) -> list[str]:
    return [f"{month}-{day:02d}" for day in range(1, 32)]


def _all_parts(upstream: UpstreamKeys, partitions: Iterable[str]) -> list[Key]:
    return [(partition, part) for partition in partitions for part in upstream.parts.get(partition, ())]
