"""The scikit-learn estimators."""

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn", minversion="1.6")

from sklearn import datasets  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.exceptions import ConvergenceWarning  # noqa: E402
from sklearn.metrics import r2_score  # noqa: E402
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

import backprop as bp  # noqa: E402
from backprop.sklearn import BackpropClassifier, BackpropRegressor, training  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@parametrize_with_checks([BackpropClassifier(max_iter=100), BackpropRegressor(max_iter=100)])
def test_check_estimator(estimator, check):
    check(estimator)


# --- Defaults work ------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"solver": "sgd"}, {"early_stopping": True}])
def test_diabetes_unscaled_targets(settings):
    """Five folds, only x scaled; scikit-learn's own regressor has -1.05 there."""
    x, y = datasets.load_diabetes(return_X_y=True)
    model = make_pipeline(StandardScaler(), BackpropRegressor(random_state=0, **settings))
    scores = cross_val_score(model, x, y, cv=KFold(5, shuffle=True, random_state=0))
    assert scores.mean() > 0.3


@pytest.mark.parametrize(("name", "least"), [("iris", 0.93), ("wine", 0.95), ("breast_cancer", 0.95)])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_classification_of_small_sets(name, least, solver):
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    model = make_pipeline(StandardScaler(), BackpropClassifier(random_state=0, solver=solver, threads=1))
    assert cross_val_score(model, x, y, cv=5).mean() > least


# --- Targets ------------------------------------------------------------------------------------------


@pytest.fixture
def iris():
    x, y = datasets.load_iris(return_X_y=True)
    return StandardScaler().fit_transform(x), y


def test_labels_are_strings(iris):
    x, y = iris
    names = datasets.load_iris().target_names[y]
    model = BackpropClassifier(random_state=0).fit(x, names)
    assert model.classes_.tolist() == sorted(set(names))
    assert model.score(x, names) > 0.95
    proba = model.predict_proba(x)
    assert proba.shape == (150, 3)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)
    assert (model.classes_[proba.argmax(axis=1)] == model.predict(x)).all()
    np.testing.assert_array_equal(np.exp(model.predict_log_proba(x)), np.exp(np.log(proba)))


def test_two_classes_have_one_output(iris):
    x, y = iris
    model = BackpropClassifier(random_state=0).fit(x, y == 2)
    assert model.out_activation_ == "sigmoid"
    assert model.network_.layers[-1].outputs == 1
    proba = model.predict_proba(x)
    assert proba.shape == (150, 2)
    assert ((proba[:, 1] > 0.5) == model.predict(x)).all()
    assert model.score(x, y == 2) > 0.95


@pytest.mark.parametrize("several", [False, True])
def test_an_output_of_exactly_a_half_is_class_1_as_in_classify(iris, several):
    x, y = iris
    labels = np.stack([y == 0, y == 1], axis=1).astype(int) if several else y == 2
    model = BackpropClassifier(random_state=0).fit(x, labels)
    model.network_.parameters[:] = 0
    assert (model.network_(x[:4]) == 0.5).all()
    assert np.all(model.predict(x[:4]) == 1)
    assert several or model.network_.classify(x[:4]).tolist() == [1, 1, 1, 1]


def test_several_labels_a_sample(iris):
    x, y = iris
    labels = np.stack([y == 0, y >= 1, x[:, 0] > 0], axis=1).astype(int)
    model = BackpropClassifier(random_state=0).fit(x, labels)
    assert model.predict(x).shape == labels.shape
    assert (model.predict(x) == labels).mean() > 0.97
    assert model.predict_proba(x).shape == labels.shape


def test_several_targets(rng):
    x = rng.normal(size=(200, 3))
    y = np.stack([1e6 + 1e4 * x[:, 0], 1e-6 * (x[:, 1] - x[:, 2]), np.full(200, 7.0)], axis=1)
    model = BackpropRegressor(max_iter=500, random_state=0).fit(x, y)
    predicted = model.predict(x)
    assert predicted.shape == y.shape
    assert (((predicted - y) ** 2).mean(axis=0) < 0.05 * y.var(axis=0) + [0, 0, 0.01]).all()
    assert model.score(x, y) == pytest.approx(r2_score(y, predicted))


def test_one_class_only(iris):
    x, _ = iris
    model = BackpropClassifier(max_iter=3).fit(x, np.full(150, "a"))
    assert model.classes_.tolist() == ["a"]
    assert set(model.predict(10 * x)) == {"a"}
    np.testing.assert_array_equal(model.predict_proba(x), np.ones((150, 1)))


def test_weights_that_are_all_zero_are_refused(iris):
    x, y = iris
    with pytest.raises(ValueError, match="non-zero"):
        BackpropClassifier().fit(x, y, np.zeros(150))


def test_the_first_x_chooses_the_precision(iris):
    x, y = iris
    assert BackpropClassifier(max_iter=1).fit(x, y).network_.dtype == np.float64
    model = BackpropClassifier(max_iter=1).fit(x.astype(np.float32), y)
    assert model.network_.dtype == np.float32
    assert model.predict_proba(x).dtype == np.float32


# --- Training -----------------------------------------------------------------------------------------


def test_the_penalty_is_that_of_scikit_learn(rng):
    """One step of gradient descent on all samples equals that of MLPClassifier from the same weights."""
    from sklearn.neural_network import MLPClassifier

    x, y = rng.normal(size=(30, 4)), rng.integers(0, 3, 30)
    settings = {
        "hidden_layer_sizes": (5,), "activation": "tanh", "solver": "sgd", "alpha": 10.0, "momentum": 0.0,
        "learning_rate_init": 0.25, "max_iter": 1, "random_state": 0,
    }  # fmt: skip
    of_ours = {"standardize": False, "warm_start": True}
    theirs = MLPClassifier(**settings | {"learning_rate_init": 1e-12}).fit(x, y)
    ours = BackpropClassifier(**settings | of_ours).fit(x, y)
    for layer, weights, bias in zip(ours.network_.layers, theirs.coefs_, theirs.intercepts_, strict=True):
        layer.weights, layer.bias = weights.T, bias
    theirs.set_params(warm_start=True)
    theirs._optimizer.learning_rate_init = theirs._optimizer.learning_rate = 0.25
    theirs.partial_fit(x, y)
    ours.fit(x, y)
    for one, other in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-10)


def test_partial_fit_learns_from_parts(iris):
    x, y = iris
    model = BackpropClassifier(learning_rate_init=0.02, random_state=0)
    with pytest.raises(ValueError, match="classes"):
        model.partial_fit(x, y)
    for _ in range(20):
        for part in (slice(0, 50), slice(50, 120), slice(120, 150)):
            model.partial_fit(x[part], y[part], classes=[0, 1, 2])
    assert model.n_iter_ == 60
    assert model.t_ == 20 * 150
    assert model.score(x, y) > 0.9
    with pytest.raises(ValueError, match="same as before"):
        model.partial_fit(x, y, classes=[0, 1])
    with pytest.raises(ValueError, match="only"):
        model.partial_fit(x, y + 1)
    with pytest.raises(ValueError, match="of the same kind and number of labels as before"):
        model.partial_fit(x, np.eye(3)[y], classes=[0, 1, 2])


def test_partial_fit_of_the_regressor_keeps_the_number_of_targets(rng):
    model = BackpropRegressor(random_state=0).partial_fit(rng.random((5, 3)), rng.random((5, 2)))
    with pytest.raises(ValueError, match="y must have 2 targets as before, got 1"):
        model.partial_fit(rng.random((5, 3)), rng.random(5))


def test_partial_fit_of_the_regressor_keeps_its_function_when_the_scale_changes(rng):
    x = rng.normal(size=(60, 2))
    y = 100 + 10 * x[:, 0]
    model = BackpropRegressor(learning_rate_init=1e-30, random_state=0).partial_fit(x[:20], y[:20])
    before = model.predict(x)
    model.partial_fit(x[20:], 1000 * y[20:])
    np.testing.assert_allclose(model.predict(x), before, rtol=1e-9)
    together = BackpropRegressor(max_iter=1).fit(x, np.concatenate([y[:20], 1000 * y[20:]]))
    np.testing.assert_allclose(model._moments.mean, together._moments.mean, rtol=1e-12)
    np.testing.assert_allclose(model._moments.deviation, together._moments.deviation, rtol=1e-12)


def test_warm_start_goes_on(iris):
    x, y = iris
    once = BackpropClassifier(max_iter=6, random_state=0, tol=0.0).fit(x, y)
    twice = BackpropClassifier(max_iter=3, random_state=0, tol=0.0, warm_start=True).fit(x, y).fit(x, y)
    np.testing.assert_allclose(twice.network_.parameters, once.network_.parameters, rtol=1e-9, atol=1e-12)
    with pytest.raises(ValueError, match="same as before"):
        twice.fit(x, y + 1)


def test_early_stopping_keeps_the_best(iris):
    x, y = iris
    model = BackpropClassifier(early_stopping=True, random_state=0, n_iter_no_change=5).fit(x, y)
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert len(model.validation_scores_) == model.n_iter_ < 200
    regressor = BackpropRegressor(early_stopping=True, random_state=0).fit(x, y, np.ones(150))
    assert regressor.best_validation_score_ > 0.7


def test_training_stops_by_itself_and_warns_if_not(iris):
    x, y = iris
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = BackpropClassifier(tol=0.01, n_iter_no_change=3, random_state=0).fit(x, y)
    assert model.n_iter_ < 200
    assert model.loss_curve_[-1] == model.loss_ >= model.best_loss_
    with pytest.warns(ConvergenceWarning, match="max_iter=3"):
        BackpropClassifier(max_iter=3).fit(x, y)


def test_verbose_prints_and_silence_is_silent(iris, capfd):
    x, y = iris
    BackpropClassifier(max_iter=2, random_state=0).fit(x, y)
    assert capfd.readouterr() == ("", "")
    BackpropClassifier(max_iter=2, verbose=True, random_state=0).fit(x, y)
    assert capfd.readouterr().out.count("loss = ") == 2


def test_precision(iris):
    x, y = iris
    models = [
        BackpropClassifier(max_iter=30, random_state=0, precision=precision).fit(x.astype(dtype), y)
        for precision, dtype in ((None, np.float32), ("float32", float), ("bfloat16-emulated", float))
    ]
    exact, same, rounded = (model.network_ for model in models)
    assert {str(net.dtype) for net in (exact, same, rounded)} == {"float32"}
    np.testing.assert_allclose(exact.parameters, same.parameters, atol=1e-3)
    assert rounded.parameters.tobytes() != same.parameters.tobytes()
    assert models[2].score(x, y) > 0.7
    estimator = BackpropClassifier(max_iter=30, random_state=0)
    both = GridSearchCV(estimator, {"precision": [None, "bfloat16-emulated"]}, cv=2)
    assert both.fit(x, y).cv_results_["mean_test_score"].min() > 0.6


def test_wrong_parameters_are_refused_and_leave_the_model(iris):
    x, y = iris
    model = BackpropClassifier(max_iter=3, random_state=0).fit(x, y)
    before = model.predict(x).tolist()
    for settings in (
        {"activation": "logistics"}, {"solver": "cg"}, {"alpha": -1.0}, {"batch_size": 0}, {"max_iter": 0},
        {"learning_rate_init": 0.0}, {"hidden_layer_sizes": (5, 0)}, {"momentum": 1.0, "solver": "sgd"},
        {"tol": -1.0}, {"n_iter_no_change": 0}, {"max_fun": 0}, {"threads": 0}, {"beta_1": 1.0},
        {"beta_2": -0.1}, {"epsilon": 0.0}, {"alpha": "none"}, {"batch_size": "full"},
        {"learning_rate": "optimal"},
        {"learning_rate_init": "fast"}, {"power_t": np.nan}, {"dropout": 1.0}, {"loss": "log"},
        {"validation_fraction": 1.0, "early_stopping": True}, {"class_weight": {7: 1.0}},
        {"class_weight": {0: -1.0}}, {"class_weight": "even"}, {"precision": "half"},
    ):  # fmt: skip
        name = next(iter(settings))
        with pytest.raises(ValueError, match=name):
            clone(model).set_params(**settings).fit(x, y)
        with pytest.raises(ValueError, match=name):
            clone(model).set_params(**settings).partial_fit(x, y, classes=[0, 1, 2])
        with pytest.raises(ValueError, match=name):
            model.set_params(**settings).fit(x, y)
        model.set_params(**{name: clone(BackpropClassifier()).get_params()[name] for name in settings})
    model.set_params(max_iter=3)
    assert model.predict(x).tolist() == before


@pytest.mark.parametrize("activation", ["logistic", "tanh", "identity", "gelu"])
def test_activations(iris, activation):
    model = BackpropClassifier((8, 4), activation, random_state=0).fit(*iris)
    assert model.n_layers_ == 4
    assert str(model.network_.layers[0].activation) == {"logistic": "sigmoid"}.get(activation, activation)
    assert [w.shape for w in model.coefs_] == [(4, 8), (8, 4), (4, 3)]


# --- Around it ----------------------------------------------------------------------------------------


def test_a_parallel_search_uses_one_thread_each(iris, monkeypatch):
    x, y = iris
    seen, threads_of = [], training.threads_of

    def spy(estimator):
        seen.append(threads_of(estimator))
        return seen[-1]

    monkeypatch.setattr(training, "threads_of", spy)
    grid = {"alpha": [1e-4, 1e-2], "hidden_layer_sizes": [(5,), (10,)]}
    search = GridSearchCV(BackpropClassifier(max_iter=20, random_state=0), grid, cv=2)
    search.fit(x, y)
    assert set(seen) == {None}
    seen.clear()
    import joblib

    with joblib.parallel_backend("threading", n_jobs=2):
        search.set_params(n_jobs=2, refit=False).fit(x, y)
    assert set(seen) == {1}


def test_a_search_over_processes(iris):
    x, y = iris
    model = make_pipeline(StandardScaler(), BackpropClassifier(max_iter=20, random_state=0))
    grid = {"backpropclassifier__alpha": [1e-4, 1.0]}
    alone = GridSearchCV(model, grid, cv=2).fit(x, y)
    parallel = GridSearchCV(model, grid, cv=2, n_jobs=2).fit(x, y)
    assert alone.cv_results_["mean_test_score"].tolist() == parallel.cv_results_["mean_test_score"].tolist()


def test_models_pickle_and_go_on(iris):
    x, y = iris
    model = BackpropClassifier(max_iter=3, warm_start=True, random_state=0).fit(x, y)
    other = pickle.loads(pickle.dumps(model))
    assert model.fit(x, y).predict_proba(x).tobytes() == other.fit(x, y).predict_proba(x).tobytes()


def run_python(code):
    import os
    from pathlib import Path

    environment = os.environ | {"PYTHONPATH": str(Path(bp.__file__).parent.parent)}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60
    )


def test_the_module_is_imported_when_it_is_used():
    result = run_python(
        "import sys, backprop as bp; assert 'sklearn' not in sys.modules\n"
        "print(bp.sklearn.BackpropClassifier().solver)"
    )
    assert result.stdout == "adam\n", result.stderr


def test_a_missing_scikit_learn_is_named():
    result = run_python("import sys; sys.modules['sklearn'] = None; import backprop as bp; bp.sklearn")
    assert result.returncode == 1
    assert "pip install 'cbackprop[sklearn]'" in result.stderr.splitlines()[-1]
    assert result.stderr.splitlines()[-1].startswith("ImportError")


def test_other_names_are_still_attribute_errors():
    with pytest.raises(AttributeError, match="sklern"):
        _ = bp.sklern


def test_minibatches_without_any_weight_change_nothing_bad(iris):
    x, y = iris
    weight = np.zeros(150)
    weight[::10] = 1
    model = BackpropClassifier(batch_size=4, alpha=0.0, random_state=0).fit(x, y, weight)
    assert np.isfinite(model.network_.parameters).all()
    assert model.score(x, y, weight) > 0.9
