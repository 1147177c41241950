from datetime import datetime

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from spam_pipeline.ingestion.contracts import Incidents, Plays
from spam_pipeline.protocol import HistoricFingerprint, Severity, column_types
from spam_pipeline.protocol.operating import breaches
from spam_pipeline.trust_and_safety.classification import DIGITS, Groups, classify
from spam_pipeline.trust_and_safety.contracts import (
    CARRIED,
    DECLARED,
    POLICY,
    SUSPICION,
    ClassifiedPlays,
    PlaySignals,
    with_named_reasons,
)
from spam_pipeline.trust_and_safety.estimators import SpamModel
from spam_pipeline.trust_and_safety.scoring import entities_of, spam_probability
from spam_pipeline.trust_and_safety.signals.catalogue import NAMES
from spam_pipeline.trust_and_safety.signals.known_plays import with_actor
from spam_pipeline.trust_and_safety.suspicions_contract import CarriedDevices, SuspectedPlays
from spam_pipeline.trust_and_safety.training import learned
from spam_pipeline_tests.contract_helpers import findings_about, fingerprint_of, numbers_of
from spam_pipeline_tests.trust_and_safety.play_generator import (
    ATTACKER,
    FAN,
    RELEASE,
    bot_farm,
    day,
    fan_of_one_track,
    farm_examples,
    incidents_of,
    key,
    loop_bot,
    moment,
    office,
    organic,
    plays_of,
    policy_model,
    release,
    signals_on,
    sleeper,
    together,
)

LAST = 5
PLAYS = together(
    organic(LAST), loop_bot(LAST), fan_of_one_track(LAST), sleeper(LAST), office(LAST), release(LAST), bot_farm(LAST)
)
SIGNALS = signals_on(together(organic(LAST - 1), PLAYS), LAST)
BOT, LOYAL = pl.col("user_key") == key(ATTACKER).item(), pl.col("user_key") == key(FAN).item()
BY_EXPERTS = {"signal": DECLARED, "value": None, "usual": None}
FARM = pl.col("track_id").is_in([f"t{track}" for track in range(5_000, 5_200)])


@pytest.fixture(scope="module")
def trained() -> SpamModel:
    return SpamModel(learned(farm_examples(3).collect()))


def incident(user: int, status: str, starts_at: datetime | None = None) -> pl.LazyFrame:
    named: dict[str, object] = {"incident_id": f"about {user}", "entity_key": key(user).item(), "status": status}
    return incidents_of([named | ({"starts_at": starts_at} if starts_at else {})])


def verdicts(model: SpamModel, incidents: pl.LazyFrame | None = None) -> pl.DataFrame:
    return classify(PLAYS, SIGNALS, model, Incidents.empty() if incidents is None else incidents, Groups()).collect()


LOYAL_DEVICE, LOYAL_TRACK = key(FAN + 500_000).item(), key(9_003).item()
VERDICT = ("class", "spam_probability", "attack_type", "incident_id", "incident_status")


def carried(device: int, attack_type: str = "device_farm") -> pl.LazyFrame:
    rows = [{"device_key": device, "incident_id": "ring", "attack_type": attack_type}]
    return pl.LazyFrame(rows, schema=pl.Schema(column_types(CarriedDevices)))


def suspected(device: int, track: int) -> pl.LazyFrame:
    names = {"suspicion_id": "suspected-1", "attack_type": "low_and_slow", "first_day": moment(0).date()}
    rows = [{"device_key": device, "track_key": track, **names}]
    return pl.LazyFrame(rows, schema=pl.Schema(column_types(SuspectedPlays)))


def grouped(model: SpamModel, groups: Groups, incidents: pl.LazyFrame | None = None) -> pl.DataFrame:
    declared = Incidents.empty() if incidents is None else incidents
    found = classify(PLAYS, SIGNALS, model, declared, groups).collect()
    assert findings_about(ClassifiedPlays, found.lazy()) == []
    return found


def names_of_reasons() -> pl.Expr:
    return pl.col("reasons").list.eval(pl.element().struct.field("signal"))


def test_every_play_is_kept_in_its_order_with_its_own_values() -> None:
    found = verdicts(policy_model())
    shared = [name for name in found.columns if name in Plays.columns()]
    assert_frame_equal(found.select(shared), PLAYS.select(shared).collect())
    assert findings_about(ClassifiedPlays, found.lazy()) == []


@pytest.mark.parametrize("slice_rows", [3_333, 9_999])
def test_verdicts_are_the_same_however_few_plays_are_classified_at_a_time(slice_rows: int, trained: SpamModel) -> None:
    groups = Groups(carried(key(ATTACKER + 500_000).item()), suspected(LOYAL_DEVICE, LOYAL_TRACK))
    for model in (policy_model(), trained):
        whole, in_slices = (
            classify(PLAYS, SIGNALS, model, incident(FAN, "suspected"), groups, slice_rows=rows).collect()
            for rows in (PLAYS.collect().height, slice_rows)
        )
        assert_frame_equal(in_slices, whole, check_exact=True)


def test_the_class_follows_from_the_probability_and_the_consumers_tolerances(trained: SpamModel) -> None:
    for found in (verdicts(policy_model()), verdicts(trained)):
        probability = found.get_column("spam_probability").cast(pl.Float64).round(2).to_numpy()
        expected = np.select([probability >= 0.8, probability < 0.2], ["spam", "legitimate"], "unknown")
        assert found.get_column("class").to_list() == expected.tolist()


def test_probabilities_have_two_decimals(trained: SpamModel) -> None:
    scored = entities_of(with_actor(PLAYS).collect(), SIGNALS)
    for model in (policy_model(), trained):
        found = verdicts(model).get_column("spam_probability").cast(pl.Float64).round(6).to_numpy()
        assert np.array_equal(found, spam_probability(model, scored).round(DIGITS))


def test_a_verdict_without_labels_says_that_a_policy_stands_behind_it() -> None:
    found = verdicts(policy_model())
    assert found.select(names_of_reasons().list.last().eq(POLICY).all()).item()
    assert found.filter(BOT).select(names_of_reasons()).unique().rows() == [
        (["device_cut_off_share", "device_top_track_share", POLICY],)
    ]
    assert found.filter(LOYAL).get_column("reasons").unique().to_list() == [
        [{"signal": POLICY, "value": None, "usual": None}]
    ]


def test_a_trained_verdict_names_up_to_three_signals_where_it_withholds_and_none_where_it_does_not(
    trained: SpamModel,
) -> None:
    found = verdicts(trained)
    assert found.filter(pl.col("class") == "legitimate").get_column("reasons").list.len().max() == 0
    suspicious = found.filter(pl.col("class") != "legitimate").select(reasons=names_of_reasons()).get_column("reasons")
    assert suspicious.list.len().is_between(1, 3).all()
    assert set(suspicious.explode(empty_as_null=False, keep_nulls=False)) <= set(NAMES)


def test_the_attack_type_is_named_where_a_signature_fits_and_never_on_a_legitimate_play(trained: SpamModel) -> None:
    for model in (policy_model(), trained):
        found = verdicts(model)
        assert found.filter(FARM & (pl.col("class") == "spam")).get_column("attack_type").unique().to_list() == [
            "device_farm"
        ]
        assert found.filter(pl.col("class") == "legitimate").get_column("attack_type").null_count() == (
            found.filter(pl.col("class") == "legitimate").height
        )
    assert verdicts(policy_model()).filter(BOT).get_column("attack_type").unique().to_list() == ["loop_bot"]


def test_a_verdict_depends_neither_on_the_other_plays_nor_on_their_order(trained: SpamModel) -> None:
    every = verdicts(trained, incident(FAN, "suspected"))
    order = np.random.default_rng(2).permutation(every.height)[:2_000]
    some = PLAYS.collect()[order]
    found = classify(some.lazy(), SIGNALS, trained, incident(FAN, "suspected"), Groups()).collect()
    assert_frame_equal(found, every[order.tolist()], check_exact=True)


def test_what_was_confirmed_on_other_days_is_recognised_and_hard_negatives_are_still_paid(trained: SpamModel) -> None:
    found = verdicts(trained)
    assert found.filter(FARM).select(pl.col("class").eq("spam").mean()).item() > 0.95
    assert found.filter(~FARM & ~BOT).select(pl.col("class").eq("legitimate").mean()).item() > 0.98


def test_a_confirmed_incident_makes_its_plays_spam_and_leaves_those_before_it(trained: SpamModel) -> None:
    found = verdicts(trained, incident(FAN, "confirmed", starts_at=moment(LAST, 12))).filter(LOYAL)
    inside = pl.col("occurred_at") >= moment(LAST, 12)
    declared = found.filter(inside).select(
        "class", "spam_probability", "reasons", "attack_type", "incident_id", "incident_status"
    )
    assert declared.unique().rows() == [("spam", 1.0, [BY_EXPERTS], "bot_farm", "about 8002", "confirmed")]
    assert found.filter(~inside).select("incident_id", "incident_status").unique().rows() == [(None, None)]
    assert found.filter(~inside).height > 0


def test_a_cleared_incident_makes_its_plays_legitimate_whatever_the_model_says() -> None:
    found = verdicts(policy_model(), incident(ATTACKER, "cleared")).filter(BOT)
    assert found.select("class", "spam_probability", "reasons", "attack_type").unique().rows() == [
        ("legitimate", 0.0, [BY_EXPERTS], None)
    ]


def test_a_suspected_incident_is_named_and_leaves_the_verdict_to_the_model() -> None:
    columns = ["class", "spam_probability", "reasons"]
    suspected, undeclared = verdicts(policy_model(), incident(ATTACKER, "suspected")), verdicts(policy_model())
    assert_frame_equal(suspected.select(columns), undeclared.select(columns))
    named = suspected.filter(BOT).select("incident_status", "attack_type")
    assert named.unique().rows() == [("suspected", "bot_farm")], "the attack type is the one that experts suspect"


def test_plays_of_a_suspicion_wait_for_a_person_and_say_so() -> None:
    found = grouped(policy_model(), Groups(suspected_plays=suspected(LOYAL_DEVICE, LOYAL_TRACK))).filter(LOYAL)
    assert found.select(*VERDICT).unique().rows() == [
        ("unknown", pytest.approx(0.2), "low_and_slow", "suspected-1", "suspected")
    ]
    assert found["reasons"].unique().to_list() == [[{"signal": SUSPICION, "value": None, "usual": None}]]


def test_a_suspicion_leaves_other_plays_of_its_device_its_track_and_its_day_to_the_model(trained: SpamModel) -> None:
    pair = PLAYS.filter(pl.col("user_key") == key(1).item()).select("device_key", "track_key").first().collect().row(0)
    of_device, of_track = pl.col("device_key") == pair[0], pl.col("track_key") == pair[1]
    plays = PLAYS.collect()
    found, without = grouped(trained, Groups(suspected_plays=suspected(*pair))), verdicts(trained)
    held = found.filter(pl.col("incident_status") == "suspected")
    assert held["event_id"].to_list() == plays.filter(of_device & of_track)["event_id"].to_list()
    assert plays.filter(of_device).height > held.height < plays.filter(of_track).height
    assert_frame_equal(
        found.join(held, on="event_id", how="anti", maintain_order="left"),
        without.join(held, on="event_id", how="anti", maintain_order="left"),
        check_exact=True,
    )


def test_a_play_that_the_model_calls_spam_stays_spam_without_the_suspicions_name(trained: SpamModel) -> None:
    farm = PLAYS.filter(FARM).collect()
    pairs = farm.select("device_key", "track_key").unique().lazy()
    named = suspected(0, 0).drop("device_key", "track_key")
    found = grouped(trained, Groups(suspected_plays=pairs.join(named, how="cross")))
    without = verdicts(trained)
    called = (pl.col("class") == "spam") & FARM
    assert without.filter(called).height > 0
    assert_frame_equal(found.filter(called), without.filter(called), check_exact=True)


def test_a_probability_that_the_model_gives_a_suspected_play_is_never_lowered(trained: SpamModel) -> None:
    pairs = PLAYS.select("device_key", "track_key").unique()
    named = suspected(0, 0).drop("device_key", "track_key")
    found, without = grouped(trained, Groups(suspected_plays=pairs.join(named, how="cross"))), verdicts(trained)
    expected = without["spam_probability"].clip(lower_bound=np.float32(0.2))
    assert found["spam_probability"].to_list() == pytest.approx(expected.to_list())


def test_plays_of_a_carried_device_are_spam_by_the_incident_that_carries_them() -> None:
    found = grouped(policy_model(), Groups(carried_devices=carried(LOYAL_DEVICE))).filter(LOYAL)
    assert found.select(*VERDICT).unique().rows() == [("spam", pytest.approx(0.95), "device_farm", "ring", None)]
    assert found["reasons"].unique().to_list() == [[{"signal": CARRIED, "value": None, "usual": None}]]


def test_a_carried_device_leaves_every_other_device_to_the_model(trained: SpamModel) -> None:
    found = grouped(trained, Groups(carried_devices=carried(LOYAL_DEVICE)))
    assert_frame_equal(found.filter(~LOYAL), verdicts(trained).filter(~LOYAL), check_exact=True)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("confirmed", ("spam", 1.0, "bot_farm", "about 8002", "confirmed")),
        ("cleared", ("legitimate", 0.0, None, "about 8002", "cleared")),
        ("suspected", ("legitimate", None, "bot_farm", "about 8002", "suspected")),
    ],
)
def test_what_is_declared_comes_before_what_is_carried_or_suspected(
    status: str, expected: tuple[str | float | None, ...]
) -> None:
    groups = Groups(carried(LOYAL_DEVICE), suspected(LOYAL_DEVICE, LOYAL_TRACK))
    found = grouped(policy_model(), groups, incident(FAN, status)).filter(LOYAL).select(*VERDICT).unique().row(0)
    assert [value for value in expected if value is not None] == [
        value for value, wanted in zip(found, expected, strict=True) if wanted is not None
    ]


def test_a_declaration_of_some_hours_leaves_the_others_to_what_is_carried() -> None:
    afternoon = incident(FAN, "cleared", starts_at=moment(LAST, 12))
    found = grouped(policy_model(), Groups(carried_devices=carried(LOYAL_DEVICE)), afternoon).filter(LOYAL)
    is_declared = pl.col("occurred_at") >= moment(LAST, 12)
    assert found.filter(is_declared)["class"].unique().to_list() == ["legitimate"]
    assert found.filter(~is_declared)["class"].unique().to_list() == ["spam"]


def test_what_is_carried_comes_before_what_is_suspected() -> None:
    groups = Groups(carried(LOYAL_DEVICE), suspected(LOYAL_DEVICE, LOYAL_TRACK))
    found = grouped(policy_model(), groups).filter(LOYAL)
    assert found.select("class", "incident_id").unique().rows() == [("spam", "ring")]


def test_what_is_suspected_comes_before_a_model_that_would_pay() -> None:
    assert verdicts(policy_model()).filter(LOYAL)["class"].unique().to_list() == ["legitimate"]
    found = grouped(policy_model(), Groups(suspected_plays=suspected(LOYAL_DEVICE, LOYAL_TRACK)))
    assert found.filter(LOYAL)["class"].unique().to_list() == ["unknown"]


def test_a_day_without_plays_has_no_verdicts() -> None:
    found = classify(Plays.empty(), PlaySignals.empty(), policy_model(), incident(FAN, "confirmed"), Groups())
    assert findings_about(ClassifiedPlays, found) == []
    assert found.collect().is_empty()


def test_plays_without_signals_account_network_or_country_still_get_a_verdict(trained: SpamModel) -> None:
    plays = plays_of([{"occurred_at": moment(LAST, hour)} for hour in (1, 2, 3)])
    for model in (policy_model(), trained):
        found = classify(plays, PlaySignals.empty(), model, Incidents.empty(), Groups())
        assert findings_about(ClassifiedPlays, found) == []
        assert found.collect().get_column("spam_probability").is_between(0, 1).all()


def test_the_earlier_schema_has_the_names_of_the_signals_and_no_attack_type(trained: SpamModel) -> None:
    found = verdicts(trained)
    earlier = with_named_reasons(found.lazy()).collect()
    assert_frame_equal(earlier.drop("reasons"), found.drop("reasons", "attack_type"))
    assert earlier.get_column("reasons").equals(found.select(reasons=names_of_reasons()).get_column("reasons"))


def test_the_fingerprint_tells_an_attacked_day_from_a_calm_one(trained: SpamModel) -> None:
    calm = classify(organic(LAST), signals_on(organic(LAST), LAST), trained, Incidents.empty(), Groups())
    shares = [numbers_of(ClassifiedPlays, frame.lazy())["spam_share"] for frame in (calm, verdicts(trained))]
    assert shares[0] < 0.02
    assert shares[1] > 0.4


def test_verdicts_that_call_nearly_all_plays_spam_are_kept_back(trained: SpamModel) -> None:
    found = verdicts(trained).lazy()
    assert breaches(ClassifiedPlays.limits(), numbers_of(ClassifiedPlays, found)) == []
    (finding,) = breaches(
        ClassifiedPlays.limits(), numbers_of(ClassifiedPlays, found.with_columns(pl.lit("spam").alias("class")))
    )
    assert (finding.about, finding.severity) == ("spam_share", Severity.REFUSE)


def test_the_fingerprint_expects_as_much_spam_as_the_probabilities_say(trained: SpamModel) -> None:
    found = verdicts(trained)
    measured = numbers_of(ClassifiedPlays, found.lazy())
    mean = found.get_column("spam_probability").cast(pl.Float64).mean()
    assert measured["spam_expected_in_10000"] == pytest.approx(10_000 * mean, abs=1e-3)
    assert measured["classes"] == found.get_column("class").n_unique()


def test_a_track_that_is_suddenly_everywhere_is_a_finding_with_evidence() -> None:
    days = [
        classify(plays, signals_on(plays, number), policy_model(), Incidents.empty(), Groups()).collect().lazy()
        for number in range(LAST)
        for plays in [organic(number)]
    ]
    history = [
        HistoricFingerprint(day(number), fingerprint_of(ClassifiedPlays, frame)) for number, frame in enumerate(days)
    ]
    assert list(ClassifiedPlays.findings(history[-1].fingerprint, history[:-1])) == []
    (finding,) = ClassifiedPlays.findings(fingerprint_of(ClassifiedPlays, verdicts(policy_model()).lazy()), history)
    assert (finding.rule, finding.about) == ("spike", f"track t{RELEASE}")
    assert finding.evidence is not None
    assert finding.evidence.clues
