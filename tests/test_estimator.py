"""A detector as an estimator of scikit-learn: its own checks, and pictures in every form that it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator
from tests.support.parts import good, spots

from blemish import InspectionEstimator
from blemish.errors import BadInput

NEGATIVE = "its data are partly negative, and no picture is darker than black"
NO_PICTURES = {"check_outliers_fit_predict": NEGATIVE, "check_outliers_train": NEGATIVE}
"""Checks that make no sense for pictures, and why."""
QUICK = {"check_no_attributes_set_in_init", "check_estimators_unfitted", "check_fit2d_1sample", "check_set_params"}


def make(**more: Any) -> InspectionEstimator:
    return InspectionEstimator("patchcore", "test-tiny", arguments={"image_size": 32, "ratio": 0.5}, **more)


def drawn(count: int, *, spot: bool = False, seed: int = 0) -> NDArray[np.uint8]:
    pictures = np.random.default_rng(seed).integers(110, 140, (count, 32, 32, 3), dtype=np.uint8)
    pictures[:, 8:16] += 50
    if spot:
        pictures[:, 18:26, 10:20] = (210, 60, 40)
    return pictures


@pytest.fixture(scope="module")
def fitted() -> InspectionEstimator:
    return make().fit(drawn(12))


@pytest.mark.slow
def test_it_passes_the_checks_of_scikit_learn_that_make_sense_for_pictures() -> None:
    found = check_estimator(make(), expected_failed_checks=NO_PICTURES, on_skip=None, on_fail=None)
    assert [each for each in found if each["status"] == "failed"] == []
    assert {each["check_name"] for each in found if each["status"] == "xfail"} == {*NO_PICTURES}
    assert [each["check_name"] for each in found if each["status"] == "skipped"] == ["check_array_api_input"]


def test_it_passes_the_quickest_checks() -> None:
    ran = set()
    for estimator, check in estimator_checks_generator(make()):
        if check.func.__name__ in QUICK:
            check(estimator)
            ran.add(check.func.__name__)
    assert ran == QUICK


def test_a_defect_scores_lower_and_is_predicted_minus_one(fitted: InspectionEstimator) -> None:
    parts, bad = drawn(6, seed=1), drawn(3, spot=True, seed=2)
    assert fitted.score_samples(parts).min() > fitted.score_samples(bad).max()
    assert (fitted.predict(bad) == -1).all()
    assert (fitted.predict(parts) == 1).mean() >= 0.5
    assert np.allclose(fitted.decision_function(bad), fitted.score_samples(bad) - fitted.offset_)
    (peak,) = {np.unravel_index(each.argmax(), each.shape)[0] // 16 for each in fitted.anomaly_maps(bad)}
    assert peak == 1


def test_floats_rows_and_files_are_the_same_pictures(fitted: InspectionEstimator, tmp_path: Path) -> None:
    whole = drawn(4, seed=3)
    assert np.allclose(fitted.score_samples(whole), fitted.score_samples(whole / 255), atol=1e-5)
    grey = whole[..., 0]
    of_rows = make(shape=(32, 32)).fit(grey.reshape(4, -1))
    assert np.allclose(of_rows.score_samples(grey.reshape(4, -1)), make().fit(grey).score_samples(grey))
    of_files = make().fit([*map(str, good(tmp_path, 6))])
    assert of_files.predict(spots(tmp_path, 2)).tolist() == [-1, -1]


def test_it_is_chosen_and_chained_as_others_are() -> None:
    chain = make_pipeline(FunctionTransformer(), make())
    assert chain.fit(drawn(6)).predict(drawn(1, spot=True)).tolist() == [-1]

    def tell(estimator: Any, X: Any, y: object = None) -> float:
        return float(estimator.decision_function(X).mean() - estimator.decision_function(drawn(2, spot=True)).mean())

    search = GridSearchCV(make(), {"rejected": [0.1, 0.3]}, scoring=tell, cv=2).fit(drawn(6))
    assert search.best_params_["rejected"] in (0.1, 0.3)


def test_what_is_no_picture_is_refused(fitted: InspectionEstimator) -> None:
    with pytest.raises(BadInput, match="rows of 12 pixels are no such pictures"):
        make(shape=(3, 3)).fit(np.zeros((4, 12)))
    with pytest.raises(BadInput, match="give 2 good parts or more"):
        make().fit(drawn(1))
    with pytest.raises(BadInput, match="give a share between 0 and 1"):
        make(rejected=1.5).fit(drawn(2))
    with pytest.raises(ValueError, match="Negative values"):
        fitted.predict(-drawn(1).astype(float))
    with pytest.raises(BadInput, match=r"move the channels to the end, np\.moveaxis\(X, 1, -1\)$"):
        fitted.predict(np.moveaxis(drawn(2), -1, 1))
    with pytest.raises(BadInput, match=r"leave out the fourth channel, \[\.\.\., :3\]$"):
        fitted.predict(np.zeros((2, 8, 8, 4), np.uint8))
    with pytest.raises(BadInput, match=r"move the channels to the end.* and leave out the fourth channel"):
        fitted.predict(np.zeros((2, 4, 8, 8), np.uint8))
    with pytest.raises(BadInput, match="as one picture in colour is: give X"):
        fitted.predict(drawn(1)[0])
    for whole in (drawn(2).astype(float), drawn(2).astype(int)):
        with pytest.raises(BadInput, match=r"X has numbers up to 1\d\d in .*64, where white is 1: .* X / 255"):
            fitted.predict(whole)


def test_what_is_a_little_brighter_than_white_is_white_and_rows_are_told_of_more(
    fitted: InspectionEstimator, caplog: pytest.LogCaptureFixture
) -> None:
    bright = np.ones((1, 32, 32, 3))
    assert np.array_equal(fitted.score_samples(bright), fitted.score_samples(bright * 1.05))
    make().fit(np.random.default_rng(0).uniform(0, 200, (4, 32)))
    assert "where white is 1, and more is white too: divide by what is white" in caplog.text
