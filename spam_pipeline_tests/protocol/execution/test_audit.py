"""Audits: what speaks against a version, and what a person's decision makes of that."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import ClassVar

import dataframely as dy
import polars as pl
import pytest

from spam_pipeline.protocol.definition.contract import Contract, audits_against_history
from spam_pipeline.protocol.definition.reads import Reads
from spam_pipeline.protocol.drift import HistoricFingerprint
from spam_pipeline.protocol.execution.audit import (
    AuditContext,
    Schema,
    evaluate,
    findings_on_data,
    findings_on_parts,
    verdict_of,
)
from spam_pipeline.protocol.fingerprint import Count, Drift, Fingerprint, Measure, Share, measure
from spam_pipeline.protocol.foundation.finding import Finding, Severity
from spam_pipeline.protocol.foundation.limit import Limit
from spam_pipeline.protocol.ledger.records import PRODUCTION, Decision, DecisionKind, Part, StoredFile, Verdict, Version

NOW = datetime(2026, 1, 10, tzinfo=UTC)
DAY = "2026-01-09"


class Countries(Contract):
    """Plays by country."""

    country = dy.String(primary_key=True)
    plays = dy.Int64(min=1)


class AuditBasis(Contract):
    """Plays that are judged in every way."""

    tolerated_rejected_share: ClassVar[float | None] = 0.01
    is_spam = dy.Bool()

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        return {"plays": Count(), "spam_share": Share(pl.col("is_spam"), drift=Drift(refuse_above=0.3))}

    @classmethod
    def limits(cls) -> tuple[Limit, ...]:
        return (Limit("spam_share", at_most=0.9), Limit("plays", at_least=10, severity=Severity.WARN))

    @classmethod
    def findings(cls, fingerprint: Fingerprint, history: Sequence[HistoricFingerprint]) -> list[Finding]:
        del fingerprint
        return [Finding("own", "history", Severity.NOTE, "some", str(len(history)))]


GOOD = pl.LazyFrame({"country": ["SE", "NO"], "plays": [2, 1]})


def part(rows: int, name: str = "all") -> Part:
    return Part.of(name, (StoredFile(f"a/{name}.parquet", rows, 1),))


def version(spam: int = 10, plays: int = 1000, rejected: int = 0, content: str = "c", **other: object) -> Version:
    frame = pl.LazyFrame({"is_spam": [True] * spam + [False] * (plays - spam)})
    made = Version(
        recipe="r",
        context="toys",
        stage="judged",
        partition=DAY,
        code_version="code",
        content=content,
        parts=(part(plays),),
        side_parts=(part(rejected, "rejected"),) if rejected else (),
        fingerprint=measure(AuditBasis.fingerprint(), frame),
        columns={"is_spam": "Boolean"},
        rows_read=0,
        seconds=0.0,
        computed_at=NOW,
    )
    return replace(made, **other)  # type: ignore[arg-type]


def decision(kind: DecisionKind, content: str, *findings: Finding, number: int = 1) -> Decision:
    return Decision(PRODUCTION, 1, "judged", DAY, content, kind, "eve", "it is a release", findings, NOW, number)


def refusing(subject: Version, known: AuditContext | None = None) -> list[Finding]:
    found = evaluate(AuditBasis, subject, (), known or AuditContext())
    return [finding for finding in found if finding.severity is Severity.REFUSE]


# Data


def test_a_frame_that_keeps_its_contract_has_no_findings() -> None:
    assert findings_on_data(Countries, GOOD, "all") == []
    assert findings_on_data(Countries, Countries.empty(), "all") == []


def test_a_missing_a_surplus_and_a_wrongly_typed_column_are_each_named() -> None:
    frame = pl.LazyFrame({"country": ["SE"], "play": [1]})
    assert [str(finding) for finding in findings_on_data(Countries, frame, "all")] == [
        "all: column play: expected no such column, got Int64",
        "all: column plays: expected Int64, got no such column",
    ]
    (found,) = findings_on_data(Countries, GOOD.cast({"plays": pl.Float64}), "all")
    assert str(found) == "all: column plays: expected Int64, got Float64"


def test_columns_in_another_order_are_found() -> None:
    (found,) = findings_on_data(Countries, GOOD.select("plays", "country"), "all")
    assert str(found) == "all: order of columns: expected country, plays, got plays, country"


def test_rows_that_break_a_rule_are_counted() -> None:
    twice = pl.LazyFrame({"country": ["SE", "SE", None], "plays": [1, 0, 1]})
    found = {finding.about: finding.size for finding in findings_on_data(Countries, twice, "all")}
    assert found == {"all: country|nullability": 1, "all: plays|min": 1, "all: primary_key": 2}


@pytest.mark.parametrize("slice_rows", [1, 2, 50])
def test_what_breaks_a_rule_is_counted_alike_in_slices_and_as_a_whole(slice_rows: int) -> None:
    countries = [*"abcdefghij", "c", "c", "h", None, None]
    frame = pl.LazyFrame({"country": countries, "plays": [1] * 12 + [0] * 3})
    in_slices = findings_on_data(Countries, frame, "all", slice_rows)
    assert in_slices == findings_on_data(Countries, frame, "all")
    assert {finding.about: finding.size for finding in in_slices}["all: primary_key"] == 7
    assert findings_on_data(Countries, frame.head(10), "all", slice_rows) == []


class Balance(Contract):
    """Lines that add up to nothing: a rule that compares rows of other keys."""

    line = dy.String(primary_key=True)
    amount = dy.Int64()

    @dy.rule()
    def adds_up(cls) -> pl.Expr:  # noqa: N805 - dataframely binds rules to the class
        """Return whether all lines together are nothing."""
        return pl.col("amount").sum() == 0


def test_a_rule_of_the_contracts_own_sees_the_whole_frame() -> None:
    frame = pl.LazyFrame({"line": ["a", "b", "c"], "amount": [1, 1, -2]})
    assert findings_on_data(Balance, frame, "all", slice_rows=1) == []


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param({"a": [("SE", 1), ("NO", 1)], "b": [("DK", 1)], "c": []}, id="nothing"),
        pytest.param(
            {"a": [("SE", 1)], "b": [("SE", 1), ("DK", 2)]}, id="a key in two parts, which is none twice in a part"
        ),
        pytest.param({"a": [("SE", 1)], "b": [("DK", 0), ("DK", 1)], "c": [(None, 1)]}, id="in some parts"),
        pytest.param({"a": [("SE", 0)]}, id="in the only part"),
    ],
)
def test_parts_have_the_findings_together_that_each_has_by_itself(
    parts: dict[str, list[tuple[str | None, int]]],
) -> None:
    frames = {
        name: pl.DataFrame(rows, Countries.empty().collect_schema(), orient="row") for name, rows in parts.items()
    }
    together = findings_on_parts(
        Countries, pl.concat(frames.values()), [(name, frame.height) for name, frame in frames.items()]
    )
    assert together == [
        finding for name, frame in frames.items() for finding in findings_on_data(Countries, frame, name)
    ]
    broken = pl.concat(frames.values()).cast({"plays": pl.Int32})
    assert len(findings_on_parts(Countries, broken, [(name, 0) for name in frames])) == len(frames)


def test_a_rule_of_the_contracts_own_sees_each_part() -> None:
    frame = pl.DataFrame({"line": ["a", "b", "c", "d"], "amount": [1, 1, -2, 0]})
    found = findings_on_parts(Balance, frame, [("first", 2), ("second", 1), ("third", 1)])
    assert {finding.about: finding.size for finding in found} == {"first: adds_up": 2, "second: adds_up": 1}


def test_what_is_found_on_data_refuses() -> None:
    found = findings_on_data(Countries, GOOD.select("plays"), "all")
    assert verdict_of(found) is Verdict.REFUSED


# Rejected records and limits


@pytest.mark.parametrize(("rejected", "is_refused"), [(0, False), (5, False), (100, False), (500, True), (9_000, True)])
def test_rejected_records_are_tolerated_up_to_a_share(rejected: int, is_refused: bool) -> None:  # noqa: FBT001 - drawn
    found = refusing(version(plays=10_000 - rejected, rejected=rejected))
    assert [finding.rule for finding in found] == (["rejected"] if is_refused else [])


def test_few_records_that_may_be_rejected_by_chance_refuse_nothing() -> None:
    assert refusing(version(plays=29, rejected=1)) == []


def test_a_version_of_which_everything_was_rejected_is_refused_however_small_it_is() -> None:
    (found,) = refusing(version(spam=0, plays=0, rejected=1))
    assert found.seen == "100.00% (1 of 1)"


def test_rows_of_other_side_parts_are_no_rejected_records() -> None:
    accounts = part(500, "files")
    assert refusing(replace(version(plays=10_000), side_parts=(accounts,))) == []
    (found,) = refusing(replace(version(plays=9_500, rejected=500), side_parts=(part(500, "rejected"), accounts)))
    assert found.seen == "5.00% (500 of 10,000)"


def test_how_many_records_were_rejected_is_said() -> None:
    (found,) = refusing(version(plays=950, rejected=50))
    assert (found.expected, found.seen) == ("at most 1.00%", "5.00% (50 of 1,000)")


def test_a_limit_refuses_or_warns_as_it_says() -> None:
    found = evaluate(AuditBasis, version(spam=9, plays=9), (), AuditContext())
    assert {(item.about, item.severity) for item in found if item.rule == "limit"} == {
        ("spam_share", Severity.REFUSE),
        ("plays", Severity.WARN),
    }


def test_a_version_with_warnings_only_passes() -> None:
    found = evaluate(AuditBasis, version(spam=0, plays=9), (), AuditContext())
    assert [item.severity for item in found if item.rule == "limit"] == [Severity.WARN]
    assert verdict_of(found) is Verdict.PASSED


# History


def past(count: int) -> tuple[HistoricFingerprint, ...]:
    return tuple(
        HistoricFingerprint(f"2026-01-0{day}", version(spam=9 + day % 3).fingerprint) for day in range(1, count + 1)
    )


def test_a_version_is_judged_against_its_history_and_by_the_domain() -> None:
    found = evaluate(AuditBasis, version(spam=700), (), AuditContext(history=past(8)))
    assert {(item.rule, item.severity) for item in found} == {("drift", Severity.REFUSE), ("own", Severity.NOTE)}


def test_a_partition_that_may_still_grow_does_not_warn_of_its_drift() -> None:
    found = evaluate(AuditBasis, version(spam=100), (), AuditContext(history=past(8), is_open=True))
    assert [item.severity for item in found if item.rule == "drift"] == [Severity.NOTE]


def test_whether_history_matters_is_known_beforehand() -> None:
    assert audits_against_history(AuditBasis)
    assert not audits_against_history(Countries)


# Schemas


READERS = {"sums": Reads(columns=("is_spam",)), "counts": Reads(columns=("other",)), "everything": Reads()}


def schema_findings(subject: Version, published: Schema) -> list[Finding]:
    return [
        item for item in refusing(subject, AuditContext(published=published, readers=READERS)) if item.rule == "schema"
    ]


def test_a_column_that_is_taken_away_without_a_new_schema_is_refused_and_names_whom_it_breaks() -> None:
    (found,) = schema_findings(version(columns={}), Schema(1, {"is_spam": "Boolean"}))
    assert "which breaks everything, sums" in found.seen
    assert "raise schema_version" in found.expected


def test_a_column_of_another_type_is_refused_too() -> None:
    (found,) = schema_findings(version(columns={"is_spam": "Int64"}), Schema(1, {"is_spam": "Boolean"}))
    assert found.seen.startswith("Int64")


def test_a_new_column_and_a_new_schema_are_no_findings() -> None:
    assert (
        schema_findings(version(columns={"is_spam": "Boolean", "more": "Int64"}), Schema(1, {"is_spam": "Boolean"}))
        == []
    )
    assert schema_findings(version(columns={}, schema_version=2), Schema(1, {"is_spam": "Boolean"})) == []


# Decisions


def test_what_was_accepted_is_only_noted() -> None:
    (refused,) = refusing(version(spam=950))
    accepted = AuditContext(decisions=(decision(DecisionKind.ACCEPT, "c", refused),))
    found = evaluate(AuditBasis, version(spam=950), (), accepted)
    (noted,) = [item for item in found if item.rule == "limit"]
    assert (noted.severity, verdict_of(found)) == (Severity.NOTE, Verdict.PASSED)
    assert "accepted by eve: it is a release" in noted.seen


def test_a_later_version_of_the_partition_is_covered_until_the_finding_has_grown() -> None:
    (refused,) = refusing(version(spam=950))
    known = AuditContext(decisions=(decision(DecisionKind.ACCEPT, "other", refused),))
    assert refusing(version(spam=951), known) == []
    assert [item.about for item in refusing(version(spam=1000), known)] == ["spam_share"]


def test_what_the_person_did_not_see_is_not_covered() -> None:
    (refused,) = refusing(version(plays=950, rejected=50))
    known = AuditContext(decisions=(decision(DecisionKind.ACCEPT, "c", refused),))
    assert [item.rule for item in refusing(version(spam=940, plays=950, rejected=50), known)] == ["limit"]


def test_a_rejected_version_is_refused_for_that() -> None:
    (found,) = refusing(version(), AuditContext(decisions=(decision(DecisionKind.REJECT, "c"),)))
    assert (found.rule, "eve rejected: it is a release" in found.seen) == ("decision", True)


def test_a_rejection_says_nothing_of_other_content() -> None:
    assert refusing(version(), AuditContext(decisions=(decision(DecisionKind.REJECT, "other"),))) == []


def test_the_last_decision_about_a_content_stands() -> None:
    (refused,) = refusing(version(spam=950))
    accept, reject = (decision(kind, "c", refused) for kind in (DecisionKind.ACCEPT, DecisionKind.REJECT))
    assert {item.rule for item in refusing(version(spam=950), AuditContext(decisions=(accept, reject)))} == {
        "limit",
        "decision",
    }
    assert refusing(version(spam=950), AuditContext(decisions=(reject, accept))) == []
