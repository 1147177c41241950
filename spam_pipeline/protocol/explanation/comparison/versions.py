"""Versions to compare: found by words and first digits, by two code versions, or by two environments."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from spam_pipeline.protocol.foundation.errors import UnknownVersion
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.records import PRODUCTION, Audit, Version

PUBLISHED, NEWEST = "published", "newest"
"""Words for versions: the one that readers see, and the one that was computed last and is not pruned. `production` is the one that readers of
production see, whatever the environment."""

LEAST_DIGITS = 4
"""Digits of a recipe or of a code version that a person has to give at least."""

_SHOWN_DIGITS = 12

Audited = tuple[Version, Audit]
"""A version with its last audit."""


class Pair(NamedTuple):
    """One partition on both sides of a comparison."""

    partition: str
    old: Audited | None
    new: Audited | None


def resolve(ledger: Ledger, environment: str, stage: str, partition: str, which: str) -> Audited:
    """The version of a partition that a person means: `published`, `newest`, `production`, or the first digits of its recipe.

    Raises `UnknownVersion`.
    """
    found = ledger.versions(stage, partition, environment)
    chosen = _meant(ledger, environment, found, which, _recipe)
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        several = _listed(map(_recipe, chosen))
        raise UnknownVersion(f"{stage} {partition} has several versions {which}: give more digits of one of {several}")
    raise UnknownVersion(f"{stage} {partition} has no version {which!r}: {_expected(map(_recipe, found))}")


def pairs_of_code(  # noqa: PLR0913, PLR0917 - where to look, and the two code versions
    ledger: Ledger, environment: str, stage: str, old: str, new: str, partitions: Iterable[str]
) -> list[Pair]:
    """Pair the last versions of each partition by two code versions, given by first digits or by a word.

    Partitions that have neither are left out. Raises `UnknownVersion` when digits stand for several code versions, or no
    partition has versions by both.
    """
    by_partition = {partition: ledger.versions(stage, partition, environment) for partition in partitions}
    codes = {_code_version(audited) for found in by_partition.values() for audited in found}
    for text in (old, new):
        several = [code for code in codes if _is_meant(text, code)]
        if len(several) > 1:
            raise UnknownVersion(
                f"{stage} has several code versions {text}: give more digits of one of {_listed(several)}"
            )
    sides = {
        partition: [_meant(ledger, environment, found, text, _code_version)[-1:] for text in (old, new)]
        for partition, found in by_partition.items()
    }
    if not any(before and now for before, now in sides.values()):
        raise UnknownVersion(f"{stage} has no partition with versions by both {old!r} and {new!r}: {_expected(codes)}")
    return [
        Pair(partition, next(iter(before), None), next(iter(now), None))
        for partition, (before, now) in sides.items()
        if before or now
    ]


def pairs_of_environments(
    ledger: Ledger, stages: Sequence[str], environment: str, base: str = PRODUCTION
) -> dict[str, list[Pair]]:
    """By stage, the partitions where an environment's readers see another version than those of `base`, which is the old."""
    before, now = ledger.published(base, stages), ledger.published(environment, stages)
    found: dict[str, list[Pair]] = {}
    for stage in stages:
        for partition in sorted(before[stage].keys() | now[stage].keys()):
            old, new = before[stage].get(partition), now[stage].get(partition)
            if old is None or new is None or old.version_id != new.version_id:
                sides = (ledger.version(side.recipe, environment) if side else None for side in (old, new))
                found.setdefault(stage, []).append(Pair(partition, *sides))
    return found


def _meant(
    ledger: Ledger, environment: str, found: Sequence[Audited], which: str, name: Callable[[Audited], str]
) -> list[Audited]:
    """Those of a partition's versions, oldest first, that a person means."""
    if which == NEWEST:
        pruned = ledger.prunings.of([version.id for version, _ in found])
        return [audited for audited in found if audited[0].id not in pruned][-1:]
    if which in {PUBLISHED, PRODUCTION} and found:
        readers = environment if which == PUBLISHED else PRODUCTION
        published = ledger.published_version(readers, found[0][0].stage, found[0][0].partition)
        return [audited for audited in found if published is not None and audited[0].id == published.id]
    return [audited for audited in found if _is_meant(which, name(audited))]


def _is_meant(digits: str, name: str) -> bool:
    return len(digits) >= LEAST_DIGITS and name.startswith(digits.lower())


def _recipe(audited: Audited) -> str:
    return audited[0].recipe


def _code_version(audited: Audited) -> str:
    return audited[0].code_version


def _expected(names: Iterable[str]) -> str:
    known = _listed(names) or "none, for nothing was computed there"
    return f"expected {PUBLISHED}, {NEWEST}, {PRODUCTION}, or {LEAST_DIGITS} or more digits of one of {known}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted({name[:_SHOWN_DIGITS] for name in names}))
