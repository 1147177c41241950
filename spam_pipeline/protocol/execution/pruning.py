"""Pruning: versions that retention does not keep are given up, and files that nobody has are deleted.

In two steps, as table formats expire and then clean up. First the ledger says that a version is pruned: from then on nobody reuses it.
Its files stay for a grace, for readers that have them in hand, and go when the store is cleaned after that; so do files that never
became part of a version, once they are a day old. A process that dies in between leaves no more than work for the next one.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple

from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.execution.retention import KeptFor, Retention, RetentionByStage, kept, retention_of
from spam_pipeline.protocol.foundation.progress import OnProgress, no_progress
from spam_pipeline.protocol.ledger.pruning_log import Shard, StageHistory
from spam_pipeline.protocol.ledger.records import StoredFile
from spam_pipeline.protocol.storage.store import ListedFile, Store

_logger = logging.getLogger(__name__)

GRACE = timedelta(hours=1)
"""The time for which files of a pruned version stay: as long as the cache keeps what was handed to somebody."""

_NOBODYS_AFTER = timedelta(days=1)
"""The age from which a file or a shard that no version has is what somebody left who died, as scratch folders are."""

_AT_ONCE = 500
"""Files that are deleted in one transaction, in which every writer waits."""

_WORTH_COMPACTING = 0.25
"""The share of the ledger's file that has to be free for writing it anew: that takes seconds, in which writers wait."""


class Files(NamedTuple):
    """A number of files, and their bytes."""

    number: int = 0
    bytes: int = 0

    def with_(self, files: Iterable[ListedFile | StoredFile]) -> "Files":
        """These and other files."""
        sizes = [file.bytes for file in files]
        return Files(self.number + len(sizes), self.bytes + sum(sizes))


@dataclass(frozen=True)
class StagePruning:
    """What goes of a stage, and what is kept for which reason: versions, and bytes of files that no other one has."""

    stage: str
    policy: str
    versions: int
    bytes: int
    kept: Mapping[KeptFor, Files]


@dataclass(frozen=True)
class Pruning:
    """The result of pruning, or of a dry run. `deleted` files were nobody's any more; those of pruned versions are `waiting` in their grace."""

    stages: tuple[StagePruning, ...]
    deleted: Files
    waiting: Files

    @property
    def versions(self) -> int:
        """Versions that go, of all stages."""
        return sum(stage.versions for stage in self.stages)

    @property
    def bytes(self) -> int:
        """Bytes that go with them."""
        return sum(stage.bytes for stage in self.stages)


@dataclass(frozen=True)
class Forgotten:
    """The result of forgetting versions: the ids of those that are pruned, and of those that some environment publishes, which stay.

    `busy` are partitions, as `stage partition`, in which somebody computes at this moment: their files stay until it is done again.
    """

    versions: tuple[int, ...]
    published: tuple[int, ...]
    deleted: Files
    busy: tuple[str, ...]


def prune(  # noqa: PLR0913 - what is kept, for how long, and how it is told
    engine: Engine,
    policies: RetentionByStage,
    *,
    pinned: Collection[str] = (),
    grace: timedelta = GRACE,
    is_dry: bool = False,
    on_progress: OnProgress = no_progress,
) -> Pruning:
    """Prune what the policies don't keep, and delete files that nobody has; `pinned` are the recipes that something issued rests on.

    What readers saw within the `grace` is not pruned, and files of what is pruned stay for another one. A dry run changes nothing. What a
    run that dies has left is done by the next one.
    """
    now, stages = datetime.now(UTC), engine.ledger.prunings.stages()
    pruned, deleted, waiting = list[StagePruning](), Files(), Files()
    for number, (context, stage) in enumerate(stages):
        on_progress(f"pruning {stage}", number, len(stages))
        policy = retention_of(policies, stage)
        keep = partial(kept, policy=policy, now=now, pinned=pinned, grace=grace)
        pruned.append(_pruned(engine, stage, policy, keep, is_dry=is_dry))
        if not is_dry:
            engine.ledger.prunings.forget_shards(stage, _ownerless(engine, stage, now))
        cleaning = _Cleaning(engine, context, stage, now, datetime.now(UTC) - grace, is_dry=is_dry)
        for store in engine.stores:
            gone, later = cleaning.cleaned(store)
            deleted, waiting = deleted.with_(gone), waiting.with_(later)
    if not is_dry and any(stage.versions for stage in pruned):
        engine.ledger.prunings.compact(_WORTH_COMPACTING)
    return Pruning(tuple(pruned), deleted, waiting)


def forget(engine: Engine, version_ids: Collection[int], cause: str) -> Forgotten:
    """Prune versions now, whatever is kept otherwise, and delete at once the files that no version has which is left.

    What an environment publishes is not pruned: publish something else first. Decoded shards that hold any of it go too, with the
    private files beside them; what a call that dies leaves of those is for `prune`. May be repeated. Bytes of removed rows stay in the
    ledger's file until `prunings.compact`.
    """
    gone, published = engine.ledger.prunings.prune_unpublished(version_ids, cause)
    by_stage: dict[tuple[str, str], dict[str, StoredFile]] = defaultdict(dict)
    for parts in engine.ledger.files(gone).values():
        for file in (file for made in parts.values() for file in made):
            context, stage, *_ = file.path.split("/")
            by_stage[context, stage][file.path] = file
    deleted, busy = Files(), set[str]()
    for (_, stage), files in by_stage.items():
        dropped = engine.ledger.prunings.forget_shards(stage, partial(_holds_any, files.keys()))
        private = _private_parts(engine, stage)
        decoded = [(part, file) for shard in dropped for part, made in shard.files.items() for file in made]
        public = {**files, **{file.path: file for part, file in decoded if part not in private}}
        hidden = {file.path: file for part, file in decoded if part in private}
        for store, some in zip(engine.stores, (public, hidden), strict=True):
            listed = [ListedFile(file.path, file.bytes, _LONG_AGO) for file in some.values()]
            done, in_use = _delete(engine, store, stage, listed, None)
            deleted = deleted.with_(done)
            busy |= {f"{stage} {partition}" for partition in in_use}
    return Forgotten(tuple(gone), tuple(published), deleted, tuple(sorted(busy)))


_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def _holds_any(paths: AbstractSet[str], shard: Shard, owned: AbstractSet[str]) -> bool:
    return not shard.paths.isdisjoint(paths - owned)


_Keep = Callable[[StageHistory], Mapping[int, KeptFor]]
"""Gives the versions of a stage that are kept, and what for."""


def _pruned(engine: Engine, stage: str, policy: Retention, keep: _Keep, *, is_dry: bool) -> StagePruning:
    """Prune the versions of a stage."""
    reasons = dict[int, KeptFor]()
    files = engine.ledger.prunings.stage_files(stage)

    def choose(history: StageHistory) -> set[int]:
        reasons.update(keep(history))
        return {version.id for version in history.versions if version.id not in reasons}

    log = engine.ledger.prunings
    gone = choose(log.history(stage)) if is_dry else log.prune(stage, choose, f"retention {policy}")
    counted = dict[str, StoredFile]()
    found = {reason: _first(files, reasons, reason, counted) for reason in KeptFor}
    rest = {file.path: file for version_id in gone for file in files.get(version_id, []) if file.path not in counted}
    return StagePruning(
        stage,
        str(policy),
        len(gone),
        Files().with_(rest.values()).bytes,
        {reason: files for reason, files in found.items() if files.number},
    )


def _first(
    files: Mapping[int, Sequence[StoredFile]],
    reasons: Mapping[int, KeptFor],
    reason: KeptFor,
    counted: dict[str, StoredFile],
) -> Files:
    """The versions that are kept for a reason, with the bytes of their files that were not counted before."""
    ids = [version_id for version_id, found in reasons.items() if found is reason]
    new = {file.path: file for version_id in ids for file in files.get(version_id, []) if file.path not in counted}
    counted.update(new)
    return Files(len(ids), Files().with_(new.values()).bytes)


def _ownerless(engine: Engine, stage: str, now: datetime) -> Callable[[Shard, set[str]], bool]:
    """A test for shards of which no version has all files: landed files that need one again are decoded again."""
    private = _private_parts(engine, stage)

    def is_ownerless(shard: Shard, owned: set[str]) -> bool:
        public = {file.path for part, made in shard.files.items() if part not in private for file in made}
        return shard.decoded_at < now - _NOBODYS_AFTER and not public <= owned

    return is_ownerless


def _private_parts(engine: Engine, stage: str) -> frozenset[str]:
    return engine.graph.stages[stage].private_parts if stage in engine.graph.stages else frozenset()


@dataclass(frozen=True)
class _Cleaning:
    """Deletion of what nobody has of a stage; files of versions that were pruned after `until` still wait."""

    engine: Engine
    context: str
    stage: str
    now: datetime
    until: datetime
    is_dry: bool

    def cleaned(self, store: Store) -> tuple[Sequence[ListedFile], Sequence[ListedFile]]:
        """Clean a store; return the files that were deleted, and those that wait."""
        listed = list(store.listing(f"{self.context}/{self.stage}"))
        if not listed:
            return [], []
        log = self.engine.ledger.prunings
        of_versions, shards = log.version_files(self.stage), log.shards(self.stage)
        is_ownerless = _ownerless(self.engine, self.stage, self.now)
        owned = of_versions.union(*(shard.paths for shard in shards if not is_ownerless(shard, of_versions)))
        still_owned = owned | log.version_files(self.stage, self.until)
        waiting = [file for file in listed if file.path in still_owned and file.path not in owned]
        unclear = self._unclear(shards) if store is self.engine.stores[1] else set()
        unowned = [file for file in listed if file.path not in still_owned and _partition(file.path) not in unclear]
        nobodys = self._nobodys(unowned, len(listed) - len(unowned))
        if self.is_dry:
            return nobodys, waiting
        return _delete(self.engine, store, self.stage, nobodys, self.until)[0], waiting

    def _nobodys(self, unowned: Sequence[ListedFile], owned: int) -> list[ListedFile]:
        """The files that may go, oldest first: those of a pruned version, and a day later those that no version ever had.

        Where these outnumber the `owned` ones they are rather another ledger's, of which this one may be an old copy: all of them stay.
        """
        pruned = self.engine.ledger.prunings.pruned_files(self.stage, {_partition(file.path) for file in unowned})
        strays = [file for file in unowned if file.path not in pruned and self._is_old(file)]
        if len(strays) > owned:
            _logger.warning(
                "%s: %d files that this ledger knows nothing of are left alone, as it knows only %d others there: is the store another "
                "ledger's, or is this a copy of the ledger from before?",
                *(self.stage, len(strays), owned),
            )
            strays = []
        gone = [*(file for file in unowned if file.path in pruned), *strays]
        return sorted(gone, key=lambda file: (file.modified_at, file.path))

    def _is_old(self, file: ListedFile) -> bool:
        return file.modified_at < self.now - _NOBODYS_AFTER

    def _unclear(self, shards: Collection[Shard]) -> set[str]:
        """The partitions with shards of an earlier release, which did not note their private files: those stay."""
        private = _private_parts(self.engine, self.stage)
        return {_partition(path) for shard in shards if not private <= shard.files.keys() for path in shard.paths}


def _delete(
    engine: Engine, store: Store, stage: str, files: Sequence[ListedFile], pruned_since: datetime | None
) -> tuple[list[ListedFile], set[str]]:
    """Delete those of some files that nobody has and nobody may be writing; return them, and the partitions left alone for that."""
    gone, busy = list[ListedFile](), set[str]()
    for some in _in_groups(files):
        partitions = {_partition(file.path) for file in some}
        with engine.ledger.prunings.still(stage, partitions, pruned_since) as owned:
            nobodys = [file for file in some if file.path not in owned.files]
            free = [file for file in nobodys if _partition(file.path) not in owned.busy]
            store.delete([file.path for file in free])
        gone += free
        busy |= {_partition(file.path) for file in nobodys} & owned.busy
    return gone, busy


def _in_groups(files: Sequence[ListedFile]) -> Iterator[Sequence[ListedFile]]:
    return (files[start : start + _AT_ONCE] for start in range(0, len(files), _AT_ONCE))


def _partition(path: str) -> str:
    return path.rsplit("/", 2)[1]
