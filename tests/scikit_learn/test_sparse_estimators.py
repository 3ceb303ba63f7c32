"""The estimators with a sparse X: the numbers of the dense array, which is scaled without being shifted."""

import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import cross_val_score
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler

from backprop.sklearn import BackpropClassifier, BackpropRegressor
from backprop.sklearn.scaling import Moments, Units


def samples(n=120, features=40, seed=0):
    x = sp.csr_matrix(sp.random(n, features, 0.15, random_state=seed))
    rng = np.random.default_rng(seed)
    score = x @ rng.standard_normal((features, 3)) + 0.01 * rng.standard_normal((n, 3))
    return x, score


def fitted(estimator, x, y, **given):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(x, y, **given)


SETTINGS = {"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0}


@pytest.mark.parametrize("format", ["csr_matrix", "csr_array", "csc_array", "coo_matrix"])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_without_scaling_the_numbers_are_the_dense_ones(format, solver):
    x, score = samples()
    y = score.argmax(1)
    sparse = BackpropClassifier(**SETTINGS, solver=solver, standardize=False)
    dense = BackpropClassifier(**SETTINGS, solver=solver, standardize=False)
    fitted(sparse, getattr(sp, format)(x), y)
    fitted(dense, x.toarray(), y)
    np.testing.assert_array_equal(sparse.network_.parameters, dense.network_.parameters)
    np.testing.assert_array_equal(sparse.predict_proba(x), dense.predict_proba(x.toarray()))
    assert sparse.score(x, y) == dense.score(x, y)


@pytest.mark.parametrize("weighted", [False, True])
def test_moments_are_those_of_the_dense_array(weighted):
    x, _ = samples(50, 30)
    weights = np.random.default_rng(1).integers(0, 3, 50).astype(float) if weighted else None
    sparse, dense = Moments.of("X", x, weights), Moments.of("X", x.toarray(), weights)
    np.testing.assert_allclose(sparse.mean, dense.mean, rtol=1e-13)
    np.testing.assert_allclose(sparse.squares, dense.squares, rtol=1e-12, atol=1e-14)
    assert not sparse.centred
    assert dense.centred
    assert not dense.joined(sparse).centred


def test_the_scale_is_the_deviation_and_nothing_is_shifted():
    """As StandardScaler(with_mean=False), where all columns vary alike."""
    x, _ = samples(400, 6)
    units = Units.of_inputs(Moments.of("X", x, None))
    np.testing.assert_array_equal(units.mean, 0)
    scaled = units.standardised(x, np.float64)
    expected = StandardScaler(with_mean=False).fit_transform(x)
    assert scaled.nnz == x.nnz
    share = (scaled.toarray() / np.where(expected.toarray() == 0, 1, expected.toarray())).max(0)
    np.testing.assert_allclose(share, 1, atol=0.5)  # what a column varies more than others, it keeps
    np.testing.assert_allclose((share**2).mean(), 1, rtol=1e-9)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_regression_with_scaling(solver):
    x, score = samples(400)
    settings = {"max_iter": 60, "learning_rate_init": 0.01, "random_state": 0}
    model = BackpropRegressor((16,), solver=solver, **settings)
    fitted(model, x, score)
    assert model.score(x, score) > 0.9
    np.testing.assert_allclose(model.predict(x), model.predict(x.toarray()), rtol=1e-10, atol=1e-12)


def test_early_stopping_weights_and_warm_start():
    x, score = samples(200)
    y = score.argmax(1)
    model = BackpropClassifier(**SETTINGS, early_stopping=True, class_weight="balanced", warm_start=True)
    weights = np.random.default_rng(0).random(200)
    fitted(model, x, y, sample_weight=weights)
    before = model.predict_proba(x)
    fitted(model, x, y, sample_weight=weights)
    assert not np.array_equal(before, model.predict_proba(x))


def test_partial_fit_of_sparse_and_dense_parts():
    x, score = samples(200)
    y = score.argmax(1)
    model = BackpropClassifier(**SETTINGS)
    model.partial_fit(x[:100], y[:100], classes=[0, 1, 2])
    before = model.predict_proba(x)
    model.partial_fit(x[100:150].toarray(), y[100:150])
    model.partial_fit(x[150:], y[150:])
    assert not np.array_equal(before, model.predict_proba(x))


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csr_array, sp.csc_matrix])
def test_sparse_multilabel_targets(kind):
    x, score = samples()
    y = (score > 0).astype(int)
    sparse, dense = BackpropClassifier(**SETTINGS), BackpropClassifier(**SETTINGS)
    fitted(sparse, x, kind(y))
    fitted(dense, x, y)
    np.testing.assert_array_equal(sparse.network_.parameters, dense.network_.parameters)
    predicted = sparse.predict(x)
    assert sp.issparse(predicted)
    np.testing.assert_array_equal(predicted.toarray(), dense.predict(x))


def test_members_are_trained_on_a_sparse_x():
    x, score = samples()
    y = score.argmax(1)
    model = BackpropClassifier(**SETTINGS, members=3, standardize=False)
    dense = BackpropClassifier(**SETTINGS, members=3, standardize=False)
    fitted(model, x, y)
    fitted(dense, x.toarray(), y)
    np.testing.assert_array_equal(model.predict_proba(x), dense.predict_proba(x))
    assert model.oob_score_ == dense.oob_score_


def test_tags_pipelines_and_cross_validation():
    x, score = samples()
    y = score.argmax(1)
    assert BackpropClassifier().__sklearn_tags__().input_tags.sparse
    assert BackpropRegressor().__sklearn_tags__().input_tags.sparse
    pipeline = make_pipeline(MaxAbsScaler(), BackpropClassifier(**SETTINGS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert np.isfinite(cross_val_score(pipeline, x, y, cv=3)).all()
        MultiOutputClassifier(BackpropClassifier(**SETTINGS)).fit(x, (score > 0).astype(int))


def test_text():
    words = ["sparse", "matrix", "zero", "row"], ["cat", "dog", "tail", "paw"]
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(words[i % 2] + ["the", "a"], 8)) for i in range(60)]
    labels = np.array(["maths", "animals"])[np.arange(60) % 2]
    model = make_pipeline(
        TfidfVectorizer(), BackpropClassifier((16,), learning_rate_init=0.01, max_iter=60, random_state=0)
    )
    fitted(model, texts[:40], labels[:40])
    assert model.score(texts[40:], labels[40:]) == 1
