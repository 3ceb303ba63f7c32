"""When the estimators stop, what they keep, and what a fit that fails leaves."""

import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

from scipy.sparse import csr_matrix, issparse
from sklearn.datasets import make_circles
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from backprop.network import Network
from backprop.sklearn import BackpropClassifier, BackpropRegressor
from backprop.sklearn.samples import even_batch

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def noise(rng):
    return rng.normal(size=(60, 3)), rng.integers(0, 2, 60)


def test_patience_is_fifty_steps_at_least(noise):
    x, y = noise
    settings = {"tol": 1e9, "n_iter_no_change": 3, "random_state": 0}
    assert BackpropClassifier(**settings).fit(x, y).n_iter_ == 1 + 50 + 1  # the first, fifty, one too many
    assert BackpropClassifier(batch_size=10, **settings).fit(x, y).n_iter_ == 1 + -(-50 // 6) + 1
    assert BackpropClassifier(batch_size=1, **settings).fit(x, y).n_iter_ == 1 + 3 + 1
    assert BackpropClassifier(**settings | {"n_iter_no_change": np.inf}).fit(x, y).n_iter_ == 200


def test_xor_and_circles_are_learned(rng):
    x = rng.uniform(-1, 1, (300, 2))
    y = x[:, 0] * x[:, 1] > 0
    assert BackpropClassifier(random_state=0).fit(x, y).score(x, y) > 0.9
    x, y = make_circles(300, noise=0.05, factor=0.5, random_state=0)
    assert BackpropClassifier(random_state=0).fit(x, y).score(x, y) > 0.98


def test_the_best_parameters_are_kept(noise):
    x, y = noise
    model = BackpropRegressor(learning_rate_init=0.5, alpha=0.0, max_iter=40, random_state=0)
    model.fit(x, y)
    kept = np.mean((model.predict(x) - y) ** 2) / np.var(y)
    assert model.loss_ > 1.01 * model.best_loss_  # so that there is something to keep
    assert kept <= model.best_loss_ * (1 + 1e-9)


@pytest.mark.parametrize("samples", [1, 5, 101, 201, 401, 1000, 1001])
@pytest.mark.parametrize("most", [1, 10, 32, 200])
def test_the_last_minibatch_is_half_full(samples, most):
    size = even_batch(samples, most)
    assert 1 <= size <= most
    last = samples % size or size
    assert last >= size / 2


def test_learning_rates_of_sgd(noise):
    x, y = noise
    settings = {"solver": "sgd", "learning_rate_init": 0.1, "random_state": 0}
    model = BackpropClassifier(learning_rate="invscaling", power_t=0.5, max_iter=3, **settings).fit(x, y)
    assert model.optimizer_.lr == pytest.approx(0.1 / (3 * 60 + 1) ** 0.5)
    settings |= {"tol": 1e9, "n_iter_no_change": 1, "max_iter": 999}
    model = BackpropClassifier(learning_rate="adaptive", **settings).fit(x, y)
    assert 1e-6 / 5 < model.optimizer_.lr <= 1e-6
    assert model.n_iter_ < 999


def test_a_warm_start_takes_changed_parameters(noise):
    x, y = noise
    model = BackpropClassifier((5,), max_iter=2, warm_start=True, random_state=0).fit(x, y)
    model.set_params(learning_rate_init=1e-30, activation="tanh", alpha=0.5).fit(x, y)
    assert model.optimizer_.lr == 1e-30
    assert model.optimizer_.steps == 4
    assert str(model.network_.layers[0].activation) == "tanh"
    assert model.network_.layers[0].l2 == 0.5 / 60
    model.set_params(solver="sgd").fit(x, y)
    assert model.optimizer_.steps == 2
    before = model.predict_proba(x).tobytes()
    with pytest.raises(ValueError, match=r"hidden_layer_sizes must stay \(5,\)"):
        model.set_params(hidden_layer_sizes=(6,)).fit(x, y)
    assert model.predict_proba(x).tobytes() == before


def test_alpha_is_of_each_call_of_partial_fit(noise):
    x, y = noise
    model = BackpropClassifier(alpha=0.5).partial_fit(x[:10], y[:10], classes=[0, 1])
    assert model.network_.layers[0].l2 == 0.5 / 10
    assert model.partial_fit(x, y).network_.layers[0].l2 == 0.5 / 60


@pytest.mark.parametrize("rows", [2, 3, 9])
def test_early_stopping_with_a_tiny_part_held_out(noise, rows):
    x, y = noise
    model = BackpropRegressor(early_stopping=True, max_iter=3).fit(x[:rows], x[:rows, 0])
    assert np.isfinite(model.validation_scores_).all()
    BackpropClassifier(early_stopping=True, max_iter=3).fit(x[:rows], np.arange(rows) % 3)
    with pytest.raises(ValueError, match="2 samples or more"):
        BackpropRegressor(early_stopping=True).fit(x[:1], y[:1])


def test_a_fit_that_fails_leaves_nothing(noise):
    x, y = noise
    model = BackpropClassifier(solver="sgd", learning_rate_init=1e300, max_iter=5)
    with pytest.raises((ArithmeticError, ValueError)):
        model.fit(1e3 * x, y)
    for use in (model.predict, model.predict_proba, lambda x: model.coefs_, lambda x: model.out_activation_):
        with pytest.raises(NotFittedError):
            use(x)
    assert not [name for name in vars(model) if name.endswith("_")]


@pytest.mark.parametrize("epoch", [1, 5])
def test_an_interrupt_keeps_the_best_and_warns(noise, monkeypatch, epoch):
    x, y = noise
    fit = Network.fit

    def interrupted(network, *data, callbacks, **settings):
        def stop(network, record):
            if record["epoch"] == epoch:
                raise KeyboardInterrupt

        return fit(network, *data, callbacks=[*callbacks, stop], **settings)

    monkeypatch.setattr(Network, "fit", interrupted)
    with pytest.warns(UserWarning, match="interrupted"):
        model = BackpropClassifier(random_state=0).fit(x, y)
    assert model.n_iter_ == epoch
    assert np.isfinite(model.predict_proba(x)).all()


def test_a_warning_names_the_line_of_the_user(noise):
    with pytest.warns(ConvergenceWarning, match="max_iter=2") as caught:
        BackpropClassifier(max_iter=2).fit(*noise)
    assert caught[0].filename == __file__


def test_class_weights_are_sample_weights(noise):
    x, y = noise
    of_classes = {0: 2.0, 1: 0.5}
    settings = {"max_iter": 5, "random_state": 0}
    one = BackpropClassifier(class_weight=of_classes, **settings).fit(x, y)
    other = BackpropClassifier(**settings).fit(x, y, np.where(y == 0, 2.0, 0.5))
    assert one.predict_proba(x).tobytes() == other.predict_proba(x).tobytes()
    rare = np.arange(60) < 5
    plain, balanced = (
        BackpropClassifier(class_weight=w, random_state=0).fit(0.1 * x, rare) for w in (None, "balanced")
    )
    assert balanced.predict(0.1 * x).sum() > plain.predict(0.1 * x).sum()


def test_sparse_multilabel_targets(noise):
    x, _ = noise
    labels = (x > 0).astype(int)
    model = BackpropClassifier(random_state=0).fit(x, csr_matrix(labels))
    dense = BackpropClassifier(random_state=0).fit(x, labels)
    assert issparse(model.predict(x))
    np.testing.assert_array_equal(model.predict(x).toarray(), dense.predict(x))


def test_classes_of_multilabel_targets(noise):
    x, _ = noise
    labels = (x > 0).astype(int)
    for classes in ([0, 1], [0, 1, 2]):
        model = BackpropClassifier().partial_fit(x, labels, classes=classes)
        assert model.classes_.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="numbers of the 3 columns"):
        BackpropClassifier().partial_fit(x, labels, classes=[0, 1, 2, 3])


def test_one_half_is_the_second_class(noise):
    x, y = noise
    model = BackpropClassifier(max_iter=1).fit(x, y)
    model.network_.parameters[:] = 0
    assert set(model.predict(x)) == {1} == set(model.network_.classify(x).tolist())


def test_losses_and_dropout(noise):
    x, y = noise
    model = BackpropRegressor(loss="huber", dropout=0.25, max_iter=3).fit(x, y)
    assert model.network_.loss_name == "huber"
    assert model.network_.layers[0].dropout == 0.25
    model = BackpropClassifier(loss="squared_error", max_iter=3).fit(x, y)
    assert model.network_.loss_name == "squared_error"
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        model.predict_log_proba(x)
