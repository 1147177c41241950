"""Names say what things are in the field's own terms: the words that were given up for that do not come back."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spam_pipeline.command_line.cli import app

PACKAGE = Path(__file__).parents[2] / "spam_pipeline"

GIVEN_UP = {
    "Teller": "EventReporter",
    "teller": "reporter",
    "tell": "report, on_progress",
    "told": "reported, format_error",
    "said": "require_name",
    "Need": "PartitionStatus",
    "needs": "statuses",
    "Work": "RequiredAction",
    "Doing": "PlannedAction",
    "Action": "ActionTaken",
    "Assessment": "StalenessReport",
    "Circumstances": "AuditContext",
    "_Surroundings": "UpstreamState",
    "Occasion": "Trigger",
    "occasion": "trigger",
    "Origin": "RootCause",
    "Origins": "RootCauses",
    "origins": "root_causes",
    "Beginning": "ChangeKind",
    "MadeFrom": "Provenance",
    "made_from": "provenance",
    "InputRead": "InputRef",
    "in_general": "summary",
    "driven_by": "partitioned_by",
    "drivers": "partitioned_by",
    "never_retracted": "retain_when_source_removed",
    "PartNamedAlike": "PartForPartition",
    "alike": "all_matching",
    "give_way": "fall_back_to",
    "instead": "fall_back_to",
    "speaks_for": "supports",
    "Moved": "CategoryShift",
    "Past": "HistoricFingerprint",
    "Rest": "UnreadableTail",
    "faults": "rejections",
    "judge": "evaluate",
    "judged": "classified, audited, evaluated",
    "look": "inspect",
    "royalty_grounds": "statement_basis",
    "issued_grounds": "issued_basis",
    "grounds": "basis",
    "knowingly": "preview_apis",
    "new_features": "preview_apis",
    "own_place": "environment_dir",
    "AuditOf": "AuditSummary",
    "DecisionOf": "DecisionSummary",
    "Published": "VersionSummary",
    "SeenAndTried": "ObservationLog, AttemptLog",
    "kept_promises": "contract_helpers",
    "headless": "reported_convergence",
}
"""Each with what is said now; `file.tell()` and the like, which are other people's names, are attributes and do not count."""


def names_in(tree: ast.AST) -> Iterator[str]:
    """The names that a module gives to things: what it defines, binds, takes and passes, and columns that it makes."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                yield name
            case ast.Attribute(attr=name, ctx=ast.Store()) | ast.alias(name=name):
                yield name.rpartition(".")[2]
            case ast.Constant(value=str(text)) if text.isidentifier():
                yield text


def test_a_name_is_found_wherever_a_module_can_give_one() -> None:
    places = (
        "class Need: pass",
        "def needs(): pass",
        "needs = 1",
        "def f(needs): pass",
        "f(needs=1)",
        "self.needs = 1",
        "import a.needs",
        "from a import needs",
        "pl.lit(0).alias('needs')",
    )
    assert all(GIVEN_UP.keys() & set(names_in(ast.parse(place))) for place in places)
    assert not GIVEN_UP.keys() & set(names_in(ast.parse("file.tell(); x = 'is told so'")))


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_name_is_a_word_that_was_given_up(path: Path) -> None:
    found = {name: GIVEN_UP[name] for name in names_in(ast.parse(path.read_text("utf-8"))) if name in GIVEN_UP}
    assert not found
    assert not {part for part in path.relative_to(PACKAGE).with_suffix("").parts if part in GIVEN_UP}


def test_no_command_option_or_help_has_one() -> None:
    commands = [command.name for command in app.registered_commands]
    shown = {name: CliRunner().invoke(app, [name, "--help"]).output for name in commands if name}
    assert len(shown) > 10
    assert all("--help" in text for text in shown.values()), "each was read"
    words = {name: set(re.findall(r"[a-z_]+", text.lower())) for name, text in shown.items()}
    given_up = {word.lower() for word in GIVEN_UP if word.islower()} - {"instead"}
    assert {name: found & given_up for name, found in words.items() if found & given_up} == {}
