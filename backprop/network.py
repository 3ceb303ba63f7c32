"""A multilayer perceptron. The arithmetic is in the engine, `backprop._core`, from which the network
inherits ``net(x)``, ``classify``, ``loss``, ``losses``, ``accuracy``, ``step`` and ``parameters``."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from backprop import _core, training
from backprop._validate import name_among, real_array
from backprop.activations import Activation
from backprop.layer import Layer
from backprop.losses import Loss
from backprop.results import Gradient, LayerGradient, LayerTrace, Trace

if TYPE_CHECKING:
    import os

    import onnx
    import torch
    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from backprop.callbacks import Callback
    from backprop.check import GradientCheck
    from backprop.draw import Drawing
    from backprop.explain import Explanation, LayerExplanation
    from backprop.history import History
    from backprop.intuition import Moves, StepEffect
    from backprop.optimizers import Optimizer

    Batch = tuple[ArrayLike, ArrayLike] | tuple[ArrayLike, ArrayLike, ArrayLike]
    Seed = (
        int
        | Sequence[int]
        | np.random.SeedSequence
        | np.random.BitGenerator
        | np.random.Generator
        | np.random.RandomState
        | None
    )

DTYPES = ("float32", "float64")
MOST_PARAMETERS = 2**40


class Network(_core.Network):
    """A multilayer perceptron: layers, a loss, and the parameters of both.

    Parameters
    ----------
    *layers : Layer
        From the first hidden layer to the output layer; each takes as many inputs as the one before
        has outputs, and may be in one network only.
    loss : str or Loss
        The loss of one sample, C_0, summed over output nodes j: "squared_error" Σ(a−y)²,
        "mean_squared_error" the same divided by the outputs, "binary_cross_entropy"
        −Σ[y ln a + (1−y) ln(1−a)], "cross_entropy" −Σ y ln a, "huber" Σ(½d² where |d| ≤ 1, else
        |d| − ½) with d = a−y; or a `Loss` of your own. C is the mean of C_0 over the samples.
    dtype : str or dtype
        "float32" or "float64": of the parameters and of all arithmetic.
    seed : int, numpy.random.Generator, or anything else that `numpy.random.default_rng` takes
        What the first parameters, and by default fit's shuffling, are drawn from.

    Attributes
    ----------
    rng : numpy.random.Generator
        The network's own generator.
    parameters : numpy.ndarray
        All parameters as one flat, live, writable vector: for every layer the weights, by rows of
        the shape (inputs, outputs), then the bias if there is one.

    Raises
    ------
    ValueError
        If widths do not chain, a name is unknown, or a layer is already in a network.
    TypeError
        If an argument is of the wrong type.

    Notes
    -----
    ``net(x)`` gives the outputs a^(L) in the network's dtype: (n, outputs) for x of shape (n, inputs), and
    (outputs,) for a 1-D x, which is one sample. x may be of any real number type, strides and byte order,
    and hold NaN or inf; for another dtype it raises a TypeError, for another shape a ValueError.

    Examples
    --------
    >>> net = Network(Layer(784, 30, "sigmoid"), Layer(30, 10, "sigmoid"), seed=0)
    >>> net = Network.dense(784, 30, 10, seed=0)  # the same, shorter
    """

    def __init__(
        self,
        *layers: Layer,
        loss: str | Loss = "squared_error",
        dtype: DTypeLike = "float32",
        seed: Seed = None,
    ) -> None:
        _check_layers(layers)
        if not isinstance(loss, Loss):
            loss = name_among("loss", loss, _core.losses)
        self._build(layers, loss, _dtype_name(dtype), np.random.default_rng(seed))

    def _build(
        self, layers: tuple[Layer, ...], loss: str | Loss, dtype: str, rng: np.random.Generator
    ) -> None:
        self._setup(
            [layer._engine for layer in layers],
            loss._engine if isinstance(loss, Loss) else loss,
            dtype,
        )
        self._layers = layers
        self._loss = loss
        self.rng = rng
        parts = self._parts(self.parameters)
        for layer, part in zip(layers, parts, strict=True):
            layer._start(part, rng)
        for layer, part in zip(layers, parts, strict=True):
            layer._bind(part)

    def __getstate__(self) -> dict[str, Any]:
        return {"dtype": str(self.dtype), "attributes": self.__dict__.copy()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state["attributes"])
        self._build(self._layers, self._loss, state["dtype"], self.rng)  # layers bring their parameters

    def __copy__(self) -> Network:
        """The same as `copy.deepcopy`: two networks never share parameters or a generator."""
        import copy

        return copy.deepcopy(self)

    @classmethod
    def dense(
        cls,
        *sizes: int,
        hidden: str | Activation = "sigmoid",
        output: str | Activation = "sigmoid",
        bias: bool = True,
        loss: str | Loss = "squared_error",
        dtype: DTypeLike = "float32",
        seed: Seed = None,
    ) -> Network:
        """A network of fully connected layers from its widths, the input layer's first.

        Parameters
        ----------
        *sizes : int
            At least two widths: inputs, any hidden ones, outputs.
        hidden, output : str
            The activation of all hidden layers, and that of the output layer.
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
        names = (hidden, output)
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
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return self.parameters.dtype

    def fit(
        self,
        x: ArrayLike | Iterable[Batch] | Callable[[], Iterable[Batch]],
        y: ArrayLike | None,
        optimizer: _core.Optimizer,
        *,
        epochs: int = 1,
        batch_size: int = 32,
        shuffle: bool | Literal["blocks"] = True,
        validation: tuple[ArrayLike, ArrayLike] | float | None = None,
        rng: Seed = None,
        threads: int | None = None,
        progress: bool | None = None,
        callbacks: Sequence[Callback] = (),
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | str | None = None,
        target_mask: ArrayLike | None = None,
        norms: bool = False,
        comm: object = None,
        sharded: bool = False,
        sync_every: int | None = None,
    ) -> History:
        """Trains on minibatches for some epochs; more calls go on where the last one stopped.

        The result depends on the data, the seed and the settings only, not on threads, progress or
        callbacks that just look.

        Parameters
        ----------
        x : array_like, (n, inputs)
            Samples, of any real dtype and any strides; gathered and converted a minibatch at a time,
            never copied whole. A 1-D x is one sample. Or, with y=None, an iterable of batches (x, y) or
            (x, y, sample_weight), each of them one step, or a function that returns such an iterable for
            each epoch. They are read ahead in a thread, and must not be changed once they were given; the
            iterable must not use this network, which waits for its batch (RuntimeError).
        y : array_like, (n, outputs), or (n,) integer labels, or (n,) for one output
            Targets.
        optimizer : SGD, Adam, AdamW or RMSprop
            Keeps its state between calls, as a schedule does that is its lr.
        epochs : int
            How often every sample is trained on.
        batch_size : int
            Samples a step. A shorter last batch is averaged over its own length. With an iterable, only a
            hint how many threads are worth it.
        shuffle : bool or "blocks"
            Whether every epoch has its own order. "blocks" is for a memory-mapped x that is larger than
            memory: blocks of 1 MiB of x, consecutive rows, are read in a random order, and the rows of 32
            such blocks at a time are shuffled. So is a memory map read without shuffling: a window after
            the other. About 150 MB of it are in memory at a time. An iterable has its own order.
        validation : (x, y) or float, optional
            Samples to measure loss and accuracy on after every epoch; or the share of the samples, the
            last ones, that is held out for it and not trained on.
        rng : optional
            What to shuffle with, and to draw dropout from: anything that `numpy.random.default_rng`
            takes. By default the network's own generator goes on.
        threads : int, optional
            By default one where a step is less than about 100 µs of work, else one for each usable
            core, 16 at most. It changes the speed, never the result.
        progress : bool, optional
            Whether to show tqdm's bar; by default in a terminal or a notebook.
        callbacks : list of callables
            Called after every epoch; see `backprop.callbacks`. They may use the network, and train it.
        sample_weight : array_like, (n,), optional
            Weights ≥ 0 of the samples: a batch's loss is Σ wᵢ C₀ᵢ / Σ wᵢ.
        class_weight : dict or "balanced", optional
            Weights of the classes 0, 1, ...: a dict (1 where it names none), or such that each class
            has the same total. Multiplied with sample_weight.
        target_mask : array_like of bool, of y's shape, optional
            False where a target is missing, whatever y holds there: the entry is no part of the loss,
            whose definition is otherwise as it was, and has no delta (in cross-entropy it counts as 0).
            Not for labels. The accuracy is then not measured.
        norms : bool
            Whether the history has the norms of the weights and of the gradient too. A step then keeps
            the whole gradient before it moves the weights, which may change their last bits.
        comm : mpi4py.MPI.Comm, optional
            Trains on all processes of the communicator together: every one calls fit, with the same
            settings, and starts from rank 0's weights, optimizer state and random numbers. Each takes its
            share of each batch, the gradients are added up, and all make the same step, so that all have
            the same bits; they agree with those of one process up to rounding. All of them return the same
            History, or all raise. Needs the extra ``mpi``; see docs/scaling.md.
        sharded : bool
            With comm: whether each rank's data are its own, as many or few as they are, to be taken
            batch_size / ranks at a time. By default all ranks have the same data.
        sync_every : int, optional
            With comm: each rank makes so many steps alone, on its share of the batches, and then all
            average their weights and what the optimizer remembers (local SGD). For slow networks.

        Returns
        -------
        History
            The figures of this call's epochs.

        Raises
        ------
        ValueError, TypeError
            On bad input, before anything has changed.
        DivergenceError
            When the loss stops being finite; the network keeps the last finite epoch's weights.
        KeyboardInterrupt
            On Ctrl-C, within 100 ms or a step; the network stays consistent.
        ImportError
            If comm is given and mpi4py is missing.
        RuntimeError
            With comm, if another rank raised something else.
        """
        return training.run(
            self,
            x,
            y,
            optimizer,
            epochs=epochs,
            batch_size=batch_size,
            shuffle=shuffle,
            validation=validation,
            rng=rng,
            threads=threads,
            progress=progress,
            callbacks=callbacks,
            sample_weight=sample_weight,
            class_weight=class_weight,
            target_mask=target_mask,
            norms=norms,
            comm=comm,
            sharded=sharded,
            sync_every=sync_every,
        )

    def gradient(self, x: ArrayLike, y: ArrayLike, *, per_sample: bool = False) -> Gradient:
        """The gradient of the loss by backpropagation; changes nothing.

        Parameters
        ----------
        x, y : array_like
            As for `fit`.
        per_sample : bool
            Whether to give one gradient of C_0 for each sample, with a leading n, instead of their mean.

        Returns
        -------
        Gradient
            ``g.layers[i].weights`` (outputs, inputs), ``g.layers[i].bias`` (outputs,) or None,
            ``g.inputs`` (inputs,), ``g.loss``.

        Raises
        ------
        TypeError, ValueError
            If x or y does not fit.
        """
        parameters, inputs, loss = self._gradient(x, y, per_sample)
        layers = tuple(
            LayerGradient(*layer._views(part))
            for layer, part in zip(self._layers, self._parts(parameters), strict=True)
        )
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

    @overload
    def explain(
        self, x: ArrayLike, y: ArrayLike, layer: int = -1, *, bias: bool = False
    ) -> LayerExplanation: ...
    @overload
    def explain(
        self,
        x: ArrayLike,
        y: ArrayLike,
        layer: int = -1,
        *,
        j: int,
        k: int | None = None,
        bias: bool = False,
    ) -> Explanation: ...
    @overload
    def explain(
        self, x: ArrayLike, y: ArrayLike, layer: int, j: int, k: int | None = None, *, bias: bool = False
    ) -> Explanation: ...
    def explain(
        self,
        x: ArrayLike,
        y: ArrayLike,
        layer: int = -1,
        j: int | None = None,
        k: int | None = None,
        *,
        bias: bool = False,
    ) -> Explanation | LayerExplanation:
        """The chain rule of one weight w_jk, ∂C_0/∂w_jk = ∂C_0/∂a_j · ∂a_j/∂z_j · ∂z_j/∂w_jk, term by term.

        Parameters
        ----------
        x, y : array_like
            As for `fit`.
        layer : int
            Which of ``net.layers``, from 0; negative ones count from the output layer.
        j, k : int, optional
            The node of this layer and the node of the layer before, from 0. Without them, all weights of
            the layer at once.
        bias : bool
            Whether it is about the bias b_j (or about all biases), which has no k.

        Returns
        -------
        Explanation or LayerExplanation
            ``e.dC_da``, ``e.da_dz``, ``e.dz_dw``, ``e.product``, each (n,), or scalars for a 1-D x; for
            softmax da_dz is the row ∂a_i/∂z_j, (n, nodes). ``e.mean`` averages them; ``e.chain`` opens dC_da
            into one entry per node of the next layer, nested; ``e.check()`` compares with a difference. It
            prints, and shows itself in a notebook. For all weights the arrays are (n, outputs, inputs).

        Raises
        ------
        TypeError, ValueError
            If x or y does not fit, or there is no such layer, node or bias.
        """
        from backprop.explain import explain

        return explain(self, x, y, layer, j, k, bias)

    def largest_moves(self, x: ArrayLike, y: ArrayLike, count: int = 10) -> Moves:
        """The weights and biases that gradient descent will move most for these samples.

        Parameters
        ----------
        x, y : array_like
            As for `fit`.
        count : int
            How many to list at most.

        Returns
        -------
        Moves
            A tuple of (layer, j, k, gradient, share), the largest |∂C/∂w| first; k is None for a bias, and
            share is its part of the sum of |∂C/∂w| over all parameters. It prints as a table.

        Raises
        ------
        TypeError, ValueError
            If x or y does not fit, or count is not a whole number of at least 1.
        """
        from backprop.intuition import largest_moves

        return largest_moves(self, x, y, count)

    def watch_step(self, x: ArrayLike, y: ArrayLike, optimizer: _core.Optimizer) -> StepEffect:
        """Takes one step, as `step` does, and tells what it did to each output and to C.

        Parameters
        ----------
        x, y : array_like
            As for `fit`.
        optimizer : SGD, Adam, AdamW or RMSprop
            As for `step`.

        Returns
        -------
        StepEffect
            ``s.nudges``, where the loss wanted the outputs to go, ``s.before``, ``s.after``, ``s.change``,
            each (n, outputs); ``s.loss_before``, ``s.loss_after``, and ``s.expected``, the change of C that
            the gradient alone foretells. It prints as a table.

        Raises
        ------
        TypeError, ValueError
            If x, y or the optimizer does not fit.
        """
        from backprop.intuition import watch_step

        return watch_step(self, x, y, optimizer)

    def draw(
        self,
        x: ArrayLike | None = None,
        y: ArrayLike | None = None,
        *,
        show: str | None = None,
        nodes: int = 10,
    ) -> Drawing:
        """The network as a picture: edges coloured by sign and thick by size, wide layers in part.

        Parameters
        ----------
        x, y : array_like, optional
            Samples, averaged where there are several; with y, arrows at the outputs show where the loss
            wants them to go.
        show : str, optional
            "weights", "activations" (by default if x is given), "deltas" ∂C_0/∂z, or "gradients" of the
            weights.
        nodes : int
            How many nodes of a layer to draw at most.

        Returns
        -------
        Drawing
            Shows itself in a notebook; ``d.save("net.svg")`` or ``"net.png"``, which needs Matplotlib.

        Raises
        ------
        TypeError, ValueError
            If x or y does not fit, or is missing where it is needed.
        """
        from backprop.draw import draw

        return draw(self, x, y, show, nodes)

    def jacobian(self, x: ArrayLike) -> NDArray[Any]:
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

    def hessian_vector(self, x: ArrayLike, y: ArrayLike, v: ArrayLike) -> NDArray[Any]:
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
        return self._hessian_vector(x, y, np.ascontiguousarray(direction, dtype=self.dtype))

    def check_gradient(
        self, x: ArrayLike, y: ArrayLike, *, entries: int = 2000, rng: Seed = 0
    ) -> GradientCheck:
        """Compares the gradient that the engine computes with central differences in float64.

        Parameters
        ----------
        x, y : array_like
            As for `fit`; a few samples are enough.
        entries : int
            How many parameters of a layer, and how many inputs, to compare at most; drawn if there are more.
        rng : optional
            What to draw them with.

        Returns
        -------
        GradientCheck
            ``r.passed``, ``r.max_relative_error``, ``r.compared``, ``r.skipped``, ``r.layers[i]``; prints.

        Raises
        ------
        TypeError, ValueError
            If x or y does not fit, or entries is not a whole number of at least 1.
        """
        from backprop.check import check_gradient

        return check_gradient(self, x, y, entries, rng)

    def summary(self) -> str:
        """The network as a table: a line for each layer, the input layer being layer 1.

        Returns
        -------
        str
        """
        head = ("layer", "nodes", "activation", "weights", "biases")
        rows = [head, ("1", str(self._layers[0].inputs), "", "", "")]
        for number, layer in enumerate(self._layers, start=2):
            weights = f"{layer.outputs} x {layer.inputs}"
            biases = str(layer.outputs) if layer._has_bias else "none"
            rows.append((str(number), str(layer.outputs), str(layer.activation), weights, biases))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        total = f"{self.parameters.size:,} parameters in {self.dtype}, loss {self._loss}"
        return "\n".join([*lines, total])

    def save(self, path: str | os.PathLike[str], *, optimizer: Optimizer | None = None) -> None:
        """Writes the network to a safetensors file, all of it or nothing; `backprop.load` reads it.

        Layers, loss, parameters and the state of ``net.rng`` are in the file, and with it or a crash of the
        machine there is always one whole file: the old one or the new one.

        Parameters
        ----------
        path : str or path
        optimizer : optional
            One whose settings and state to write too, for ``backprop.load(path, optimizer=True)``:
            training then goes on bit for bit as it would have without saving.

        Raises
        ------
        OSError
            If the file cannot be written; a file that was there is then as before.
        ValueError
            If the optimizer's state is of another network; or if an activation, the loss, the optimizer, its
            schedule or the generator is of your own making, because a file holds no code.
        """
        from backprop.files import save

        save(self, path, optimizer=optimizer)

    def to_onnx(self, path: str | os.PathLike[str] | None = None) -> onnx.ModelProto:
        """The network as an ONNX model, "x" (n, inputs) to "a" (n, outputs), n being free.

        onnxruntime runs it in float32 and float64, except gelu in float64: it has no such Erf. Other
        runtimes do.

        Parameters
        ----------
        path : str or path, optional
            Where to write it, all of it or nothing.

        Returns
        -------
        onnx.ModelProto
            The model.

        Raises
        ------
        ImportError
            If onnx, the extra ``onnx``, is missing.
        ValueError
            If the network has an activation of your own.
        """
        from backprop.exports import to_onnx

        return to_onnx(self, path)

    def to_torch(self) -> torch.nn.Sequential:
        """A ``torch.nn.Sequential`` of Linear, activations and Dropout, with copies of the parameters.

        It is in evaluation mode. Penalties and loss are not part of it.

        Returns
        -------
        torch.nn.Sequential
            Of float32 or float64, as the network.

        Raises
        ------
        ImportError
            If PyTorch is missing.
        ValueError
            If the network has an activation of your own.
        """
        from backprop.exports import to_torch

        return to_torch(self)

    @classmethod
    def from_torch(
        cls, module: torch.nn.Sequential, *, loss: str = "squared_error", seed: Seed = None
    ) -> Network:
        """A network with the layers and copies of the parameters of a ``torch.nn.Sequential``.

        Parameters
        ----------
        module : torch.nn.Sequential
            Of Linear, each with at most one activation behind it: Identity, Sigmoid, Tanh, ReLU, LeakyReLU
            (slope 0.01), ELU, GELU, SiLU, Softplus or Softmax, all with their default settings. A Linear
            with none is a layer with the activation identity. A Dropout may follow, and becomes the layer's
            dropout. Sequentials within it are fine, and so is an activation that comes more than once; a
            Linear that does is refused, because layers share no weights.
        loss, seed
            As for `Network`.

        Returns
        -------
        Network

        Raises
        ------
        ImportError
            If PyTorch is missing.
        TypeError, ValueError
            If the module has anything else; the message names it.
        """
        from backprop.exports import from_torch

        return from_torch(cls, module, loss, seed)

    def to_c(self, path: str | os.PathLike[str] | None = None, *, name: str = "network") -> str:
        """The network as one C99 file that predicts and needs the C standard library only.

        It defines ``void <name>_predict(const real *x, real *a)`` for one sample, and
        ``int <name>_classify(const real *x)``; real is float or double, the network's dtype. They allocate
        nothing, keep nothing between calls, and their constants are the exact parameters.

        Parameters
        ----------
        path : str or path, optional
            Where to write it, all of it or nothing.
        name : str
            What its names begin with: a C identifier.

        Returns
        -------
        str
            The text.

        Raises
        ------
        ValueError
            If the name is none, a parameter is not finite, or an activation is of your own.
        """
        from backprop.c_source import to_c

        return to_c(self, path, name)

    def __repr__(self) -> str:
        layers = ", ".join(map(repr, self._layers))
        return f"Network({layers}, loss={str(self._loss)!r}, dtype={str(self.dtype)!r})"

    def _parts(self, flat: NDArray[Any]) -> list[NDArray[Any]]:
        """Each layer's part of a vector (..., P) in storage order."""
        ends = list(itertools.accumulate(layer._size for layer in self._layers))
        return [flat[..., start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _check_layers(layers: Sequence[Layer]) -> None:
    if not layers:
        raise ValueError("a Network takes at least one Layer, got none")
    for i, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise TypeError(
                f"a Network takes Layers, got {type(layer).__name__} {layer!r} as layer {i}; "
                "Network.dense takes sizes"
            )
        if layer._in_network or layer in layers[:i]:
            raise ValueError(f"layers[{i}], {layer!r}, is already in a network; make a new Layer")
    for i, (before, after) in enumerate(itertools.pairwise(layers)):
        if before.outputs != after.inputs:
            raise ValueError(
                f"layers do not chain: layers[{i}], {before!r}, has {before.outputs} outputs, but "
                f"layers[{i + 1}], {after!r}, takes {after.inputs} inputs"
            )
    if layers[-1].dropout > 0:
        raise ValueError(f"the output layer has no dropout: {layers[-1]!r}")
    parameters = sum(layer._size for layer in layers)
    if parameters > MOST_PARAMETERS:
        raise ValueError(f"a Network may have at most {MOST_PARAMETERS:,} parameters, got {parameters:,}")


def _dtype_name(dtype: DTypeLike) -> str:
    if dtype is None or isinstance(dtype, str):
        return name_among("dtype", dtype, DTYPES)
    return name_among("dtype", np.dtype(dtype).name, DTYPES)
