import base64
import io
import json
import multiprocessing
import pickle
import subprocess
import sys
import zipfile
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression, SGDClassifier  # type: ignore[import-untyped]  # no types shipped
from skops import io as skops_io  # type: ignore[import-untyped]  # no types shipped

from spam_pipeline.protocol import Severity
from spam_pipeline.protocol.fingerprint import Recorded, fingerprint_from_json, fingerprint_to_json, numbers
from spam_pipeline.protocol.operating import breaches
from spam_pipeline.trust_and_safety.champion import findings_against_champion
from spam_pipeline.trust_and_safety.estimators import SpamModel, log_odds
from spam_pipeline.trust_and_safety.model_file import SIGNALS_ON_THEIR_SCALE, SPAM_MODEL, UntrustedModel
from spam_pipeline.trust_and_safety.signals.catalogue import NAMES
from spam_pipeline.trust_and_safety.training import SPAM_PRIOR
from spam_pipeline_tests.trust_and_safety.made_up_examples import campaign, ordinary, trained_on
from spam_pipeline_tests.trust_and_safety.play_generator import farm_examples, policy_model, written_model

NOTHING_MEASURED: dict[str, Any] = {"numbers": {}, "campaigns": [], "probes": []}


@pytest.fixture(scope="module")
def trained() -> SpamModel:
    return trained_on(farm_examples(1))


def refused(path: Path) -> str:
    with pytest.raises(UntrustedModel) as refusal:
        SPAM_MODEL.read(path)
    return str(refusal.value)


def dumped(path: Path, **changes: Any) -> Path:
    value = {"signals": SIGNALS_ON_THEIR_SCALE, "estimator": None, "quality": NOTHING_MEASURED, **changes}
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def as_text(classifier: Any) -> str:
    return base64.b64encode(skops_io.dumps(classifier)).decode()


@pytest.fixture(scope="module")
def classifier() -> Any:
    """One that is not additive to the pipeline, because it is kept as scikit-learn has it."""
    random = np.random.default_rng(3)
    is_spam = random.random(200) < 0.5
    return LogisticRegression().fit(random.normal(0, 1, (200, len(NAMES))) + is_spam[:, np.newaxis], is_spam)


def test_a_trained_model_comes_back_as_it_was(tmp_path: Path, trained: SpamModel) -> None:
    SPAM_MODEL.write(trained, tmp_path / "m.json")
    assert trained.estimator is not None
    assert SPAM_MODEL.read(tmp_path / "m.json") == trained


def test_a_classifier_comes_back_with_its_probabilities_and_equal_ones_are_equal_bytes(
    tmp_path: Path, classifier: Any
) -> None:
    for name in ("first", "second"):
        SPAM_MODEL.write(SpamModel(classifier, NOTHING_MEASURED), tmp_path / name)
    back = SPAM_MODEL.read(tmp_path / "first").estimator
    some = np.random.default_rng(4).normal(0, 1, (20, len(NAMES)))
    assert np.array_equal(back.predict_proba(some), classifier.predict_proba(some))
    SPAM_MODEL.write(SpamModel(back, NOTHING_MEASURED), tmp_path / "third")
    assert len({(tmp_path / name).read_bytes() for name in ("first", "second", "third")}) == 1


READ_AND_CLASSIFY = """
import sys
from pathlib import Path
from spam_pipeline.ingestion.contracts import Incidents, Plays
from spam_pipeline.trust_and_safety.assets import SPAM_MODEL, Groups, classify
from spam_pipeline.trust_and_safety.contracts import PlaySignals
model = SPAM_MODEL.read(Path(sys.argv[1]))
assert model.estimator is not None
classify(Plays.empty(), PlaySignals.empty(), model, Incidents.empty(), Groups()).collect()
print(*{"sklearn", "skops"} & sys.modules.keys())
"""


def test_to_classify_by_an_additive_model_imports_neither_scikit_learn_nor_skops(
    tmp_path: Path, trained: SpamModel
) -> None:
    SPAM_MODEL.write(trained, tmp_path / "m.json")
    command = [sys.executable, "-c", READ_AND_CLASSIFY, str(tmp_path / "m.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_policy_comes_back_as_the_policy(tmp_path: Path) -> None:
    SPAM_MODEL.write(policy_model(), tmp_path / "m.json")
    assert SPAM_MODEL.read(tmp_path / "m.json") == policy_model()


def test_processes_with_other_numbers_of_threads_train_the_same_bytes_on_the_same_examples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    for number in ("1", "3"):
        for variable in ("PYTHONHASHSEED", "POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            monkeypatch.setenv(variable, number)
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as other:
            written.append(other.submit(written_model, tmp_path / f"{number}.json").result())
    assert written[0] == written[1] == written_model(tmp_path / "here.json")


def test_writing_what_was_read_gives_the_same_bytes(tmp_path: Path, trained: SpamModel) -> None:
    SPAM_MODEL.write(trained, tmp_path / "first.json")
    SPAM_MODEL.write(SPAM_MODEL.read(tmp_path / "first.json"), tmp_path / "second.json")
    assert (tmp_path / "first.json").read_bytes() == (tmp_path / "second.json").read_bytes()


def test_another_model_gives_other_bytes(tmp_path: Path, trained: SpamModel) -> None:
    SPAM_MODEL.write(trained, tmp_path / "first.json")
    other = {**trained.quality, "numbers": {**trained.quality["numbers"], "examples": 1.0}}
    SPAM_MODEL.write(SpamModel(trained.estimator, other), tmp_path / "second.json")
    assert (tmp_path / "first.json").read_bytes() != (tmp_path / "second.json").read_bytes()


def test_the_fingerprint_is_the_quality(trained: SpamModel) -> None:
    found = SPAM_MODEL.fingerprint(trained)
    assert numbers(found) == trained.quality["numbers"]
    assert numbers(SPAM_MODEL.fingerprint(policy_model()))["is_policy"] == 1
    for table in ("campaigns", "probes"):
        assert found[table] == Recorded(tuple(trained.quality[table]))


def test_a_fingerprint_comes_back_from_json_as_it_was(trained: SpamModel) -> None:
    for model in (trained, policy_model()):
        found = SPAM_MODEL.fingerprint(model)
        assert fingerprint_from_json(json.loads(json.dumps(fingerprint_to_json(found)))) == found


def test_a_model_that_says_less_than_the_prior_is_refused_and_the_policy_is_not(trained: SpamModel) -> None:
    for sound in (trained.quality["numbers"], policy_model().quality["numbers"], {"held_out_campaigns_brier": 0.02}):
        assert breaches(SPAM_MODEL.limits, sound) == []
    (finding,) = breaches(SPAM_MODEL.limits, {"held_out_campaigns_brier": SPAM_PRIOR})
    assert (finding.about, finding.severity) == ("held_out_campaigns_brier", Severity.REFUSE)


def test_a_model_is_judged_beside_the_published_one() -> None:
    assert SPAM_MODEL.findings is findings_against_champion


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_bytes(pickle.dumps({"signals": SIGNALS_ON_THEIR_SCALE}))
    assert "no spam model that can be trusted" in refused(tmp_path / "m.json")


def test_a_classifier_that_names_a_type_that_is_not_trusted_is_refused(tmp_path: Path) -> None:
    assert "fractions.Fraction" in refused(dumped(tmp_path / "m.json", estimator=as_text(Fraction(1, 2))))


def test_a_classifier_that_names_a_program_to_run_is_refused_and_runs_nothing(tmp_path: Path, classifier: Any) -> None:
    with zipfile.ZipFile(io.BytesIO(skops_io.dumps(classifier))) as source:
        members = {name: source.read(name) for name in source.namelist()}
    schema = json.loads(members["schema.json"])
    ran = {"__class__": "Popen", "__module__": "subprocess", "__loader__": "ObjectNode", "content": None}
    changed = {
        **members,
        "schema.json": json.dumps({**schema, **ran, "args": ["touch", str(tmp_path / "ran")]}).encode(),
    }
    hostile = io.BytesIO()
    with zipfile.ZipFile(hostile, "w") as target:
        for name, content in changed.items():
            target.writestr(name, content)
    text = base64.b64encode(hostile.getvalue()).decode()
    assert "subprocess.Popen" in refused(dumped(tmp_path / "m.json", estimator=text))
    assert not (tmp_path / "ran").exists()


@pytest.fixture(scope="module")
def small() -> SpamModel:
    return trained_on(pl.concat([ordinary(0, size=40), campaign("farm", {"device_cut_off_share": 4.0})]).lazy())


@pytest.mark.parametrize("after", ['{"signals', '"intercept', '"coefficients', '"quality', '"probes'])
def test_a_file_with_a_byte_spoilt_is_refused_or_still_a_spam_model(
    tmp_path: Path, small: SpamModel, after: str
) -> None:
    SPAM_MODEL.write(small, tmp_path / "m.json")
    whole = (tmp_path / "m.json").read_bytes()
    spoil_each_byte(tmp_path / "m.json", whole.index(after.encode()))


@pytest.mark.parametrize("part", [0.0, 0.5, 0.98])
def test_a_classifier_with_a_byte_spoilt_is_refused_or_still_a_spam_model(
    tmp_path: Path, classifier: Any, part: float
) -> None:
    path = dumped(tmp_path / "m.json", estimator=as_text(classifier))
    text = len(as_text(classifier))
    spoil_each_byte(path, path.read_bytes().index(b'"estimator"') + 14 + int(part * text))


def spoil_each_byte(path: Path, begins: int) -> None:
    """Spoil each of fifty bytes in several ways."""
    whole = path.read_bytes()
    for at in range(begins, begins + 50):
        for spoilt in {0, 255, whole[at] ^ 1, whole[at] ^ 8} - {whole[at]}:
            path.write_bytes(whole[:at] + bytes([spoilt]) + whole[at + 1 :])
            assert is_refused_or_sound(path), (at - begins, spoilt)


def is_refused_or_sound(path: Path) -> bool:
    try:
        return np.isfinite(log_odds(SPAM_MODEL.read(path).estimator, np.ones((1, len(NAMES))))).all()
    except UntrustedModel:
        return True


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(tmp_path: Path, trained: SpamModel, kept: float) -> None:
    path = tmp_path / "m.json"
    SPAM_MODEL.write(trained, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    assert str(path) in refused(path)


@pytest.mark.parametrize("content", [b"[1, 2", b"[" * 100_000, b"\xff\xfe", b"PK\x03\x04"])
def test_what_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.json").write_bytes(content)
    assert "no spam model that can be trusted" in refused(tmp_path / "m.json")


@pytest.mark.parametrize("value", [[1, 2], None, {"signals": SIGNALS_ON_THEIR_SCALE}])
def test_json_of_something_else_is_refused(tmp_path: Path, value: Any) -> None:
    (tmp_path / "m.json").write_text(json.dumps(value), encoding="utf-8")
    assert "expected signals, estimator and quality" in refused(tmp_path / "m.json")


def test_a_model_of_other_signals_is_refused(tmp_path: Path) -> None:
    assert "train it again" in refused(dumped(tmp_path / "m.json", signals=["actor_plays"]))


def test_a_model_of_the_same_signals_on_another_scale_is_refused(tmp_path: Path) -> None:
    other_scale = [SIGNALS_ON_THEIR_SCALE[0].replace(" 1.0 ", " 1.1 "), *SIGNALS_ON_THEIR_SCALE[1:]]
    assert other_scale != SIGNALS_ON_THEIR_SCALE
    assert "another scale" in refused(dumped(tmp_path / "m.json", signals=other_scale))


COLUMNS = np.array([[0.0] * len(NAMES), [1.0] * len(NAMES)])


@pytest.mark.parametrize(
    "estimator",
    [
        pytest.param(SGDClassifier().fit(COLUMNS, [False, True]), id="without probabilities"),
        pytest.param(LogisticRegression(), id="not fitted"),
        pytest.param(LogisticRegression().fit([[0.0], [1.0]], [False, True]), id="fitted on other columns"),
        pytest.param(LogisticRegression().fit(COLUMNS, ["legitimate", "spam"]), id="other classes"),
        pytest.param(np.ones(3), id="no estimator"),
    ],
)
def test_a_classifier_that_cannot_score_the_signals_is_refused(tmp_path: Path, estimator: Any) -> None:
    assert "spam model" in refused(dumped(tmp_path / "m.json", estimator=as_text(estimator)))


def numbers_of_all(value: Any) -> dict[str, Any]:
    return dict.fromkeys(NAMES, value)


@pytest.mark.parametrize(
    "estimator",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"intercept": -1.0, "coefficients": {"actor_plays": 1.0}}, id="other signals"),
        pytest.param({"intercept": -1.0, "coefficients": [1.0] * len(NAMES)}, id="numbers without names"),
        pytest.param({"intercept": -1.0, "coefficients": numbers_of_all(float("nan"))}, id="no numbers"),
        pytest.param({"intercept": -1.0, "coefficients": numbers_of_all("1.0")}, id="words"),
        pytest.param({"intercept": float("inf"), "coefficients": numbers_of_all(1.0)}, id="infinite"),
        pytest.param({"intercept": [1.0], "coefficients": numbers_of_all(1.0)}, id="a list"),
        pytest.param([1.0], id="a list for an estimator"),
        pytest.param(1.0, id="a number for an estimator"),
        pytest.param("no base64", id="a word for an estimator"),
    ],
)
def test_numbers_that_cannot_score_the_signals_are_refused(tmp_path: Path, estimator: Any) -> None:
    assert "spam model" in refused(dumped(tmp_path / "m.json", estimator=estimator))


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param([1.0], id="no names"),
        pytest.param({}, id="nothing"),
        pytest.param({"numbers": {"recall": 1.0}}, id="no tables"),
        pytest.param({**NOTHING_MEASURED, "more": []}, id="more than there is"),
        pytest.param({**NOTHING_MEASURED, "numbers": [1.0]}, id="numbers without names"),
        pytest.param({**NOTHING_MEASURED, "numbers": {"recall": "high"}}, id="a word for a number"),
        pytest.param({**NOTHING_MEASURED, "campaigns": {"farm": 1.0}}, id="no table"),
        pytest.param({**NOTHING_MEASURED, "probes": [1, 2]}, id="a table without rows"),
        pytest.param({**NOTHING_MEASURED, "probes": [{"probe": [1]}]}, id="a row of lists"),
        pytest.param({**NOTHING_MEASURED, "numbers": {"recall": float("nan")}}, id="no number"),
    ],
)
def test_quality_that_is_no_numbers_by_name_and_plain_tables_is_refused(tmp_path: Path, changed: Any) -> None:
    assert "expected quality" in refused(dumped(tmp_path / "m.json", quality=changed))


def test_a_missing_file_is_said_to_be_missing_and_not_untrusted(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        SPAM_MODEL.read(tmp_path / "m.json")
