"""Notices: what somebody was notified of, and since when partitions are unready. Part of the ledger.

What is open is compared with what is so now, by whoever notifies. What a target was notified of stays, with a row for its end. What is for
nobody, which is clocks, leaves nothing: they start and end with every convergence, and 300,000 rows of them took each look 0.2 s.
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
_ENDED_CLOCK = sa.delete(notices).where(
    *(notices.c[name] == sa.bindparam(name) for name in ("environment", "target", "kind", "about"))
)


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
            place = {"environment": environment, "target": target}
            ended = [subject for subject in over if subject in known]
            rows = [(*subject, mark, False) for subject, mark in begun if _mark(known, subject) != mark]
            if target:
                rows += [(*subject, known[subject].mark, True) for subject in ended]
            elif ended:
                connection.execute(_ENDED_CLOCK, [place | subject._asdict() for subject in ended])
            if rows:
                named = [dict(zip(("kind", "about", "mark", "is_over"), row, strict=True)) for row in rows]
                connection.execute(sa.insert(notices), [row | place | {"noted_at": noted_at} for row in named])


def _open(connection: Connection, environment: str, target: str) -> dict[Subject, Notice]:
    rows = connection.execute(_OPEN, {"environment": environment, "target": target})
    found = [Notice(Subject(row.kind, row.about), row.mark, moment(row.noted_at)) for row in rows]
    return {item.subject: item for item in found}


def _mark(known: dict[Subject, Notice], subject: Subject) -> str | None:
    return known[subject].mark if subject in known else None
