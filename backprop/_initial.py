"""How the first weights of a layer are drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop._validate import real_array

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Initializer = Callable[[np.random.Generator, tuple[int, int]], ArrayLike]

# The distribution of each and its standard deviation, or its limit, for (outputs, inputs). He: He et al. 2015
# (arXiv:1502.01852); Glorot: Glorot and Bengio 2010; LeCun: LeCun et al. 1998, Efficient BackProp.
INITIALIZERS: dict[str, tuple[str, Callable[[int, int], float]]] = {
    "he": ("normal", lambda o, i: (2 / i) ** 0.5),
    "he_uniform": ("uniform", lambda o, i: (6 / i) ** 0.5),
    "glorot": ("normal", lambda o, i: (2 / (o + i)) ** 0.5),
    "xavier": ("normal", lambda o, i: (2 / (o + i)) ** 0.5),
    "glorot_uniform": ("uniform", lambda o, i: (6 / (o + i)) ** 0.5),
    "lecun": ("normal", lambda o, i: (1 / i) ** 0.5),
    "normal": ("normal", lambda o, i: 1.0),
    "uniform": ("uniform", lambda o, i: 1.0),
    "zeros": ("zeros", lambda o, i: 0.0),
}
DRAWN_TOGETHER = 2**16  # numbers in float64, so that they take little memory beside the weights

HE_ACTIVATIONS = ("relu", "leaky_relu", "elu", "gelu", "silu")
INIT_NAMES = ("auto", *INITIALIZERS)


def draw_weights(
    init: str | Initializer, activation: str, weights: NDArray[Any], rng: np.random.Generator
) -> None:
    """Writes the first weights, (outputs, inputs), which are zeros, of a layer with this activation.

    They are drawn in float64, so that a float32 and a float64 network of one seed agree.
    """
    if not isinstance(init, str):
        what = f"what init returns for a layer of {weights.shape[1]} inputs and {weights.shape[0]} outputs"
        weights[...] = real_array(what, init(rng, weights.shape), weights.shape)
        return
    if init == "auto":
        init = "he" if activation in HE_ACTIVATIONS else "glorot"
    distribution, width_of = INITIALIZERS[init]
    outputs, inputs = weights.shape
    width = width_of(outputs, inputs)
    rows = max(1, DRAWN_TOGETHER // inputs)
    for part in (weights[first : first + rows] for first in range(0, outputs, rows)):
        if distribution == "normal":
            part[...] = rng.normal(0.0, width, part.shape)
        elif distribution == "uniform":
            part[...] = rng.uniform(-width, width, part.shape)
