"""`Explanation.check`: the product of the three terms against a central difference of each sample's C_0.

The difference is that of check.py, taken in float64 on a network with the same parameters: the stencil, h
and the tolerance are explained there; rounding.py says for each sample what rounding may do. Errors are
relative to the largest |∂C_0/∂w_jk| of the layer for that sample, max_j |∂C_0/∂z_j| · max_k |a_k|.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from backprop import check
from backprop.rounding import rounding_errors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backprop._base import BaseNetwork
    from backprop.explain import Explanation


class ExplanationCheck(NamedTuple):
    """What `Explanation.check` found for each sample; ``print`` shows it as a table.

    Each array is (n,), in float64; NaN for a sample that was skipped, as the step takes it across a kink of
    relu or its like, or as its gradients are too small to be told from the rounding of C_0.
    """

    product: NDArray[np.float64]  #: the product of the three terms
    difference: NDArray[np.float64]  #: the central difference of C_0
    error: NDArray[np.float64]  #: their distance, relative to the layer's largest entry
    tolerance: NDArray[np.float64]  #: for the relative error, argued from the dtype's arithmetic

    @property
    def max_relative_error(self) -> float:
        """The largest relative error of the samples compared; NaN if there was none."""
        compared = self.error[~np.isnan(self.error)]
        return float(compared.max()) if compared.size else float("nan")

    @property
    def passed(self) -> bool:
        """Whether some sample was compared, and all errors are within the tolerance."""
        compared = ~np.isnan(self.error)
        return bool(compared.any() and (self.error[compared] <= self.tolerance[compared]).all())

    def __str__(self) -> str:
        lines = ["sample      product   difference   relative error   tolerance"]
        for n, (product, difference, error, tolerance) in enumerate(zip(*self, strict=True)):
            told = "skipped" if np.isnan(error) else f"{error:14.1e}{tolerance:12.1e}"
            lines.append(f"{n:6}{product:13.5g}{difference:13.5g}   {told}")
        if np.isnan(self.error).all():
            return "\n".join([*lines, "nothing to compare"])
        return "\n".join([*lines, "passed" if self.passed else "FAILED"])

    def __repr__(self) -> str:
        return str(self)


def check_explanation(explanation: Explanation) -> ExplanationCheck:
    """`Explanation.check`, which documents it."""
    run, layer = explanation._run, explanation.layer
    twin = check._twin(run.network)
    twin.parameters[:] = run.parameters
    x, y = check._as_the_engine_sees_them(run.network, run.x, run.targets())
    kinks = check._sides(twin, x, y).size > 0
    h, stencil = (1e-5, ((1, 1 / 2),)) if kinks else (1e-3, ((1, 2 / 3), (2, -1 / 12)))

    before = np.atleast_2d(run.before(layer)).astype(np.float64)
    multiplied = 1.0 if explanation.k is None else float(np.abs(before[:, explanation.k]).max())
    step = h / max(1.0, multiplied)
    views = twin.layers[layer].weights, twin.layers[layer].bias
    if explanation.k is None:
        bias = views[1]
        assert bias is not None
        number = bias[explanation.j : explanation.j + 1]
    else:
        number = views[0][explanation.j, explanation.k : explanation.k + 1]
    difference = _difference(twin, x, y, number, step, stencil)

    delta = run.trace[layer].dC_dz
    assert delta is not None
    scale = np.abs(np.atleast_2d(delta)).max(axis=1).astype(np.float64)
    if explanation.k is not None:
        scale *= np.abs(before).max(axis=1)
    z = np.abs(np.atleast_2d(run.trace[-1].z)).max(axis=1)
    noise = np.finfo(np.float64).eps * (np.abs(twin.losses(x, y)) + z) / step
    unit = float(np.finfo(run.network.dtype).eps) / 2
    bounds = (rounding_errors(twin, x[i : i + 1], y[i : i + 1], unit) for i in range(len(x)))
    rounding = [bound.bias[layer] if explanation.k is None else bound.weights[layer] for bound in bounds]
    product = np.atleast_1d(explanation.product).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        tolerance = check.DIFFERENCES_TOLERANCE + np.array(rounding) / scale
        told = (scale > 0) & (scale * tolerance >= noise) & (tolerance <= check.LARGEST_TOLERANCE)
        error = np.where(told & ~np.isnan(difference), np.abs(product - difference) / scale, np.nan)
    return ExplanationCheck(product, difference, error, tolerance)


def _difference(
    twin: BaseNetwork,
    x: NDArray[Any],
    y: NDArray[Any],
    number: NDArray[Any],
    h: float,
    stencil: tuple[tuple[int, float], ...],
) -> NDArray[np.float64]:
    """dC_0/dw for each sample, w being the twin's number in the view; NaN where a step crosses a kink."""
    old, total = float(number[0]), np.zeros(len(x))
    for steps, weight in stencil:
        number[0] = old + steps * h
        high, up, sides_up = float(number[0]), twin.losses(x, y), check._sides(twin, x, y)
        number[0] = old - steps * h
        width = high - float(number[0])
        total += 2 * steps * weight * (up - twin.losses(x, y)) / width
        total[(sides_up != check._sides(twin, x, y)).any(axis=1)] = np.nan
    number[0] = old
    return total
