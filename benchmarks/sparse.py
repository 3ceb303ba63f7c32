"""A step of a network whose input is sparse: 30,000-100-20, 87 words of a sample, as texts have them.

    python benchmarks/sparse.py

Columns follow Zipf's law; relu and cross-entropy; microseconds of processor time of one thread, the least of
several rounds. scikit-learn's MLPClassifier takes CSR. PyTorch has no sparse Linear layer: its users take
EmbeddingBag with weights, sparse gradients, and SparseAdam for it beside Adam for the rest.
"""

from __future__ import annotations

import os
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402
import scipy.sparse as sp  # noqa: E402

import backprop as bp  # noqa: E402

SAMPLES, INPUTS, HIDDEN, CLASSES, WORDS = 4096, 30_000, 100, 20, 87
ROUNDS = 5


def texts():
    """A CSR of random texts, and their classes."""
    rng = np.random.default_rng(0)
    often = 1 / np.arange(1, INPUTS + 1)
    names = rng.permutation(INPUTS)
    rows = []
    for _ in range(SAMPLES):
        words = np.unique(rng.choice(INPUTS, 3 * WORDS, p=often / often.sum()))
        rows.append(np.sort(names[rng.choice(words, min(WORDS, len(words)), replace=False)]))
    begins = np.cumsum([0, *map(len, rows)])
    values = rng.random(begins[-1], dtype=np.float32)
    x = sp.csr_array((values, np.concatenate(rows).astype(np.int32), begins), shape=(SAMPLES, INPUTS))
    return x, rng.integers(0, CLASSES, SAMPLES)


def least(epoch, steps):
    """Microseconds of a step in the best of some epochs."""
    best = np.inf
    for _ in range(ROUNDS):
        before = time.thread_time()
        epoch()
        best = min(best, time.thread_time() - before)
    return best / steps * 1e6


def ours(x, y, batch, optimizer):
    net = bp.Network.dense(INPUTS, HIDDEN, CLASSES, hidden="relu", loss="cross_entropy", seed=0)
    settings = {"batch_size": batch, "shuffle": False, "threads": 1}
    return least(lambda: net.fit(x, y, optimizer, **settings), SAMPLES // batch)


def scikit_learn(x, y, batch, solver):
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier((HIDDEN,), solver=solver, batch_size=batch, shuffle=False, learning_rate_init=1e-3)
    part = slice(0, 8 * batch if solver == "adam" else 16 * batch)
    rows, labels = sp.csr_matrix(x[part]), y[part]
    return least(lambda: model.partial_fit(rows, labels, classes=np.arange(CLASSES)), len(labels) // batch)


def pytorch(x, y, batch, kind):
    import torch

    torch.set_num_threads(1)
    bag = torch.nn.EmbeddingBag(INPUTS, HIDDEN, mode="sum", sparse=True)
    bias = torch.nn.Parameter(torch.zeros(HIDDEN))
    last = torch.nn.Linear(HIDDEN, CLASSES)
    rest = [bias, *last.parameters()]
    if kind == "sgd":
        optimizers = [torch.optim.SGD([*bag.parameters(), *rest], 0.1)]
    else:
        optimizers = [torch.optim.SparseAdam(bag.parameters()), torch.optim.Adam(rest)]
    loss = torch.nn.CrossEntropyLoss()
    steps = []
    for first in range(0, min(SAMPLES, 32 * batch), batch):
        part = x[first : first + batch]
        steps.append(
            (
                torch.tensor(part.indices.astype(np.int64)),
                torch.tensor(part.indptr[:-1].astype(np.int64)),
                torch.tensor(part.data),
                torch.tensor(y[first : first + batch]),
            )
        )

    def epoch():
        for indices, offsets, values, labels in steps:
            for optimizer in optimizers:
                optimizer.zero_grad()
            hidden = torch.relu(bag(indices, offsets, per_sample_weights=values) + bias)
            loss(last(hidden), labels).backward()
            for optimizer in optimizers:
                optimizer.step()

    return least(epoch, len(steps))


def main():
    x, y = texts()
    print(f"{x.nnz / SAMPLES:.0f} non-zeros a sample; microseconds a step")
    print(f"{'batch':>6} {'rule':>10} {'backprop':>10} {'scikit-learn':>13} {'PyTorch':>9}")
    for batch in (32, 256):
        rows = {
            "sgd": (ours(x, y, batch, bp.SGD(0.1)), "sgd", "sgd"),
            "adam": (ours(x, y, batch, bp.Adam()), "adam", None),
            "adam, lazy": (ours(x, y, batch, bp.Adam(lazy=True)), None, "adam"),
        }
        for rule, (own, solver, kind) in rows.items():
            there = f"{scikit_learn(x, y, batch, solver):13.0f}" if solver else f"{'-':>13}"
            torch = f"{pytorch(x, y, batch, kind):9.0f}" if kind else f"{'-':>9}"
            print(f"{batch:6} {rule:>10} {own:10.0f} {there} {torch}", flush=True)


if __name__ == "__main__":
    main()
