"""What was promised of the verdicts, on simulated weeks that nobody saw while they were made, with every attack and every oddity.

The seeds are drawn from 8000 on and nothing was tuned on them; `benchmarks.verdicts_against_truth` tabulates more of them. Verdicts are
what the pipeline publishes, without the reports and the money that rest on them; what-if questions about labels are asked of the context's functions, over published signals.
"""

from collections.abc import Mapping

import polars as pl
import pytest

from spam_pipeline.protocol.fingerprint import numbers
from spam_pipeline.simulation.user_agents import OFFICE_BROWSER
from spam_pipeline.trust_and_safety.contracts import POLICY, SUSPICION_ID
from spam_pipeline.trust_and_safety.estimators import SpamModel
from spam_pipeline.trust_and_safety.quality import at_prevalence, figures
from spam_pipeline.trust_and_safety.training import SPAM_PRIOR, learned
from spam_pipeline_tests.simulated_weeks import (
    DECLARED_ATTACKS,
    HARD_NEGATIVES,
    UNDECLARED_ATTACKS,
    Week,
    observed,
    share,
    shares,
    simulated,
)
from spam_pipeline_tests.stories.conftest import land
from spam_pipeline_tests.stories.people import at_work

SEEDS = (8137, 8562)

OFFICE_DAY = "2026-01-06"
"""A Tuesday on which most campaigns run."""

OFFICE = "office of 300"


@pytest.fixture(scope="module", params=SEEDS)
def week(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Week:
    """Ten days that the pipeline converged, on one of them 300 people behind the address of one office."""
    home = tmp_path_factory.mktemp("unseen") / "home"
    pipeline = simulated(home, request.param)
    office = {"ip": "86.3.20.7", "country": "GB", "user_agent": OFFICE_BROWSER, "source": "playlist"}
    land(home, OFFICE_DAY, "office", at_work(home, OFFICE_DAY, people=300, plays=3, **office))
    return observed(pipeline, "classified_plays")


@pytest.fixture(scope="module")
def published(week: Week) -> pl.DataFrame:
    """The verdicts of production, with the truth beside them."""
    judged = week.with_truth(week.pipeline.read("classified_plays", sorted(week.plays)))
    is_office = pl.col("event_id").str.starts_with("at work")
    return judged.with_columns(scenario=pl.when(is_office).then(pl.lit(OFFICE)).otherwise("scenario"))


@pytest.fixture(scope="module")
def unsuspected(published: pl.DataFrame) -> pl.DataFrame:
    """The verdicts on plays that do not wait for a person to decide a suspicion."""
    return published.filter(~pl.col("incident_id").fill_null("").str.starts_with(SUSPICION_ID))


@pytest.fixture(scope="module")
def unheard_of(week: Week) -> Mapping[str, pl.DataFrame]:
    """For each attack type: the verdicts when no expert has ever declared any of it."""
    found = {}
    for attack_type in (*DECLARED_ATTACKS, *UNDECLARED_ATTACKS):
        incidents = week.without(attack_type)
        examples = week.examples(incidents).collect()
        found[attack_type] = week.classified(SpamModel(learned(examples.sort(examples.columns))), incidents)
    return found


def test_every_attack_and_every_oddity_is_present(published: pl.DataFrame) -> None:
    present = set(published["scenario"])
    assert present >= {*DECLARED_ATTACKS, *UNDECLARED_ATTACKS, *HARD_NEGATIVES, OFFICE}


def test_royalties_exclude_nearly_all_spam_and_nearly_nothing_else(
    published: pl.DataFrame, unsuspected: pl.DataFrame
) -> None:
    assert shares(published)["spam_withheld"] >= 0.95
    assert shares(unsuspected)["legitimate_withheld"] <= 0.002


def test_few_plays_of_listeners_wait_for_a_person(published: pl.DataFrame, unsuspected: pl.DataFrame) -> None:
    honest, others = (len(plays.filter(~pl.col("is_spam"))) for plays in (published, unsuspected))
    assert (honest - others) / honest <= 0.04


def test_no_artist_loses_more_than_a_twentieth_of_the_legitimate_plays_to_error(unsuspected: pl.DataFrame) -> None:
    assert shares(unsuspected)["worst_artist"] <= 0.05


def test_what_reports_drop_is_spam(published: pl.DataFrame) -> None:
    assert shares(published)["precision_called"] >= 0.99


@pytest.mark.parametrize("oddity", [*HARD_NEGATIVES, OFFICE])
def test_odd_but_honest_listening_loses_nothing_in_reports(published: pl.DataFrame, oddity: str) -> None:
    lost = published.filter(pl.col("scenario") == oddity, pl.col("is_called"), ~pl.col("is_spam"))
    assert lost.is_empty(), lost.select("scenario", "spam_probability", "reasons").rows()


@pytest.mark.parametrize("attack_type", [*DECLARED_ATTACKS, *UNDECLARED_ATTACKS])
def test_an_attack_of_a_type_that_no_expert_ever_declared_is_caught(
    unheard_of: Mapping[str, pl.DataFrame], attack_type: str
) -> None:
    of_type = unheard_of[attack_type].filter(pl.col("scenario") == attack_type)
    assert set(of_type["incident_status"]) == {None}
    assert share(of_type, "is_withheld") >= 0.7


def test_probabilities_mean_what_they_say(week: Week, unheard_of: Mapping[str, pl.DataFrame]) -> None:
    """On campaigns that were held out in training; and against the truth, on types of attack that were held out altogether."""
    held_out = numbers(week.pipeline.fingerprint("spam_model"))
    assert held_out["held_out_campaigns_calibration_error"] <= 0.02
    parts = [
        judged.filter(pl.col("incident_id").is_null(), (pl.col("scenario") == attack_type) | ~pl.col("is_spam"))
        for attack_type, judged in unheard_of.items()
    ]
    plays = pl.concat(parts)
    is_spam = plays["is_spam"].to_numpy()
    weight = at_prevalence(is_spam, pl.ones(plays.height, eager=True).to_numpy(), SPAM_PRIOR)
    assert figures(is_spam, plays["spam_probability"].to_numpy(), weight)["calibration_error"] <= 0.02


def test_where_nothing_is_labelled_the_policy_finds_most_and_says_so_in_every_verdict(week: Week) -> None:
    model, judged = week.verdicts(week.incidents.clear())
    assert model.estimator is None
    assert judged.select((pl.col("reasons").list.last().struct.field("signal") == POLICY).all()).item()
    reached = shares(judged)
    assert reached["spam_withheld"] >= 0.85
    assert reached["legitimate_withheld"] <= 0.005
    assert reached["precision_called"] >= 0.95
