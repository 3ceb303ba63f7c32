"""The estimators with the solvers that look at all samples: "lbfgs" and "lm"."""

import copy
import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

from scipy import sparse
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

import backprop as bp
from backprop.sklearn import BackpropClassifier, BackpropRegressor

quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@quiet
@parametrize_with_checks(
    [
        BackpropClassifier(solver="lbfgs"),
        BackpropRegressor(solver="lbfgs"),
        BackpropRegressor((5,), solver="lm"),
    ],
    # Roundings of 1e-16 grow, faster where a sparse X is not shifted: to 3e-12 in 16 iterations, to 4e-5
    # in 92. test_weights_are_repetitions_on_a_sparse_x looks before they have.
    expected_failed_checks=lambda estimator: (
        {"check_sample_weight_equivalence_on_sparse_data": "roundings grow to more than 1e-7"}
        if estimator.solver == "lbfgs"
        else {}
    ),
)
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", [BackpropClassifier, BackpropRegressor])
@quiet
def test_weights_are_repetitions_on_a_sparse_x(rng, estimator):
    x, y, times = rng.random((15, 30)), rng.integers(0, 3, 15), rng.integers(0, 5, 15)
    settings = {"solver": "lbfgs", "max_iter": 5, "random_state": 0}
    weighted = estimator(**settings).fit(sparse.csr_array(x), y, times)
    repeated = estimator(**settings).fit(sparse.csr_array(x.repeat(times, axis=0)), y.repeat(times))
    network, other = weighted.network_, repeated.network_
    np.testing.assert_allclose(network.parameters, other.parameters, rtol=0, atol=1e-11)


@pytest.fixture
def curve():
    x = np.linspace(-1, 1, 60)[:, None]
    return x, 5 + 3 * np.sin(3 * x[:, 0])


@pytest.fixture
def noise(rng):
    return rng.normal(size=(60, 3)), rng.integers(0, 2, 60)


@pytest.mark.parametrize("solver", ["lbfgs", "lm"])
def test_a_curve_is_fitted_further_than_by_adam(curve, solver):
    x, y = curve
    settings = {"hidden_layer_sizes": (8,), "activation": "tanh", "alpha": 0.0, "random_state": 0}
    model = BackpropRegressor(solver=solver, tol=0.0, n_iter_no_change=np.inf, max_iter=300, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x, y)
    adam = BackpropRegressor(max_iter=2000, **settings).fit(x, y)
    assert 1 - model.score(x, y) < 1e-3 * (1 - adam.score(x, y))
    assert model.loss_curve_ == sorted(model.loss_curve_, reverse=True)
    assert model.loss_ == model.best_loss_ == model.loss_curve_[-1]
    assert 1 - model.score(x, y) == pytest.approx(model.loss_, rel=1e-3)
    assert isinstance(model.optimizer_, {"lbfgs": bp.LBFGS, "lm": bp.LevenbergMarquardt}[solver])
    assert model.n_iter_ == len(model.loss_curve_) == model.optimizer_.steps
    assert model.t_ == 60 * model.n_iter_


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
def test_the_minimum_is_that_of_scikit_learn(rng, classes, weighted):
    """Without hidden nodes the problem is convex, and both end in its one minimum."""
    x, y = rng.normal(size=(50, 3)), rng.integers(0, classes, 50)
    weights = rng.uniform(0.5, 2, 50) if weighted else None
    settings = {"hidden_layer_sizes": (), "solver": "lbfgs", "alpha": 3.0, "max_iter": 2000, "tol": 1e-9}
    settings["random_state"] = 0
    theirs = MLPClassifier(**settings).fit(x, y, weights)
    ours = BackpropClassifier(standardize=False, n_iter_no_change=np.inf, **settings).fit(x, y, weights)
    np.testing.assert_allclose(ours.predict_proba(x), theirs.predict_proba(x), atol=1e-4)  # √ of SciPy's ftol


@pytest.mark.parametrize("solver", ["lbfgs", "lm"])
@pytest.mark.parametrize("targets", [1, 3])
def test_alpha_of_the_regressor_is_that_of_scikit_learn(rng, solver, targets):
    """Its loss is half the squared error; without hidden nodes the minimum is that of ridge regression."""
    x = rng.normal(size=(50, 3))
    y = x @ rng.normal(size=(3, targets)) + rng.normal(size=(50, targets))
    y = (y - y.mean(axis=0)) / y.std(axis=0)  # so that ours changes no unit
    ours = BackpropRegressor(
        (), solver=solver, alpha=7.0, tol=1e-9, n_iter_no_change=np.inf, standardize=False, random_state=0
    )
    guessed = ours.fit(x, y[:, 0] if targets == 1 else y).predict(x)
    ridge = Ridge(alpha=7.0).fit(x, y).predict(x)
    np.testing.assert_allclose(guessed.reshape(50, targets), ridge.reshape(50, targets), atol=1e-7)


@pytest.mark.parametrize("solver", ["lbfgs", "lm"])
def test_it_stops_where_the_gain_or_the_gradient_is_below_tol(noise, solver):
    x, y = noise
    settings = {"solver": solver, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gain = BackpropRegressor((5,), tol=0.05, n_iter_no_change=3, **settings).fit(x, y)
        flat = BackpropRegressor((), tol=1e-6, n_iter_no_change=np.inf, **settings).fit(x, y)
    assert 4 < gain.n_iter_ < 100
    best, waited = np.inf, 0  # what the documentation of tol says
    for loss in gain.loss_curve_:
        waited = 0 if loss <= best - 0.05 else waited + 1
        best = min(best, loss)
    assert waited == 4
    assert flat.n_iter_ < 200
    with pytest.warns(ConvergenceWarning, match="max_iter=2 iterations") as caught:
        BackpropRegressor((5,), max_iter=2, **settings).fit(x, y)
    assert caught[0].filename == __file__
    assert "learning_rate" not in str(caught[0].message)


@pytest.mark.parametrize("solver", ["lbfgs", "lm"])
def test_max_fun_ends_after_the_iteration_that_goes_beyond_it(noise, solver):
    x, y = noise
    settings = {"tol": 0.0, "n_iter_no_change": np.inf, "random_state": 0}
    with pytest.warns(ConvergenceWarning, match="max_fun=12 evaluations"):
        model = BackpropRegressor((5,), solver=solver, max_fun=12, **settings).fit(x, y)
    assert 5 < model.n_iter_ <= 12  # the start needs one, every iteration one or more
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        more = BackpropRegressor((5,), solver=solver, max_iter=model.n_iter_, **settings).fit(x, y)
    assert more.predict(x).tobytes() == model.predict(x).tobytes()


@quiet
@pytest.mark.parametrize("most", [1, 5, 20])
def test_max_fun_is_that_of_scikit_learn(noise, most):
    """The first line search of both tries |g|⁻¹ along -g: then iterations go on alike for a while."""
    x, y = noise
    settings = {"hidden_layer_sizes": (), "solver": "lbfgs", "alpha": 1.0, "tol": 1e-12, "random_state": 0}
    theirs = MLPClassifier(max_fun=most, **settings).fit(x, y)
    ours = BackpropClassifier(max_fun=most, standardize=False, n_iter_no_change=np.inf, **settings).fit(x, y)
    assert abs(ours.n_iter_ - theirs.n_iter_) <= 1 + most // 5


@quiet
def test_the_loss_and_its_penalty_are_those_after_the_iteration(noise):
    x, y = noise
    model = BackpropClassifier((), solver="lbfgs", alpha=5.0, standardize=False, max_iter=1, random_state=0)
    model.fit(x, y)
    squares = (model.coefs_[0] ** 2).sum()
    assert model.loss_ == pytest.approx(model.network_.loss(x, y) + 5 / 60 / 2 * squares, rel=1e-12)


@quiet
def test_batches_and_learning_rates_are_ignored(noise):
    x, y = noise
    settings = {"solver": "lbfgs", "alpha": 0.5, "random_state": 0, "max_iter": 5}
    one = BackpropClassifier(**settings).fit(x, y)
    other = BackpropClassifier(
        batch_size=7, learning_rate_init=9.0, learning_rate="adaptive", shuffle=False, **settings
    ).fit(x, y)
    assert one.predict_proba(x).tobytes() == other.predict_proba(x).tobytes()
    assert one.network_.layers[0].l2 == 0.5 / 60


@quiet
@pytest.mark.parametrize("solver", ["lbfgs", "lm"])
def test_early_stopping_keeps_the_best_score(rng, solver):
    x = rng.normal(size=(80, 3))
    y = x[:, 0] + rng.normal(size=80)
    model = BackpropRegressor(
        (20,), solver=solver, alpha=0.0, early_stopping=True, validation_fraction=0.3, random_state=0
    )
    model.fit(x, y)
    assert len(model.validation_scores_) == model.n_iter_ < 200
    assert model.best_validation_score_ == max(model.validation_scores_) > model.validation_scores_[-1]
    until = int(np.argmax(model.validation_scores_)) + 1
    again = BackpropRegressor(**model.get_params() | {"max_iter": until}).fit(x, y)
    np.testing.assert_array_equal(model.predict(x), again.predict(x))


def test_class_weights(noise):
    x, y = noise
    settings = {"solver": "lbfgs", "hidden_layer_sizes": (), "random_state": 0}
    one = BackpropClassifier(class_weight={0: 2.0, 1: 0.5}, **settings).fit(x, y)
    other = BackpropClassifier(**settings).fit(x, y, np.where(y == 0, 2.0, 0.5))
    plain = BackpropClassifier(**settings).fit(x, y)
    assert one.predict_proba(x).tobytes() == other.predict_proba(x).tobytes()
    assert one.predict_proba(x)[:, 0].mean() > plain.predict_proba(x)[:, 0].mean() + 0.1


@pytest.mark.parametrize("solver", ["lbfgs", "lm"])
def test_partial_fit_is_refused_as_in_scikit_learn(noise, solver):
    x, y = noise
    model = BackpropRegressor(solver=solver)
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'") as ours:
        model.partial_fit(x, y)
    with pytest.raises(AttributeError) as theirs:
        MLPClassifier(solver="lbfgs").partial_fit(x, y)
    words = str(theirs.value.__cause__)
    assert words.startswith("partial_fit is only available for stochastic optimizers")
    assert str(ours.value.__cause__) == words.replace("lbfgs", solver)
    assert not hasattr(BackpropClassifier(solver="lbfgs"), "partial_fit")
    assert hasattr(model.set_params(solver="sgd"), "partial_fit")


@quiet
def test_what_does_not_suit_is_refused_before_anything_changes(noise):
    x, y = noise
    model = BackpropRegressor((3,), max_iter=2).fit(x, y)
    before = model.predict(x).tobytes()
    for settings, message in (
        ({"solver": "lbfgs", "dropout": 0.5}, r'dropout must be 0 with solver="lbfgs".* got 0\.5'),
        ({"solver": "lm", "dropout": 0.5}, r'dropout must be 0 with solver="lm".* got 0\.5'),
        ({"solver": "lm", "loss": "huber"}, "sums of squares.* got BackpropRegressor with 'huber'"),
        ({"solver": "lbfgs", "learning_rate_init": -1.0}, "learning_rate_init"),
        ({"solver": "lbfgs", "batch_size": 0}, "batch_size"),
    ):
        default = BackpropRegressor().get_params()
        with pytest.raises(ValueError, match=message):
            model.set_params(**settings).fit(x, y)
        model.set_params(**{name: default[name] for name in settings})
    assert model.predict(x).tobytes() == before
    for loss in ("auto", "squared_error"):
        with pytest.raises(ValueError, match=f"got BackpropClassifier with '{loss}'"):
            BackpropClassifier(solver="lm", loss=loss).fit(x, y)


@quiet
@pytest.mark.parametrize("solver", ["lbfgs", "lm"])
def test_a_warm_start_goes_on_from_the_weights(noise, solver):
    x, y = noise
    model = BackpropRegressor((5,), solver=solver, max_iter=3, warm_start=True, random_state=0, tol=0.0)
    model.fit(x, y)
    before = model.loss_
    pickled = pickle.loads(pickle.dumps(model))
    model.fit(x, y)
    assert model.loss_curve_[0] <= before * (1 + 1e-9)
    assert model.optimizer_.steps == model.n_iter_ == 3
    assert pickled.fit(x, y).predict(x).tobytes() == model.predict(x).tobytes()
    model.set_params(solver="adam").fit(x, y)
    assert isinstance(model.optimizer_, bp.Adam)
    model.set_params(solver=solver).fit(x, y)
    assert model.optimizer_.steps == 3


@quiet
def test_other_losses_several_labels_and_float32(noise):
    x, y = noise
    model = BackpropRegressor(solver="lbfgs", loss="huber", max_iter=20, random_state=0).fit(x, y)
    assert model.network_.loss_name == "huber"
    labels = (x > 0).astype(int)
    several = BackpropClassifier(solver="lbfgs", max_iter=20, random_state=0).fit(x, labels)
    assert several.score(x, labels) > 0.85
    single = BackpropRegressor((5,), solver="lm", random_state=0).fit(x.astype(np.float32), y)
    assert single.network_.dtype == np.float32
    assert np.isfinite(single.predict(x)).all()


def test_digits():
    x, y = datasets.load_digits(return_X_y=True)
    model = BackpropClassifier((32,), solver="lbfgs", random_state=0).fit(x[:1200], y[:1200])
    assert model.score(x[1200:], y[1200:]) > 0.9


def noisy_with_an_idle_input():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3)) * [1.0, 20.0, 1.0]
    return x, 50 + 3 * np.tanh(x[:, 0] * x[:, 1] / 20) + 0.4 * rng.normal(size=400)


@quiet
def test_a_bayesian_alpha_follows_from_the_data_and_ends_by_itself():
    x, y = noisy_with_an_idle_input()
    settings = {"hidden_layer_sizes": (8,), "activation": "tanh", "solver": "lm", "random_state": 0}
    model = BackpropRegressor(**settings, alpha="bayesian", max_iter=3000, tol=0.1, n_iter_no_change=1)
    model.fit(x[:300], y[:300])
    assert 100 < model.n_iter_ < 3000
    assert model.optimizer_.relevance[2] < 0.1 * min(model.optimizer_.relevance[:2])
    assert model.optimizer_.state[-1][3] == 3  # settled, though the loss stood still for longer than patience
    alone = copy.deepcopy(model.network_)
    np.testing.assert_array_equal(alone(x).ravel(), model.predict(x))
    plain = BackpropRegressor(**settings, alpha=0.0, max_iter=300, n_iter_no_change=np.inf)
    plain.fit(x[:300], y[:300])
    assert model.score(x[300:], y[300:]) > plain.score(x[300:], y[300:])
    together = BackpropRegressor(**settings, alpha="bayesian", max_iter=3000, members=2, bootstrap=False)
    together.fit(x[:300], y[:300])
    assert all(np.isfinite(one.optimizer_.log_evidence) for one in together.estimators_)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"solver": "adam"}, 'alpha="bayesian" is for solver="lm", got solver=\'adam\''),
        ({"solver": "lm", "early_stopping": True}, "early_stopping must be False, got True"),
    ],
)
def test_a_bayesian_alpha_is_refused_where_it_makes_no_sense(settings, message):
    x, y = noisy_with_an_idle_input()
    with pytest.raises(ValueError, match=message):
        BackpropRegressor(alpha="bayesian", **settings).fit(x, y)
