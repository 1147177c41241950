"""Issuing: the conditions under which a month's statement may become final. The issued `document` is landed by `operations`.

The decision is a pure function of facts, which `operations` gathers from what is published. An issued month is never issued
again: its changes are in `adjustments`. A month without a line has nothing to issue, and no later month waits for it.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from spam_pipeline.currencies import as_amount
from spam_pipeline.protocol import PipelineError, days_before, last_day_of
from spam_pipeline.royalties.contracts import SETTLED_AFTER_DAYS

_MOST_NAMED = 3


class NotIssued(PipelineError):
    """A month that cannot be issued now, or not again."""


class Issued(NamedTuple):
    """An issued statement: the path of its document, the recipe of the statement, payments and settled months.

    `paid` is in minor units by currency, `settled_months` are the earlier months whose adjustments it contains.
    """

    month: str
    issued_by: str
    issued_at: datetime
    document: str
    statement_recipe: str
    payees_paid: int
    paid: Mapping[str, int]
    settled_months: tuple[str, ...]

    def as_text(self) -> dict[str, str]:
        """Return the values as text for people."""
        amounts = ", ".join(
            f"{as_amount(minor, currency)} {currency}" for currency, minor in self.paid.items() if minor
        )
        return {
            "month": self.month,
            "by": self.issued_by,
            "at": self.issued_at.isoformat(timespec="seconds"),
            "document": self.document,
            "statement": self.statement_recipe,
            "paid": f"{amounts or 'nothing'}, to {self.payees_paid} payees",
            "settles": ", ".join(self.settled_months) or "no earlier month",
        }


class IssuingFacts(NamedTuple):
    """The facts that decide whether a month may be issued.

    `stated` are the months with a published statement that has lines, `issued` those whose issued statement is published,
    `documents` the paths of landed documents by month. `landed_until` is the latest day of arrival, `today` that of the clock, UTC.
    `unsettled` says which partitions upstream of the month are stale, held or missing, and why. `has_pool`: revenue has landed for the month.
    """

    stated: Collection[str]
    issued: Collection[str]
    documents: Mapping[str, Sequence[str]]
    landed_until: str
    today: str
    unsettled: Sequence[str]
    has_pool: bool


def require_may_issue(month: str, facts: IssuingFacts) -> None:
    """Raise `NotIssued` with the reason unless a month may be issued: once, in order, when it is over, settled and has money."""
    _require_turn(month, facts)
    if days_before(facts.landed_until, SETTLED_AFTER_DAYS) < last_day_of(month):
        raise NotIssued(
            f"{month} is not over: plays have landed up to {facts.landed_until}, "
            f"and are expected up to {SETTLED_AFTER_DAYS} days past its last day"
        )
    if facts.today <= last_day_of(month):  # a folder with a mistyped date is no proof that a month is over
        raise NotIssued(f"{month} is not over: today is {facts.today}")
    if facts.unsettled:
        more = len(facts.unsettled) - _MOST_NAMED
        named = "; ".join(facts.unsettled[:_MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")
        raise NotIssued(
            f"{month} is not settled: {named}. Converge, decide about what is held, and land or declare what is missing"
        )
    if not facts.has_pool:  # nothing would be paid, and the month's money would later come as adjustments
        raise NotIssued(f"{month} has no pool: no revenue has landed for it")


def _require_turn(month: str, facts: IssuingFacts) -> None:
    documents = facts.documents.get(month)
    if documents or month in facts.issued:
        lies = f"as {documents[0]}" if documents else "and its document is gone: restore it"
        raise NotIssued(
            f"{month} is issued already, {lies}; later changes are in royalty_adjustments and are settled by the next month "
            "that is issued"
        )
    if month not in facts.stated:
        raise NotIssued(f"{month} has no statement that is published: there is nothing to issue")
    for earlier in sorted(key for key in facts.stated if key < month):
        if not facts.documents.get(earlier):
            raise NotIssued(f"{earlier} comes first: it has a statement, and is not issued")
        if earlier not in facts.issued:
            raise NotIssued(f"{earlier} was issued, but its issued statement is not published yet: converge first")
