"""Notices: what somebody was notified of, and since when partitions are unready. Part of the ledger.

What is open is compared with what is so now, by whoever notifies. Rows are added like all others: one when something begins, one when it is
over.
"""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spam_pipeline.protocol.ledger.rows import moment, now, ticks
from spam_pipeline.protocol.ledger.tables import notices, writing


class Subject(NamedTuple):
    """The subject of a notice: what kind of thing it is about, and which one."""

    kind: str
    about: str


class Notice(NamedTuple):
    """A notice that is open, and since when; `mark` tells one cause from another one of the same subject."""

    subject: Subject
    mark: str
    begun_at: datetime


_LAST = (
    sa.select(sa.func.max(notices.c.id))
    .where(notices.c.environment == sa.bindparam("environment"), notices.c.target == sa.bindparam("target"))
    .group_by(notices.c.kind, notices.c.about)
)
_OPEN = sa.select(notices).where(notices.c.id.in_(_LAST), ~notices.c.is_over).order_by(notices.c.id)


class NoticeLog:
    """The notices in a ledger's database, by environment and target; those for nobody have the target `""`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def open(self, environment: str, target: str = "") -> dict[Subject, Notice]:
        """The notices that have begun and are not over, in their order."""
        with self._engine.connect() as connection:
            return _open(connection, environment, target)

    def record(
        self,
        environment: str,
        begun: Collection[tuple[Subject, str]],
        over: Collection[Subject],
        target: str = "",
        at: datetime | None = None,
    ) -> None:
        """Note what has begun, each with its mark, and what is over; what another process has noted meanwhile stays as it is."""
        noted_at = ticks(at or now())
        with writing(self._engine) as connection:
            known = _open(connection, environment, target)
            new = [(*subject, mark, False) for subject, mark in begun if _mark(known, subject) != mark]
            ended = [(*subject, known[subject].mark, True) for subject in over if subject in known]
            rows = [dict(zip(("kind", "about", "mark", "is_over"), row, strict=True)) for row in (*new, *ended)]
            if rows:
                place = {"environment": environment, "target": target, "noted_at": noted_at}
                connection.execute(sa.insert(notices), [row | place for row in rows])


def _open(connection: Connection, environment: str, target: str) -> dict[Subject, Notice]:
    rows = connection.execute(_OPEN, {"environment": environment, "target": target})
    found = [Notice(Subject(row.kind, row.about), row.mark, moment(row.noted_at)) for row in rows]
    return {item.subject: item for item in found}


def _mark(known: dict[Subject, Notice], subject: Subject) -> str | None:
    return known[subject].mark if subject in known else None
