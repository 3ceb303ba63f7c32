"""PopulationSearchCV beside GridSearchCV(n_jobs=2): 60 rates and penalties, 5 folds, the digits.

Prints the winner of both, whether all scores are the same, and the processor time of both, of all their
processes: on two cores that nobody else uses, half of it is what the user waits, but for what cannot be
shared. ``python benchmarks/search.py [HIDDEN [BATCH [EPOCHS [HALVING [DTYPE]]]]]``;
DTYPE, that of X, is also that of the networks.
"""

import os
import sys
import time
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

import backprop as bp

RATES, PENALTIES, FOLDS = np.logspace(-4, -1, 10), [0.0, 0.1, 1.0, 3.0, 10.0, 30.0], 5


def processor_seconds():
    """Of this process and of its children that have ended."""
    return sum(os.times()[:4])


def measured(search, x, y):
    """(the fitted search, processor time, time on the wall)."""
    wall, processor = time.perf_counter(), processor_seconds()
    search.fit(x, y)
    if search.get_params().get("n_jobs"):
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor().shutdown(wait=True)  # a child's time counts once it has ended
    return search, processor_seconds() - processor, time.perf_counter() - wall


def main():
    warnings.simplefilter("ignore")
    os.environ["PYTHONWARNINGS"] = "ignore"
    defaults = ("100", "0", "200", "0", "float64")
    *numbers, dtype = (*sys.argv[1:], *defaults[len(sys.argv) - 1 :])
    hidden, batch, epochs, halving = map(int, numbers)
    x, y = load_digits(return_X_y=True)
    x = x.astype(dtype)
    grid = {"learning_rate_init": list(RATES), "alpha": PENALTIES}
    estimator = bp.sklearn.BackpropClassifier(
        (hidden,), batch_size=batch or "auto", max_iter=epochs, random_state=0
    )
    search = bp.sklearn.PopulationSearchCV(estimator, grid, cv=FOLDS, halving=halving or None)
    mine, mine_processor, mine_wall = measured(search, x, y)
    theirs, processor, wall = measured(GridSearchCV(estimator, grid, cv=FOLDS, n_jobs=2), x, y)
    compared = mine.cv_results_.get("finished", np.ones(len(mine.cv_results_["params"]), bool))
    scores = [each.cv_results_["mean_test_score"][compared] for each in (mine, theirs)]
    same = np.array_equal(*scores)
    size = f"64-{hidden}-10, batch {batch or 'auto'}, at most {epochs} epochs"
    print(f"{size}, halving {halving or None}, {dtype}")
    print("winners ", mine.best_params_, theirs.best_params_)
    print(f"all {compared.sum()} scores are the same:", same)
    print(f"PopulationSearchCV  processor {mine_processor:6.1f} s   wall {mine_wall:6.1f} s")
    print(f"GridSearchCV        processor {processor:6.1f} s   wall {wall:6.1f} s")
    print(f"ratios              processor {processor / mine_processor:6.2f}     wall {wall / mine_wall:6.2f}")


if __name__ == "__main__":
    main()
