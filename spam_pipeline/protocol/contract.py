"""Contracts: what a stage promises about its data, and how a version is held against it.

A contract of frames is a `Contract` class: columns, types, nullability, key (a dataframely schema), and the fingerprint,
the statistics of the domain that every version carries. A stage whose result is no frame (a model) has an `ArtifactContract`.
Nothing here knows any stage.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dataframely as dy
import polars as pl

Fingerprint = Mapping[str, int | float]
"""Statistics of one version by name; the unit is the name's last word where it is no plain count."""

FRAME_SUFFIX = ".parquet"


class Contract(dy.Schema):
    """The promise of a stage that publishes frames. Subclass it with `dataframely` columns and a `fingerprint`."""

    @classmethod
    def fingerprint(cls) -> dict[str, pl.Expr]:
        """Aggregations over the published frame, one number each; computed for every version in a single scan."""
        return {}

    @classmethod
    def empty(cls) -> pl.LazyFrame:
        """A frame without rows that keeps this contract."""
        return pl.LazyFrame(schema=column_types(cls))


def column_types(contract: type[Contract]) -> dict[str, pl.DataType]:
    """Column names and Polars types of a contract, in the order in which they are written."""
    return {name: column.dtype for name, column in contract.columns().items()}


@dataclass(frozen=True)
class ArtifactContract:
    """The promise of a stage whose result is one file that is no frame, such as a trained model.

    `write` puts the value into a file whose bytes depend on the value alone; `read` refuses what it cannot trust;
    `fingerprint` describes the value in the numbers of its domain.
    """

    suffix: str
    write: Callable[[Any, Path], None]
    read: Callable[[Path], Any]
    fingerprint: Callable[[Any], Fingerprint] = field(default=lambda _: {})


AnyContract = type[Contract] | ArtifactContract


def audit(contract: type[Contract], frame: pl.LazyFrame) -> list[str]:
    """Findings that speak against `frame`, one sentence each; none when it keeps the contract."""
    expected, seen = column_types(contract), dict(frame.collect_schema())
    findings = [
        f"column {name}: expected {expected.get(name, 'no such column')}, got {seen.get(name, 'no such column')}"
        for name in sorted(expected.keys() | seen.keys())
        if expected.get(name) != seen.get(name)
    ]
    if not findings and list(expected) != list(seen):
        findings = [f"columns: expected the order {', '.join(expected)}, got {', '.join(seen)}"]
    if findings or contract.is_valid(frame):
        return findings
    counts = contract.filter(frame.collect()).failure.counts()
    return [f"{rule}: {rows} rows break it" for rule, rows in sorted(counts.items())]
