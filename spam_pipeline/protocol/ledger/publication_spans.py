"""Publication spans: the times in which readers of an environment saw each version of one partition.

A pure function of publications, which answers for all moments at once what `as_of` answers for one.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

from spam_pipeline.protocol.ledger.records import DROPPED, PRODUCTION, Publication


class PointerChange(NamedTuple):
    """From a publication on, readers see another version of a partition, or none."""

    publication_id: int
    published_at: datetime
    partition: str
    version_id: int | None


class Span(NamedTuple):
    """Readers saw a version from `published_at` until just before `superseded_at`, or still do if that is None."""

    version_id: int
    published_at: datetime
    superseded_at: datetime | None


def spans(publications: Iterable[Publication], environment: str) -> Iterator[Span]:
    """The versions of one partition that readers of `environment` saw, in order of time; its pointers come before production's.

    `publications` are those of the partition in both environments, in any order. At any moment the row added last counts,
    even if the clock was set back.

    >>> from spam_pipeline.protocol.ledger.records import Trigger
    >>> def published(id_: int, environment: str, version: int | None, day: int) -> Publication:
    ...     trigger = Trigger(action=DROPPED if version is None else "")
    ...     return Publication(id_, environment, "plays", "2026-01-05", version, trigger, datetime(2026, 1, day))
    >>> rows = [published(1, "production", 10, 6), published(2, "branch", 11, 7), published(3, "branch", None, 9)]
    >>> for version, since, until in spans(rows, "branch"):
    ...     print(version, "from", since.day, "to", until and until.day)
    10 from 6 to 7
    11 from 7 to 9
    10 from 9 to None
    """
    last: dict[str, Publication] = {}
    version_id, since = None, None
    for moment, added in groupby(sorted(publications, key=lambda item: (item.published_at, item.id)), _moment):
        for item in added:
            if item.environment not in last or last[item.environment].id < item.id:
                last[item.environment] = item
        seen = _seen(last, environment)
        if seen != version_id:
            if version_id is not None and since is not None:
                yield Span(version_id, since, moment)
            version_id, since = seen, moment
    if version_id is not None and since is not None:
        yield Span(version_id, since, None)


def pointer_changes(publications: Iterable[Publication], environment: str) -> dict[str, list[PointerChange]]:
    """What publications changed for readers of `environment`, by stage; they are those of it and of production, oldest first."""
    found: dict[str, list[PointerChange]] = defaultdict(list)
    last: dict[tuple[str, str], dict[str, Publication]] = defaultdict(dict)
    for item in publications:
        pointers = last[item.stage, item.partition]
        before = _seen(pointers, environment)
        pointers[item.environment] = item
        seen = _seen(pointers, environment)
        if seen != before:
            found[item.stage].append(PointerChange(item.id, item.published_at, item.partition, seen))
    return found


def _moment(item: Publication) -> datetime:
    return item.published_at


def _seen(last: Mapping[str, Publication], environment: str) -> int | None:
    for name in (environment, PRODUCTION):
        if name in last and last[name].trigger.action != DROPPED:
            return last[name].version_id
    return None
