"""Which version an environment points at after retractions and after versions were audited again."""

from dataclasses import replace

import pytest

from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.records import PRODUCTION, Trigger, Verdict
from spam_pipeline_tests.protocol.made_up_records import PASSED, REFUSED, a_version, recipes_told, recorded

# Retractions


def published_recipe(ledger: Ledger, environment: str = PRODUCTION, partition: str = "2026-01-05") -> str | None:
    found = ledger.published_version(environment, "numbers", partition)
    in_bulk = ledger.published(environment, ["numbers"])["numbers"].get(partition)
    assert (found.recipe if found else None) == (in_bulk.recipe if in_bulk else None)
    return found.recipe if found else None


def test_what_is_retracted_is_not_published_any_more_and_was_before(ledger: Ledger) -> None:
    _, before = ledger.record(a_version(), PASSED, PRODUCTION)
    why = Trigger("run-1", "retracted", "data: nothing to compute it from any more")
    retraction = ledger.retract("numbers", "2026-01-05", PRODUCTION, why)
    assert before is not None
    assert retraction is not None
    assert (retraction.version_id, retraction.trigger) == (None, why)
    assert published_recipe(ledger) is None
    then = ledger.published_version(PRODUCTION, "numbers", "2026-01-05", before.published_at)
    assert then is not None
    assert then.recipe == "r1"
    assert ledger.published(PRODUCTION, ["numbers"], before.published_at)["numbers"].keys() == {"2026-01-05"}
    assert [found and found[0].recipe for _, found in ledger.publications_after(0, PRODUCTION)] == ["r1", None]


def test_retracting_what_is_not_published_does_nothing(ledger: Ledger) -> None:
    assert ledger.retract("numbers", "2026-01-05", PRODUCTION) is None
    ledger.record(a_version(), PASSED, PRODUCTION)
    assert ledger.retract("numbers", "2026-01-05", PRODUCTION) is not None
    assert ledger.retract("numbers", "2026-01-05", PRODUCTION) is None


def test_what_was_retracted_can_be_published_again(ledger: Ledger) -> None:
    ledger.record(a_version(), PASSED, PRODUCTION)
    ledger.retract("numbers", "2026-01-05", PRODUCTION)
    assert ledger.publish(recorded(ledger, "r1"), PRODUCTION) is not None
    assert published_recipe(ledger) == "r1"


def test_a_retraction_in_an_environment_hides_what_production_has(ledger: Ledger) -> None:
    ledger.record(a_version(), PASSED, PRODUCTION)
    assert ledger.retract("numbers", "2026-01-05", "branch") is not None
    assert published_recipe(ledger, "branch") is None
    assert published_recipe(ledger) == "r1"


# Audits of versions that were audited before


def test_a_version_that_passes_another_audit_is_published(ledger: Ledger) -> None:
    ledger.record(a_version(), REFUSED, PRODUCTION)
    trigger = Trigger("run-2", "audited", "contract: its rules")
    publication = ledger.record_audit(recorded(ledger, "r1"), PASSED, PRODUCTION, trigger)
    assert publication is not None
    assert publication.trigger == trigger
    assert published_recipe(ledger) == "r1"
    assert [audit for _, audit in ledger.versions("numbers", "2026-01-05")] == [PASSED], "the last audit counts"


def test_a_published_version_that_passes_another_audit_stays_published(ledger: Ledger) -> None:
    ledger.record(a_version(), PASSED, PRODUCTION)
    assert ledger.record_audit(recorded(ledger, "r1"), PASSED, PRODUCTION) is None
    assert recipes_told(ledger) == ["r1"]


def test_a_published_version_that_is_refused_gives_way_to_the_version_named_instead(ledger: Ledger) -> None:
    for number in (1, 2, 3):
        ledger.record(a_version(f"r{number}", content=f"c{number}"), PASSED, PRODUCTION)
    first, second = (recorded(ledger, recipe).id for recipe in ("r1", "r2"))
    ledger.record_audit(recorded(ledger, "r2"), REFUSED, PRODUCTION, fall_back_to=first)
    assert published_recipe(ledger) == "r3", "what is not published gives way to nothing"
    trigger = Trigger("run-3", "audited", "contract: its rules")
    assert ledger.record_audit(recorded(ledger, "r3"), REFUSED, PRODUCTION, trigger, second) is None
    assert published_recipe(ledger) == "r2", "it is the caller who knows what the contract accepts"
    last, _ = ledger.publications_after(0, PRODUCTION)[-1]
    assert (last.version_id, last.trigger) == (second, trigger)
    assert recipes_told(ledger) == ["r1", "r2", "r3", "r2"]


def test_a_published_version_that_is_refused_is_retracted_when_none_is_named_instead(ledger: Ledger) -> None:
    ledger.record(a_version("r0", content="c0"), PASSED, PRODUCTION)
    ledger.record(a_version(), PASSED, PRODUCTION)
    trigger = Trigger(action="audited")
    assert ledger.record_audit(recorded(ledger, "r1"), REFUSED, PRODUCTION, trigger) is None
    assert published_recipe(ledger) is None
    last, _ = ledger.publications_after(0, PRODUCTION)[-1]
    assert (last.version_id, last.trigger) == (None, trigger)


def test_a_version_that_is_refused_is_read_no_more_in_that_environment_alone(ledger: Ledger) -> None:
    ledger.record(a_version("r0", content="c0"), PASSED, PRODUCTION)
    ledger.record(a_version(), PASSED, "branch")
    ledger.record(a_version(), PASSED, PRODUCTION)
    ledger.record(a_version("r5", content="c5"), PASSED, "kept")
    before = [item for item, _ in ledger.publications_after(0, PRODUCTION)]
    ledger.record_audit(recorded(ledger, "r1"), REFUSED, "branch", fall_back_to=recorded(ledger, "r0").id)
    assert [published_recipe(ledger, name) for name in (PRODUCTION, "branch", "kept")] == ["r1", "r0", "r5"]
    ledger.record_audit(recorded(ledger, "r1"), REFUSED, "kept", fall_back_to=recorded(ledger, "r0").id)
    assert published_recipe(ledger, "kept") == "r5", "what it does not read gives way to nothing"
    assert [item for item, _ in ledger.publications_after(0, PRODUCTION)] == before


@pytest.mark.parametrize(("instead", "read"), [("r0", "r0"), (None, None)])
def test_an_environment_that_reads_what_production_has_gets_a_pointer_of_its_own(
    ledger: Ledger, instead: str | None, read: str | None
) -> None:
    ledger.record(a_version("r0", content="c0"), PASSED, PRODUCTION)
    ledger.record(a_version(), PASSED, PRODUCTION)
    named = recorded(ledger, instead).id if instead else None
    ledger.record_audit(recorded(ledger, "r1"), REFUSED, "branch", fall_back_to=named)
    assert (published_recipe(ledger, "branch"), published_recipe(ledger)) == (read, "r1")
    assert [item.version_id for item, _ in ledger.publications_after(0, "branch")] == [named]
    assert recipes_told(ledger) == ["r0", "r1"]
    ledger.record(a_version("r2", content="c2"), PASSED, PRODUCTION)
    assert (published_recipe(ledger, "branch"), published_recipe(ledger)) == (read, "r2")


def test_production_that_refuses_a_version_leaves_it_to_an_environment_that_published_it_itself(ledger: Ledger) -> None:
    ledger.record(a_version(), PASSED, "branch")
    ledger.record(a_version(), PASSED, PRODUCTION)
    ledger.record_audit(recorded(ledger, "r1"), REFUSED, PRODUCTION)
    assert (published_recipe(ledger), published_recipe(ledger, "branch")) == (None, "r1")


def test_what_an_environment_read_before_is_its_own_then_productions_since_the_last_retraction(ledger: Ledger) -> None:
    def read(environment: str, partition: str = "2026-01-05") -> list[str]:
        return [version.recipe for version in ledger.published_before(environment, "numbers", partition)]

    for recipe, environment in (("r0", PRODUCTION), ("r1", PRODUCTION), ("r5", "branch"), ("r6", "another")):
        ledger.record(a_version(recipe, content=recipe), PASSED, environment)
    ledger.record(a_version("r7", content="c7"), REFUSED, PRODUCTION)
    ledger.record(a_version("r8", "2026-01-06"), PASSED, PRODUCTION)
    ledger.publish(recorded(ledger, "r0"), PRODUCTION)
    assert read(PRODUCTION) == ["r0", "r1"], "each once, where it was published last"
    assert read("branch") == ["r5", "r0", "r1"]
    ledger.retract("numbers", "2026-01-05", PRODUCTION)
    assert read(PRODUCTION) == []
    assert read("branch") == ["r5"]
    ledger.publish(recorded(ledger, "r1"), PRODUCTION)
    assert read(PRODUCTION) == ["r1"], "what was retracted does not come back"
    ledger.retract("numbers", "2026-01-05", "branch")
    assert read("branch") == []
    assert read(PRODUCTION, "2026-01-06") == ["r8"]
    assert read(PRODUCTION, "2026-01-07") == []


def test_a_version_is_judged_by_the_last_audit_of_the_contract_asked_for(ledger: Ledger) -> None:
    today, past = replace(PASSED, contract="today"), replace(REFUSED, contract="past")
    ledger.record(a_version(), past, PRODUCTION)
    made = recorded(ledger, "r1")
    assert ledger.audited("r1", "today") == (made, None)
    assert ledger.audited("r1", "past") == (made, past)
    ledger.record_audit(made, today, PRODUCTION)
    ledger.record_audit(made, replace(past, verdict=Verdict.PASSED), "branch")
    ledger.record_audit(made, past, "branch")
    assert ledger.audited("r1", "today") == (made, today)
    assert ledger.audited("r1", "past") == (made, past)
    assert ledger.audited("r2", "today") is None
