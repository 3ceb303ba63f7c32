"""Test errors of published multilayer perceptrons, reached again, with the time beside PyTorch's.

``fashion``: 784-256-128-100-10 on Fashion-MNIST; the data set's own table of results lists an MLP
256-128-100 with 88.33 % accuracy.
``mnist``: 784-800-10 with cross-entropy on MNIST; Simard, Steinkraus and Platt (2003, "Best Practices for
Convolutional Neural Networks Applied to Visual Document Analysis") report 1.6 % error without distortions.

    python benchmarks/published_accuracy.py fashion /usr/share/datasets/fashion-mnist
    python benchmarks/published_accuracy.py mnist FOLDER --torch
    python benchmarks/published_accuracy.py mnist FOLDER --choose

The folder holds the four IDX files. The learning rate falls along half a cosine, set once an epoch, so
that both libraries do exactly the same work: same first parameters, batch size, rates, threads and number
of epochs; only the order of the samples differs.

``--choose`` tells how rate and weight decay were chosen, without a look at the test set: trained on the first
50,000 samples, measured on the last 10,000 of the training set, the lowest error counts.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from typing import Any, NamedTuple

import numpy as np

import backprop as bp


class Task(NamedTuple):
    """A network and how it is trained."""

    sizes: tuple[int, ...]
    epochs: int
    batch_size: int
    lr: float
    momentum: float
    weight_decay: float
    limit: float  # the test error to reach


TASKS = {
    "fashion": Task((784, 256, 128, 100, 10), 20, 100, 0.05, 0.9, 5e-5, 1 - 0.8833),
    "mnist": Task((784, 800, 10), 20, 100, 0.2, 0.9, 2e-4, 0.017),
}


HELD_OUT = 10_000  # of the training samples, the last ones, to choose with
RATES = (0.02, 0.05, 0.1, 0.2, 0.4)
WEIGHT_DECAYS = (0.0, 5e-5, 2e-4, 1e-3)


def rate(task: Task, epoch: int) -> float:
    """The learning rate of an epoch, counted from 0."""
    return task.lr * 0.5 * (1 + math.cos(math.pi * epoch / task.epochs))


def network(task: Task, seed: int) -> bp.Network:
    return bp.Network.dense(*task.sizes, hidden="relu", output="softmax", loss="cross_entropy", seed=seed)


def with_backprop(task: Task, data: tuple[Any, ...], seed: int, threads: int) -> tuple[float, float]:
    """Seconds of training, and the test error."""
    x, y, x_test, y_test = data
    net = network(task, seed)
    optimizer = bp.SGD(task.lr, momentum=task.momentum, weight_decay=task.weight_decay)

    def next_rate(_: bp.Network, record: dict[str, float]) -> None:
        if record["epoch"] < task.epochs:
            optimizer.lr = rate(task, int(record["epoch"]))

    start = time.perf_counter()
    net.fit(
        x, y, optimizer, epochs=task.epochs, batch_size=task.batch_size, threads=threads,
        callbacks=[next_rate],
    )
    return time.perf_counter() - start, 1 - net.accuracy(x_test, y_test)


def with_torch(task: Task, data: tuple[Any, ...], seed: int, threads: int) -> tuple[float, float]:
    """The same in PyTorch, written as its tutorials do, but with the data gathered a batch at a time."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    x, y, x_test, y_test = map(torch.from_numpy, data)
    layers: list[torch.nn.Module] = []
    for layer in network(task, seed).layers:
        linear = torch.nn.Linear(layer.inputs, layer.outputs)
        linear.weight.data = torch.from_numpy(layer.weights.copy())
        linear.bias.data = torch.from_numpy(np.array(layer.bias))
        layers += [linear, torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.SGD(
        model.parameters(), task.lr, momentum=task.momentum, weight_decay=task.weight_decay
    )
    loss = torch.nn.CrossEntropyLoss()
    start = time.perf_counter()
    for epoch in range(task.epochs):
        for group in optimizer.param_groups:
            group["lr"] = rate(task, epoch)
        for batch in torch.randperm(len(x)).split(task.batch_size):
            optimizer.zero_grad()
            loss(model(x[batch]), y[batch]).backward()
            optimizer.step()
    seconds = time.perf_counter() - start
    with torch.no_grad():
        return seconds, (model(x_test).argmax(1) != y_test).double().mean().item()


def choose(task: Task, data: tuple[Any, ...], seed: int, threads: int) -> None:
    """Prints the error on held-out training samples for each pair of rate and weight decay."""
    x, y, _, _ = data
    parts = x[:-HELD_OUT], y[:-HELD_OUT], x[-HELD_OUT:], y[-HELD_OUT:]
    for lr, weight_decay in itertools.product(RATES, WEIGHT_DECAYS):
        candidate = task._replace(lr=lr, weight_decay=weight_decay)
        try:
            result = f"validation error {with_backprop(candidate, parts, seed, threads)[1]:.2%}"
        except bp.DivergenceError:
            result = "diverged"
        print(f"lr {lr:<5g} weight decay {weight_decay:<6g} {result}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("folder", help="with the data set's IDX files")
    parser.add_argument("--torch", action="store_true", help="train PyTorch's too")
    parser.add_argument("--choose", action="store_true", help="compare settings on held-out samples instead")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="SEED")
    parser.add_argument("--threads", type=int, default=1, metavar="N")
    options = parser.parse_args()

    task = TASKS[options.task]
    data = bp.datasets.load_idx(options.folder, scale=True)
    if options.choose:
        choose(TASKS[options.task], data, options.seeds[0], options.threads)
        return
    print(f"{options.task}: {'-'.join(map(str, task.sizes))}, to reach {task.limit:.2%} error")
    runs = {"backprop": with_backprop} | ({"PyTorch": with_torch} if options.torch else {})
    for seed in options.seeds:
        for name, run in runs.items():
            seconds, error = run(task, data, seed, options.threads)
            print(f"seed {seed}  {name:8}  {seconds:7.1f} s  test error {error:.2%}", flush=True)


if __name__ == "__main__":
    main()
