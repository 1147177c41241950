"""Contracts: the promises of a stage about its data.

A contract of frames is a `Contract` class: columns, types, nullability, key (a dataframely schema), the fingerprint that every
version carries, bounds on its numbers, the tolerated share of rejected records, and which earlier schemas can still be read. A
stage whose result is no frame (a model) has an `ArtifactContract`. `execution.audit` checks versions against contracts.
Nothing here knows any stage.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import dataframely as dy
import polars as pl

from spam_pipeline.protocol.drift import HistoricFingerprint
from spam_pipeline.protocol.fingerprint import Fingerprint, Measure
from spam_pipeline.protocol.foundation.finding import Finding
from spam_pipeline.protocol.foundation.limit import Limit

FRAME_SUFFIX = ".parquet"

REJECTED_PART = "rejected"
"""The side part whose rows are the records that were rejected; `Contract.tolerated_rejected_share` is about them."""

ShowAsEarlier = Callable[[pl.LazyFrame], pl.LazyFrame]
"""Converts data to the columns of an earlier schema; a function at the top level of a module, so that it has a code version."""


class Contract(dy.Schema):
    """The promise of a stage that publishes frames. Subclass it with `dataframely` columns and a `fingerprint`."""

    tolerated_rejected_share: ClassVar[float | None] = None
    """The share of records that may be rejected, into the side part `rejected`, before the rest is refused as well; None where
    nothing is rejected."""

    excusing_part: ClassVar[str | None] = None
    """The side part in which people say why there is nothing: with a row there, a version without rows is like no other, and passes."""

    schema_version: ClassVar[int] = 1
    """Number of the schema; raised together with any change of columns that breaks a consumer."""

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """The measures of every version, by name, in the terms of the domain."""
        return {}

    @classmethod
    def limits(cls) -> tuple[Limit, ...]:
        """Bounds on numbers of the fingerprint."""
        return ()

    @classmethod
    def findings(cls, fingerprint: Fingerprint, history: Sequence[HistoricFingerprint]) -> Iterable[Finding]:
        """Findings of the domain's own rules about a version, given the fingerprints of its recent accepted history."""
        del fingerprint, history
        return ()

    @classmethod
    def earlier_schemas(cls) -> dict[int, ShowAsEarlier]:
        """The earlier schemas that consumers which have not moved on can still read, each with its conversion."""
        return {}

    @classmethod
    def empty(cls) -> pl.LazyFrame:
        """A frame without rows that keeps this contract."""
        return pl.LazyFrame(schema=column_types(cls))


def column_types(contract: type[Contract]) -> dict[str, pl.DataType]:
    """Column names and Polars types of a contract, in the order in which they are written."""
    return {name: column.dtype for name, column in contract.columns().items()}


def measures_nothing(value: Any) -> Fingerprint:
    """An empty fingerprint, for artifacts that are not measured."""
    del value
    return {}


def finds_nothing(fingerprint: Fingerprint, history: Sequence[HistoricFingerprint]) -> Iterable[Finding]:
    """No findings, for artifacts whose domain has no rules of its own."""
    del fingerprint, history
    return ()


@dataclass(frozen=True)
class ArtifactContract:
    """The promise of a stage whose result is one file that is no frame, such as a trained model.

    `write` puts the value into a file whose bytes depend on the value alone; `read` refuses what it cannot trust;
    `fingerprint` measures the value, and `limits` bound its numbers. `findings` applies the domain's own rules, given the
    fingerprints of the stage's recent accepted history. For a stage without partitions that is the published version: a
    challenger meets the champion, which an earlier contract may have measured less of. `fingerprint` and `findings` are
    functions at the top level of a module.
    """

    suffix: str
    write: Callable[[Any, Path], None]
    read: Callable[[Path], Any]
    fingerprint: Callable[[Any], Fingerprint] = measures_nothing
    limits: tuple[Limit, ...] = ()
    findings: Callable[[Fingerprint, Sequence[HistoricFingerprint]], Iterable[Finding]] = finds_nothing


AnyContract = type[Contract] | ArtifactContract


def audits_against_history(contract: AnyContract) -> bool:
    """Return True if anything about a version of this contract is audited against the history of its stage."""
    if isinstance(contract, ArtifactContract):
        return contract.findings is not finds_nothing
    has_own = contract.findings.__func__ is not Contract.findings.__func__  # type: ignore[attr-defined]
    return has_own or any(
        measure.drift or measure.tolerated_loss is not None for measure in contract.fingerprint().values()
    )


def columns_of(contract: type[Contract] | ArtifactContract) -> dict[str, str]:
    """Column names of a contract, in order, and the names of their types, as a version records them; none of an artifact."""
    if isinstance(contract, ArtifactContract):
        return {}
    return {name: str(dtype) for name, dtype in column_types(contract).items()}
