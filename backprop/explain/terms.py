"""The terms of the chain rule, for one weight, for one bias, or for all weights of a layer:

    ∂C_0/∂w_jk^(l) = ∂C_0/∂a_j^(l) · ∂a_j^(l)/∂z_j^(l) · ∂z_j^(l)/∂w_jk^(l)

and, for a hidden layer, its first term opened into one entry for each node i of the layer after:

    ∂C_0/∂a_j^(l) = Σ_i ∂C_0/∂a_i^(l+1) · ∂a_i^(l+1)/∂z_i^(l+1) · w_ij^(l+1)

whose first terms open in turn, up to the output layer. Every number is one of the engine's trace, or the
product of two: no sum is formed here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np

from backprop import _core
from backprop._notation import layer_name
from backprop._validate import as_array, index_below
from backprop.layer import arrays_of

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike, NDArray

    from backprop._base import BaseNetwork

SOFTMAX = "softmax"


class Terms(NamedTuple):
    """The three terms and their product, each averaged over the samples.

    The average of the products is ∂C/∂w_jk; the product of the averages is not.
    """

    dC_da: Any
    da_dz: Any
    dz_dw: Any
    product: Any


class Snapshot:
    """One forward and backward pass of a network and all that it used, kept as it was then."""

    masks: Sequence[NDArray[np.bool_] | None] = ()  # of older pickles

    def __init__(self, network: BaseNetwork, x: ArrayLike, y: ArrayLike) -> None:
        self.y = np.array(as_array("y", y))  # an array also of None, which a trace alone would allow
        self.network = network
        self.trace, self.parameters = network._locked(
            lambda: (network.trace(x, self.y).layers, network.parameters.copy())
        )
        self.weights = arrays_of(network.layers, self.parameters)
        with np.errstate(over="ignore"):  # a float64 that is too large for the network is inf there as well
            self.x = np.array(as_array("x", x), dtype=network.dtype)
        self.activations = [str(layer.activation) for layer in network.layers]
        self.masks = [layer.mask for layer in network.layers]

    def before(self, layer: int) -> NDArray[Any]:
        """a of the layer before, (n, inputs)."""
        return self.trace[layer - 1].a if layer else self.x

    def mask(self, layer: int) -> NDArray[np.bool_] | None:
        """Which weights of a layer there are, (outputs, inputs); None: all."""
        return self.masks[layer] if self.masks else None

    def targets(self) -> NDArray[Any]:
        """y as (n, targets), or (targets,) for one sample: labels one-hot, in the network's dtype."""
        count, y = self.network.targets, self.y
        shape = (*self.trace[-1].a.shape[:-1], count)
        if y.shape == shape or count == 1:
            return y.reshape(shape).astype(self.network.dtype)
        one_hot: NDArray[Any] = np.eye(count, dtype=self.network.dtype)[y.astype(np.int64)]
        return one_hot

    def layer_name(self, layer: int) -> str:
        """L for the output layer, L-1 for the one before; layer -1 is the input layer."""
        return layer_name(layer, len(self.trace))

    @property
    def single(self) -> bool:
        """Whether x was one sample, 1-D."""
        return self.x.ndim == 1

    def sample(self, n: int) -> Snapshot:
        """That of sample n alone."""
        one = object.__new__(Snapshot)
        one.__dict__.update(self.__dict__)
        one.x, one.y = self.x[n], self.y[n]
        one.trace = tuple(type(layer)(*(term[n] for term in layer)) for layer in self.trace)  # type: ignore[index]
        return one


class Node:
    """The terms of one node j of a layer; what `WeightTerms` and `ChainEntry` have in common."""

    def __init__(self, snapshot: Snapshot, layer: int, j: int) -> None:
        self._run = snapshot  # the name in older pickles
        self.layer = layer  #: which of ``net.layers``, from 0
        self.j = j  #: which node of it, from 0

    @property
    def snapshot(self) -> Snapshot:
        """The pass whose terms they are."""
        return self._run

    @property
    def activation(self) -> str:
        """The name of the layer's activation."""
        return self._run.activations[self.layer]

    @property
    def dC_da(self) -> Any:
        """∂C_0/∂a_j, (n,); a scalar for a 1-D x."""
        return _column(self._run.trace[self.layer].dC_da, self.j)

    @property
    def da_dz(self) -> Any:
        """∂a_j/∂z_j, (n,) or a scalar; for softmax the row ∂a_i/∂z_j of all nodes i, (n, nodes)."""
        return _column(self._run.trace[self.layer].da_dz, self.j)

    @property
    def dC_dz(self) -> Any:
        """δ_j = ∂C_0/∂z_j, (n,) or a scalar: dC_da · da_dz, and for softmax the sum of `row`."""
        return _column(self._run.trace[self.layer].dC_dz, self.j)

    @property
    def row(self) -> Any:
        """For softmax the summands ∂C_0/∂a_i · ∂a_i/∂z_j of ∂C_0/∂z_j, (n, nodes); None for the rest."""
        if self.activation != SOFTMAX:
            return None
        return _product(self._run.trace[self.layer].dC_da, self.da_dz)

    @property
    def chain(self) -> Sequence[ChainEntry]:
        """dC_da opened, a `Chain` of one entry for each node of the layer after; () at the output layer."""
        if self.layer + 1 == len(self._run.trace):
            return ()
        return Chain(self._run, self.layer + 1, self.j)


class Chain(Sequence["ChainEntry"]):
    """∂C_0/∂a_k opened: entry j is ∂C_0/∂a_j · ∂a_j/∂z_j · w_jk. Entries are made when they are asked for."""

    def __init__(self, snapshot: Snapshot, layer: int, k: int) -> None:
        self._run, self._layer, self._k = snapshot, layer, k

    @property
    def products(self) -> NDArray[Any]:
        """All entries' products, (n, nodes), or (nodes,) for a 1-D x."""
        products: NDArray[Any] = _product(
            self._run.trace[self._layer].dC_dz, self._run.weights[self._layer][0][:, self._k]
        )
        return products

    def __len__(self) -> int:
        return len(self._run.weights[self._layer][0])

    @overload
    def __getitem__(self, index: int) -> ChainEntry: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[ChainEntry, ...]: ...
    def __getitem__(self, index: int | slice) -> ChainEntry | tuple[ChainEntry, ...]:
        if isinstance(index, slice):
            return tuple(self[j] for j in range(*index.indices(len(self))))
        return ChainEntry(self._run, self._layer, range(len(self))[index], self._k)

    def __iter__(self) -> Iterator[ChainEntry]:
        return (self[j] for j in range(len(self)))

    def __repr__(self) -> str:
        return f"<Chain of {len(self)} entries, for the nodes of layers[{self._layer}]>"


class ChainEntry(Node):
    """One summand of ∂C_0/∂a_k of a layer, through node j of the layer after: `layer`, `j`, `k` from 0."""

    def __init__(self, snapshot: Snapshot, layer: int, j: int, k: int) -> None:
        super().__init__(snapshot, layer, j)
        self.k = k  #: the node of the layer before whose ∂C_0/∂a_k is opened

    @property
    def w_jk(self) -> Any:
        """The weight between the two nodes, a scalar."""
        return self._run.weights[self.layer][0][self.j, self.k]

    @property
    def product(self) -> Any:
        """∂C_0/∂a_j · ∂a_j/∂z_j · w_jk, formed as dC_dz · w_jk: (n,), or a scalar for a 1-D x."""
        return _product(self.dC_dz, self.w_jk)

    def __repr__(self) -> str:
        return f"<ChainEntry of layers[{self.layer}] j={self.j} k={self.k}: product {self.product}>"


class WeightTerms(Node):
    """The terms of one weight or bias."""

    def __init__(self, snapshot: Snapshot, layer: int, j: int, k: int | None) -> None:
        super().__init__(snapshot, layer, j)
        self.k = k  #: the node of the layer before, from 0; None for a bias

    @property
    def bias(self) -> bool:
        """Whether it is about b_j, and not about w_jk."""
        return self.k is None

    @property
    def masked(self) -> bool:
        """Whether it is a weight that the layer's mask leaves out: it is 0, and so are dz_dw and product."""
        mask = self._run.mask(self.layer)
        return mask is not None and self.k is not None and not mask[self.j, self.k]

    @property
    def value(self) -> Any:
        """The weight or bias itself, as it was then."""
        weights, bias = self._run.weights[self.layer]
        if self.k is None:
            assert bias is not None
            return bias[self.j]
        return weights[self.j, self.k]

    @property
    def dz_dw(self) -> Any:
        """∂z_j/∂w_jk = a_k of the layer before, (n,); for a bias ones; a scalar for a 1-D x. 0 if masked."""
        if self.k is None:
            return np.ones_like(self.dC_dz)[()]
        if self.masked:
            return np.zeros_like(self.dC_dz)[()]
        return _column(self._run.before(self.layer), self.k)

    @property
    def product(self) -> Any:
        """∂C_0/∂w_jk, (n,), or a scalar for a 1-D x: dC_dz · dz_dw, as the engine multiplies."""
        return _product(self.dC_dz, self.dz_dw)

    @property
    def mean(self) -> Terms:
        """Each term and the product averaged over the samples; mean.product is ∂C/∂w_jk."""
        terms = (self.dC_da, self.da_dz, self.dz_dw, self.product)
        if self._run.single:
            return Terms(*terms)
        with np.errstate(invalid="ignore", over="ignore"):
            return Terms(*(np.mean(term, axis=0) for term in terms))

    def sample(self, n: int) -> Self:
        """The same for sample n of the batch alone.

        Raises
        ------
        TypeError, ValueError
            If n is not one of the samples; a 1-D x has only number 0.
        """
        if self._run.single:
            index_below("the number of the sample", n, 1)
            return self
        n = index_below("the number of the sample", n, len(self._run.x))
        return type(self)(self._run.sample(n), self.layer, self.j, self.k)


class LayerTerms:
    """The terms of all weights, or of all biases, of a layer.

    They are read-only views of the shape of the product, (n, outputs, inputs), or (n, outputs) for biases,
    without the leading n for a 1-D x; dz_dw of a layer with a mask is an array of its own.
    """

    def __init__(self, snapshot: Snapshot, layer: int, bias: bool) -> None:
        self._run = snapshot  # the name in older pickles
        self.layer = layer  #: which of ``net.layers``, from 0
        self.bias = bias  #: whether it is about the biases

    @property
    def snapshot(self) -> Snapshot:
        """The pass whose terms they are."""
        return self._run

    def _spread(self, term: Any, axis: int, rest: int = 0) -> NDArray[Any]:
        """A view of a term (n, nodes) in the shape of the product; `rest` axes follow."""
        if not self.bias:
            term = np.expand_dims(term, axis - rest)
        shape = self._run.trace[self.layer].a.shape
        if not self.bias:
            shape = (*shape, self._run.network.layers[self.layer].inputs)
        return np.broadcast_to(term, shape + term.shape[term.ndim - rest :])

    @property
    def dC_da(self) -> NDArray[Any]:
        """∂C_0/∂a_j for every weight, (n, outputs, inputs): the same for all k."""
        return self._spread(self._run.trace[self.layer].dC_da, -1)

    @property
    def da_dz(self) -> NDArray[Any]:
        """∂a_j/∂z_j for every weight, (n, outputs, inputs); and for softmax i is one axis more."""
        da_dz = self._run.trace[self.layer].da_dz
        assert da_dz is not None
        if self._run.activations[self.layer] == SOFTMAX:
            return self._spread(da_dz.swapaxes(-1, -2), -1, 1)
        return self._spread(da_dz, -1)

    @property
    def dz_dw(self) -> NDArray[Any]:
        """∂z_j/∂w_jk = a_k of the layer before for every weight, (n, outputs, inputs): the same for all j,
        and 0 for weights that are masked."""
        if self.bias:
            return self._spread(np.ones((), self._run.network.dtype), -1)
        return _where(self._run.mask(self.layer), self._spread(self._run.before(self.layer), -2))

    @property
    def product(self) -> NDArray[Any]:
        """∂C_0/∂w_jk for every sample and weight, (n, outputs, inputs), formed anew each time."""
        dC_dz = self._run.trace[self.layer].dC_dz
        assert dC_dz is not None
        product: NDArray[Any] = _product(dC_dz if self.bias else dC_dz[..., None], self.dz_dw)
        return product

    @property
    def mean(self) -> NDArray[Any]:
        """∂C/∂w_jk, the average over the samples by the engine, (outputs, inputs); (outputs,) for biases."""
        nodes, before = self._run.trace[self.layer].dC_dz, self._run.before(self.layer)
        assert nodes is not None
        delta = np.atleast_2d(nodes)
        if not self.bias:
            mean = _core.weight_gradient(delta, np.ascontiguousarray(np.atleast_2d(before)))
            return _where(self._run.mask(self.layer), mean)
        return _core.weight_gradient(delta, np.ones((len(delta), 1), delta.dtype))[:, 0]


def _where(mask: NDArray[np.bool_] | None, terms: NDArray[Any]) -> NDArray[Any]:
    """The terms (..., outputs, inputs), 0 where there is no weight."""
    return terms if mask is None else np.where(mask, terms, terms.dtype.type(0))


def _column(term: NDArray[Any] | None, j: int) -> Any:
    """Column j as an array of its own, or as a scalar; of a matrix for each sample, (n, nodes)."""
    assert term is not None
    return term[..., j].copy()[()]


def _product(left: Any, right: Any) -> Any:
    """Elementwise; overflow and 0 · inf show themselves in the result."""
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        return left * right
