"""Findings in a sentence: in full, and for places that everybody reads."""

import pytest

from spam_pipeline.protocol.foundation.finding import (
    ACCEPTED,
    CategoryShift,
    Evidence,
    Finding,
    Severity,
    finding_without_names,
)


@pytest.mark.parametrize(
    ("finding", "expected"),
    [
        (
            Finding("drift", "plays", Severity.WARN, "480", "0", (CategoryShift("Ada", 0.1, 0.9),)),
            "plays: 0, expected 480",
        ),
        (
            Finding("schema", "column a", Severity.NOTE, "Int", f"Text{ACCEPTED}Ada: hers"),
            "column a: Text, expected Int",
        ),
        (Finding("decision", "version", Severity.REFUSE, "no", "one that Ada rejected: hers"), "somebody rejected it"),
        (
            Finding("lost", "bytes", Severity.REFUSE, "1 %", "9 %, such as Ada.gz", evidence=Evidence(behind=("Ada",))),
            "it breaks the rule lost",
        ),
    ],
)
def test_in_public_it_names_nobody(finding: Finding, expected: str) -> None:
    assert "Ada" in str(finding)
    assert finding_without_names(finding) == expected
