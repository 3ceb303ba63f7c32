"""A search over settings on the cores of one machine: joblib's threads train at the same time, since the
engine runs without the GIL. Nothing is copied and no process is started.

    python examples/search_threads.py
"""

from joblib import parallel_config
from sklearn.model_selection import GridSearchCV

import backprop as bp
from backprop.sklearn import BackpropClassifier

SETTINGS = {"hidden_layer_sizes": [(20,), (40,)], "learning_rate_init": [1e-3, 1e-2]}


def main() -> None:
    x, y, x_test, y_test = bp.datasets.load_digits()
    # one engine thread for each training: the cores are busy with other trainings
    estimator = BackpropClassifier(max_iter=15, tol=0, threads=1, random_state=0)
    search = GridSearchCV(estimator, SETTINGS, cv=3, n_jobs=-1)
    with parallel_config(backend="threading"):
        search.fit(x, y)
    print(f"best {search.best_params_}, test accuracy {search.score(x_test, y_test):.4f}")


if __name__ == "__main__":
    main()
