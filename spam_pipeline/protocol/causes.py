"""Causes: why a partition is not fresh, in the words of people who have to decide whether they expected it.

Compares what is published with the recipe that is wanted now. A pure function of the two and of what the ledger remembers
of the published version.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from spam_pipeline.protocol.code_version import CodeVersion, changed
from spam_pipeline.protocol.recipe import InputRead, Recipe
from spam_pipeline.protocol.staleness import Need, Work

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
        return f"{self.kind.value}: {_listed(names)}{'' if self.is_certain else ', if it changes'}"


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
    if need.work is Work.AUDIT and (need.published is None or need.published.recipe == need.recipe):
        return Cause(Kind.CONTRACT, ("its rules",))
    if need.published is None or published is None:
        rests_on_plans = any(item.content.startswith(UNKNOWN) for item in wanted().inputs)
        return Cause(Kind.MISSING, is_certain=not rests_on_plans)
    if need.published.code_version != code.digest:
        names = changed(published.code, code) if published.code else ["code that is not remembered"]
        return Cause(Kind.CODE, tuple(names))
    recipe = wanted()
    settings = _different(published.configuration, recipe.configuration)
    if settings:
        names = [f"setting {name}" for name in settings]
        return Cause(Kind.CODE, tuple(names))
    return _data(published.inputs, recipe.inputs) or Cause(Kind.CODE, ("hash scheme",))


def _data(before: Iterable[InputRead], now: Iterable[InputRead]) -> Cause | None:
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


def _different(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    return [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]


def _listed(names: tuple[str, ...]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


_WITHOUT_COMPARISON = {
    Work.DELIVER: Cause(Kind.DATA, ("its target holds something else",)),
    Work.RETRACT: Cause(Kind.DATA, ("nothing to compute it from any more",)),
}
