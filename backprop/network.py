"""A multilayer perceptron, with all that can be done with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, SupportsFloat, overload

from backprop._explainable import Explainable
from backprop._exportable import Exportable

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from backprop import _core
    from backprop._types import Batch, Precision, SamplesLike, Seed
    from backprop.history import History
    from backprop.optimizers import Optimizer
    from backprop.solvers import WholeBatch

    Metric = Callable[[NDArray[Any], Any], SupportsFloat]
    Callback = Callable[["Network", dict[str, float]], object]
    HeldOut = Batch | tuple[SamplesLike, ArrayLike, ArrayLike | None, ArrayLike]


class Network(Explainable, Exportable):
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
    or a matrix of scipy.sparse, and hold NaN or inf; for another dtype it raises a TypeError, for another
    shape a ValueError.

    ``net(x, out=a)`` writes the outputs into a, an array of their shape and dtype, C-contiguous and apart
    from x, and returns it. ``net(x, dropout=True, rng=rng)`` leaves nodes out as training does, so that
    repeated calls show how uncertain the outputs are (Gal and Ghahramani 2016); rng is whatever
    `numpy.random.default_rng` takes, by default the network's own generator.

    Examples
    --------
    >>> net = Network(Layer(784, 30, "sigmoid"), Layer(30, 10, "sigmoid"), seed=0)
    >>> net = Network.dense(784, 30, 10, seed=0)  # the same, shorter
    """

    def _usable_threads(self) -> int:
        """How many threads may compute with many samples in net(x), loss, accuracy, gradient and the like."""
        from backprop.fit.threads import usable_threads

        return usable_threads()

    def fit(
        self,
        x: SamplesLike | Iterable[Batch] | Callable[[], Iterable[Batch]],
        y: ArrayLike | None,
        optimizer: _core.Optimizer | WholeBatch,
        *,
        epochs: int = 1,
        batch_size: int | None = None,
        shuffle: bool | Literal["blocks"] = True,
        validation: HeldOut | float | None = None,
        rng: Seed = None,
        threads: int | None = None,
        progress: bool | None = None,
        callbacks: Sequence[Callback] = (),
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | str | None = None,
        target_mask: ArrayLike | None = None,
        metrics: Mapping[str, Metric] | None = None,
        norms: bool = False,
        record: Literal["epochs", "steps"] = "epochs",
        precision: Precision | None = None,
        target: float | None = None,
        comm: object = None,
        sharded: bool = False,
        sync_every: int | None = None,
    ) -> History:
        """Trains on minibatches for some epochs; more calls go on where the last one stopped.

        The result depends on the data, the seed and the settings only, not on threads, progress or
        callbacks that just look.

        Parameters
        ----------
        x : array_like or sparse matrix, (n, inputs)
            Samples, of any real dtype and any strides; gathered and converted a minibatch at a time,
            never copied whole. A 1-D x is one sample. A matrix of scipy.sparse is never made dense: what a
            step costs is in proportion to its non-zeros, and for plain SGD that is all; the other rules
            move all weights, as for the dense array, unless they are `lazy`. Or, with y=None, an iterable of
            batches (x, y) or (x, y, sample_weight), each of them one step, or a function that returns such an
            iterable for each epoch. They are read ahead in a thread, and must not be changed once they were
            given; the iterable must not use this network, which waits for its batch (RuntimeError).
        y : array_like, (n, outputs), or (n,) integer labels, or (n,) for one output
            Targets.
        optimizer : SGD, Adam, AdamW, RMSprop, LBFGS or LevenbergMarquardt
            Keeps its state between calls, as a schedule does that is its lr. The last two look at all
            samples before they move: batch_size, shuffling, iterables, dropout and comm are not for them.
        epochs : int
            How often every sample is trained on; how many iterations of the last two.
        batch_size : int, optional
            Samples a step; 32 by default. A shorter last batch is averaged over its own length. With an
            iterable, only a hint how many threads are worth it.
        shuffle : bool or "blocks"
            Whether every epoch has its own order. "blocks" is for a memory-mapped x that is larger than
            memory: blocks of 1 MiB of x, consecutive rows, are read in a random order, and the rows of 32
            such blocks at a time are shuffled. So is a memory map read without shuffling: a window after
            the other. About 150 MB of it are in memory at a time. An iterable has its own order.
        validation : (x, y), (x, y, sample_weight), (x, y, sample_weight, target_mask) or float, optional
            Samples to measure loss and accuracy on after every epoch; or the share of the samples, the
            last ones, that is held out for it and not trained on, all counting equally. With weights
            the loss is Σ wᵢ C₀ᵢ / Σ wᵢ; the accuracy counts each sample once, and is not measured with a
            mask. A weight or mask of None is none.
        rng : optional
            What to shuffle with, and to draw dropout from: anything that `numpy.random.default_rng`
            takes. By default the network's own generator goes on.
        threads : int, optional
            At most so many. By default as many of the usable cores as pay, which training finds out on
            its way; one where a step is less than about 100 µs of work. It changes the speed, never
            the result.
        progress : bool, optional
            Whether to show tqdm's bar; by default in a terminal or a notebook.
        callbacks : list of callables
            Called after every epoch; see `backprop.callbacks`. They may use the network, and train it.
        sample_weight : array_like, (n,), optional
            Weights ≥ 0 of the samples: a batch's loss is Σ wᵢ C₀ᵢ / Σ wᵢ. The accuracy counts each once.
        class_weight : dict or "balanced", optional
            Weights of the classes 0, 1, ...: a dict (1 where it names none), or such that each class
            has the same total. Multiplied with sample_weight.
        target_mask : array_like of bool, of y's shape, optional
            False where a target is missing, whatever y holds there: the entry is no part of the loss,
            whose definition is otherwise as it was, and has no delta (in cross-entropy it counts as 0).
            Not for labels. The accuracy is then not measured.
        metrics : dict of str to callable, optional
            Figures of your own: ``f(a, y)`` of the outputs (n, outputs) and the targets as they were given,
            which returns a number. They are measured after every epoch: on the validation samples, and the
            history's key is then ``"validation_"`` and the name; else on those that were trained on. For
            `EarlyStopping` and `Checkpoint` they are better when larger, unless these have mode="min".
        norms : bool
            Whether the history has the norms of the weights and of the gradient too. A step then keeps
            the whole gradient before it moves the weights, which may change their last bits.
        record : "epochs" or "steps"
            With "steps" ``history.steps`` has the loss and the rate of every step; not with comm.
        precision : "float32", "bfloat16" or "bfloat16-emulated", optional
            Of the products of a float32 network, by default "float32". With "bfloat16" each product of two
            matrices takes its factors rounded to bfloat16, which has 8 bits of mantissa, and adds up in
            float32; weights, biases, activation functions, loss, optimizer and validation are float32's.
            On wide layers and processors with AMX, or AMD's with AVX512-BF16 (Zen 4 and later), that is
            faster; on others it is a ValueError. "bfloat16-emulated" rounds alike on any processor, and
            is slow: it is for comparing. The bits do not depend on threads, but on the instructions, which
            add up in different orders; see docs/precision.md.
        target : float, optional
            Training ends after an epoch whose loss is at most this; ``history.stopped`` is then "target".
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
            When the loss stops being finite; the network keeps the last finite epoch's weights. So does the
            optimizer its state; after a sparse x it is as new.
        KeyboardInterrupt
            On Ctrl-C, within 100 ms or so. A longer step is left undone, or brought to its end where it
            moves the weights already; the network stays consistent.
        ImportError
            If comm is given and mpi4py is missing.
        RuntimeError
            With comm, if another rank raised something else.
        """
        from backprop.fit.loop import fit

        return fit(
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
            metrics=metrics,
            norms=norms,
            record=record,
            precision=precision,
            target=target,
            comm=comm,
            sharded=sharded,
            sync_every=sync_every,
        )

    def save(self, path: str | os.PathLike[str], *, optimizer: Optimizer | WholeBatch | None = None) -> None:
        """Writes the network to a safetensors file, all of it or nothing; `backprop.load` reads it.

        Layers, loss, parameters and the state of ``net.rng`` are in the file, and with it or a crash of the
        machine there is always one whole file: the old one or the new one. It has the old one's mode. A
        symbolic link stays one; other names of the old file, hard links, keep its content.

        Parameters
        ----------
        path : str or path
        optimizer : optional
            One whose settings and state to write too, for ``backprop.load(path, optimizer=True)``:
            training then goes on bit for bit as it would have without saving.

        Raises
        ------
        OSError
            If the file cannot be written, or a folder, a device or a FIFO is there; all is then as before.
        ValueError
            If the optimizer's state is of another network; or if an activation, the loss, the optimizer, its
            schedule or the generator is of your own making, because a file holds no code.
        """
        from backprop.files.format import save

        save(self, path, optimizer=optimizer)


@overload
def load(path: str | os.PathLike[str], *, optimizer: Literal[False] = False) -> Network: ...
@overload
def load(
    path: str | os.PathLike[str], *, optimizer: Literal[True]
) -> tuple[Network, Optimizer | WholeBatch]: ...
def load(
    path: str | os.PathLike[str], *, optimizer: bool = False
) -> Network | tuple[Network, Optimizer | WholeBatch]:
    """Reads a network that `Network.save` wrote. Whatever the file holds, no code of it is run.

    ``net.rng`` goes on where that of the saved network was.

    Parameters
    ----------
    path : str or path
    optimizer : bool
        Whether to read the optimizer that was saved with the network, too.

    Returns
    -------
    Network, or (Network, Optimizer)

    Raises
    ------
    ValueError
        If the file is damaged, is not a network's, or has no optimizer but should. Nothing is allocated
        before all of it fits.
    OSError
        If the file cannot be read.
    """
    from backprop.files.format import load_all

    network, _, saved_optimizer = load_all(path, Network)
    if not optimizer:
        return network
    if saved_optimizer is None:
        raise ValueError(f"{os.fspath(path)} was saved without an optimizer; load it without optimizer=True")
    return network, saved_optimizer
