"""What an audit found, as evaluations of asset checks: severities, tables, pictures, and text that stays text."""

import base64
import re
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from spam_pipeline.orchestration.evaluations import evaluations, nothing_to_audit, refusal_metadata
from spam_pipeline.pages.markdown import as_text
from spam_pipeline.protocol import WHOLE, Finding, Limit, Severity
from spam_pipeline.protocol.operating import Audit, Expected, Verdict
from spam_pipeline_tests.orchestration.watched_numbers import ENOUGH, HOSTILE, spike, watched
from spam_pipeline_tests.protocol.made_up_records import a_version
from spam_pipeline_tests.protocol.toy_pipeline import toy_graph

VERSION = a_version(recipe="0123456789abcdef" * 4)
JUDGED_BY_HISTORY = "the digest of a history"


def a_finding(rule: str, severity: Severity) -> Finding:
    return Finding(rule, "total", severity, "at most 100", "101")


def said(*findings: Finding, history: str = "", expected: Expected | None = None) -> dict[str, dg.AssetCheckEvaluation]:
    """What the checks of a version with these findings say, by the check's name."""
    is_refused = any(finding.severity is Severity.REFUSE for finding in findings)
    audit = Audit(Verdict.REFUSED if is_refused else Verdict.PASSED, findings, history=history)
    return {item.check_name: item for item in evaluations(expected or {}, VERSION, audit)}


def rows(evaluation: dg.AssetCheckEvaluation, name: str) -> list[list[object]]:
    shown = evaluation.metadata[name]
    if shown.value == "none":
        return []
    assert isinstance(shown, dg.TableMetadataValue)
    return [list(record.data.values()) for record in shown.records]


@pytest.mark.parametrize(
    ("severity", "passed", "shown"),
    [
        (Severity.REFUSE, False, dg.AssetCheckSeverity.ERROR),
        (Severity.WARN, False, dg.AssetCheckSeverity.WARN),
        (Severity.NOTE, True, dg.AssetCheckSeverity.WARN),
    ],
)
def test_a_refusal_fails_a_warning_warns_and_a_note_passes(
    severity: Severity, *, passed: bool, shown: dg.AssetCheckSeverity
) -> None:
    told = said(a_finding("limit", severity))["contract"]
    assert (told.passed, told.severity) == (passed, shown)
    assert rows(told, "findings") == [[severity.value, "total", "at most 100", "101"]]


def test_the_gravest_finding_stands_first() -> None:
    told = said(*(a_finding("limit", severity) for severity in Severity))["contract"]
    assert [row[0] for row in rows(told, "findings")] == ["refuse", "warn", "note"]
    assert told.description == "refused by 1 finding and quarantined: consumers keep what they had"


def test_only_what_is_published_is_said_to_be() -> None:
    warning = a_finding("limit", Severity.WARN)
    assert said(warning)["contract"].description == "published with 1 warning: somebody should look"
    assert said(warning, a_finding("drift", Severity.REFUSE))["contract"].description is None


def test_nothing_found_is_passed_without_a_word() -> None:
    told = said()["contract"]
    assert (told.passed, told.description) == (True, None)
    assert rows(told, "findings") == []
    assert "decide" not in told.metadata


@pytest.mark.parametrize("rule", ["columns", "rows", "rejected", "limit", "schema", "decision"])
def test_what_a_version_breaks_by_itself_is_said_by_its_contract(rule: str) -> None:
    told = said(a_finding(rule, Severity.REFUSE), history=JUDGED_BY_HISTORY)
    assert {name: item.passed for name, item in told.items()} == {"contract": False, "history": True}


@pytest.mark.parametrize("rule", ["drift", "spike", "a rule of the domain"])
def test_what_is_unlike_the_days_before_is_said_by_the_history(rule: str) -> None:
    told = said(a_finding(rule, Severity.WARN), history=JUDGED_BY_HISTORY)
    assert {name: item.passed for name, item in told.items()} == {"contract": True, "history": False}


def test_a_stage_that_is_not_judged_by_its_history_has_nothing_to_say_of_it() -> None:
    assert set(said(a_finding("limit", Severity.WARN))) == {"contract"}


def test_it_says_of_which_partition_and_version_it_is_and_how_to_decide_about_it() -> None:
    refused = said(a_finding("limit", Severity.REFUSE))["contract"]
    assert (refused.asset_key.path[-1], refused.partition) == ("numbers", VERSION.partition)
    assert refused.metadata["recipe"].value == VERSION.recipe
    assert refused.metadata["decide"].value == ("spam-pipeline decide accept 0123456789abcdef --by WHO --reason TEXT")
    audit = Audit(Verdict.REFUSED, (a_finding("limit", Severity.REFUSE),))
    elsewhere, *_ = evaluations({}, VERSION, audit, environment="dev")
    assert str(elsewhere.metadata["decide"].value).endswith(" --environment dev"), "or it would decide in production"
    assert str(refusal_metadata(VERSION, audit, "dev")["decide"]).endswith(" --environment dev")
    warned = said(a_finding("limit", Severity.WARN))["contract"]
    assert "decide reject" in str(warned.metadata["decide"].value)
    whole = replace(VERSION, partition=WHOLE)
    assert evaluations({}, whole, Audit(Verdict.PASSED))[0].partition is None


def test_the_numbers_of_the_fingerprint_stand_beside_it_for_the_ui_to_plot() -> None:
    shown = said(history=JUDGED_BY_HISTORY)
    for name in ("contract", "history"):
        plotted = shown[name].metadata
        assert (plotted["fingerprint/total"].value, plotted["fingerprint/mean"].value) == (7.0, 0.5)


@pytest.mark.parametrize(("at_least", "is_met"), [(7, True), (8, False)])
def test_what_a_consumer_needs_is_a_check_of_its_own_that_only_warns(at_least: int, *, is_met: bool) -> None:
    told = said(expected={"numbers": {"reports": (Limit("total", at_least=at_least),)}})["expected_by_reports"]
    assert (told.passed, told.severity) == (is_met, dg.AssetCheckSeverity.WARN)
    assert rows(told, "findings") == ([] if is_met else [["warn", "total", "at least 8", "7"]])


def test_what_is_expected_is_found_in_the_graph(tmp_path: Path) -> None:
    found = toy_graph(tmp_path, watched()).expected()
    assert found == {"numbers": {"two_day_total": (Limit("total", at_least=ENOUGH),)}}


def test_evidence_stands_side_by_side_with_what_moved_and_who_is_behind_it() -> None:
    told = said(spike(2000, days=9), history=JUDGED_BY_HISTORY)["history"]
    assert rows(told, "evidence")[0] == [HOSTILE, "plays per listener", 31.0, 2.1, "attack"]
    assert rows(told, "expected and seen")[0] == [HOSTILE, "DE", 0.1, 0.7]
    assert told.metadata["behind"].value == f"{HOSTILE}; network 0a1b2c3d"


def test_a_picture_is_drawn_where_there_is_something_to_draw() -> None:
    told = said(spike(2000, days=9), history=JUDGED_BY_HISTORY)
    shown = told["history"].metadata["drawn"]
    assert isinstance(shown, dg.MarkdownMetadataValue)
    drawn = re.search(r"\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)$", str(shown.value))
    assert drawn
    assert base64.b64decode(drawn[1]).startswith(b"<svg ")
    assert "drawn" not in told["contract"].metadata


def test_no_evaluation_grows_without_end() -> None:
    told = said(*(replace(spike(2000, days=9), about=f"track {number}") for number in range(200)))["history"]
    assert [len(rows(told, name)) for name in ("findings", "expected and seen", "evidence")] == [50, 50, 50]
    assert str(told.metadata["drawn"].value).count("![") == 5


def test_what_somebody_wrote_is_no_markdown_and_no_html() -> None:
    told = said(spike(2000, days=9), history=JUDGED_BY_HISTORY)["history"]
    words = str(told.metadata["drawn"].value).partition("](data:")[0]
    assert words == f"![{as_text(HOSTILE)}"
    assert all(isinstance(told.metadata[name], dg.TextMetadataValue) for name in ("behind", "recipe", "decide"))
    failed = nothing_to_audit("numbers", "2026-01-05", "an <error>", dg.AssetCheckSeverity.ERROR)
    assert failed.description == r"nothing to audit: an \<error\>"
