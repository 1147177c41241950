import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit  # type: ignore[import-untyped]  # no types shipped
from sklearn.tree import DecisionTreeClassifier  # type: ignore[import-untyped]  # no types shipped

from spam_pipeline.protocol import column_types
from spam_pipeline.trust_and_safety.attack_types import fits
from spam_pipeline.trust_and_safety.contracts import REPORTING_TOLERANCE, ROYALTY_TOLERANCE, PlaySignals
from spam_pipeline.trust_and_safety.estimators import SUREST, SpamModel, log_odds
from spam_pipeline.trust_and_safety.scoring import (
    POLICY_CEILING,
    POLICY_FLOOR,
    entities_of,
    fits_of,
    matrix_of_examples,
    spam_probability,
)
from spam_pipeline.trust_and_safety.signals.catalogue import NAMES, SIGNALS, Matrix
from spam_pipeline.trust_and_safety.signals.known_plays import KEY_COLUMNS, with_actor
from spam_pipeline.trust_and_safety.training import learned
from spam_pipeline_tests.trust_and_safety.play_generator import (
    ATTACKER,
    bot_farm,
    farm_examples,
    key,
    loop_bot,
    organic,
    policy_model,
    signals_on,
    together,
)

KINDS = list(KEY_COLUMNS)
COLUMNS = {kind: [signal for signal in SIGNALS if signal.kind == kind] for kind in KINDS}
PLAYS = with_actor(together(organic(0, 60), loop_bot(0), bot_farm(0, 5))).collect()
OF_DAY = signals_on(PLAYS.lazy().drop("actor_key"), 0)
ENTITY = st.one_of(st.none(), st.integers(1, 4))
SIGNAL = st.one_of(st.none(), st.floats(0, 50))


@pytest.fixture(scope="module")
def trained() -> SpamModel:
    return SpamModel(learned(farm_examples(1).collect()))


def naive_values(plays: pl.DataFrame, signals: pl.DataFrame) -> Matrix:
    """The signals of each play, looked up one by one; NaN where nothing is known."""
    known = {(row["entity_kind"], row["entity_key"]): row for row in signals.to_dicts()}
    rows = []
    for play in plays.to_dicts():
        keys = {kind: play[KEY_COLUMNS[kind]] for kind in KINDS[:-1]}
        keys[KINDS[-1]] = known.get(("track", play["track_key"]), {}).get("uploader_key")
        found = [known.get((signal.kind, keys[signal.kind]), {}).get(signal.column) for signal in SIGNALS]
        rows.append([np.nan if value is None else float(value) for value in found])
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(SIGNALS))


def naive_matrix(plays: pl.DataFrame, signals: pl.DataFrame) -> Matrix:
    values = naive_values(plays, signals)
    return np.column_stack([signal.standardised(values[:, at]) for at, signal in enumerate(SIGNALS)])


def everything(plays: pl.DataFrame) -> "np.ndarray[tuple[int], np.dtype[np.intp]]":
    return np.arange(plays.height)


@st.composite
def days(draw: st.DrawFn) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Some plays of few entities, any of them unknown, and the signals of some entities, any of them null."""
    columns = column_types(PlaySignals)
    rows = [
        {
            **dict.fromkeys(columns),
            "entity_kind": kind,
            "entity_key": entity,
            "uploader_key": draw(ENTITY) if kind == "track" else None,
            **{signal.column: draw(SIGNAL) for signal in COLUMNS[kind]},
        }
        for kind in KINDS
        for entity in draw(st.lists(st.integers(1, 4), unique=True, max_size=3))
    ]
    keys = [KEY_COLUMNS[kind] for kind in KINDS[:-1]]
    plays = draw(st.lists(st.fixed_dictionaries(dict.fromkeys(keys, ENTITY)), max_size=8))
    whole = {
        name: pl.Float64 if name not in {"entity_kind", "entity_key", "uploader_key"} else kind
        for name, kind in columns.items()
    }
    return pl.DataFrame(plays, schema=dict.fromkeys(keys, pl.UInt64)), pl.DataFrame(rows, schema=whole)


@settings(max_examples=60)
@given(days())
def test_entities_are_looked_up_as_one_by_one_whatever_is_unknown(day: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    plays, signals = day
    scored = entities_of(plays, signals.lazy())
    assert np.array_equal(scored.values(everything(plays)), naive_values(*day), equal_nan=True)
    assert np.array_equal(scored.matrix(everything(plays)), naive_matrix(*day))
    assert np.array_equal(fits_of(scored, everything(plays)), fits(naive_matrix(*day)))


@settings(max_examples=30)
@given(day=days())
def test_scoring_entities_is_scoring_every_play_on_its_own(
    trained: SpamModel, day: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    plays, signals = day
    found = spam_probability(trained, entities_of(plays, signals.lazy()))
    expected = expit(log_odds(trained.estimator, naive_matrix(*day))) if plays.height else []
    assert found == pytest.approx(expected, abs=1e-12)


def test_a_classifier_is_asked_play_by_play(trained: SpamModel) -> None:
    matrix = naive_matrix(PLAYS, OF_DAY.collect())
    called = expit(log_odds(trained.estimator, matrix)) >= ROYALTY_TOLERANCE
    trees = DecisionTreeClassifier(max_depth=3, min_samples_leaf=20, random_state=1).fit(matrix, called)
    found = spam_probability(SpamModel(trees), entities_of(PLAYS, OF_DAY))
    assert found == pytest.approx(np.clip(trees.predict_proba(matrix)[:, 1], SUREST, 1 - SUREST), abs=1e-12)
    assert len(set(found.round(9))) > 1


def test_the_policys_probability_is_that_of_the_best_fitting_signature_play_by_play() -> None:
    found = spam_probability(policy_model(), entities_of(PLAYS, OF_DAY))
    best = fits(naive_matrix(PLAYS, OF_DAY.collect())).max(axis=1)
    assert found == pytest.approx(POLICY_FLOOR + (POLICY_CEILING - POLICY_FLOOR) * best)


def test_the_policy_is_never_sure_either_way_and_reaches_both_tolerances() -> None:
    probability = spam_probability(policy_model(), entities_of(PLAYS, OF_DAY))
    of_bot = PLAYS.get_column("user_key").eq(key(ATTACKER).item()).to_numpy()
    assert probability.min() == POLICY_FLOOR < ROYALTY_TOLERANCE
    assert probability[of_bot].min() == pytest.approx(POLICY_CEILING)
    assert POLICY_CEILING >= REPORTING_TOLERANCE


def test_an_entity_without_signals_counts_as_usual(trained: SpamModel) -> None:
    scored = entities_of(PLAYS, PlaySignals.empty())
    assert not scored.matrix(everything(PLAYS)).any()
    assert np.isnan(scored.values(everything(PLAYS))).all()
    (usual,) = expit(log_odds(trained.estimator, np.zeros((1, len(NAMES)))))
    assert spam_probability(trained, scored) == pytest.approx(np.full(PLAYS.height, usual))


def test_a_day_without_plays_has_no_probabilities(trained: SpamModel) -> None:
    nobody = entities_of(PLAYS.clear(), OF_DAY)
    for model in (policy_model(), trained):
        assert spam_probability(model, nobody).shape == (0,)


def test_the_order_of_the_signals_does_not_matter(trained: SpamModel) -> None:
    shuffled = OF_DAY.collect().sample(fraction=1, shuffle=True, seed=4).lazy()
    found = [spam_probability(trained, entities_of(PLAYS, signals)) for signals in (OF_DAY, shuffled)]
    assert np.array_equal(*found)


def test_examples_are_standardised_like_the_plays_that_they_stand_for() -> None:
    values = naive_values(PLAYS, OF_DAY.collect())
    examples = pl.DataFrame(values, schema=list(NAMES)).fill_nan(None)
    assert np.array_equal(matrix_of_examples(examples), entities_of(PLAYS, OF_DAY).matrix(everything(PLAYS)))
