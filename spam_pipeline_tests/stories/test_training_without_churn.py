"""Stories of training: what makes a model be trained, what that recomputes, and that a worse one reaches nobody."""

import re
from pathlib import Path

import polars as pl

from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.protocol.fingerprint import numbers
from spam_pipeline.protocol.operating import ActionTaken, Cause, Failure, Outcome, PartitionStatus, converge
from spam_pipeline.trust_and_safety.champion import CHAMPION
from spam_pipeline_tests.stories.conftest import (
    Digests,
    converge_with,
    declare,
    digests,
    edit,
    edited,
    land,
    open_pipeline,
)
from spam_pipeline_tests.stories.people import at_work

NEW_DAY = "2026-01-09"
"""The day after the last one of the landing zone; no incident reaches into it."""

MODEL = "trust_and_safety/model.py"
LEARNS, LEARNS_NOTHING = "REGULARISATION: Final = 0.1", "REGULARISATION: Final = 0.000001"


def partitions(did: set[tuple[str, str]], stage: str) -> set[str]:
    return {partition for name, partition in did if name == stage}


def changed(before: Digests, after: Digests, stage: str) -> set[str]:
    """The partitions of a stage whose published content is another one now."""
    return {key for name, key in before if name == stage and before[name, key] != after[name, key]}


def of_quiet_uploader(home: Path) -> list[str]:
    """Lines that confirm an incident about an attack that no expert had declared, for two of its days."""
    truth = pl.read_parquet(home / "truth.parquet").filter(pl.col("scenario") == "low_and_slow")
    window = "2026-01-03T00:00:00Z,2026-01-05T00:00:00Z,ann@example.org,2026-01-08T00:00:00Z,found late"
    return [f"story,confirmed,low_and_slow,user,{user},{window}" for user in sorted(truth["user_id"].unique())]


def computed(pipeline: Pipeline) -> set[tuple[str, str]]:
    """Observe and converge; tell what was computed. What was only judged again is as it was."""
    did: set[tuple[str, str]] = set()

    def tell(status: PartitionStatus, _why: Cause, outcome: Outcome | Failure) -> None:
        if isinstance(outcome, Outcome) and outcome.action is ActionTaken.COMPUTED:
            did.add((status.stage, status.partition))

    pipeline.engine.observe()
    done = converge(pipeline.engine, on_outcome=tell)
    assert (done.failed, done.held) == ((), ())
    return did


def test_a_day_without_new_labels_trains_nothing_and_leaves_earlier_verdicts_alone(home: Path) -> None:
    pipeline = open_pipeline(home)
    before = digests(pipeline)
    assert numbers(pipeline.fingerprint("spam_model"))["is_policy"] == 0, "a model was learned"
    land(home, NEW_DAY, "new", at_work(home, NEW_DAY, people=60, plays=4))
    did = computed(pipeline)
    assert partitions(did, "labelled_examples") == {NEW_DAY}
    assert pipeline.read("labelled_examples", NEW_DAY).collect().is_empty()
    assert partitions(did, "spam_model") == set()
    assert partitions(did, "classified_plays") == {NEW_DAY}
    assert not changed(before, digests(pipeline), "classified_plays")


def test_a_new_incident_trains_once_and_goes_on_only_where_it_changes_a_verdict(home: Path) -> None:
    pipeline = open_pipeline(home)
    before = digests(pipeline)
    trained = len(pipeline.versions("spam_model"))
    declare(home, *of_quiet_uploader(home))
    did = computed(pipeline)
    after = digests(pipeline)
    assert len(pipeline.versions("spam_model")) == trained + 1
    assert partitions(did, "labelled_examples") == {"2026-01-03", "2026-01-04"}
    assert partitions(did, "daily_plays") == changed(before, after, "classified_plays")
    assert {"2026-01-03", "2026-01-04"} <= partitions(did, "daily_plays")
    assert not {stage for stage, _ in did} & {"received_plays", "plays", "entity_facts", "play_signals"}


def test_a_worse_challenger_is_quarantined_with_the_numbers_and_everybody_keeps_the_verdicts_of_the_champion(
    home: Path, tmp_path: Path
) -> None:
    pipeline = open_pipeline(home)
    before = digests(pipeline)
    package = edited(tmp_path / "edited", MODEL, LEARNS, LEARNS_NOTHING)
    did, _, _ = converge_with(package, home)
    assert {stage for stage, *_ in did} <= {"held_out_examples", "spam_model", "model_evaluation", "warehouse"}
    assert digests(pipeline)["spam_model", "all"] == before["spam_model", "all"]
    refused = {finding.about: finding for finding in pipeline.versions("spam_model")[-1][1].refusing}
    of_campaigns = refused["campaigns of spam"]
    assert of_campaigns.rule == CHAMPION
    known, seen = map(float, re.findall(r"\d\.\d{4}", str(of_campaigns)))
    assert seen > 2 * known > 0
    edit(package, MODEL, LEARNS_NOTHING, LEARNS)
    did, computed, _ = converge_with(package, home)
    assert computed == 0
    assert digests(pipeline) == before
