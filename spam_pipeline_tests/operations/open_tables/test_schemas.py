"""Columns of contracts as those of tables: types, what is left out, and ids."""

from typing import TYPE_CHECKING

import dataframely as dy
import pytest

from spam_pipeline.operations.open_tables.schemas import field_ids, left_out, mapped, name_mapping, paths_in, schema_of
from spam_pipeline.operations.pipeline import STAGES
from spam_pipeline.protocol import ArtifactContract, Contract

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl


class Everything(Contract):
    """A column of each type that a table can have, and some that it cannot."""

    text = dy.String(description="What it says.")
    small = dy.Int8()
    count = dy.Int64()
    share = dy.Float32()
    amount = dy.Decimal(precision=12, scale=3)
    moment = dy.Datetime(time_unit="ms", time_zone="UTC")
    precise = dy.Datetime(time_unit="ns")
    key = dy.UInt64()
    keys = dy.List(dy.UInt64())
    reasons = dy.List(dy.Struct({"signal": dy.String(), "key": dy.UInt64(), "value": dy.Float64()}))


def test_types_are_those_that_iceberg_has() -> None:
    schema = schema_of(Everything, field_ids(Everything, {}))
    assert {field.name: str(field.field_type) for field in schema.fields} == {
        "partition_key": "string",
        "text": "string",
        "small": "int",
        "count": "long",
        "share": "float",
        "amount": "decimal(12, 3)",
        "moment": "timestamptz",
        "reasons": str(schema.find_type("reasons")),
    }
    assert [name for name in paths_in(schema) if name.startswith("reasons.element.")] == [
        "reasons.element.signal",
        "reasons.element.value",
    ]
    assert schema.find_field("text").doc == "What it says."


def test_what_iceberg_cannot_say_is_left_out_and_listed() -> None:
    assert left_out(Everything) == ("precise", "key", "keys", "keys.element", "reasons.element.key")


def test_what_is_left_out_has_an_id_that_no_column_gets_later() -> None:
    ids = field_ids(Everything, {})
    assert mapped(name_mapping(ids)) == ids
    assert len(set(ids.values())) == len(ids)
    more = field_ids(Everything, {"old": max(ids.values()) + 7, **ids})
    assert {**more, "old": 0} == {**ids, "old": 0}


@pytest.mark.parametrize(
    "stage",
    [stage for stage in STAGES if not isinstance(stage.contract, ArtifactContract)],
    ids=lambda stage: stage.name,
)
def test_of_our_own_stages_only_hashes_are_left_out(stage: object) -> None:
    contract: type[Contract] = stage.contract  # type: ignore[attr-defined]
    types: Mapping[str, pl.DataType] = {name: column.dtype for name, column in contract.columns().items()}
    for path in left_out(contract):
        assert "UInt64" in str(types[path.split(".", maxsplit=1)[0]])
