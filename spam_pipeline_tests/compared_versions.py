"""A comparison that is made up, with something of everything in it."""

from dataclasses import replace
from datetime import UTC, datetime

from spam_pipeline.protocol import Clue, Evidence, Finding, Severity
from spam_pipeline.protocol.explanation.causes import Kind
from spam_pipeline.protocol.explanation.comparison.figures import compared
from spam_pipeline.protocol.explanation.comparison.rows import Example
from spam_pipeline.protocol.fingerprint import Counted, Figured, Fingerprint, Proportion, Spreading
from spam_pipeline.protocol.operating import CategoryShift, Cause, ComparedPartition, Comparison, Rows, Side, Verdict

DAY = "2026-01-05"
OLD: Fingerprint = {
    "plays": Counted(1000),
    "spam_share": Proportion(30, 1000),
    "countries": Spreading({"DE": 600, "US <b>": 400}),
    "quality": Figured(0.9),
}
NEW: Fingerprint = {
    "plays": Counted(1000),
    "spam_share": Proportion(90, 1000),
    "countries": Spreading({"DE": 400, "US <b>": 600}),
    "quality": Figured(0.95),
}
DRIFT = Finding(
    "drift", "countries", Severity.WARN, "the usual mix", "20 % elsewhere", (CategoryShift("US <b>", 0.4, 0.6),)
)
SPIKE = Finding(
    "spike",
    "track <t1>",
    Severity.REFUSE,
    "at most 40",
    "812 plays",
    evidence=Evidence((Clue("plays per listener", 31.2, 1.4, "attack"),), (), ("network 0a1b2c3d",)),
)


def side(recipe: str, verdict: Verdict = Verdict.PASSED, *findings: Finding) -> Side:
    return Side(recipe * 8, "c" * 64, "d" * 64, datetime(2026, 1, 6, 7, 8, tzinfo=UTC), 1000, verdict, findings)


ROWS = Rows(
    added=2,
    changed=60,
    unchanged=940,
    by_column={"reasons": 7, "class": 60},
    added_examples=(Example({"event_id": "e<1>"}),),
    changed_examples=(Example({"event_id": "e2"}, {"class": "legitimate"}, {"class": "spam"}),),
)
COMPARISON = Comparison(
    "classified_plays",
    (ComparedPartition(DAY, side("3fa2b1c4"), side("99ab12cd", Verdict.REFUSED, DRIFT, SPIKE), ROWS),),
    compared(OLD, NEW),
    ROWS,
    ("reasons (added)",),
    (Cause(Kind.CODE, ("model.score", "polars 2.0 -> 2.1")), Cause(Kind.DATA, ("plays 2026-01-05",), ("plays",))),
)
SAME = replace(COMPARISON, figures=compared(OLD, OLD), rows=None, columns=(), causes=())
"""Nothing differs but the findings."""

SEVERAL = replace(
    COMPARISON,
    partitions=(
        *(replace(COMPARISON.partitions[0], partition=f"2026-01-{day:02}") for day in range(5, 13)),
        ComparedPartition("2026-01-13", None, side("99ab12cd"), None),
        ComparedPartition("2026-01-14", side("3fa2b1c4"), None, None),
        ComparedPartition("2026-01-15", side("3fa2b1c4"), replace(side("99ab12cd"), content="c" * 64), None),
    ),
)
"""Many partitions, of which some are equal, and some are missing on one side."""
