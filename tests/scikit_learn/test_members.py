"""Estimators of several networks: averages, bootstrap, out-of-bag scores, deviations."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification, make_regression
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score

from backprop.sklearn import BackpropClassifier, BackpropRegressor, PopulationSearchCV

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = make_classification(120, 6, n_informative=4, n_classes=3, random_state=0)
XR, YR = make_regression(80, 3, noise=2, random_state=0)
CLASSIFIER = BackpropClassifier((8,), max_iter=30, learning_rate_init=0.02, random_state=0, members=7)
REGRESSOR = BackpropRegressor((6,), "tanh", max_iter=30, learning_rate_init=0.02, random_state=0, members=7)


def test_each_member_has_the_bits_of_an_estimator_of_its_own():
    together = clone(CLASSIFIER).set_params(bootstrap=False).fit(X, Y)
    assert len(together.estimators_) == 7
    for one in together.estimators_:
        seed = one.get_params()["random_state"]
        alone = clone(CLASSIFIER).set_params(members=1, random_state=seed).fit(X, Y)
        np.testing.assert_array_equal(one.network_.parameters, alone.network_.parameters)
        np.testing.assert_array_equal(one.predict(X), alone.predict(X))
        assert one.loss_curve_ == alone.loss_curve_
    assert not hasattr(together, "oob_score_")


def test_probabilities_are_the_members_mean():
    together = clone(CLASSIFIER).fit(X, Y)
    of_members = [one.predict_proba(X) for one in together.estimators_]
    np.testing.assert_allclose(together.predict_proba(X), np.mean(of_members, axis=0), rtol=1e-12)
    assert (together.predict(X) == together.predict_proba(X).argmax(axis=1)).all()
    assert len({one.network_.parameters.tobytes() for one in together.estimators_}) == 7
    assert together.score(X, Y) > 0.7


def test_the_out_of_bag_score_is_of_samples_that_a_member_has_not_seen():
    together = clone(REGRESSOR).set_params(members=30).fit(XR, YR)
    random = np.random.RandomState(0)
    total, count = np.zeros(len(YR)), np.zeros(len(YR))
    for one in together.estimators_:
        random.randint(2**31 - 1)
        left_out = ~np.isin(np.arange(len(YR)), random.randint(0, len(YR), len(YR)))
        total[left_out] += one.predict(XR[left_out])
        count[left_out] += 1
    np.testing.assert_allclose(together.oob_prediction_, total / count, rtol=1e-12)
    assert together.oob_score_ == pytest.approx(r2_score(YR, total / count), rel=1e-12)
    assert together.oob_score_ < together.score(XR, YR)


def test_a_sample_in_all_bags_has_no_score():
    with pytest.warns(UserWarning, match="in the bags of all members"):
        few = clone(CLASSIFIER).set_params(members=2).fit(X, Y)
    missing = np.isnan(few.oob_decision_function_).any(axis=1)
    assert 0 < missing.sum() < len(Y)
    assert 0 < few.oob_score_ <= 1


@pytest.mark.parametrize("estimator", [CLASSIFIER, REGRESSOR])
def test_one_sample_is_in_all_bags(estimator):
    with pytest.warns(UserWarning, match="1 samples are in the bags of all members"):
        one = clone(estimator).fit(X[:1], Y[:1])
    assert np.isnan(one.oob_score_)


def test_the_deviation_of_the_members():
    together = clone(REGRESSOR).fit(XR, YR)
    mean, std = together.predict(XR, return_std=True)
    of_members = np.stack([one.predict(XR) for one in together.estimators_])
    np.testing.assert_array_equal(mean, together.predict(XR))
    np.testing.assert_allclose(std, of_members.std(axis=0), rtol=1e-9)
    far = together.predict(XR + 100, return_std=True)[1]
    assert far.mean() > std.mean()
    with pytest.raises(ValueError, match="several members"):
        clone(REGRESSOR).set_params(members=1).fit(XR, YR).set_params(members=2).predict(XR, return_std=True)
    two = clone(REGRESSOR).fit(XR, np.column_stack([YR, -YR]))
    assert two.predict(XR, return_std=True)[1].shape == (80, 2)


def test_labels_of_every_kind():
    words = np.array(["a", "b", "c"])[Y]
    assert set(clone(CLASSIFIER).fit(X, words).predict(X)) == {"a", "b", "c"}
    both = np.column_stack([Y == 0, Y == 1]).astype(int)
    labels = clone(CLASSIFIER).fit(X, both)
    assert labels.predict(X).shape == labels.oob_decision_function_.shape == (120, 2)
    rare = np.r_[np.zeros(119, int), 1]  # in few bags
    assert clone(CLASSIFIER).fit(X, rare).predict_proba(X).shape == (120, 2)


def test_members_take_weights_searches_and_pickles():
    weights = np.random.default_rng(0).uniform(0.5, 2, len(Y))
    together = clone(CLASSIFIER).set_params(class_weight="balanced").fit(X, Y, sample_weight=weights)
    twin = pickle.loads(pickle.dumps(together))
    np.testing.assert_array_equal(twin.predict_proba(X), together.predict_proba(X))
    grid = {"alpha": [0.1, 10], "members": [1, 3]}
    with pytest.warns(UserWarning, match="in the bags of all members"):
        theirs = GridSearchCV(CLASSIFIER, grid, cv=3).fit(X, Y)
    with pytest.warns(UserWarning, match="in the bags of all members"):
        mine = PopulationSearchCV(CLASSIFIER, grid, cv=3).fit(X, Y)
    for name in ("mean_test_score", "split1_test_score"):
        np.testing.assert_array_equal(mine.cv_results_[name], theirs.cv_results_[name])
    assert cross_val_score(CLASSIFIER, X, Y, cv=3).shape == (3,)


def test_other_solvers_have_members_too():
    together = clone(REGRESSOR).set_params(solver="lm", max_iter=10).fit(XR, YR)
    assert together.score(XR, YR) > 0.9


def test_what_is_for_one_network():
    together = clone(CLASSIFIER).fit(X, Y)
    with pytest.raises(AttributeError, match=r"estimators_\[i\].network_"):
        _ = together.network_
    with pytest.raises(AttributeError, match="no attribute 'partial_fit'") as caught:
        together.partial_fit(X, Y)
    assert "members=7 are trained anew" in str(caught.value.__cause__)
    with pytest.raises(ValueError, match="warm_start is for members=1"):
        clone(CLASSIFIER).set_params(warm_start=True).fit(X, Y)
    for wrong, error in ((0, ValueError), (2.5, TypeError)):
        with pytest.raises(error, match="members must be"):
            clone(CLASSIFIER).set_params(members=wrong).fit(X, Y)


def test_a_fit_again_leaves_nothing_of_the_one_before():
    estimator = clone(CLASSIFIER).fit(X, Y)
    estimator.set_params(members=1).fit(X, Y)
    assert not hasattr(estimator, "estimators_")
    assert not hasattr(estimator, "oob_score_")
    single = estimator.predict_proba(X)
    np.testing.assert_array_equal(single, estimator.network_(X))
    estimator.set_params(members=3, bootstrap=False).fit(X, Y)
    assert not hasattr(estimator, "network_")
