"""Causes: why a partition is not fresh, or two versions differ, named so that people can tell whether they expected it.

The provenance of the published version is compared with the wanted recipe, or that of two versions with each other.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, partial

from spam_pipeline.protocol.code_version.code_version import CodeVersion, changed
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.column_contents import ColumnContents
from spam_pipeline.protocol.ledger.recipe import InputRef, Recipe
from spam_pipeline.protocol.ledger.records import VersionSummary
from spam_pipeline.protocol.planning.partition_status import PartitionStatus, Reason, RequiredAction
from spam_pipeline.protocol.planning.staleness import StalenessReport

UNKNOWN = "not known yet"
"""Prefix of the content of an input that is planned and not computed."""

_NAMED = 4
"""Names that a cause lists before it counts the rest."""


class Kind(Enum):
    """The kind of a change."""

    MISSING = "missing"
    CODE = "code"
    DATA = "data"
    CONTRACT = "contract"


@dataclass(frozen=True)
class Cause:
    """A change by name: definitions and libraries, settings, input partitions or files.

    `sources` are names without partitions where those differ, so that partitions of one cause can be counted together.
    `is_certain` is false when the change has yet to be computed, and may turn out to be none.

    >>> why = Cause(Kind.DATA, ("plays 2026-01-05", "plays 2026-01-06"), ("plays",), is_certain=False)
    >>> print(why, why.summary, sep=chr(10))
    data: plays 2026-01-05, plays 2026-01-06, if it changes
    data: plays, if it changes
    """

    kind: Kind
    names: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    is_certain: bool = True

    def __str__(self) -> str:
        """The cause as one line, such as `data: plays 2026-01-05`."""
        return self._formatted(self.names)

    @property
    def summary(self) -> str:
        """The cause without partitions, such as `data: plays`."""
        return self._formatted(self.sources or self.names)

    def _formatted(self, names: tuple[str, ...]) -> str:
        if not names:
            return self.kind.value
        return f"{self.kind.value}: {listed(names)}{'' if self.is_certain else ', if it changes'}"


@dataclass(frozen=True)
class Provenance:
    """The provenance of a version: its code, if the ledger kept it, its settings, and what it read."""

    code: CodeVersion | None
    configuration: Mapping[str, str]
    inputs: Iterable[InputRef]


ColumnsChanged = Callable[[InputRef, InputRef], Sequence[str] | None]
"""The columns that are read of a part and differ between what was and what is read; None where that is not known."""

_Read = tuple[str, str, str, bool]
"""What is read: the upstream, its partition, the part or file, and whether it is a file."""


def causes_of(
    ledger: Ledger, code: CodeVersion, report: StalenessReport, statuses: Collection[PartitionStatus]
) -> dict[str, Cause]:
    """The causes why partitions of one stage are not fresh, by partition; `code` is its present code version."""
    published = [status.published for status in statuses if status.published]
    provenance = _provenance(ledger, published, code.digest)
    columns = _ColumnsOf(ledger, report, provenance.values())
    return {
        status.partition: cause(
            status,
            code,
            provenance[status.published.version_id] if status.published else None,
            partial(report.recipe, status),
            columns.changed,
        )
        for status in statuses
    }


def cause(
    status: PartitionStatus,
    code: CodeVersion,
    published: Provenance | None,
    wanted: Callable[[], Recipe],
    columns_changed: ColumnsChanged = lambda _before, _now: None,
) -> Cause:
    """The cause why `status` is not fresh: the first difference between its published version and the wanted recipe.

    `code` is the present code version, and `wanted` gives the recipe, which is not needed if the code differs.
    """
    if status.required_action in _WITHOUT_COMPARISON:
        return _WITHOUT_COMPARISON[status.required_action]
    is_read = status.published is None or status.published.recipe == status.recipe
    if status.required_action is RequiredAction.AUDIT and (is_read or status.reason is not Reason.RULES_CHANGED):
        return Cause(Kind.CONTRACT, (status.reason.value,))
    if status.published is None or published is None:
        is_certain = not any(item.content.startswith(UNKNOWN) for item in wanted().inputs)
        if status.reason is Reason.DAY_SETTLED:
            return Cause(Kind.MISSING, (f"day {status.partition} settled",), ("days that settled",), is_certain)
        return Cause(Kind.MISSING, is_certain=is_certain)
    if status.published.code_version != code.digest:
        return _cause_in_code(published.code, code)
    recipe = wanted()
    return (
        _cause_in_settings(published.configuration, recipe.configuration)
        or _cause_in_data(published.inputs, recipe.inputs, columns_changed)
        or Cause(
            Kind.CODE, ("the columns that it reads" if any(item.columns for item in recipe.inputs) else "hash scheme",)
        )
    )


def differences(old: Provenance, new: Provenance, *, is_same_code: bool) -> list[Cause]:
    """All differences in the provenance of two versions: code, settings, data."""
    found = (
        None if is_same_code else _cause_in_code(old.code, new.code),
        _cause_in_settings(old.configuration, new.configuration),
        _cause_in_data(old.inputs, new.inputs, lambda _before, _now: None),
    )
    return [item for item in found if item]


def _provenance(ledger: Ledger, published: Collection[VersionSummary], code_version: str) -> dict[int, Provenance]:
    """The provenance of published versions; where the code differs already, only the code is read from the ledger."""
    codes = ledger.attempts.code({item.code_version for item in published})
    same_code = [item.version_id for item in published if item.code_version == code_version]
    remembered = ledger.provenance(same_code)
    nothing: tuple[dict[str, str], tuple[InputRef, ...]] = ({}, ())
    return {
        item.version_id: Provenance(codes.get(item.code_version), *remembered.get(item.version_id, nothing))
        for item in published
    }


def _cause_in_code(old: CodeVersion | None, new: CodeVersion | None) -> Cause:
    names = changed(old, new) if old and new else ["code that is not remembered"]
    return Cause(Kind.CODE, tuple(names))


def _cause_in_settings(old: Mapping[str, str], new: Mapping[str, str]) -> Cause | None:
    names = [f"setting {name}" for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
    return Cause(Kind.CODE, tuple(names)) if names else None


def _cause_in_data(
    before: Iterable[InputRef], now: Iterable[InputRef], columns_changed: ColumnsChanged
) -> Cause | None:
    old, new = _by_place(before), _by_place(now)
    names: dict[str, str] = {}
    is_certain = False
    for key in sorted(old.keys() | new.keys()):
        then, found = old.get(key), new.get(key)
        if then is None or found is None:
            names[_name(key, is_removed=found is None)] = key[0]
        elif then.content != found.content:
            columns = columns_changed(then, found)
            if columns is not None and not columns:
                continue
            some = f" ({listed(tuple(columns))})" if columns and len(columns) < _number_read(found) else ""
            names[_name(key, is_removed=False) + some] = key[0]
        else:
            continue
        is_certain |= found is None or not found.content.startswith(UNKNOWN)
    return Cause(Kind.DATA, tuple(names), tuple(dict.fromkeys(names.values())), is_certain) if names else None


def _number_read(read: InputRef) -> int:
    return len(read.columns.names) if read.columns else 0


def _by_place(inputs: Iterable[InputRef]) -> dict[_Read, InputRef]:
    return {(item.upstream, item.partition, item.part, item.is_file): item for item in inputs}


class _ColumnsOf:
    """The contents by column of what versions were computed from: of what is published by a report, of what was by the ledger, all at once."""

    def __init__(self, ledger: Ledger, report: StalenessReport, provenance: Iterable[Provenance]) -> None:
        self._ledger = ledger
        self._report = report
        self._provenance = provenance

    def changed(self, before: InputRef, now: InputRef) -> list[str] | None:
        """The columns that are read of a part and have changed; None where that is not known."""
        if now.columns is None:
            return None
        old, new = (self._of(item) for item in (before, now))
        return new.changed(old, now.columns.names) if old and new else None

    def _of(self, read: InputRef) -> ColumnContents | None:
        status = self._report.statuses.get(read.upstream, {}).get(read.partition)
        published = status.published if status else None
        is_it = published is not None and published.version_id == read.record
        version = published if is_it else self._earlier.get(read.record)
        return version.columns_of(read.part) if version else None

    @cached_property
    def _earlier(self) -> Mapping[int, VersionSummary]:
        read = {item.record for known in self._provenance for item in known.inputs if not item.is_file}
        return self._ledger.made_by_id(read)


def _name(read: _Read, *, is_removed: bool) -> str:
    """A file, and whether it was removed: a day that a sync has cut reads like one that has grown otherwise. Or else a partition."""
    upstream, partition, part, is_file = read
    if not is_file:
        return f"{upstream} {partition}"
    return f"{part} (removed)" if is_removed else part


def listed(names: tuple[str, ...]) -> str:
    """The first names, and how many more there are."""
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


_WITHOUT_COMPARISON = {
    RequiredAction.DELIVER: Cause(Kind.DATA, ("its target holds something else",)),
    RequiredAction.RETRACT: Cause(Kind.DATA, ("nothing to compute it from any more",)),
}
