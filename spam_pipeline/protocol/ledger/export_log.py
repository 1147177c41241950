"""Exports: which of the ledger's rows lie beside the store as documents, and taking such documents in. Part of the ledger.

How rows become lines is in `exported_rows`, where documents lie in `storage.journal`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spam_pipeline.protocol.foundation.errors import PipelineError
from spam_pipeline.protocol.ledger.exported_rows import IsThere, Row, lines_between, positions, take_in
from spam_pipeline.protocol.ledger.rows import now, ticks
from spam_pipeline.protocol.ledger.tables import exports, publications, versions, writing


class Exported(NamedTuple):
    """The last export: the number of its document, the branch that it continues, and the position in each table up to which it goes."""

    branch: str
    number: int
    until: Mapping[str, int]


class Document(NamedTuple):
    """A document with exported rows: its name and number, and what reads its lines. Reading raises `PipelineError` for one that is damaged."""

    name: str
    number: int
    read: Callable[[], Iterable[tuple[str, Row]]]


class ExportLog:
    """The exports in a ledger's database."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def last(self) -> Exported | None:
        """The last export; None if there was none."""
        with self._engine.connect() as connection:
            found = connection.execute(sa.select(exports).order_by(exports.c.id.desc()).limit(1)).first()
            return Exported(found.branch, found.number, found.until) if found else None

    def positions(self) -> dict[str, int]:
        """The last position in each table that is exported."""
        with self._engine.connect() as connection:
            return positions(connection)

    def lines(self, after: Mapping[str, int], until: Mapping[str, int]) -> Iterator[tuple[str, Row]]:
        """The rows from one position up to another, each with the name of its table."""
        with self._engine.connect() as connection:
            yield from lines_between(connection, after, until)

    def record(self, exported: Exported) -> None:
        """Note that a document is in place."""
        with writing(self._engine) as connection:
            _record(connection, exported)

    def forget(self) -> None:
        """Forget all exports, so that the next one has everything and begins a branch."""
        with writing(self._engine) as connection:
            connection.execute(sa.delete(exports))

    def take_in(self, documents: Sequence[Document], branch: str, is_there: IsThere) -> dict[str, str]:
        """Add the rows of a branch's documents, in their order and in one transaction: of each all that can be, or none.

        Returns the documents that were left out, by name, each with the reason. Without any, the next export continues the branch; otherwise it begins
        another one, because it could give new rows the ids of those that were left out.
        """
        left_out = dict[str, str]()
        with writing(self._engine) as connection:
            for document in documents:
                try:
                    with connection.begin_nested():
                        take_in(connection, document.read(), is_there)
                except PipelineError as problem:
                    left_out[document.name] = str(problem)
            if documents and not left_out:
                _record(connection, Exported(branch, documents[-1].number, positions(connection)))
        return left_out

    def counts(self) -> tuple[int, int]:
        """The number of versions and of publications that the ledger has."""
        with self._engine.connect() as connection:
            count = (
                sa.select(sa.func.count()).select_from(table).scalar_subquery() for table in (versions, publications)
            )
            return tuple(connection.execute(sa.select(*count)).one())


def _record(connection: Connection, exported: Exported) -> None:
    connection.execute(sa.insert(exports), {**exported._asdict(), "exported_at": ticks(now())})
