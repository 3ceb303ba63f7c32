"""The estimators' units: moments, networks that take them over, and outliers."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

from backprop.sklearn import BackpropClassifier, BackpropRegressor
from backprop.sklearn.scaling import ROWS_AT_A_TIME, Moments, Units

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_moments_are_those_of_numpy(rng):
    values = 1e6 + rng.normal(size=(ROWS_AT_A_TIME + 7, 3)) * [1, 10, 0]
    weights = rng.integers(0, 3, len(values)).astype(float)
    repeated = values.repeat(weights.astype(int), axis=0)
    for weight, rows in ((None, values), (weights, repeated)):
        moments = Moments.of("X", values, weight)
        assert moments.total == len(rows)
        np.testing.assert_allclose(moments.mean, rows.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(moments.deviation, rows.std(axis=0) * [1, 1, 0], rtol=1e-6)
    parts = Moments.of("X", values[:100], None).joined(Moments.of("X", values[100:], None))
    np.testing.assert_allclose(parts.squares, Moments.of("X", values, None).squares, rtol=1e-6, atol=1e-6)


def test_moments_leave_the_values_alone(rng):
    values = rng.normal(size=(20, 2))
    before = values.copy()
    Moments.of("X", values, None)
    np.testing.assert_array_equal(values, before)


def test_values_whose_squares_overflow_are_refused():
    with pytest.raises(ValueError, match="X must have squares that are finite; column 1"):
        BackpropRegressor().fit([[1.0, 1e200], [2.0, -1e200]], [1.0, 2.0])


def test_units_keep_part_of_what_the_columns_share(rng):
    values = rng.normal(size=(500, 3)) * [1, 2, 1000]
    scaled = Units.of_inputs(Moments.of("X", values, None)).standardised(values, np.float64)
    assert (scaled.std(axis=0) ** 2).mean() == pytest.approx(1)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-12)
    first, second, third = scaled.std(axis=0)
    assert first < second < third <= 9.001 * first


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("hidden", [(7,), ()])
def test_the_network_predicts_what_the_estimator_does(rng, hidden, standardize):
    x = 2000 + 30 * rng.random((80, 3)) if standardize else rng.random((80, 3))
    y = 1e4 + 50 * rng.normal(size=(80, 2))
    model = BackpropRegressor(hidden, max_iter=20, standardize=standardize, random_state=0).fit(x, y)
    np.testing.assert_array_equal(model.network_(x), model.predict(x))
    if not hidden:
        a = x @ model.coefs_[0] + model.intercepts_[0]
    else:
        a = np.maximum(x @ model.coefs_[0] + model.intercepts_[0], 0) @ model.coefs_[1] + model.intercepts_[1]
    np.testing.assert_allclose(a, model.predict(x), rtol=1e-9)


def test_exports_predict_what_the_estimator_does(rng):
    runtime = pytest.importorskip("onnxruntime")
    x = 100 + rng.normal(size=(50, 2))
    model = BackpropRegressor((5,), max_iter=50, random_state=0).fit(x, 1e3 * x[:, 0])
    session = runtime.InferenceSession(model.network_.to_onnx().SerializeToString())
    np.testing.assert_allclose(session.run(None, {"x": x})[0][:, 0], model.predict(x), rtol=1e-9)
    labels = (x[:, 0] > 100).astype(int)
    classifier = BackpropClassifier((5,), max_iter=50, random_state=0).fit(x, labels)
    np.testing.assert_array_equal(classifier.network_.classify(x), classifier.predict(x))


def test_years_as_they_stand(rng):
    year = np.arange(1920, 2020.0)
    y = 10 + 0.03 * (year - 1920) + rng.normal(0, 0.2, 100)
    model = BackpropRegressor(random_state=0).fit(year[:, None], y)
    assert model.score(year[:, None], y) > 0.9
    single = BackpropRegressor(random_state=0).fit(year[:, None].astype(np.float32), y)
    assert single.score(year[:, None], y) > 0.9


def test_float32_is_left_where_it_holds_too_little(rng):
    x = rng.normal(size=(40, 2)).astype(np.float32)
    assert BackpropRegressor(max_iter=1).fit(x, x[:, 0]).network_.dtype == np.float32
    assert BackpropRegressor(max_iter=1).fit(x, 1e6 + x[:, 0]).network_.dtype == np.float64
    assert BackpropRegressor(max_iter=1).fit(x + 5000, x[:, 0]).network_.dtype == np.float64


def test_a_constant_target_is_predicted_exactly(rng):
    x = rng.normal(size=(30, 2))
    model = BackpropRegressor(random_state=0, max_iter=5).fit(x, np.full(30, 3.3))
    assert set(model.predict(10 * x)) == {3.3}
    model.partial_fit(x, x[:, 0])
    assert np.ptp(model.predict(x)) > 0


def test_far_targets_count_as_five_deviations():
    y = np.r_[np.zeros(99), 1000.0][:, None]
    units = Units.of_targets(Moments.of("y", y, None))
    scaled = units.standardised(y, np.float64)
    assert scaled.max() == 5 < (y.max() - y.mean()) / y.std()
    np.testing.assert_allclose(scaled[0], (0 - y.mean()) / y.std(), rtol=1e-12)


def test_state_of_the_units_is_pickled(rng):
    x = rng.normal(size=(30, 2))
    model = BackpropRegressor(random_state=0).partial_fit(x, x[:, 0])
    text = pickle.dumps(model)
    assert b"backprop.sklearn" in text
    assert b"backprop.sklearn.regressor" not in text
    other = pickle.loads(text)
    again = (m.partial_fit(x, x[:, 1]).predict(x).tobytes() for m in (model, other))
    assert len(set(again)) == 1
