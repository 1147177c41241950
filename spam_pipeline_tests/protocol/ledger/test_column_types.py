"""How values lie in the ledger's columns."""

import sqlalchemy as sa

from spam_pipeline.protocol.ledger.column_types import PackedJson
from spam_pipeline.protocol.ledger.tables import connect, writing


def test_packed_json_comes_back_equal_and_takes_fewer_bytes(ledger_url: str) -> None:
    value = {"keys": [{"key": number, "share": number / 7, "name": "ü"} for number in range(100)], "none": None}
    table = sa.Table("packed", sa.MetaData(), sa.Column("value", PackedJson))
    engine = connect(ledger_url)
    with writing(engine) as connection:
        table.create(connection)
        connection.execute(sa.insert(table), {"value": value})
        assert connection.scalar(sa.select(table.c.value)) == value
        assert connection.scalar(sa.text("select length(value) from packed")) < 2000, "text would be 5,000"
    engine.dispose()
