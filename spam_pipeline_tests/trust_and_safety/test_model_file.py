import multiprocessing
import pickle
import zipfile
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, SGDClassifier  # type: ignore[import-untyped]  # no types shipped
from skops import io as skops_io  # type: ignore[import-untyped]  # no types shipped

from spam_pipeline.protocol.finding import Severity
from spam_pipeline.protocol.limit import breaches
from spam_pipeline.trust_and_safety.model import SpamModel, spam_probability
from spam_pipeline.trust_and_safety.model_file import SPAM_MODEL, UntrustedModel
from spam_pipeline.trust_and_safety.model_signals import NAMES, SIGNALS
from spam_pipeline.trust_and_safety.training import SPAM_PRIOR, train
from spam_pipeline_tests.trust_and_safety.play_generator import farm_examples, heuristic, written_model


@pytest.fixture(scope="module")
def trained() -> SpamModel:
    return train(farm_examples(1))


def refused(path: Path) -> str:
    with pytest.raises(UntrustedModel) as refusal:
        SPAM_MODEL.read(path)
    return str(refusal.value)


def dumped(path: Path, **changes: Any) -> Path:
    value = {"signals": list(NAMES), "estimator": None, "quality": {}, **changes}
    path.write_bytes(skops_io.dumps(value))
    return path


def test_a_trained_model_comes_back_as_it_was(tmp_path: Path, trained: SpamModel) -> None:
    SPAM_MODEL.write(trained, tmp_path / "m.skops")
    back = SPAM_MODEL.read(tmp_path / "m.skops")
    matrix = np.random.default_rng(0).normal(size=(20, len(SIGNALS)))
    assert np.array_equal(spam_probability(back, matrix), spam_probability(trained, matrix))
    assert back.quality == trained.quality


def test_the_heuristic_comes_back_as_the_heuristic(tmp_path: Path) -> None:
    SPAM_MODEL.write(heuristic(), tmp_path / "m.skops")
    assert SPAM_MODEL.read(tmp_path / "m.skops") == heuristic()


def test_two_processes_that_train_on_the_same_examples_write_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    for seed in ("1", "2"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as other:
            written.append(other.submit(written_model, tmp_path / f"{seed}.skops").result())
    assert written[0] == written[1] == written_model(tmp_path / "here.skops")


def test_writing_what_was_read_gives_the_same_bytes(tmp_path: Path, trained: SpamModel) -> None:
    SPAM_MODEL.write(trained, tmp_path / "first.skops")
    SPAM_MODEL.write(SPAM_MODEL.read(tmp_path / "first.skops"), tmp_path / "second.skops")
    assert (tmp_path / "first.skops").read_bytes() == (tmp_path / "second.skops").read_bytes()


def test_another_model_gives_other_bytes(tmp_path: Path, trained: SpamModel) -> None:
    SPAM_MODEL.write(trained, tmp_path / "first.skops")
    SPAM_MODEL.write(SpamModel(trained.estimator, {**trained.quality, "examples": 1.0}), tmp_path / "second.skops")
    assert (tmp_path / "first.skops").read_bytes() != (tmp_path / "second.skops").read_bytes()


def test_the_fingerprint_is_the_quality(trained: SpamModel) -> None:
    assert SPAM_MODEL.fingerprint(trained) == trained.quality
    assert SPAM_MODEL.fingerprint(heuristic())["is_heuristic"] == 1


def test_a_model_that_says_less_than_the_prior_is_refused_and_the_heuristic_is_not(trained: SpamModel) -> None:
    for sound in (trained.quality, heuristic().quality, {"held_out_brier": 0.02}):
        assert breaches(SPAM_MODEL.limits, sound) == []
    (finding,) = breaches(SPAM_MODEL.limits, {"held_out_brier": SPAM_PRIOR})
    assert (finding.about, finding.severity) == ("held_out_brier", Severity.REFUSE)


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.skops").write_bytes(pickle.dumps({"signals": list(NAMES)}))
    assert "no spam model that can be trusted" in refused(tmp_path / "m.skops")


def test_a_file_that_names_a_type_that_is_not_trusted_is_refused(tmp_path: Path) -> None:
    assert "fractions.Fraction" in refused(dumped(tmp_path / "m.skops", quality={"recall": Fraction(1, 2)}))


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


@pytest.mark.parametrize(
    "estimator",
    [SGDClassifier(), LogisticRegression(), LogisticRegression().fit([[0.0], [1.0]], [0, 1])],
    ids=["another kind", "not fitted", "fitted on other columns"],
)
def test_an_estimator_that_cannot_score_the_signals_is_refused(tmp_path: Path, estimator: Any) -> None:
    assert "expected a LogisticRegression" in refused(dumped(tmp_path / "m.skops", estimator=estimator))


@pytest.mark.parametrize("quality", [[1.0], {"recall": "high"}], ids=["no names", "no number"])
def test_quality_that_is_no_numbers_by_name_is_refused(tmp_path: Path, quality: Any) -> None:
    assert "expected quality" in refused(dumped(tmp_path / "m.skops", quality=quality))


def test_an_estimator_whose_numbers_were_spoilt_is_refused(tmp_path: Path, trained: SpamModel) -> None:
    estimator = deepcopy(trained.estimator)
    assert estimator is not None
    estimator.intercept_ = np.array([np.nan])
    assert "expected a LogisticRegression" in refused(dumped(tmp_path / "m.skops", estimator=estimator))


def test_a_missing_file_is_said_to_be_missing_and_not_untrusted(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        SPAM_MODEL.read(tmp_path / "m.skops")
