"""From when until when readers of an environment saw a version: the history of one partition's pointers.

A pure function of publications. It answers for all moments at once what the ledger answers for one (`as_of`).
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

from spam_pipeline.protocol.ledger.records import DROPPED, PRODUCTION, Publication


class Span(NamedTuple):
    """A version was what readers saw from `published_at` until just before `superseded_at`; None: they still do."""

    version_id: int
    published_at: datetime
    superseded_at: datetime | None


def spans(publications: Iterable[Publication], environment: str) -> Iterator[Span]:
    """What readers of `environment` saw of one partition, in the order of time; its own pointers come before production's.

    `publications` are those of the partition in both environments, in any order. Of what is in the ledger at a moment the
    last addition counts, whatever the clock said when it was added.
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


def _moment(item: Publication) -> datetime:
    return item.published_at


def _seen(last: Mapping[str, Publication], environment: str) -> int | None:
    for name in (environment, PRODUCTION):
        if name in last and last[name].trigger.action != DROPPED:
            return last[name].version_id
    return None
