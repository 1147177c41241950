from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from spam_pipeline.protocol import Finding, HistoricFingerprint, Severity
from spam_pipeline.protocol.fingerprint import Figured, Fingerprint, Recorded
from spam_pipeline.trust_and_safety.champion import (
    CHAMPION,
    LEAST_WORSE,
    LEAST_WORSE_OF_LEGITIMATE,
    LEAST_WORSE_OF_ONE,
    findings_against_champion,
)

SPAM = {"farm": 0.01, "loop": 0.02, "ring": 0.05, "widget": 0.03}
LEGITIMATE = {"release": 0.002, "office": 0.001, "sleeper": 0.0}


def model(
    spam: Mapping[str | None, float] | Mapping[str, float] = SPAM,
    legitimate: Mapping[str | None, float] | Mapping[str, float] = LEGITIMATE,
    *,
    last_days: tuple[float, float] | None = None,
    probes: Mapping[int, int] | None = None,
) -> Fingerprint:
    """A model's fingerprint: the error on each held-out campaign, examples and error of the last days, and percent of probes."""
    campaigns = [
        {"incident_id": name, "attack_type": "some", "is_spam": is_spam, "examples": 100, "brier": error}
        for is_spam, errors in ((True, spam), (False, legitimate))
        for name, error in errors.items()
    ]
    rows = [{"probe": probe, "percent": percent} for probe, percent in (probes or {}).items()]
    figures = {} if last_days is None else dict(zip(("examples", "brier"), last_days, strict=True))
    return {
        **{f"held_out_time_{name}": Figured(figure) for name, figure in figures.items()},
        "campaigns": Recorded(tuple(campaigns)),
        "probes": Recorded(tuple(rows)),
    }


def findings(challenger: Fingerprint, champion: Fingerprint | None) -> list[Finding]:
    history = [] if champion is None else [HistoricFingerprint("all", champion)]
    return list(findings_against_champion(challenger, history))


def shifted(errors: Mapping[str, float], by: float | Sequence[float]) -> dict[str, float]:
    moves = np.broadcast_to(by, len(errors))
    return {name: error + float(move) for (name, error), move in zip(errors.items(), moves, strict=True)}


def test_without_a_champion_nothing_speaks_against_a_model() -> None:
    assert findings(model(shifted(SPAM, 0.9)), None) == []


def test_a_model_is_no_worse_than_itself() -> None:
    itself = model(last_days=(500, 0.01))
    assert findings(itself, itself) == []


@pytest.mark.parametrize("better", [shifted(SPAM, -0.01), dict.fromkeys(SPAM, 0.0)])
def test_a_better_challenger_is_not_refused(better: dict[str, float]) -> None:
    assert findings(model(better, shifted(LEGITIMATE, -0.001)), model()) == []


def test_a_challenger_that_is_worse_on_the_same_campaigns_is_refused_with_both_numbers() -> None:
    (finding,) = findings(model(shifted(SPAM, 0.1)), model())
    assert (finding.rule, finding.about, finding.severity) == (CHAMPION, "campaigns of spam", Severity.REFUSE)
    assert finding.expected == "a mean squared error while held out of about 0.0275, as the published model has"
    assert finding.seen == "0.1275 over the same 4"
    assert finding.size == pytest.approx(0.1)


def test_a_challenger_that_is_worse_on_what_is_legitimate_is_refused_for_that() -> None:
    (finding,) = findings(model(legitimate=shifted(LEGITIMATE, 0.01)), model())
    assert (finding.rule, finding.about, finding.severity) == (CHAMPION, "legitimate plays", Severity.REFUSE)
    assert finding.seen == "0.0110 over the same 3"


@pytest.mark.parametrize(
    "challenger",
    [model(shifted(SPAM, 0.9 * LEAST_WORSE)), model(legitimate=shifted(LEGITIMATE, 0.9 * LEAST_WORSE_OF_LEGITIMATE))],
    ids=["spam", "legitimate"],
)
def test_what_makes_no_difference_in_practice_refuses_nobody(challenger: Fingerprint) -> None:
    assert findings(challenger, model()) == []


def test_one_campaign_that_got_worse_beside_others_that_did_not_is_chance() -> None:
    assert findings(model(shifted(SPAM, [0.0, 0.0, 0.2, -0.01])), model()) == []


def test_a_single_attack_that_is_not_seen_any_more_is_refused_by_name_whatever_the_others_gain() -> None:
    champion = model({f"campaign {number}": 0.5 for number in range(10)}, {})
    challenger = model({f"campaign {number}": 0.95 if number == 3 else 0.3 for number in range(10)}, {})
    (finding,) = findings(challenger, champion)
    assert (finding.about, finding.severity) == ("campaign campaign 3", Severity.REFUSE)


def test_noise_is_seldom_refused() -> None:
    random = np.random.default_rng(17)
    errors = {f"campaign {number}": 0.3 for number in range(12)}
    drawn = [findings(model(shifted(errors, random.normal(0, 0.1, 12))), model(errors)) for _ in range(1_000)]
    assert np.mean([bool(found) for found in drawn]) < 0.06


def test_a_new_and_difficult_incident_speaks_against_nobody() -> None:
    assert findings(model({**SPAM, "new": 0.9}, {**LEGITIMATE, "new too": 0.9}), model()) == []


def test_a_campaign_that_only_the_champion_knew_does_not_count() -> None:
    assert findings(model(), model({**SPAM, "withdrawn": 0.0}, {**LEGITIMATE, "withdrawn": 0.0})) == []


def test_a_campaign_whose_label_was_turned_over_is_another_campaign() -> None:
    assert findings(model({}, {"farm": 0.9}), model({"farm": 0.0}, {})) == []


def test_a_single_common_campaign_has_to_be_far_worse() -> None:
    champion = model({"farm": 0.01, "old": 0.0}, {})
    assert findings(model({"farm": 0.01 + 0.9 * LEAST_WORSE_OF_ONE}, {}), champion) == []
    (finding,) = findings(model({"farm": 0.01 + 1.1 * LEAST_WORSE_OF_ONE}, {}), champion)
    assert finding.seen == "0.1200 over the same 1"


def test_what_belongs_to_no_incident_is_compared_like_a_campaign() -> None:
    (finding,) = findings(model({}, {None: 0.05}), model({}, {None: 0.001}))
    assert finding.about == "legitimate plays"


def test_the_last_days_count_as_long_as_they_are_the_same() -> None:
    champion = model(last_days=(500, 0.01))
    (finding,) = findings(model(last_days=(500, 0.05)), champion)
    assert (finding.about, finding.severity) == ("the last days", Severity.REFUSE)
    assert finding.seen == "0.0500 over the same 500"
    for other in (model(last_days=(620, 0.05)), model(last_days=(500, 0.02)), model()):
        assert findings(other, champion) == []


def test_flips_are_counted_on_common_probes_and_only_where_the_class_changes() -> None:
    champion = model(probes={1: 5, 2: 19, 3: 79, 4: 99, 5: 0})
    challenger = model(probes={1: 19, 2: 20, 3: 80, 4: 10, 6: 100})
    (finding,) = findings(challenger, champion)
    assert (finding.rule, finding.severity) == ("flips", Severity.NOTE)
    assert finding.seen == "another one for 3 of 4 (75.0%)"
    assert finding.size == 0.75


def test_a_champion_that_was_measured_by_an_earlier_contract_says_nothing() -> None:
    assert findings(model(probes={1: 5}), {"held_out_brier": Figured(0.001)}) == []
    assert findings(model(probes={1: 5}), {"campaigns": Figured(3), "probes": Figured(4)}) == []
