"""The random networks of test_gradients.py: what to build, in a list that covers every choice."""

import itertools
from dataclasses import dataclass

import numpy as np
import reference
from conftest import make_network

WIDTHS = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33)
BATCHES = (1, 2, 5, 16, 33)
DTYPES = ("float32", "float64")
TARGETS = ("soft", "labels")

# Where the logarithms of a loss are defined whatever z is; None for everywhere.
POSITIVE_OUTPUTS = {
    "binary_cross_entropy": ("sigmoid", "softmax"),
    "cross_entropy": ("softmax", "sigmoid"),
}
OUTPUTS_AND_LOSSES = [
    (name, loss)
    for loss in reference.LOSSES
    for name in POSITIVE_OUTPUTS.get(loss, reference.ACTIVATIONS)
]
KINKED = ("relu", "leaky_relu")


@dataclass(frozen=True)
class Case:
    """One network and its data. `seed` fixes the numbers."""

    seed: int
    sizes: tuple
    activations: tuple
    loss: str
    bias: tuple
    dtype: str
    batch: int
    targets: str

    def __str__(self):
        sizes = "-".join(map(str, self.sizes))
        return f"{self.seed}:{sizes}:{self.activations[-1]}:{self.loss}:{self.dtype}:{self.batch}"

    def network(self, attempt=0):
        """The network, with random weights and biases."""
        seed = self.seed + 10_000 * attempt
        return make_network(
            self.sizes, self.activations, self.loss, self.dtype, self.bias, seed=seed
        )

    def data(self, attempt=0):
        """x (n, inputs), the y to hand to the engine, and the same y as (n, outputs)."""
        rng = np.random.default_rng(self.seed + 10_000 * attempt + 5_000)
        outputs = self.sizes[-1]
        x = rng.normal(size=(self.batch, self.sizes[0])).astype(self.dtype)
        if self.targets == "labels":
            labels = rng.integers(outputs, size=self.batch)
            return x, labels, np.array(reference.one_hot(labels, outputs))
        if self.loss in POSITIVE_OUTPUTS:
            y = rng.uniform(0.05, 0.95, (self.batch, outputs))
        else:
            y = 2 * rng.normal(size=(self.batch, outputs))
        y = y.astype(self.dtype)
        return x, y, y.astype(np.float64)


def make_cases():
    """Every activation in every position, every allowed pair of output and loss, and so on.

    Outputs, losses, depths and dtypes are combined in full, the rest is drawn by a fixed
    generator; test_gradients.py checks that everything had its turn.
    """
    rng = np.random.default_rng(2024)
    cases = []
    for seed, ((output, loss), depth, dtype) in enumerate(
        itertools.product(OUTPUTS_AND_LOSSES, (1, 2, 3, 4), DTYPES)
    ):
        sizes = [int(rng.choice(WIDTHS)) for _ in range(depth + 1)]
        hidden = [str(rng.choice(reference.ACTIVATIONS)) for _ in range(depth - 1)]
        activations = (*hidden, output)
        for position, name in enumerate(activations):
            # A softmax over one node is always 1: all gradients before it are zero. A single relu
            # node is dead for half of all weights.
            if name in ("softmax", *KINKED) and sizes[position + 1] == 1:
                sizes[position + 1] = 3
        targets = TARGETS[int(rng.integers(2))] if sizes[-1] > 1 else "soft"
        bias = tuple(bool(b) for b in rng.integers(4, size=depth))
        batch = int(rng.choice(BATCHES))
        cases.append(
            Case(seed, tuple(sizes), activations, loss, bias, dtype, batch, targets)
        )
    # Inputs around the edges of a block of K, and more samples than are worked on at a time.
    for inputs, batch, dtype in itertools.product((255, 256, 257, 784), (1, 128, 129, 300), DTYPES):
        sizes, names, bias = (inputs, 19, 6), ("tanh", "sigmoid"), (True, True)
        cases.append(
            Case(len(cases), sizes, names, "squared_error", bias, dtype, batch, "soft")
        )
    return cases


CASES = make_cases()


def kink_margin(z_of, activations):
    """The smallest |z| before a kink, relative to the largest |z| of its layer; inf without one.

    A float32 z is off by a few roundings of the largest summand: where |z| is smaller than that,
    the engine may rightly stand on the other side of the kink.
    """
    margins = [
        np.abs(z).min() / np.abs(z).max()
        for z, name in zip(z_of, activations, strict=True)
        if name in KINKED
    ]
    return min(margins, default=np.inf)
