"""`Explanation.check`: the product of the three terms against a central difference of each sample's C_0.

The difference is that of `backprop.check.differences`, where the stencil, h and the tolerance are explained;
`backprop.check.rounding` says for each sample what rounding may do. Errors are
relative to the largest |∂C_0/∂w_jk| of the layer for that sample, max_j |∂C_0/∂z_j| · max_k |a_k|.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from backprop.check.differences import LARGEST_TOLERANCE, TOLERANCE, Differences, rounded_to, twin_of
from backprop.check.rounding import rounding_errors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backprop._base import BaseNetwork
    from backprop.explain.terms import WeightTerms


class ExplanationCheck(NamedTuple):
    """What `Explanation.check` found for each sample; ``print`` shows it as a table.

    Each array is (n,), in float64; NaN for a sample that was skipped, as the step takes it across a kink of
    relu or its like, as its gradients are too small to be told from the rounding of C_0, or as the weight
    is masked.
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
            result = "skipped" if np.isnan(error) else f"{error:14.1e}{tolerance:12.1e}"
            lines.append(f"{n:6}{product:13.5g}{difference:13.5g}   {result}")
        if np.isnan(self.error).all():
            return "\n".join([*lines, "nothing to compare"])
        return "\n".join([*lines, "passed" if self.passed else "FAILED"])

    def __repr__(self) -> str:
        return str(self)


def check_explanation(terms: WeightTerms) -> ExplanationCheck:
    """`Explanation.check`, which documents it."""
    snapshot, layer, k = terms.snapshot, terms.layer, terms.k
    twin = twin_of(snapshot.network)
    twin.parameters[:] = snapshot.parameters
    x, y = rounded_to(snapshot.network, snapshot.x, snapshot.targets())
    differences = Differences(twin, x, y)
    before = np.atleast_2d(snapshot.before(layer)).astype(np.float64)
    factor = 1.0 if k is None else max(1.0, float(np.abs(before[:, k]).max()))
    difference = differences.of_each(_number(twin, terms), differences.h / factor)
    if terms.masked:  # no parameter: there is nothing to shift
        difference[:] = np.nan

    delta = snapshot.trace[layer].dC_dz
    assert delta is not None
    scale = np.abs(np.atleast_2d(delta)).max(axis=1).astype(np.float64)
    if k is not None:
        scale *= np.abs(before).max(axis=1)
    largest_z = np.abs(np.atleast_2d(snapshot.trace[-1].z)).max(axis=1)
    noise = factor * differences.noise(twin.losses(x, y), largest_z)
    unit = float(np.finfo(snapshot.network.dtype).eps) / 2
    bounds = (rounding_errors(twin, x[i : i + 1], y[i : i + 1], unit) for i in range(len(x)))
    rounding = [bound.bias[layer] if k is None else bound.weights[layer] for bound in bounds]
    product = np.atleast_1d(terms.product).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        tolerance = TOLERANCE + np.array(rounding) / scale
        comparable = (scale > 0) & (scale * tolerance >= noise) & (tolerance <= LARGEST_TOLERANCE)
        error = np.where(comparable & ~np.isnan(difference), np.abs(product - difference) / scale, np.nan)
    return ExplanationCheck(product, difference, error, tolerance)


def _number(twin: BaseNetwork, terms: WeightTerms) -> NDArray[np.float64]:
    """The twin's weight or bias that is explained, as a view (1,)."""
    layer, j, k = twin.layers[terms.layer], terms.j, terms.k
    if k is not None:
        return layer.weights[j, k : k + 1]
    assert layer.bias is not None
    return layer.bias[j : j + 1]
