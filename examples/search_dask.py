"""A search over settings on many machines: joblib sends the trainings to the workers of a Dask cluster.

    python examples/search_dask.py                         # two workers on this machine, over loopback
    python examples/search_dask.py tcp://scheduler:8786    # a cluster that is there already

Needs ``pip install 'dask[distributed]'``, and backprop on every worker.
"""

import sys

from dask.distributed import Client, LocalCluster
from joblib import parallel_config
from sklearn.model_selection import RandomizedSearchCV

import backprop as bp
from backprop.sklearn import BackpropClassifier

SETTINGS = {
    "hidden_layer_sizes": [(10,), (20,), (40,)],
    "alpha": [1e-5, 1e-4],
    "learning_rate_init": [1e-3, 1e-2],
}


def main() -> None:
    x, y, x_test, y_test = bp.datasets.load_digits()
    if len(sys.argv) > 1:
        client = Client(sys.argv[1])
    else:
        cluster = LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None)
        client = Client(cluster)
    estimator = BackpropClassifier(max_iter=15, tol=0, threads=1, random_state=0)
    search = RandomizedSearchCV(estimator, SETTINGS, n_iter=4, cv=3, random_state=0)
    with client, parallel_config(backend="dask"):
        search.fit(x, y)
    print(f"best {search.best_params_}, test accuracy {search.score(x_test, y_test):.4f}")
    if len(sys.argv) == 1:
        cluster.close()


if __name__ == "__main__":
    main()
