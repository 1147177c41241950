"""The log of notices: what is open, by environment and target."""

from datetime import UTC, datetime

import sqlalchemy as sa

from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.notice_log import Notice, Subject
from spam_pipeline.protocol.ledger.tables import notices

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
LATER = datetime(2026, 1, 5, 18, tzinfo=UTC)
REFUSED, HELD = Subject("refused", "plays 2026-01-05"), Subject("held", "plays 2026-01-05")


def test_what_has_begun_is_open_until_it_is_over(ledger: Ledger) -> None:
    ledger.notices.record("production", [(REFUSED, "abc"), (HELD, "")], [], at=NOON)
    assert ledger.notices.open("production") == {
        REFUSED: Notice(REFUSED, "abc", NOON),
        HELD: Notice(HELD, "", NOON),
    }
    ledger.notices.record("production", [], [REFUSED])
    assert list(ledger.notices.open("production")) == [HELD]
    ledger.notices.record("production", [(REFUSED, "abc")], [], at=LATER)
    assert ledger.notices.open("production")[REFUSED].begun_at == LATER


def test_what_another_process_has_noted_keeps_its_time_and_another_mark_begins_anew(ledger: Ledger) -> None:
    ledger.notices.record("production", [(REFUSED, "abc")], [], at=NOON)
    ledger.notices.record("production", [(REFUSED, "abc")], [HELD], at=LATER)
    assert ledger.notices.open("production") == {REFUSED: Notice(REFUSED, "abc", NOON)}
    ledger.notices.record("production", [(REFUSED, "def")], [], at=LATER)
    assert ledger.notices.open("production") == {REFUSED: Notice(REFUSED, "def", LATER)}


def test_each_environment_and_target_has_its_own(ledger: Ledger) -> None:
    ledger.notices.record("production", [(REFUSED, "abc")], [], target="slack")
    ledger.notices.record("branch", [(HELD, "")], [], target="slack")
    assert list(ledger.notices.open("production", "slack")) == [REFUSED]
    assert list(ledger.notices.open("branch", "slack")) == [HELD]
    assert ledger.notices.open("production", "mail") == {} == ledger.notices.open("production")


def test_a_clock_that_ends_leaves_no_row_and_what_a_target_was_told_stays(ledger: Ledger, ledger_url: str) -> None:
    for target in ("", "slack"):
        for _ in range(3):
            ledger.notices.record("production", [(REFUSED, ""), (HELD, "")], [], target)
            ledger.notices.record("production", [], [REFUSED], target)
        assert list(ledger.notices.open("production", target)) == [HELD]
    engine = sa.create_engine(ledger_url)
    with engine.connect() as connection:
        kept = list(connection.scalars(sa.select(notices.c.target)))
    engine.dispose()
    assert (kept.count(""), kept.count("slack")) == (1, 7)
