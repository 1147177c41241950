"""What many rows have in common lies in the ledger once."""

import sqlalchemy as sa

from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.layouts import open_database
from spam_pipeline.protocol.ledger.shared_values import digest_of_value, keep_values, values_of
from spam_pipeline.protocol.ledger.tables import connect, shared_values, writing
from spam_pipeline_tests.protocol.made_up_records import PASSED, PRODUCTION, a_version

COLUMNS, SETTINGS = {"number": "Int64"}, {"start": "9f2c"}


def test_a_value_that_is_kept_twice_lies_there_once(ledger_url: str) -> None:
    engine = open_database(ledger_url)
    kept = {digest_of_value(value): value for value in (COLUMNS, SETTINGS)}
    for _ in range(2):
        with writing(engine) as connection:
            keep_values(connection, kept)
    with engine.connect() as connection:
        assert values_of(connection, kept) == kept
        assert connection.scalar(sa.select(sa.func.count()).select_from(shared_values)) == len(kept)
    engine.dispose()


def test_values_have_their_names_in_their_order() -> None:
    assert digest_of_value(COLUMNS | SETTINGS) != digest_of_value(SETTINGS | COLUMNS)


def test_versions_with_equal_columns_settings_and_inputs_share_them(ledger: Ledger, ledger_url: str) -> None:
    engine = connect(ledger_url)
    counts = []
    for recipe in ("r1", "r2", "r3"):
        ledger.record(a_version(recipe), PASSED, PRODUCTION)
        with engine.connect() as connection:
            counts.append(connection.scalar(sa.select(sa.func.count()).select_from(shared_values)))
    assert len(set(counts)) == 1
    engine.dispose()
