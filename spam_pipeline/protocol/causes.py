"""Causes: why a partition is not fresh, or two versions differ, in the words of people who have to decide whether they expected it.

Compares what is published with the recipe that is wanted now, or what two versions were made from. A pure function of the two
and of what the ledger remembers of them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from spam_pipeline.protocol.code_version import CodeVersion, changed
from spam_pipeline.protocol.needs import RULES, Need, Work
from spam_pipeline.protocol.recipe import InputRead, Recipe

UNKNOWN = "not known yet"
"""Stands before the content of an input that is planned and not computed."""

_NAMED = 4
"""Names that a cause lists before it counts the rest."""


class Kind(Enum):
    """What has changed."""

    MISSING = "missing"
    CODE = "code"
    DATA = "data"
    CONTRACT = "contract"


@dataclass(frozen=True)
class Cause:
    """What has changed, by name: definitions and libraries, settings, input partitions or files.

    `sources` are names without partitions where those differ, so that partitions of one cause can be counted together.
    `is_certain` is false when the change has yet to be computed, and may turn out to be none.
    """

    kind: Kind
    names: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    is_certain: bool = True

    def __str__(self) -> str:
        """The cause as one line, such as `data: plays 2026-01-05`."""
        return self._told(self.names)

    @property
    def in_general(self) -> str:
        """The cause without partitions, such as `data: plays`."""
        return self._told(self.sources or self.names)

    def _told(self, names: tuple[str, ...]) -> str:
        if not names:
            return self.kind.value
        return f"{self.kind.value}: {listed(names)}{'' if self.is_certain else ', if it changes'}"


@dataclass(frozen=True)
class MadeFrom:
    """What the ledger remembers of a published version: its code, if it was kept, its settings, and what it read."""

    code: CodeVersion | None
    configuration: Mapping[str, str]
    inputs: Iterable[InputRead]


def cause(need: Need, code: CodeVersion, published: MadeFrom | None, wanted: Callable[[], Recipe]) -> Cause:
    """Why `need` is not fresh: what differs between its published version and the wanted recipe, first of all the code.

    `code` is the code version of now, and `wanted` gives the recipe, which is not looked at if the code differs.
    """
    if need.work in _WITHOUT_COMPARISON:
        return _WITHOUT_COMPARISON[need.work]
    is_read = need.published is None or need.published.recipe == need.recipe
    if need.work is Work.AUDIT and (is_read or need.reason != RULES):
        return Cause(Kind.CONTRACT, (need.reason,))
    if need.published is None or published is None:
        rests_on_plans = any(item.content.startswith(UNKNOWN) for item in wanted().inputs)
        return Cause(Kind.MISSING, is_certain=not rests_on_plans)
    if need.published.code_version != code.digest:
        return _cause_in_code(published.code, code)
    recipe = wanted()
    return (
        _cause_in_settings(published.configuration, recipe.configuration)
        or _cause_in_data(published.inputs, recipe.inputs)
        or Cause(Kind.CODE, ("hash scheme",))
    )


def differences(old: MadeFrom, new: MadeFrom, *, is_same_code: bool) -> list[Cause]:
    """All that differs in what two versions were made from: code, settings, data; empty when nothing does."""
    found = (
        None if is_same_code else _cause_in_code(old.code, new.code),
        _cause_in_settings(old.configuration, new.configuration),
        _cause_in_data(old.inputs, new.inputs),
    )
    return [item for item in found if item]


def _cause_in_code(old: CodeVersion | None, new: CodeVersion | None) -> Cause:
    names = changed(old, new) if old and new else ["code that is not remembered"]
    return Cause(Kind.CODE, tuple(names))


def _cause_in_settings(old: Mapping[str, str], new: Mapping[str, str]) -> Cause | None:
    names = [f"setting {name}" for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
    return Cause(Kind.CODE, tuple(names)) if names else None


def _cause_in_data(before: Iterable[InputRead], now: Iterable[InputRead]) -> Cause | None:
    old, new = _contents(before), _contents(now)
    keys = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    if not keys:
        return None
    names = dict.fromkeys(_name(upstream, partition, part, is_file) for upstream, partition, part, is_file in keys)
    sources = dict.fromkeys(upstream for upstream, *_ in keys)
    is_certain = any(not new.get(key, "").startswith(UNKNOWN) for key in keys)
    return Cause(Kind.DATA, tuple(names), tuple(sources), is_certain)


def _contents(inputs: Iterable[InputRead]) -> dict[tuple[str, str, str, bool], str]:
    return {(item.upstream, item.partition, item.part, item.is_file): item.content for item in inputs}


def _name(upstream: str, partition: str, part: str, is_file: bool) -> str:  # noqa: FBT001 - a field of a key
    return part if is_file else f"{upstream} {partition}"


def listed(names: tuple[str, ...]) -> str:
    """The first names, and how many more there are."""
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


_WITHOUT_COMPARISON = {
    Work.DELIVER: Cause(Kind.DATA, ("its target holds something else",)),
    Work.RETRACT: Cause(Kind.DATA, ("nothing to compute it from any more",)),
}
