"""PopulationSearchCV finds what scikit-learn's searches find, to the bit."""

import pickle

import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.datasets import make_classification, make_regression
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning, NotFittedError
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    ParameterGrid,
    RandomizedSearchCV,
    ShuffleSplit,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from backprop.sklearn import BackpropClassifier, BackpropRegressor, PopulationSearchCV
from backprop.sklearn.candidates import train_candidates
from backprop.sklearn.halving import Contender, compete

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # of a fit that diverges, by scikit-learn
]

X, Y = make_classification(91, 6, n_informative=4, n_classes=3, random_state=0)
XR, YR = make_regression(80, 4, noise=3, random_state=0)
CLASSIFIER = BackpropClassifier((7,), max_iter=25, random_state=0)
REGRESSOR = BackpropRegressor((5,), "tanh", max_iter=25, random_state=1)
RATES = {"learning_rate_init": [1e-3, 1e-2, 0.1], "alpha": [0.0, 1.0, "auto"]}


def network_estimator(estimator):
    return getattr(estimator, "_final_estimator", estimator)


def assert_same_search(mine, theirs):
    """All scores, and the estimator that is refitted."""
    assert mine.cv_results_.keys() == theirs.cv_results_.keys()
    for name, values in theirs.cv_results_.items():
        if "time" not in name:
            np.testing.assert_array_equal(mine.cv_results_[name], values, err_msg=name)
    assert mine.best_params_ == theirs.best_params_
    assert mine.best_index_ == theirs.best_index_
    one, other = (network_estimator(search.best_estimator_) for search in (mine, theirs))
    np.testing.assert_array_equal(one.network_.parameters, other.network_.parameters)
    assert type(mine.best_estimator_) is type(theirs.best_estimator_)


CASES = {
    "rates and penalties": (CLASSIFIER, RATES, {}),
    "float32": (CLASSIFIER, RATES, {"dtype": "float32"}),
    "architectures": (
        CLASSIFIER,
        {"hidden_layer_sizes": [(3,), (4, 4)], "activation": ["relu", "tanh"], "beta_1": [0.5, 0.9]}, {},
    ),
    "batches and lengths": (
        CLASSIFIER, {"batch_size": [7, 50, "auto"], "max_iter": [3, 9], "tol": [0, 0.1]}, {}
    ),
    "descent": (
        CLASSIFIER, {
            "solver": ["sgd"], "momentum": [0.0, 0.9], "nesterovs_momentum": [False, True],
            "learning_rate": ["constant", "invscaling", "adaptive"], "n_iter_no_change": [2],
        }, {},
    ),
    "early stopping": (clone(CLASSIFIER).set_params(early_stopping=True, n_iter_no_change=1), RATES, {}),
    "seeds and dropout": (
        CLASSIFIER, {"random_state": [0, 1, 2], "dropout": [0, 0.4], "standardize": [True, False]}, {}
    ),
    "other solvers": (CLASSIFIER, {"solver": ["adam", "lbfgs"], "alpha": [0.1, 1]}, {}),
    "weights of classes": (CLASSIFIER, {"class_weight": [None, "balanced"], "alpha": [0.1, 1]}, {}),
    "regression": (REGRESSOR, RATES, {}),
    "train scores": (REGRESSOR, RATES, {"return_train_score": True}),
    "several scorers": (
        CLASSIFIER, RATES, {"scoring": ["accuracy", "neg_log_loss"], "refit": "neg_log_loss"}
    ),
    "a scorer": (
        REGRESSOR, RATES, {"scoring": lambda e, x, y: -float(np.abs(e.predict(x) - y).max() + x[0, 0])}
    ),
    "a choice": (CLASSIFIER, RATES, {"refit": lambda results: 4}),
    "splits": (CLASSIFIER, RATES, {"cv": ShuffleSplit(3, test_size=0.3, random_state=0)}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_grid_has_scikit_learns_scores(case):
    estimator, grid, settings = CASES[case]
    x, y = (X, Y) if isinstance(estimator, BackpropClassifier) else (XR, YR)
    settings = {"cv": 3} | settings
    x = x.astype(settings.pop("dtype", "float64"))
    theirs = GridSearchCV(clone(estimator), grid, **settings).fit(x, y)
    mine = PopulationSearchCV(clone(estimator), grid, **settings).fit(x, y)
    assert_same_search(mine, theirs)
    np.testing.assert_array_equal(mine.predict(x), theirs.predict(x))
    if "scoring" not in settings:
        assert mine.score(x, y) == theirs.score(x, y)


ENDING = {
    "side by side": (CLASSIFIER, RATES, {}),
    "float32": (CLASSIFIER, RATES, {"dtype": "float32"}),
    "alone": (clone(CLASSIFIER).set_params(hidden_layer_sizes=(150, 40)), {"alpha": [0.0, 3.0]}, {}),
    "descent": (
        clone(CLASSIFIER).set_params(solver="sgd", batch_size=10), {
            "learning_rate": ["constant", "adaptive"], "learning_rate_init": [0.01, 0.5], "alpha": [0.0, 1.0]
        }, {},
    ),
    "scores": (clone(CLASSIFIER).set_params(early_stopping=True), RATES, {}),
}  # fmt: skip


@pytest.mark.parametrize("case", ENDING)
def test_trainings_end_as_alone(case):
    """At different epochs, each with the curve, network, optimizer and generator of its own fit."""
    estimator, grid, settings = ENDING[case]
    estimator = clone(estimator).set_params(max_iter=150, tol=1e-3, n_iter_no_change=2, batch_size=4)
    x = X.astype(settings.get("dtype", "float64"))
    parts = [(x[rows], Y[rows], rows) for rows in (np.arange(60), np.arange(30, 90))]
    every = list(ParameterGrid(grid))
    trained, finished = train_candidates(estimator, every, parts, 120, {}, 2)
    assert finished.all()
    alone = [clone(estimator).set_params(**each).fit(x, y) for each in every for x, y, _ in parts]
    for one, other in zip(trained, alone, strict=True):
        assert (one.n_iter_, one.loss_curve_, one.t_) == (other.n_iter_, other.loss_curve_, other.t_)
        np.testing.assert_array_equal(one.network_.parameters, other.network_.parameters)
        assert one.network_.rng.bit_generator.state == other.network_.rng.bit_generator.state
        assert one.optimizer_.steps == other.optimizer_.steps
        for mine, theirs in zip(one.optimizer_.state, other.optimizer_.state, strict=True):
            np.testing.assert_array_equal(mine, theirs)
        one.partial_fit(x, Y)
        other.partial_fit(x, Y)
        np.testing.assert_array_equal(one.network_.parameters, other.network_.parameters)
    assert len({one.n_iter_ for one in trained}) > 2


def test_drawn_settings_are_those_of_a_randomized_search():
    drawn = {"learning_rate_init": loguniform(1e-4, 1), "alpha": loguniform(1e-2, 1e2)}
    theirs = RandomizedSearchCV(CLASSIFIER, drawn, n_iter=6, random_state=3, cv=3).fit(X, Y)
    mine = PopulationSearchCV(CLASSIFIER, drawn, n_iter=6, random_state=3, cv=3).fit(X, Y)
    assert_same_search(mine, theirs)


def test_a_pipeline_is_searched_with_the_steps_before_its_network():
    pipeline = make_pipeline(StandardScaler(), SelectKBest(), CLASSIFIER)
    grid = {"selectkbest__k": [2, 5], "backpropclassifier__learning_rate_init": [1e-3, 0.1]}
    weights = np.random.default_rng(0).uniform(0.5, 2, len(Y))
    theirs = GridSearchCV(pipeline, grid, cv=3).fit(X, Y, backpropclassifier__sample_weight=weights)
    mine = PopulationSearchCV(pipeline, grid, cv=3).fit(X, Y, backpropclassifier__sample_weight=weights)
    assert_same_search(mine, theirs)
    np.testing.assert_array_equal(mine.predict_proba(X), theirs.predict_proba(X))


def test_groups_and_weights_reach_splitter_and_estimator():
    groups = np.arange(len(Y)) % 5
    weights = np.random.default_rng(0).uniform(0.5, 2, len(Y))
    given, cv = {"groups": groups, "sample_weight": weights}, GroupKFold(3)
    theirs = GridSearchCV(CLASSIFIER, RATES, cv=cv).fit(X, Y, **given)
    mine = PopulationSearchCV(CLASSIFIER, RATES, cv=cv).fit(X, Y, **given)
    assert_same_search(mine, theirs)


def test_labels_of_any_kind():
    words = np.array(["a", "b", "c"])[Y]
    mine = PopulationSearchCV(CLASSIFIER, {"alpha": [0.1, 1]}, cv=3).fit(X, words)
    assert set(mine.classes_) == {"a", "b", "c"}
    assert mine.n_features_in_ == 6
    assert set(mine.predict(X)) <= {"a", "b", "c"}


def test_settings_that_cannot_be_trained_are_scored_so():
    grid = {"alpha": [-1, 0.1]}
    with pytest.warns(FitFailedWarning):
        mine = PopulationSearchCV(CLASSIFIER, grid, cv=3).fit(X, Y)
    assert np.isnan(mine.cv_results_["mean_test_score"]).tolist() == [True, False]
    with pytest.raises(ValueError, match="alpha must be at least 0"):
        PopulationSearchCV(CLASSIFIER, grid, cv=3, error_score="raise").fit(X, Y)


def test_a_fit_that_diverges_is_one_that_failed():
    wild = clone(REGRESSOR).set_params(solver="sgd", momentum=0, standardize=False, activation="identity")
    grid = {"learning_rate_init": [1e-3, 1e150]}
    with pytest.warns(FitFailedWarning, match="no longer finite"):
        mine = PopulationSearchCV(wild, grid, cv=3).fit(XR, YR)
    assert np.isnan(mine.cv_results_["mean_test_score"]).tolist() == [False, True]
    assert mine.best_params_ == {"learning_rate_init": 1e-3}


def two_scores(estimator, x, y):
    return {"right": estimator.score(x, y), "wrong": 1 - estimator.score(x, y)}


def test_a_scorer_may_return_several_scores():
    theirs = GridSearchCV(CLASSIFIER, RATES, scoring=two_scores, refit="wrong", cv=3).fit(X, Y)
    mine = PopulationSearchCV(CLASSIFIER, RATES, scoring=two_scores, refit="wrong", cv=3).fit(X, Y)
    assert_same_search(mine, theirs)
    assert mine.score(X, Y) == theirs.score(X, Y)


def test_folds_may_be_lists_ranges_and_masks():
    folds = [
        (range(60), range(60, 91)),
        ([*range(30, 91)], [*range(30)]),
        (np.arange(91) > 9, np.arange(91) < 9),
    ]
    theirs = GridSearchCV(CLASSIFIER, RATES, cv=folds).fit(X, Y)
    assert_same_search(PopulationSearchCV(CLASSIFIER, RATES, cv=iter(folds)).fit(X, Y), theirs)


def test_without_refit_there_is_no_estimator():
    mine = PopulationSearchCV(CLASSIFIER, RATES, cv=3)
    with pytest.raises(NotFittedError):
        mine.predict(X)
    mine.set_params(refit=False).fit(X, Y)
    assert mine.best_params_ in mine.cv_results_["params"]
    with pytest.raises(AttributeError, match="refit=False"):
        mine.score(X, Y)
    assert not hasattr(mine, "predict")


def test_a_search_is_copied_and_pickled():
    mine = PopulationSearchCV(CLASSIFIER, {"alpha": [0.1, 1]}, cv=3).fit(X, Y)
    twin = pickle.loads(pickle.dumps(mine))
    np.testing.assert_array_equal(twin.predict(X), mine.predict(X))
    assert clone(mine).get_params().keys() == mine.get_params().keys()
    assert not hasattr(mine, "transform")


def test_warnings_of_fits_that_have_not_converged():
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        PopulationSearchCV(clone(CLASSIFIER).set_params(max_iter=2), {"alpha": [0.1]}, cv=3).fit(X, Y)


OF_LAST_STEP = {"last": [CLASSIFIER, LogisticRegression()]}


@pytest.mark.parametrize(
    ("estimator", "grid", "given", "error", "text"),
    [
        (
            LogisticRegression(),
            {"C": [1]},
            {},
            TypeError,
            "must be a BackpropClassifier or BackpropRegressor",
        ),
        (Pipeline([("last", CLASSIFIER)]), OF_LAST_STEP, {}, TypeError, "as the last step, got .*Logistic"),
        (CLASSIFIER, {"alhpa": [1]}, {}, ValueError, "Invalid parameter 'alhpa'"),
        (CLASSIFIER, RATES, {"n_iter": 0}, ValueError, "n_iter must be at least 1, got 0"),
        (CLASSIFIER, RATES, {"n_iter": 1.5}, TypeError, "n_iter must be a whole number, got float"),
        (CLASSIFIER, RATES, {"scoring": "accurate"}, ValueError, "'scoring' parameter of PopulationSearchCV"),
    ],
)
def test_what_is_not_for_a_search(estimator, grid, given, error, text):
    with pytest.raises(error, match=text):
        PopulationSearchCV(estimator, grid, cv=3, **given).fit(X, Y)


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({"weights": np.ones(91)}, TypeError, "groups and sample_weight, got 'weights'"),
        ({"sample_weight": np.ones(3)}, ValueError, r"shape \(91,\)|inconsistent"),
        ({"y": None}, ValueError, "requires y to be passed"),
    ],
)
def test_what_fit_does_not_take(given, error, text):
    with pytest.raises(error, match=text):
        PopulationSearchCV(CLASSIFIER, {"alpha": [1]}, cv=3).fit(X, **({"y": Y} | given))


HALVED = {"learning_rate_init": np.logspace(-4, 0, 9).tolist(), "alpha": [0.0, 1.0]}


@pytest.mark.parametrize("estimator", [CLASSIFIER, make_pipeline(StandardScaler(), CLASSIFIER)])
@pytest.mark.parametrize("scoring", [None, "neg_log_loss", ["f1_macro", "accuracy"]])
def test_halving_stops_settings_on_all_folds(estimator, scoring):
    """91 samples make folds of 30 and 31, which are trained apart; settings have one fate in both."""
    step = "backpropclassifier__" if hasattr(estimator, "steps") else ""
    grid = {f"{step}{name}": values for name, values in HALVED.items()}
    refit = scoring[1] if isinstance(scoring, list) else True
    search, whole = (
        PopulationSearchCV(estimator, grid, cv=3, scoring=scoring, refit=refit, halving=halving).fit(X, Y)
        for halving in (3, None)
    )
    finished = search.cv_results_["finished"]
    assert finished.sum() == 2  # of 18, 6
    assert finished[search.best_index_]
    name = f"mean_test_{'score' if refit is True else refit}"
    assert search.best_score_ == search.cv_results_[name][finished].max()
    for key, values in whole.cv_results_.items():
        if "split" in key:  # those trained to the end are not touched by the others
            np.testing.assert_array_equal(search.cv_results_[key][finished], values[finished], err_msg=key)
    assert (search.cv_results_[name] != whole.cv_results_[name])[~finished].any()
    assert "finished" not in whole.cv_results_


def test_the_best_of_settings_go_on():
    scores = {0: (0.5, 0.7), 1: (0.9, 0.9), 2: (0.2, -np.inf), 3: (0.8, 0.8), 4: (0.85, 0.75)}
    contenders = [Contender(setting, None, None, None, None, 2) for setting in scores for _ in range(2)]
    compete(contenders, [score for pair in scores.values() for score in pair])
    assert [one.setting for one in contenders if not one.dropped] == [1, 1, 3, 3, 4, 4]  # 3 and 4 are equal


def test_the_epochs_of_halving():
    """Nine settings compete after 25 // 9 epochs, three of them after 25 // 3."""
    estimator = clone(CLASSIFIER).set_params(n_iter_no_change=25)
    settings = [{"learning_rate_init": rate} for rate in np.logspace(-3, -1, 9)]
    rows = np.arange(len(X))
    trained, finished = train_candidates(
        estimator, settings, [(X, Y, rows)], len(X), {}, None,
        lambda setting, _, candidate: Contender(setting, candidate, X, Y, accuracy_of, 3),
    )  # fmt: skip
    assert sorted(one.n_iter_ for one in trained) == [2] * 6 + [8] * 2 + [25]
    assert [one.n_iter_ == 25 for one in trained] == finished.tolist()


def accuracy_of(estimator, x, y):
    return estimator.score(x, y)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"halving": 1}, "halving must be at least 2, got 1"),
        ({"halving": 2, "scoring": ["accuracy", "f1_macro"], "refit": False}, "refit must be one of"),
        ({"halving": 2, "scoring": two_scores, "refit": "neither"}, "refit must be one of"),
    ],
)
def test_halving_that_makes_no_sense(given, message):
    with pytest.raises(ValueError, match=message):
        PopulationSearchCV(CLASSIFIER, RATES, **given).fit(X, Y)


@pytest.mark.parametrize("error_score", [-9, "raise"])
def test_halving_where_a_scorer_fails(error_score):
    def of_small_penalties(estimator, x, y):
        if estimator.alpha == 1:
            raise ArithmeticError("no score")
        return estimator.score(x, y)

    grid = {"alpha": [0.1, 1, 0.2, 0.3]}
    search = PopulationSearchCV(
        CLASSIFIER, grid, cv=3, scoring=of_small_penalties, halving=2, error_score=error_score
    )
    if error_score == "raise":
        with pytest.raises(ArithmeticError, match="no score"):
            search.fit(X, Y)
        return
    with pytest.warns(UserWarning, match="no score"):
        search.fit(X, Y)
    assert search.cv_results_["mean_test_score"][1] == error_score
    assert not search.cv_results_["finished"][1]


def test_halving_of_bags():
    bags = clone(CLASSIFIER).set_params(members=2)
    search = PopulationSearchCV(bags, RATES, halving=2, error_score="raise")
    with pytest.raises(ValueError, match="halving is for members=1, got 2"):
        search.fit(X, Y)
