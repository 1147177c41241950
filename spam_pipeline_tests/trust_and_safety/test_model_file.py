import json
import multiprocessing
import pickle
import zipfile
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
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
from spam_pipeline.trust_and_safety.model import SpamModel, is_spam_model
from spam_pipeline.trust_and_safety.model_file import SIGNALS_ON_THEIR_SCALE, SPAM_MODEL, UntrustedModel
from spam_pipeline.trust_and_safety.training import SPAM_PRIOR, train
from spam_pipeline_tests.trust_and_safety.made_up_examples import campaign, ordinary
from spam_pipeline_tests.trust_and_safety.play_generator import farm_examples, policy_model, written_model

NOTHING_MEASURED: dict[str, Any] = {"numbers": {}, "campaigns": [], "probes": []}


@pytest.fixture(scope="module")
def trained() -> SpamModel:
    return train(farm_examples(1))


def refused(path: Path) -> str:
    with pytest.raises(UntrustedModel) as refusal:
        SPAM_MODEL.read(path)
    return str(refusal.value)


def dumped(path: Path, **changes: Any) -> Path:
    value = {"signals": SIGNALS_ON_THEIR_SCALE, "estimator": None, "quality": NOTHING_MEASURED, **changes}
    path.write_bytes(skops_io.dumps(value))
    return path


def test_a_trained_model_comes_back_as_it_was(tmp_path: Path, trained: SpamModel) -> None:
    SPAM_MODEL.write(trained, tmp_path / "m.skops")
    back = SPAM_MODEL.read(tmp_path / "m.skops")
    assert (back.estimator, trained.estimator) != (None, None)
    for part in ("coef_", "intercept_", "classes_"):
        assert np.array_equal(getattr(back.estimator, part), getattr(trained.estimator, part))
    assert back.quality == trained.quality


def test_the_policy_comes_back_as_the_policy(tmp_path: Path) -> None:
    SPAM_MODEL.write(policy_model(), tmp_path / "m.skops")
    assert SPAM_MODEL.read(tmp_path / "m.skops") == policy_model()


def test_processes_with_other_numbers_of_threads_train_the_same_bytes_on_the_same_examples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    for number in ("1", "3"):
        for variable in ("PYTHONHASHSEED", "POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            monkeypatch.setenv(variable, number)
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as other:
            written.append(other.submit(written_model, tmp_path / f"{number}.skops").result())
    assert written[0] == written[1] == written_model(tmp_path / "here.skops")


def test_writing_what_was_read_gives_the_same_bytes(tmp_path: Path, trained: SpamModel) -> None:
    SPAM_MODEL.write(trained, tmp_path / "first.skops")
    SPAM_MODEL.write(SPAM_MODEL.read(tmp_path / "first.skops"), tmp_path / "second.skops")
    assert (tmp_path / "first.skops").read_bytes() == (tmp_path / "second.skops").read_bytes()


def test_another_model_gives_other_bytes(tmp_path: Path, trained: SpamModel) -> None:
    SPAM_MODEL.write(trained, tmp_path / "first.skops")
    other = {**trained.quality, "numbers": {**trained.quality["numbers"], "examples": 1.0}}
    SPAM_MODEL.write(SpamModel(trained.estimator, other), tmp_path / "second.skops")
    assert (tmp_path / "first.skops").read_bytes() != (tmp_path / "second.skops").read_bytes()


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
    (tmp_path / "m.skops").write_bytes(pickle.dumps({"signals": SIGNALS_ON_THEIR_SCALE}))
    assert "no spam model that can be trusted" in refused(tmp_path / "m.skops")


def test_a_file_that_names_a_type_that_is_not_trusted_is_refused(tmp_path: Path) -> None:
    assert "fractions.Fraction" in refused(
        dumped(tmp_path / "m.skops", quality={**NOTHING_MEASURED, "numbers": {"recall": Fraction(1, 2)}})
    )


def test_a_file_that_names_a_program_to_run_is_refused_and_runs_nothing(tmp_path: Path, trained: SpamModel) -> None:
    SPAM_MODEL.write(trained, tmp_path / "m.skops")
    with zipfile.ZipFile(tmp_path / "m.skops") as source:
        members = {name: source.read(name) for name in source.namelist()}
    schema = json.loads(members["schema.json"])
    ran = {"__class__": "Popen", "__module__": "subprocess", "__loader__": "ObjectNode", "content": None}
    schema["content"]["estimator"] = {**schema["content"]["estimator"], **ran, "args": ["touch", str(tmp_path / "ran")]}
    with zipfile.ZipFile(tmp_path / "m.skops", "w") as target:
        for name, content in {**members, "schema.json": json.dumps(schema).encode()}.items():
            target.writestr(name, content)
    assert "subprocess.Popen" in refused(tmp_path / "m.skops")
    assert not (tmp_path / "ran").exists()


@pytest.fixture(scope="module")
def small() -> SpamModel:
    return train(pl.concat([ordinary(0, size=40), campaign("farm", {"device_cut_off_share": 4.0})]).lazy())


@pytest.mark.parametrize("member", ["schema.json", "0.npy", "the directory"])
def test_a_file_with_a_byte_spoilt_is_refused_or_still_a_spam_model(
    tmp_path: Path, small: SpamModel, member: str
) -> None:
    path = tmp_path / "m.skops"
    SPAM_MODEL.write(small, path)
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as source:
        begins = {
            "the directory": source.start_dir,
            **{name: source.getinfo(name).header_offset for name in source.NameToInfo},
        }
    for at in range(begins[member], begins[member] + 50):
        for spoilt in {0, 255, whole[at] ^ 1, whole[at] ^ 8} - {whole[at]}:
            path.write_bytes(whole[:at] + bytes([spoilt]) + whole[at + 1 :])
            assert is_refused_or_sound(path), (at - begins[member], spoilt)


def is_refused_or_sound(path: Path) -> bool:
    try:
        return is_spam_model(SPAM_MODEL.read(path).estimator)
    except UntrustedModel:
        return True


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(tmp_path: Path, trained: SpamModel, kept: float) -> None:
    path = tmp_path / "m.skops"
    SPAM_MODEL.write(trained, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    assert str(path) in refused(path)


def test_a_zip_of_something_else_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.skops", "w") as other:
        other.writestr("schema.json", "[1, 2")
    refused(tmp_path / "m.skops")
    path = tmp_path / "value.skops"
    path.write_bytes(skops_io.dumps([1, 2]))
    assert "expected signals, estimator and quality" in refused(path)


def test_a_model_of_other_signals_is_refused(tmp_path: Path) -> None:
    assert "train it again" in refused(dumped(tmp_path / "m.skops", signals=["actor_plays"]))


def test_a_model_of_the_same_signals_on_another_scale_is_refused(tmp_path: Path) -> None:
    other_scale = [SIGNALS_ON_THEIR_SCALE[0].replace(" 1.0 ", " 1.1 "), *SIGNALS_ON_THEIR_SCALE[1:]]
    assert other_scale != SIGNALS_ON_THEIR_SCALE
    assert "another scale" in refused(dumped(tmp_path / "m.skops", signals=other_scale))


@pytest.mark.parametrize(
    "estimator",
    [SGDClassifier(), LogisticRegression(), LogisticRegression().fit([[0.0], [1.0]], [0, 1])],
    ids=["another kind", "not fitted", "fitted on other columns"],
)
def test_an_estimator_that_cannot_score_the_signals_is_refused(tmp_path: Path, estimator: Any) -> None:
    assert "expected an estimator of its signals" in refused(dumped(tmp_path / "m.skops", estimator=estimator))


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
        pytest.param({**NOTHING_MEASURED, "campaigns": [{"brier": np.ones(1)}]}, id="a row of arrays"),
    ],
)
def test_quality_that_is_no_numbers_by_name_and_plain_tables_is_refused(tmp_path: Path, changed: Any) -> None:
    assert "expected quality" in refused(dumped(tmp_path / "m.skops", quality=changed))


def test_an_estimator_whose_numbers_were_spoilt_is_refused(tmp_path: Path, trained: SpamModel) -> None:
    estimator = deepcopy(trained.estimator)
    assert estimator is not None
    estimator.intercept_ = np.array([np.nan])
    assert "expected an estimator of its signals" in refused(dumped(tmp_path / "m.skops", estimator=estimator))
    del estimator.classes_
    assert "expected an estimator of its signals" in refused(dumped(tmp_path / "m.skops", estimator=estimator))


def test_a_missing_file_is_said_to_be_missing_and_not_untrusted(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        SPAM_MODEL.read(tmp_path / "m.skops")
