"""A ledger's tables belong to one layout; a ledger of one that this release can do nothing with is left alone."""

import pytest
import sqlalchemy as sa

from spam_pipeline.protocol.foundation.errors import WrongLedger
from spam_pipeline.protocol.ledger import Ledger, tables
from spam_pipeline_tests.protocol.made_up_records import landed


def test_a_ledger_of_a_layout_before_fingerprints_is_refused_and_left_as_it_is(ledger_url: str) -> None:
    engine = sa.create_engine(ledger_url)
    with engine.begin() as connection:
        connection.execute(sa.text("create table observations (id integer primary key, source text)"))
    expected = f"the ledger has layout 1, of a release before 0.3, and this release reads layouts 3 to {tables.LAYOUT}"
    with pytest.raises(WrongLedger, match=f"{expected}: an earlier one has no fingerprints"):
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
    later = tables.LAYOUT + 1
    expected = (
        f"the ledger has layout {later}, of a later release, and this release reads layouts up to {tables.LAYOUT}"
    )
    with pytest.raises(WrongLedger, match=f"{expected}: install the later release again"):
        Ledger(ledger_url)


def test_tables_of_somebody_else_beside_the_ledger_are_nobodys_business(ledger_url: str) -> None:
    engine = sa.create_engine(ledger_url)
    with engine.begin() as connection:
        connection.execute(sa.text("create table recipes_of_a_kitchen (id integer primary key)"))
    engine.dispose()
    ledger = Ledger(ledger_url)
    assert landed(ledger) == []
    ledger.close()
