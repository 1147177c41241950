"""Retention: which versions of a stage are kept, and for what. A pure function of its history, a policy and a moment.

Nothing that this keeps depends on what is pruned first or how often. `pruning` acts on it.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from itertools import zip_longest
from typing import Self

from spam_pipeline.protocol.ledger.pruning_log import PointerMove, StageHistory, UnprunedVersion

EVERY_STAGE = "*"
"""The name in a policy by stage that stands for all others."""

_FOREVER = "forever"
_TERM = re.compile(r"([0-9]{1,5})([dv])")


@dataclass(frozen=True)
class Retention:
    """What is kept of a stage besides what is needed: what readers saw in the last `days`, and the newest `versions` of each partition.

    With `days` None, everything is.

    >>> Retention.read("30d 2v")
    Retention(days=30, versions=2)
    >>> str(Retention.read("forever")), str(Retention(0))
    ('forever', '0d')
    """

    days: int | None = 30
    versions: int = 0

    @classmethod
    def read(cls, text: str) -> Self:
        """Read a policy such as `30d`, `2v`, `30d 2v` or `forever`. Raises `ValueError`, saying what is expected."""
        terms = text.split()
        if terms == [_FOREVER]:
            return cls(None)
        read = [_TERM.fullmatch(term) for term in terms]
        found = {term[2]: int(term[1]) for term in read if term}
        if not terms or len(found) < len(terms):
            raise ValueError(f"expected days, versions or both, such as 30d, 2v or 30d 2v, or forever; got {text!r}")
        return cls(found.get("d", 0), found.get("v", 0))

    def __str__(self) -> str:
        """The text that is read."""
        if self.days is None:
            return _FOREVER
        return f"{self.days}d {self.versions}v" if self.versions else f"{self.days}d"


RetentionByStage = Mapping[str, Retention]
"""Policies by the names of stages, and by `*` for all others."""


def retention_of(policies: RetentionByStage, stage: str) -> Retention:
    """The policy of a stage; where none is named, the default."""
    return policies.get(stage) or policies.get(EVERY_STAGE) or Retention()


class KeptFor(Enum):
    """What a version is kept for, in the words that people read; the first that holds counts."""

    PUBLISHED = "published"
    ISSUED = "issued"
    QUARANTINED = "quarantined"
    AS_OF = "as of"
    NEWEST = "newest versions"
    POLICY = "forever"


def kept(
    history: StageHistory,
    policy: Retention,
    now: datetime,
    pinned: Collection[str] = (),
    grace: timedelta = timedelta(0),
) -> dict[int, KeptFor]:
    """The versions of a stage that are kept at a moment, by id, and for what; `pinned` are the recipes that something issued rests on.

    What readers saw within the `grace` is kept whatever the policy is: somebody may be issuing a month that rests on it. What is
    quarantined is kept until the same code has made another version of its partition: until then it may be decided about.
    """
    found: dict[int, KeptFor] = {}
    for ids, reason in _reasons(history, policy, now, pinned, grace):
        for version_id in ids:
            found.setdefault(version_id, reason)
    known = {version.id for version in history.versions}
    return {version_id: reason for version_id, reason in found.items() if version_id in known}


def _reasons(
    history: StageHistory, policy: Retention, now: datetime, pinned: Collection[str], grace: timedelta
) -> Iterator[tuple[set[int], KeptFor]]:
    versions = history.versions
    yield _seen_since(history.moves, None), KeptFor.PUBLISHED
    yield {version.id for version in versions if version.recipe in pinned}, KeptFor.ISSUED
    yield _quarantined(versions), KeptFor.QUARANTINED
    if policy.days is None:
        yield {version.id for version in versions}, KeptFor.POLICY
        return
    if window := max(timedelta(days=policy.days), grace):
        yield _seen_since(history.moves, now - window), KeptFor.AS_OF
    yield _newest(versions, policy.versions), KeptFor.NEWEST


def _seen_since(moves: Collection[PointerMove], since: datetime | None) -> set[int]:
    """The versions that an environment points at, or has pointed at since a time.

    The past of a pointer that was given up counts no more: who drops an environment discards it.
    """
    by_place: dict[tuple[str, str], list[PointerMove]] = {}
    for move in moves:
        place = by_place.setdefault((move.environment, move.partition), [])
        if move.is_dropped:
            place.clear()
        else:
            place.append(move)
    return {
        move.version_id
        for place in by_place.values()
        for move, until in zip_longest(place, place[1:])
        if move.version_id is not None and (until is None or (since is not None and until.published_at >= since))
    }


def _quarantined(versions: Collection[UnprunedVersion]) -> set[int]:
    by_code = {(version.partition, version.code_version): version for version in versions}
    return {version.id for version in by_code.values() if version.is_refused}


def _newest(versions: Collection[UnprunedVersion], count: int) -> set[int]:
    by_partition: dict[str, list[int]] = {}
    for version in versions:
        by_partition.setdefault(version.partition, []).append(version.id)
    return {version_id for ids in by_partition.values() for version_id in ids[len(ids) - min(count, len(ids)) :]}
