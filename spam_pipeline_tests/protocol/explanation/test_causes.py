"""Why a partition is not fresh, in words that name what has changed."""

from dataclasses import replace

import pytest

from spam_pipeline.protocol.code_version.code_version import CodeVersion
from spam_pipeline.protocol.explanation.causes import UNKNOWN, Cause, Kind, Provenance, cause, differences
from spam_pipeline.protocol.ledger.recipe import InputRef, Recipe
from spam_pipeline.protocol.ledger.records import VersionSummary
from spam_pipeline.protocol.planning.partition_status import PartitionStatus, Reason, RequiredAction, State

CODE = CodeVersion("code 2", {"toys.numbers": "d1", "toys.half": "d2"}, {"polars": "2.1"})
PUBLISHED = VersionSummary(7, "r1", "code 2", "c1", ())
NEED = PartitionStatus("totals", "2026-01-05", State.STALE, RequiredAction.MAKE, "stale", "r2", PUBLISHED)


def numbers(day: str, content: str = "c1", part: str = "all") -> InputRef:
    return InputRef("numbers", "numbers", day, part, content, 1)


def a_file(name: str, content: str = "d1") -> InputRef:
    return InputRef(
        "landed_numbers", "landed_numbers", "2026-01-05", f"2026-01-05/{name}.txt", content, 1, is_file=True
    )


def wanted(*inputs: InputRef, **configuration: str) -> Recipe:
    return Recipe("totals", "2026-01-05", "code 2", configuration, inputs)


def provenance(*inputs: InputRef, code: CodeVersion | None = CODE, **configuration: str) -> Provenance:
    return Provenance(code, configuration, inputs)


def because(now: Recipe, before: Provenance | None, status: PartitionStatus = NEED) -> Cause:
    return cause(status, CODE, before, lambda: now)


def told(now: Recipe, before: Provenance | None, status: PartitionStatus = NEED) -> str:
    return str(because(now, before, status))


def test_what_was_never_published_is_missing() -> None:
    assert told(wanted(), None, NEED._replace(published=None)) == "missing"


@pytest.mark.parametrize(
    ("old", "names"),
    [
        (replace(CODE, definitions={**CODE.definitions, "toys.half": "d0"}), "toys.half"),
        (replace(CODE, definitions={"toys.numbers": "d1"}), "toys.half (added)"),
        (replace(CODE, definitions={**CODE.definitions, "toys.third": "d3"}), "toys.third (removed)"),
        (replace(CODE, libraries={"polars": "2.0"}), "polars 2.0 -> 2.1"),
        (replace(CODE, libraries={}), "polars undeclared -> 2.1"),
        (None, "code that is not remembered"),
    ],
)
def test_changed_code_is_named(old: CodeVersion | None, names: str) -> None:
    status = NEED._replace(published=PUBLISHED._replace(code_version="code 1"))
    before = provenance(code=replace(old, digest="code 1") if old else None)
    assert told(wanted(), before, status) == f"code: {names}"


def test_changed_code_comes_before_changed_data() -> None:
    status = NEED._replace(published=PUBLISHED._replace(code_version="code 1"))
    old = replace(CODE, digest="code 1", definitions={**CODE.definitions, "toys.half": "d0"})
    found = because(wanted(numbers("2026-01-05", "c2")), provenance(numbers("2026-01-05"), code=old), status)
    assert (found.kind, found.names) == (Kind.CODE, ("toys.half",))


@pytest.mark.parametrize(
    ("before", "now"),
    [({"factor": "f1"}, {"factor": "f2"}), ({}, {"factor": "f2"}), ({"factor": "f1"}, {})],
)
def test_a_changed_setting_is_named_and_not_shown(before: dict[str, str], now: dict[str, str]) -> None:
    assert told(wanted(**now), replace(provenance(), configuration=before)) == "code: setting factor"


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ((numbers("2026-01-05"),), (numbers("2026-01-05", "c2"),)),
        ((), (numbers("2026-01-05"),)),
        ((numbers("2026-01-05"),), ()),
        ((numbers("2026-01-05", part="a"),), (numbers("2026-01-05", "c2", "a"), numbers("2026-01-05", "c2", "b"))),
    ],
    ids=["changed", "new", "gone", "two parts of it"],
)
def test_a_changed_upstream_partition_is_named(before: tuple[InputRef, ...], now: tuple[InputRef, ...]) -> None:
    same = numbers("2026-01-04")
    assert told(wanted(same, *now), provenance(same, *before)) == "data: numbers 2026-01-05"


@pytest.mark.parametrize(
    ("before", "now", "named"),
    [
        ((a_file("b"),), (a_file("b", "d2"),), "2026-01-05/b.txt"),
        ((), (a_file("b"),), "2026-01-05/b.txt"),
        ((a_file("b"),), (), "2026-01-05/b.txt (removed)"),
    ],
    ids=["replaced", "new", "gone"],
)
def test_a_changed_file_is_named_by_its_path_and_one_that_is_gone_as_such(
    before: tuple[InputRef, ...], now: tuple[InputRef, ...], named: str
) -> None:
    assert told(wanted(a_file("a"), *now), provenance(a_file("a"), *before)) == f"data: {named}"


def test_after_four_names_the_rest_is_counted() -> None:
    before = [numbers(f"2026-01-0{day}") for day in range(1, 7)]
    now = [item._replace(content="c2") for item in before]
    assert told(wanted(*now[:4]), provenance(*before[:4])).endswith("numbers 2026-01-03, numbers 2026-01-04")
    assert told(wanted(*now), provenance(*before)) == (
        "data: numbers 2026-01-01, numbers 2026-01-02, numbers 2026-01-03, numbers 2026-01-04 and 2 more"
    )


def test_a_cause_in_general_names_no_partitions() -> None:
    before = [numbers(f"2026-01-0{day}") for day in range(1, 7)]
    now = [item._replace(content="c2") for item in before]
    assert because(wanted(*now), provenance(*before)).summary == "data: numbers"
    assert Cause(Kind.MISSING).summary == "missing"


def test_an_input_that_has_yet_to_be_computed_may_turn_out_not_to_change() -> None:
    before = (numbers("2026-01-04"), numbers("2026-01-05"))
    planned = numbers("2026-01-05", f"{UNKNOWN} r9")
    found = because(wanted(numbers("2026-01-04"), planned), provenance(*before))
    assert not found.is_certain
    assert str(found) == "data: numbers 2026-01-05, if it changes"
    assert found.summary == "data: numbers, if it changes"


def test_one_input_that_has_changed_is_certain_whatever_becomes_of_another() -> None:
    before = (numbers("2026-01-04"), numbers("2026-01-05"))
    now = (numbers("2026-01-04", "c2"), numbers("2026-01-05", f"{UNKNOWN} r9"))
    assert told(wanted(*now), provenance(*before)) == "data: numbers 2026-01-04, numbers 2026-01-05"
    gone = (numbers("2026-01-05", f"{UNKNOWN} r9"),)
    assert because(wanted(*gone), provenance(*before)).is_certain


def test_where_nothing_else_differs_the_hash_scheme_does() -> None:
    same = numbers("2026-01-05")
    assert told(wanted(same, factor="f1"), provenance(same, factor="f1")) == "code: hash scheme"


@pytest.mark.parametrize(
    ("required_action", "sentence"),
    [
        (RequiredAction.DELIVER, "data: its target holds something else"),
        (RequiredAction.RETRACT, "data: nothing to compute it from any more"),
    ],
)
def test_what_needs_no_comparison_says_what_is_the_matter(required_action: RequiredAction, sentence: str) -> None:
    assert told(
        wanted(numbers("2026-01-05", "c2")),
        provenance(numbers("2026-01-05")),
        NEED._replace(required_action=required_action),
    ) == (sentence)


@pytest.mark.parametrize("published", [PUBLISHED, None], ids=["it is published", "nothing is published"])
def test_an_audit_of_what_is_published_or_to_be_published_first_is_due_to_the_rules(
    published: VersionSummary | None,
) -> None:
    status = NEED._replace(
        required_action=RequiredAction.AUDIT, reason=Reason.RULES_CHANGED, recipe=PUBLISHED.recipe, published=published
    )
    found = because(
        wanted(numbers("2026-01-05", "c2")), provenance(numbers("2026-01-05")) if published else None, status
    )
    assert (found.kind, str(found), found.summary) == (Kind.CONTRACT, "contract: its rules", "contract: its rules")


def test_an_audit_of_another_version_than_the_published_one_is_due_to_what_differs_between_them() -> None:
    status, before = (
        NEED._replace(required_action=RequiredAction.AUDIT, reason=Reason.RULES_CHANGED),
        provenance(numbers("2026-01-05")),
    )
    assert told(wanted(numbers("2026-01-05", "c2")), before, status) == "data: numbers 2026-01-05"
    assert told(wanted(numbers("2026-01-05"), factor="f2"), before, status) == "code: setting factor"
    old = replace(CODE, digest="code 1", definitions={**CODE.definitions, "toys.half": "d0"})
    other = status._replace(published=PUBLISHED._replace(code_version="code 1"))
    assert told(wanted(numbers("2026-01-05")), replace(before, code=old), other) == "code: toys.half"


def test_all_that_differs_between_two_versions_is_told_code_first() -> None:
    old = provenance(numbers("2026-01-05"), code=replace(CODE, definitions={"toys.numbers": "d0"}), factor="f1")
    new = provenance(numbers("2026-01-05", "c2"), factor="f2")
    assert [str(item) for item in differences(old, new, is_same_code=False)] == [
        "code: toys.half (added), toys.numbers",
        "code: setting factor",
        "data: numbers 2026-01-05",
    ]
    assert differences(old, old, is_same_code=True) == []


def test_code_that_is_not_remembered_differs_only_where_its_digest_does() -> None:
    unknown = provenance(code=None)
    assert [str(item) for item in differences(unknown, unknown, is_same_code=False)] == [
        "code: code that is not remembered"
    ]
    assert differences(unknown, unknown, is_same_code=True) == []
