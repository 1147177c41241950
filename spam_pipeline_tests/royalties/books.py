"""The books of some months in memory: statements that change, are issued, adjusted and paid, by the functions of the stages."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

import polars as pl

from spam_pipeline.operations.issued_documents import land, landed_document
from spam_pipeline.protocol import Contract, LandedFile
from spam_pipeline.protocol.operating import LandingZone
from spam_pipeline.royalties.adjustments import Side, adjustments
from spam_pipeline.royalties.contracts import LINE, IssuedBasis, IssuedPayments, IssuedStatements
from spam_pipeline.royalties.document import VERSION_TYPES, Document, basis_in, lines_in, lines_of, payments_in
from spam_pipeline.royalties.payments import Account, payments
from spam_pipeline.royalties.statement_basis import basis_of
from spam_pipeline.royalties.statements import statement
from spam_pipeline_tests.royalties.months import MONTH, Month

ISSUED_AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)

Line = tuple[object, ...]


@dataclass
class Books:
    """Months as they are known now, by key, and what was issued of them. Every month is computed as if it were January."""

    cases: dict[str, Month]
    issued: dict[str, LandedFile] = field(default_factory=dict)
    zone: LandingZone = field(default_factory=lambda: LandingZone(f"memory://{uuid4().hex}/landing"))
    changes: Counter[str] = field(default_factory=Counter)
    _made: dict[tuple[str, str], pl.LazyFrame] = field(default_factory=dict)

    def change(self, month: str, case: Month) -> None:
        self.cases[month] = case
        self.changes[month] += 1
        self._made.clear()

    def content(self, month: str) -> str:
        return f"{month} after {self.changes[month]} changes"

    def statement(self, month: str) -> pl.LazyFrame:
        case = self.cases[month]
        return self._once(
            "statement",
            month,
            lambda: statement(MONTH, case.usage(), case.terms()).with_columns(month=pl.lit(month)),
        )

    def basis(self, month: str) -> pl.LazyFrame:
        case = self.cases[month]
        return self._once("basis", month, lambda: basis_of(MONTH, case.usage(), case.terms()))

    def issued_lines(self, about: str | None = None) -> pl.LazyFrame:
        return _joined(IssuedStatements, [lines_in(file) for file in self.issued.values()], about)

    def issued_basis(self, about: str) -> pl.LazyFrame:
        return _joined(IssuedBasis, [basis_in(file) for file in self.issued.values()], about)

    def adjustments(self, month: str) -> pl.LazyFrame:
        return self._once(
            "adjustments",
            month,
            lambda: adjustments(
                Side(self.statement(month), self.basis(month)),
                Side(self.issued_lines(month), self.issued_basis(month)),
                self.cases[month].usage(),
                self.content(month),
            ),
        )

    def account(self, month: str) -> Account:
        months = [key for key in self.cases if key <= month]
        paid = [payments_in(file) for key, file in self.issued.items() if key <= month]
        issued = self.issued_lines().filter(pl.col("issued_in") <= month)
        return Account(
            pl.concat([self.statement(key) for key in months]),
            pl.concat([self.adjustments(key) for key in months]),
            _joined(IssuedPayments, paid),
            issued,
        )

    def payments(self, month: str) -> pl.LazyFrame:
        return self._once("payments", month, lambda: payments(month, self.account(month)))

    def issue(self, month: str) -> None:
        settled = {key: self.adjustments(key).collect() for key in self.issued}
        adjusted = [key for key, lines in settled.items() if not lines.is_empty()]
        basis = [self.basis(key).collect().with_columns(month=pl.lit(key)) for key in (*adjusted, month)]
        document = Document(
            month=month,
            issued_by="Ada",
            issued_at=ISSUED_AT,
            versions=pl.DataFrame(schema=VERSION_TYPES),
            lines=lines_of(self.statement(month), self.content(month), [settled[key].lazy() for key in adjusted]),
            payments=self.payments(month).collect(),
            basis=pl.concat(basis).lazy(),
        )
        self.issued[month] = landed_document(self.zone, month, land(document, self.zone))
        self._made.clear()

    def _once(self, stage: str, month: str, make: Callable[[], pl.LazyFrame]) -> pl.LazyFrame:
        """What a stage gives, computed until something changes: read as a plan, each reader would compute all that it rests on."""
        if (stage, month) not in self._made:
            self._made[stage, month] = make().collect().lazy()
        return self._made[stage, month]


def by_line(lines: pl.LazyFrame) -> Counter[Line]:
    """What stands on each line that is paid by, without lines of nothing."""
    agreed = lines.filter(pl.col("rule") == "agreed").group_by(LINE).agg(pl.col("amount_minor").sum()).collect()
    return Counter({tuple(name): amount for *name, amount in agreed.select(*LINE, "amount_minor").rows() if amount})


def by_currency(lines: pl.LazyFrame, column: str = "amount_minor") -> Counter[str]:
    summed = lines.group_by("currency").agg(pl.col(column).sum()).collect()
    return Counter({currency: amount for currency, amount in summed.rows() if amount})


def added(*sums: Counter[str]) -> dict[str, int]:
    """Sums by currency together; what comes to nothing is left out."""
    total = Counter[str]()
    for part in sums:
        total.update(part)
    return {name: amount for name, amount in total.items() if amount}


def _joined(contract: type[Contract], documents: list[object], about: str | None = None) -> pl.LazyFrame:
    parts = [rows.lazy() for batches in documents for part, rows in batches if about in (None, part)]  # type: ignore[attr-defined]
    return pl.concat([contract.empty(), *parts])
