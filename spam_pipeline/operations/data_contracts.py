"""Contracts in the Open Data Contract Standard (version 3.1), for catalogues and consumers that know nothing of this pipeline.

One document per stage of frames, its side parts included. It says what versions are audited by; whether a version kept that is
known by the ledger alone.
"""

import inspect
from collections.abc import Iterable, Iterator
from typing import Any

import polars as pl
from open_data_contract_standard.model import (
    CustomProperty,
    DataQuality,
    Description,
    OpenDataContractStandard,
    SchemaObject,
    SchemaProperty,
    Team,
)

from spam_pipeline.protocol import ArtifactContract, Contract, DescribedColumn, described_columns
from spam_pipeline.protocol.operating import AnyStage

_OPTIONS = {
    "min": "minimum", "min_exclusive": "exclusiveMinimum", "max": "maximum", "max_exclusive": "exclusiveMaximum",
    "min_length": "minLength", "max_length": "maxLength", "regex": "pattern",
}  # fmt: skip
"""The bounds of a column, by the standard's names."""


def data_contracts(stages: Iterable[AnyStage]) -> Iterator[tuple[str, OpenDataContractStandard]]:
    """Yield the document of each stage of frames, by its name."""
    for stage in stages:
        if not isinstance(stage.contract, ArtifactContract):
            yield stage.name, _document(stage, stage.contract)


def _document(stage: AnyStage, contract: type[Contract]) -> OpenDataContractStandard:
    parts = {stage.name: contract, **{f"{stage.name}/{part}": rules for part, rules in stage.side_parts.items()}}
    return OpenDataContractStandard(
        apiVersion="v3.1.0",
        kind="DataContract",
        id=f"spam-pipeline:{stage.context}.{stage.name}",
        name=stage.name,
        version=f"{contract.schema_version}.0.0",
        status="active",
        domain=stage.context,
        description=Description(purpose=stage.description),
        team=Team(name=stage.owner.removeprefix("team:")),
        schema=[_object(name, rules, f"{stage.context}.{name}") for name, rules in parts.items()],
    )


def _object(name: str, contract: type[Contract], physical_name: str) -> SchemaObject:
    keys = [column.name for column in described_columns(contract) if column.is_key]
    return SchemaObject(
        name=name,
        physicalName=physical_name,
        physicalType="parquet",
        logicalType="object",
        description=inspect.getdoc(contract) or "",
        properties=[_property(column, keys) for column in described_columns(contract)],
        quality=[_rule(text) for text in _rules(contract)] or None,
    )


def _rules(contract: type[Contract]) -> Iterator[str]:
    """The rules about a version as a whole."""
    for limit in contract.limits():
        yield f"{limit.number}: {limit}"
    if contract.tolerated_rejected_share is not None:
        yield f"at most {contract.tolerated_rejected_share:.2%} of the records are rejected"


def _property(column: DescribedColumn, keys: list[str]) -> SchemaProperty:
    unit = [CustomProperty(property="unit", value=column.unit)] if column.unit else None
    options = {_OPTIONS[name]: bound for name, bound in column.bounds.items()}
    return SchemaProperty(
        **_typed(column.name, column.dtype),
        description=column.description,
        required=not column.is_nullable,
        primaryKey=column.is_key,
        primaryKeyPosition=keys.index(column.name) + 1 if column.is_key else None,
        logicalTypeOptions=options or None,
        quality=[_rule(check) for check in column.checks] or None,
        customProperties=unit,
    )


def _rule(text: str) -> DataQuality:
    return DataQuality.model_validate({"type": "text", "description": text})


def _typed(name: str, dtype: pl.DataType) -> dict[str, Any]:
    """A type with what is inside of it."""
    typed: dict[str, Any] = {"name": name, "logicalType": _logical_type(dtype), "physicalType": str(dtype)}
    if isinstance(dtype, pl.List):
        inner = dtype.inner
        typed["items"] = SchemaProperty(**_typed("item", inner if isinstance(inner, pl.DataType) else inner()))
    if isinstance(dtype, pl.Struct):
        fields = ((field.name, field.dtype) for field in dtype.fields)
        typed["properties"] = [
            SchemaProperty(**_typed(name, inner if isinstance(inner, pl.DataType) else inner()))
            for name, inner in fields
        ]
    return typed


def _logical_type(dtype: pl.DataType) -> str:
    """The standard's name for a type.

    >>> [_logical_type(dtype) for dtype in (pl.UInt64(), pl.Float64(), pl.Datetime("ms"), pl.String())]
    ['integer', 'number', 'timestamp', 'string']
    """
    if dtype.is_integer():
        return "integer"
    if dtype.is_float():
        return "number"
    named = {pl.Date: "date", pl.Datetime: "timestamp", pl.Boolean: "boolean", pl.List: "array", pl.Struct: "object"}
    return named.get(dtype.base_type(), "string")
