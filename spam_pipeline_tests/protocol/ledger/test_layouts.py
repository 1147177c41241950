"""A ledger's tables belong to one layout; a ledger of another one than the last is left alone."""

import pytest
import sqlalchemy as sa

from spam_pipeline.protocol.foundation.errors import WrongLedger
from spam_pipeline.protocol.ledger import Ledger, tables
from spam_pipeline_tests.protocol.made_up_records import landed


def test_a_ledger_of_a_layout_before_the_last_one_is_refused_and_left_as_it_is(ledger_url: str) -> None:
    engine = sa.create_engine(ledger_url)
    with engine.begin() as connection:
        connection.execute(sa.text("create table observations (id integer primary key, source text)"))
    with pytest.raises(WrongLedger, match=f"the ledger has layout 1, and this release reads layout {tables.LAYOUT}"):
        Ledger(ledger_url)
    with engine.connect() as connection:
        assert sa.inspect(connection).get_table_names() == ["observations"]
    engine.dispose()


def test_a_ledger_of_a_later_layout_is_refused(ledger_url: str) -> None:
    Ledger(ledger_url).close()
    engine = sa.create_engine(ledger_url)
    with engine.begin() as connection:
        connection.execute(sa.update(tables.layout).values(number=tables.LAYOUT + 1))
    engine.dispose()
    with pytest.raises(WrongLedger, match="use the release that made it"):
        Ledger(ledger_url)


def test_tables_of_somebody_else_beside_the_ledger_are_nobodys_business(ledger_url: str) -> None:
    engine = sa.create_engine(ledger_url)
    with engine.begin() as connection:
        connection.execute(sa.text("create table recipes_of_a_kitchen (id integer primary key)"))
    engine.dispose()
    ledger = Ledger(ledger_url)
    assert landed(ledger) == []
    ledger.close()
