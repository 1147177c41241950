"""What a frame's contract says about it, and whether a stage reads what it says that it reads."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from spam_pipeline.protocol import WHOLE, Contract, Finding
from spam_pipeline.protocol.execution.audit import findings_on_data
from spam_pipeline.protocol.fingerprint import Fingerprint, measure, numbers
from spam_pipeline.protocol.operating import AnyStage, Selection


def findings_about(contract: type[Contract], frame: pl.LazyFrame) -> list[Finding]:
    """What speaks against a frame by its contract."""
    return findings_on_data(contract, frame, WHOLE)


def fingerprint_of(contract: type[Contract], frame: pl.LazyFrame) -> Fingerprint:
    """What a contract measures of a frame."""
    return measure(contract.fingerprint(), frame)


def numbers_of(contract: type[Contract], frame: pl.LazyFrame) -> dict[str, float]:
    """The numbers of a frame's fingerprint."""
    return numbers(fingerprint_of(contract, frame))


def as_declared(stage: AnyStage, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs as the pipeline gives them to a stage: of each upstream the columns that it declares."""
    return {
        name: value.select(stage.inputs[name].columns) if name in stage.inputs and stage.inputs[name].columns else value
        for name, value in inputs.items()
    }


def partitions_read(stage: AnyStage) -> dict[str, Selection]:
    """Which partitions each parameter of a stage reads."""
    return {name: reads.partitions for name, reads in stage.inputs.items()}


def with_columns_declared(stage: AnyStage) -> set[str]:
    """The parameters that say which columns they read."""
    return {name for name, reads in stage.inputs.items() if reads.columns}


def needless_columns(stage: AnyStage, inputs: Mapping[str, Any]) -> list[str]:
    """The columns that a stage declares and can do without."""
    given = as_declared(stage, inputs)
    columns = [(name, column) for name, reads in stage.inputs.items() for column in reads.columns]
    return [f"{name}.{column}" for name, column in columns if _runs(stage, {**given, name: given[name].drop(column)})]


def _runs(stage: AnyStage, inputs: Mapping[str, Any]) -> bool:
    try:
        result = stage(**inputs)
        pl.collect_all(result.values() if isinstance(result, Mapping) else [result])
    except pl.exceptions.ColumnNotFoundError:
        return False
    return True
