"""What `Network.gradient` and `Network.trace` return.

n is the number of samples; for a 1-D x, which is one sample, the arrays lack the leading n.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from numpy.typing import NDArray


class LayerGradient(NamedTuple):
    """∂C/∂w_jk and ∂C/∂b_j of one layer, in the network's dtype.

    weights is (outputs, inputs), bias (outputs,) or None; per sample (n, outputs, inputs) and
    (n, outputs), of C_0.
    """

    weights: NDArray[Any]
    bias: NDArray[Any] | None


class Gradient(NamedTuple):
    """The gradient of the loss: averaged over the samples, or one for each sample.

    layers[i] is a `LayerGradient`; inputs, (inputs,), is ∂C/∂a_k of the input layer; loss is C, a float, and
    NaN where ∂C_0/∂a was given and no targets;
    parameters, (P,), is the gradient with respect to ``net.parameters``, in the same order (the layers'
    arrays are views of it). Per sample: inputs (n, inputs), loss (n,), parameters (n, P).
    """

    layers: tuple[LayerGradient, ...]
    inputs: NDArray[Any]
    loss: float | NDArray[Any]
    parameters: NDArray[Any]


class LayerTrace(NamedTuple):
    """The terms of one layer for each sample, each (n, nodes), in the network's dtype.

    z and a; and, if y was given, ∂C_0/∂a, ∂a/∂z and δ = ∂C_0/∂z, else None. For softmax da_dz is
    (n, nodes, nodes), da_dz[n, i, j] = ∂a_i/∂z_j.
    """

    z: NDArray[Any]
    a: NDArray[Any]
    dC_da: NDArray[Any] | None
    da_dz: NDArray[Any] | None
    dC_dz: NDArray[Any] | None


class Trace(NamedTuple):
    """Every intermediate number of a forward and, with y, a backward pass: one `LayerTrace` a layer."""

    layers: tuple[LayerTrace, ...]

    @property
    def nudges(self) -> NDArray[Any]:
        """-∂C_0/∂a of the outputs, (n, outputs): which should rise and which fall for a sample, how strongly.

        Raises
        ------
        ValueError
            If the trace was taken without y.
        """
        dC_da = self.layers[-1].dC_da
        if dC_da is None:
            raise ValueError("nudges need a loss: expected trace(x, y), got a trace(x) without y")
        nudges: NDArray[Any] = -dC_da
        return nudges
