"""A network without what is built on it: layers, a loss, parameters, and every number of a pass.

The arithmetic is in the engine, `backprop._core`, from which the class inherits ``net(x)``, ``classify``,
``loss``, ``losses``, ``accuracy``, ``step`` and ``parameters``.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from backprop import _core
from backprop._attributes import KnownAttributes
from backprop._table import table
from backprop._validate import as_array, name_among, real_array
from backprop.activations import Activation
from backprop.layer import Layer, arrays_of, bind, check_layers, layer_setup
from backprop.losses import Loss, check_output, loss_setup, output_for, target_count
from backprop.results import Gradient, LayerGradient, LayerTrace, Trace

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from backprop._types import SamplesLike, Seed

DTYPES = ("float32", "float64")


class BaseNetwork(KnownAttributes, _core.Network):
    """Layers, a loss, the parameters of both, and every number of a pass; `Network` documents it.

    Modules below `Network` take this class, and so do not depend on fit, files, pictures and exports.
    """

    rng: np.random.Generator

    remedies: ClassVar[dict[str, str]] = {
        "loss": "the loss is fixed, Network(..., loss=...), and net.loss_name is its name",
        "weights": "a network's are net.layers[i].weights, or net.parameters as one vector",
        "optimizer": "fit and step take it, and keep none",
        "learning_rate": "it is the optimizer's: optimizer.lr",
        "lr": "it is the optimizer's: optimizer.lr",
    }

    def __init__(
        self,
        *layers: Layer,
        loss: str | Loss = "squared_error",
        dtype: DTypeLike = "float32",
        seed: Seed = None,
    ) -> None:
        check_layers(layers)
        if not isinstance(loss, Loss):
            loss = name_among("loss", loss, _core.losses)
        check_output(loss, layers[-1].activation, layers[-1].outputs)
        self._build(layers, loss, _dtype_name(dtype), np.random.default_rng(seed))

    def _build(
        self, layers: tuple[Layer, ...], loss: str | Loss, dtype: str, rng: np.random.Generator
    ) -> None:
        self._setup([layer_setup(layer) for layer in layers], loss_setup(loss), dtype)
        self._layers = layers
        self._loss = loss
        self.rng = rng
        bind(layers, self, rng)

    def __getstate__(self) -> dict[str, Any]:
        return {
            "dtype": str(self.dtype),
            "attributes": self.__dict__.copy(),
            "parameters": self._locked(self.parameters.copy),  # layers copy theirs one after the other
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state["attributes"])
        self._build(self._layers, self._loss, state["dtype"], self.rng)  # layers bring their parameters
        if "parameters" in state:  # 0.1.0 wrote none
            self.parameters[:] = state["parameters"]

    def __copy__(self) -> Self:
        """The same as `copy.deepcopy`: two networks never share parameters or a generator."""
        import copy

        return copy.deepcopy(self)

    @classmethod
    def dense(
        cls,
        *sizes: int,
        hidden: str | Activation = "sigmoid",
        output: str | Activation | None = None,
        bias: bool = True,
        loss: str | Loss = "squared_error",
        dtype: DTypeLike = "float32",
        seed: Seed = None,
    ) -> Self:
        """A network of fully connected layers from its widths, the input layer's first.

        Parameters
        ----------
        *sizes : int
            At least two widths: inputs, any hidden ones, outputs.
        hidden, output : str
            The activation of all hidden layers, and that of the output layer; by default softmax for the loss
            "cross_entropy", and sigmoid for all others.
        bias, loss, dtype, seed
            As for `Layer` and `Network`.

        Returns
        -------
        Network

        Raises
        ------
        TypeError, ValueError
            As from `Layer` and `Network`; or if there are fewer than two sizes.
        """
        if len(sizes) < 2:
            raise ValueError(f"dense takes at least two sizes, inputs and outputs; got {sizes}")
        names = (hidden, output_for(loss) if output is None else output)
        inner, last = (g if isinstance(g, Activation) else Activation(g) for g in names)
        activations = [inner] * (len(sizes) - 2) + [last]
        layers = [
            Layer(inputs, outputs, activation, bias=bias)
            for (inputs, outputs), activation in zip(itertools.pairwise(sizes), activations, strict=True)
        ]
        return cls(*layers, loss=loss, dtype=dtype, seed=seed)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, from the first hidden one to the output layer."""
        return self._layers

    @property
    def loss_name(self) -> str:
        """The name of the loss."""
        return str(self._loss)

    @property
    def loss_function(self) -> str | Loss:
        """The loss, as `Network` takes it."""
        return self._loss

    @property
    def targets(self) -> int:
        """How many columns y has: the outputs, or as many as a `Loss` says."""
        return target_count(self._loss, self._layers[-1].outputs)

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return self.parameters.dtype

    def gradient(
        self,
        x: SamplesLike,
        y: ArrayLike | None = None,
        *,
        dC_da: ArrayLike | None = None,
        per_sample: bool = False,
        sample_weight: ArrayLike | None = None,
        target_mask: ArrayLike | None = None,
    ) -> Gradient:
        """The gradient of the loss by backpropagation; changes nothing.

        With ``dC_da`` in the place of y it is that of a loss which is computed elsewhere, from ``net(x)``:
        y and the network's loss are not used, and the derivative of the output activation, softmax's matrix
        too, is applied here. ``g.inputs`` with ``per_sample=True`` is the dC_da of a network whose outputs
        are this one's x.

        Parameters
        ----------
        x, y : array_like
            As for `fit`.
        dC_da : array_like, (n, outputs), or (n,) for one output, optional
            ∂C_0/∂a_j of each sample's outputs, where C is the mean of C_0: for a C that is a sum or
            anything else, n · ∂C/∂a_j. For a 1-D x without the leading n.
        per_sample : bool
            Whether to give one gradient of C_0 for each sample, with a leading n, instead of their mean.
        sample_weight : array_like, (n,), optional
            Finite weights w_n ≥ 0, not all 0. The mean is Σ w_n ∂C_0/∂w / Σ w_n; per sample it is
            w_n ∂C_0/∂w.
        target_mask : array_like of bool, of y's shape, optional
            False where a target is missing, as for `fit`. Not for labels, nor for dC_da, whose entry is 0
            there.

        Returns
        -------
        Gradient
            ``g.layers[i].weights`` (outputs, inputs), ``g.layers[i].bias`` (outputs,) or None,
            ``g.inputs`` (inputs,), ``g.loss``, which is NaN where dC_da is given: the loss is then not known.

        Raises
        ------
        TypeError
            If x, y or dC_da does not hold real numbers, or if both y and dC_da are given, or neither.
        ValueError
            If a shape does not fit.
        """
        parameters, inputs, loss = self._gradient(
            x, y, dC_da=dC_da, per_sample=per_sample, sample_weight=sample_weight, target_mask=target_mask
        )
        layers = tuple(LayerGradient(*arrays) for arrays in arrays_of(self._layers, parameters))
        return Gradient(layers, inputs, loss, parameters)

    def trace(self, x: ArrayLike, y: ArrayLike | None = None) -> Trace:
        """Every number of a forward pass and, with y, of the backward pass; changes nothing.

        Parameters
        ----------
        x : array_like
            As for `fit`.
        y : array_like, optional
            As for `fit`.

        Returns
        -------
        Trace
            ``t.layers[i].z``, ``.a``, ``.dC_da``, ``.da_dz``, ``.dC_dz``, each (n, nodes); da_dz is
            (n, nodes, nodes) for softmax; the last three are None without y.

        Raises
        ------
        TypeError, ValueError
            If x or y does not fit.
        """
        return Trace(tuple(LayerTrace(*terms) for terms in self._trace(x, y)))

    def jacobian(self, x: SamplesLike) -> NDArray[Any]:
        """The derivatives of all outputs with respect to all inputs, by a backward pass for each output.

        Parameters
        ----------
        x : array_like, (n, inputs)
            Samples, or one as a 1-D x.

        Returns
        -------
        ndarray, (n, outputs, inputs), or (outputs, inputs) for a 1-D x
            ∂a_j^(L)/∂x_k of each sample.

        Raises
        ------
        TypeError, ValueError
            If x does not fit.
        """
        return self._jacobian(x)

    def hessian_vector(
        self,
        x: SamplesLike,
        y: ArrayLike,
        v: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        target_mask: ArrayLike | None = None,
    ) -> NDArray[Any]:
        """The product of the Hessian of C with a vector, without the Hessian, at about twice the cost of a
        gradient.

        It is exact but for rounding: the derivative of backpropagation itself in the direction v
        (Pearlmutter 1994). At a kink, where there is no second derivative, that of one side is taken.

        Parameters
        ----------
        x, y : array_like
            As for `fit`.
        v : array_like, (parameters,)
            In the order of ``parameters``.
        sample_weight, target_mask : array_like, optional
            As for `gradient`.

        Returns
        -------
        ndarray, (parameters,)
            Σ_q ∂²C/∂w_p ∂w_q · v_q.

        Raises
        ------
        ValueError
            If v has another shape, or if the network has an activation or loss of the user's own, of
            which there are no second derivatives.
        """
        direction = real_array("v", v, self.parameters.shape)
        return self._hessian_vector(
            x,
            y,
            np.ascontiguousarray(direction, dtype=self.dtype),
            sample_weight=sample_weight,
            target_mask=target_mask,
        )

    def r2(self, x: SamplesLike, y: ArrayLike) -> float:
        """R², the share of the targets' variance that the outputs explain: 1 - Σ(y-a)² / Σ(y-mean of y)².

        Parameters
        ----------
        x : array_like, (n, inputs)
            Samples.
        y : array_like, (n, outputs), or (n,) for one output
            Targets; each column has its mean, and all of them are summed together.

        Returns
        -------
        float
            At most 1; 0 for constant outputs as good as any. NaN or -inf where y does not vary.

        Raises
        ------
        TypeError, ValueError
            If x or y does not fit.
        """
        a, targets = np.asarray(self(x), np.float64), as_array("y", y)
        if targets.dtype.kind not in "biuf":
            raise TypeError(f"y must hold real numbers, got dtype {targets.dtype}")
        if a.ndim != 2 or targets.shape not in (a.shape, a[:, 0].shape if a.shape[1] == 1 else a.shape):
            raise ValueError(
                f"R² is of numbers: y must have the shape of the outputs, {a.shape}, got {targets.shape}; "
                "net.accuracy(x, y) is for labels"
            )
        targets = targets.reshape(a.shape).astype(np.float64)
        with np.errstate(all="ignore"):
            whole = ((targets - targets.mean(axis=0)) ** 2).sum()
            return float(1 - ((targets - a) ** 2).sum() / whole)

    def summary(self) -> str:
        """The network as a table: a line for each layer, the input layer being layer 1.

        Returns
        -------
        str
        """
        head = ("layer", "nodes", "activation", "weights", "biases")
        rows: list[tuple[str, ...]] = [head, ("1", str(self._layers[0].inputs), "", "", "")]
        notes = [_freedom(layer) for layer in self._layers]
        if any(notes):
            rows = [(*head, "moves"), (*rows[1], "")]
        for number, layer in enumerate(self._layers, start=2):
            weights = f"{layer.outputs} x {layer.inputs}"
            biases = str(layer.outputs) if layer.has_bias else "none"
            note = notes[number - 2 : number - 1] if any(notes) else ()
            rows.append((str(number), str(layer.outputs), str(layer.activation), weights, biases, *note))
        total = f"{self.parameters.size:,} parameters in {self.dtype}, loss {self._loss}"
        return "\n".join([*table(rows, gap=2, adjust=str.ljust), total])

    def __repr__(self) -> str:
        layers = ", ".join(map(repr, self._layers))
        return f"Network({layers}, loss={str(self._loss)!r}, dtype={str(self.dtype)!r})"


def _freedom(layer: Layer) -> str:
    """How a layer's parameters move, in words; nothing where all do at the optimizer's rate."""

    def rate(factor: float) -> str:
        return f"{factor:g} lr" if factor else "frozen"

    bias_lr = layer.lr if layer.bias_lr is None or not layer.has_bias else layer.bias_lr
    notes = [] if layer.lr == bias_lr == 1 else [rate(layer.lr)]
    if bias_lr != layer.lr:
        notes = [f"weights {rate(layer.lr)}", f"biases {rate(bias_lr)}"]
    if layer.mask is not None:
        notes.append(f"{np.count_nonzero(layer.mask):,} weights, the others masked")
    return ", ".join(notes)


def _dtype_name(dtype: DTypeLike) -> str:
    if dtype is None or isinstance(dtype, str):
        return name_among("dtype", dtype, DTYPES)
    return name_among("dtype", np.dtype(dtype).name, DTYPES)
