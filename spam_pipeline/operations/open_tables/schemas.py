"""Columns of a contract as those of an Iceberg table, with field ids that a column keeps for ever.

The files of the store carry no field ids, so engines find columns by the names in the table's name mapping. It has every name that
the table ever had: a snapshot of the past is read by the schema of then. A type that Iceberg does not have is left out.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import Any

import polars as pl
from pyiceberg.schema import Schema, index_name_by_id
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IcebergType,
    IntegerType,
    ListType,
    LongType,
    NestedField,
    StringType,
    StructType,
    TimestampType,
    TimestamptzType,
)

from spam_pipeline.protocol import Contract, described_columns

PARTITION_KEY = "partition_key"
"""The column that tables have beyond those of the contract. Its values are in no file, but in the metadata of each."""

_OF_PARTITION_KEY = "Key of the partition that the row is published in."

_SIMPLE: Mapping[type[pl.DataType], IcebergType] = {
    pl.Binary: BinaryType(),
    pl.Boolean: BooleanType(),
    pl.Categorical: StringType(),
    pl.Date: DateType(),
    pl.Enum: StringType(),
    pl.Float32: FloatType(),
    pl.Float64: DoubleType(),
    pl.Int8: IntegerType(),
    pl.Int16: IntegerType(),
    pl.Int32: IntegerType(),
    pl.Int64: LongType(),
    pl.String: StringType(),
}
"""Iceberg has no unsigned integers: of the hashes in 64 bits, half are out of the range of its widest, and engines refuse the files."""

FieldIds = Mapping[str, int]
"""Field ids by path, such as `reasons.element.signal`."""


def field_ids(contract: type[Contract], known: FieldIds) -> dict[str, int]:
    """The field ids of a contract's columns, of those left out too, and of those `known` from before, which keep theirs.

    What is left out has an id because some readers refuse a file with a column that the name mapping does not have.
    """
    ids = dict(known)
    unused = count(max(ids.values(), default=0) + 1)
    for path in (PARTITION_KEY, *_paths_of(contract)):
        if path not in ids:
            ids[path] = next(unused)
    return ids


def schema_of(contract: type[Contract], ids: FieldIds, schema_id: int = 0) -> Schema:
    """The schema of a contract's table."""
    key = NestedField(ids[PARTITION_KEY], PARTITION_KEY, StringType(), required=False, doc=_OF_PARTITION_KEY)
    fields = (_field(column.name, column.dtype, column.sentence, "", ids) for column in described_columns(contract))
    return Schema(key, *(field for field in fields if field), schema_id=schema_id)


def left_out(contract: type[Contract]) -> tuple[str, ...]:
    """The columns of a contract, and fields within them, that its table does not have."""
    ids = field_ids(contract, {})
    kept = paths_in(schema_of(contract, ids))
    return tuple(path for path in ids if path not in kept)


def paths_in(schema: Schema) -> dict[str, int]:
    """The field ids of a schema."""
    return {path: field_id for field_id, path in index_name_by_id(schema).items()}


def name_mapping(ids: FieldIds) -> str:
    """The name mapping of a table, as its property has it.

    >>> name_mapping({"reasons": 2, "reasons.element": 3})
    '[{"field-id": 2, "names": ["reasons"], "fields": [{"field-id": 3, "names": ["element"]}]}]'
    """
    placed: dict[str, Any] = {"": {}}
    for path in sorted(ids):
        above, _, name = path.rpartition(".")
        placed[path] = {"field-id": ids[path], "names": [name]}
        placed[above].setdefault("fields", []).append(placed[path])
    return json.dumps(placed[""]["fields"])


def mapped(mapping: str) -> dict[str, int]:
    """The field ids in a name mapping.

    >>> mapped(name_mapping({"reasons": 2, "reasons.element": 3}))
    {'reasons': 2, 'reasons.element': 3}
    """
    return dict(_mapped(json.loads(mapping), ""))


def _mapped(fields: Iterable[Any], above: str) -> Iterator[tuple[str, int]]:
    for field in fields:
        path = above + field["names"][0]
        yield path, field["field-id"]
        yield from _mapped(field.get("fields", ()), f"{path}.")


def _paths_of(contract: type[Contract]) -> Iterator[str]:
    for column in described_columns(contract):
        yield from _paths(column.name, column.dtype)


def _paths(path: str, dtype: pl.DataType) -> Iterator[str]:
    yield path
    for name, inner in _within(dtype).items():
        yield from _paths(f"{path}.{name}", inner)


def _field(name: str, dtype: pl.DataType, doc: str, above: str, ids: FieldIds) -> NestedField | None:
    path = f"{above}{name}"
    if not _is_readable(dtype):
        return None
    return NestedField(ids[path], name, _type(dtype, path, ids), required=False, doc=doc or None)


def _is_readable(dtype: pl.DataType) -> bool:
    """Return True if something of a type can be read; of a structure, the fields that can be."""
    within = _within(dtype)
    return any(map(_is_readable, within.values())) if within else _simple(dtype) is not None


def _within(dtype: pl.DataType) -> dict[str, pl.DataType]:
    if isinstance(dtype, pl.List):
        return {"element": _instance(dtype.inner)}
    if isinstance(dtype, pl.Struct):
        return {field.name: _instance(field.dtype) for field in dtype.fields}
    return {}


def _instance(dtype: Any) -> pl.DataType:
    found: pl.DataType = dtype() if isinstance(dtype, type) else dtype
    return found


def _type(dtype: pl.DataType, path: str, ids: FieldIds) -> IcebergType:
    within = _within(dtype)
    if isinstance(dtype, pl.List):
        inner = f"{path}.element"
        return ListType(ids[inner], _type(within["element"], inner, ids), element_required=False)
    if within:
        fields = (_field(name, inner, "", f"{path}.", ids) for name, inner in within.items())
        return StructType(*(field for field in fields if field))
    simple = _simple(dtype)
    assert simple is not None  # noqa: S101 - whoever asks has asked `_is_readable`
    return simple


def _simple(dtype: pl.DataType) -> IcebergType | None:
    if isinstance(dtype, pl.Decimal):
        return DecimalType(dtype.precision or 38, dtype.scale)
    if isinstance(dtype, pl.Datetime) and dtype.time_unit != "ns":
        return TimestamptzType() if dtype.time_zone else TimestampType()
    return _SIMPLE.get(type(dtype))
