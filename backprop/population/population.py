"""`Population`: many networks of one shape, trained in one call."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from backprop._attributes import KnownAttributes
from backprop.network import Network
from backprop.population.asked import Asked
from backprop.population.members import Members, copies_of, generators_of, penalties_of, prototype_of

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from backprop.activations import Activation
    from backprop.losses import Loss
    from backprop.optimizers import Optimizer
    from backprop.population.history import PopulationHistory

    Callback = Callable[["Population", dict[str, Any]], object]


class Population(KnownAttributes, Asked):
    """Many networks of one shape, the members, that are trained in one call.

    For seeds, rates and penalties to be compared, ensembles, folds, bootstraps, evolution, or a model for
    each of many series. Member i has the bits, in weights, history and generator, that its own `Network.fit`
    would give it, for any number of members and threads.

    Parameters
    ----------
    network : Network
        Gives the layers, the loss and the dtype, not the parameters.
    members : int, optional
        How many; by default as many as there are seeds.
    seed : sequence of seeds, or one seed
        One for each member, each whatever `numpy.random.default_rng` takes; or one, of which
        ``numpy.random.SeedSequence(seed).spawn(members)`` are theirs. A member's first parameters and, by
        default, the order of its samples are drawn from its seed, as ``Network(..., seed=)`` would.
    l1, l2 : array_like, (members,) or (members, layers), optional
        Penalties of each member in the place of the layers' own; see `Layer`.

    Attributes
    ----------
    rngs : list of numpy.random.Generator
        The members' generators.
    diverged : ndarray of bool, (members,)
        Whose loss stopped being finite in the last fit. They have the last finite epoch's parameters.
    history : PopulationHistory or None
        What the last fit returned.

    Raises
    ------
    TypeError, ValueError
        If there are not as many seeds, or penalties, as members.

    Notes
    -----
    ``population(x)`` gives the outputs, (members, n, outputs), for x of shape (n, inputs), or of each
    member's own x, (members, n, inputs); and (members, outputs) for a 1-D x, which is one sample.

    ``population[i]`` is a `Network` of its own: a copy of the member and of its generator. A slice, a mask
    or a list of numbers gives a `Population` of copies of these members, in their order, so that the best
    ones can be kept, or taken twice.

    A population is used by one thread at a time.

    Examples
    --------
    >>> population = bp.Population.dense(64, 30, 10, members=3, seed=0)
    >>> rates = [0.3, 1.0, 3.0]
    >>> history = population.fit(x, y, bp.SGD(rates), epochs=10, batch_size=10, validation=(xv, yv))
    >>> best = population[int(history.best("validation_accuracy").argmax())]
    """

    def __init__(
        self,
        network: Network,
        members: int | None = None,
        seed: Any = None,
        *,
        l1: ArrayLike | None = None,
        l2: ArrayLike | None = None,
    ) -> None:
        if not isinstance(network, Network):
            raise TypeError(f"a Population takes a Network, got {type(network).__name__} {network!r:.60}")
        rngs = generators_of(seed, members)
        penalties = [
            penalties_of(name, given, [getattr(layer, name) for layer in network.layers], len(rngs))
            for name, given in (("l1", l1), ("l2", l2))
        ]
        super().__init__(prototype_of(network), rngs, *penalties)
        self.history: PopulationHistory | None = None

    @classmethod
    def dense(
        cls,
        *sizes: int,
        members: int | None = None,
        seed: Any = None,
        hidden: str | Activation = "sigmoid",
        output: str | Activation | None = None,
        bias: bool = True,
        loss: str | Loss = "squared_error",
        dtype: DTypeLike = "float32",
        l1: ArrayLike | None = None,
        l2: ArrayLike | None = None,
    ) -> Self:
        """A population of networks of fully connected layers, from their widths, the input layer's first.

        Parameters
        ----------
        *sizes : int
            At least two widths: inputs, any hidden ones, outputs.
        members, seed, l1, l2
            As for `Population`.
        hidden, output, bias, loss, dtype
            As for `Network.dense`.

        Returns
        -------
        Population

        Raises
        ------
        TypeError, ValueError
            As from `Network.dense` and `Population`.
        """
        network = Network.dense(
            *sizes, hidden=hidden, output=output, bias=bias, loss=loss, dtype=dtype, seed=0
        )
        return cls(network, members, seed, l1=l1, l2=l2)

    @classmethod
    def of(cls, networks: Sequence[Network]) -> Self:
        """A population of copies of networks: their parameters, penalties and generators.

        Parameters
        ----------
        networks : sequence of Network
            Of one shape: the same layers but for l1 and l2, loss and dtype.

        Returns
        -------
        Population

        Raises
        ------
        TypeError, ValueError
            If there are none, or they are not alike.
        """
        return cls._of(*copies_of(networks))

    @property
    def layers(self) -> tuple[Any, ...]:
        """The layers, as of every member; without its parameters and penalties."""
        return self.prototype.layers

    @property
    def loss_name(self) -> str:
        """The name of the loss."""
        return self.prototype.loss_name

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return self.prototype.dtype

    @overload
    def __getitem__(self, which: int) -> Network: ...
    @overload
    def __getitem__(self, which: slice | ArrayLike) -> Self: ...
    def __getitem__(self, which: Any) -> Network | Self:
        """A member as a network of its own, or a population of some members."""
        if not isinstance(which, slice) and np.ndim(which) == 0:
            try:
                number = operator.index(which)
            except TypeError:
                raise TypeError(f"a member is a whole number, got {type(which).__name__} {which!r}") from None
            if not -len(self) <= number < len(self):
                raise IndexError(f"there is no member {number}; the population has {len(self)}")
            return self.network(number % len(self))
        if not isinstance(which, slice):
            which = np.asarray(which) if len(which) else np.zeros(0, np.intp)  # NumPy's [] is of float64
            if which.dtype.kind not in "iub" or which.ndim != 1:
                got = f"an array of {which.dtype} of shape {which.shape}"
                raise TypeError(f"members are a list of whole numbers or a mask, got {got}")
        chosen = np.arange(len(self))[which]
        if chosen.size == 0:
            raise ValueError("a Population has at least one member, but none is chosen")
        return self._some(chosen)

    def __iter__(self) -> Iterator[Network]:
        """Each member as a network of its own."""
        return (self.network(i) for i in range(len(self)))

    def fit(
        self,
        x: ArrayLike,
        y: ArrayLike,
        optimizer: Optimizer,
        *,
        epochs: int = 1,
        batch_size: int = 32,
        shuffle: bool | Literal["shared"] = True,
        samples: ArrayLike | None = None,
        validation: tuple[ArrayLike, ...] | float | None = None,
        patience: int | None = None,
        monitor: str = "validation_loss",
        min_delta: float = 0.0,
        target: float | None = None,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | str | None = None,
        target_mask: ArrayLike | None = None,
        threads: int | None = None,
        norms: bool = False,
        progress: bool | None = None,
        callbacks: Sequence[Callback] = (),
        **of_networks: Any,
    ) -> PopulationHistory:
        """Trains all members on minibatches for some epochs; more calls go on where the last one stopped.

        Parameters
        ----------
        x : array_like, (n, inputs), or (members, n, inputs)
            Samples of all members, or of each.
        y : array_like
            Targets (n, outputs), labels (n,), or one number a sample (n,); or with a leading (members,).
        optimizer : SGD, Adam, AdamW or RMSprop
            Its numbers may be arrays (members,), its lr also a list of numbers and schedules. It keeps the
            state of each member between calls, and is then of this population.
        epochs : int
            How often every sample is trained on.
        batch_size : int
            Samples a step; a shorter last batch is averaged over its own length.
        shuffle : bool or "shared"
            Whether every epoch has an order of its own, which each member draws from its generator. "shared"
            is one order for all, drawn from the first member's, which saves time where networks are tiny.
        samples : array_like of int, (members, n'), optional
            Which rows of the x and y of all members each one trains on: folds, or with repetition a
            bootstrap.
        validation : (x, y), (x, y, sample_weight) or float, optional
            Samples to measure loss and accuracy on after every epoch, of all members or of each; or the
            share of the samples, the last ones, that is held out for it.
        patience : int, optional
            A member stops after so many epochs in a row without an improvement of `monitor` by more than
            `min_delta`, and has the parameters of its best epoch in the end: as with `EarlyStopping`.
        monitor : str
            "loss", "accuracy" or "r2", also with ``"validation_"`` before it.
        min_delta : float
            ≥ 0.
        target : float, optional
            A member stops after an epoch whose loss is at most this.
        sample_weight : array_like, (n,) or (members, n), optional
            Weights ≥ 0 of the samples, as in `Network.fit`.
        class_weight : dict or "balanced", optional
            Weights of the classes, as in `Network.fit`; "balanced" among the samples that a member has.
        target_mask : array_like of bool, of y's shape, optional
            False where a target is missing.
        threads : int, optional
            By default one for each usable core where there is enough to do. It changes the
            speed, never the result.
        norms : bool
            Whether the history has the norms of the weights and of the gradient too, as in `Network.fit`.
        progress : bool, optional
            Whether to show tqdm's bar, of the median member; by default in a terminal or a notebook.
        callbacks : list of callables
            Called after every epoch as ``callback(population, record)``, with the epoch's figures as in the
            history. Training ends where one returns True, and for some members where it returns a mask,
            (members,) of bool. They may change parameters and ``optimizer.lr``, and have ``start`` and
            ``finish`` as in `backprop.callbacks`.
        **of_networks
            What only `Network.fit` takes: refused with the reason, and what to do instead.

        Returns
        -------
        PopulationHistory
            The figures of this call's epochs, arrays (members,). Where a member's loss stopped being finite,
            it keeps its last finite epoch's parameters, ``diverged`` says so, and its later losses are NaN;
            the others go on.

        Raises
        ------
        ValueError, TypeError
            On bad input, before anything has changed.
        KeyboardInterrupt
            On Ctrl-C; every member stays consistent.
        """
        from backprop.population.loop import fit
        from backprop.population.plan import refuse

        refuse(of_networks)
        self.history = fit(
            self,
            x,
            y,
            optimizer,
            epochs=epochs,
            batch_size=batch_size,
            shuffle=shuffle,
            samples=samples,
            validation=validation,
            patience=patience,
            monitor=monitor,
            min_delta=min_delta,
            target=target,
            sample_weight=sample_weight,
            class_weight=class_weight,
            target_mask=target_mask,
            threads=threads,
            norms=norms,
            progress=progress,
            callbacks=callbacks,
        )
        return self.history

    def save(self, path: str | os.PathLike[str], *, optimizer: Optimizer | None = None) -> None:
        """Writes the population to a safetensors file, all of it or nothing; `load` reads it.

        Parameters
        ----------
        path : str or path
        optimizer : optional
            One of this population, to be saved with its state: training then goes on bit for bit.

        Raises
        ------
        OSError
            If the file cannot be written.
        ValueError
            If a function, schedule or generator is of your own making, because a file holds no code.
        """
        from backprop.population.files import save

        save(self, path, optimizer)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> tuple[Self, Optimizer | None]:
        """Reads a population that `save` wrote; no code of the file is run.

        Parameters
        ----------
        path : str or path

        Returns
        -------
        Population, Optimizer or None
            The optimizer that was saved with it.

        Raises
        ------
        ValueError
            If the file is damaged, or is not a population's.
        OSError
            If the file cannot be read.
        """
        from backprop.population.files import load

        members, optimizer = load(path)
        one = cls.__new__(cls)
        vars(one).update(vars(members), history=None)
        return one, optimizer

    def __copy__(self) -> Self:
        """The same as `copy.deepcopy`: two populations never share parameters or a generator."""
        import copy

        return copy.deepcopy(self)

    def __repr__(self) -> str:
        network = repr(self.prototype).removeprefix("Network(")
        return f"Population(members={len(self)}, {network}"

    def _some(self, which: NDArray[np.intp]) -> Self:
        import copy

        rngs = [copy.deepcopy(self.rngs[i]) for i in which.tolist()]
        prototype = copy.deepcopy(self.prototype)
        one = self._of(prototype, rngs, self.l1[which], self.l2[which], self.parameters[which])
        one.diverged = self.diverged[which]
        return one

    @classmethod
    def _of(cls, *parts: Any) -> Self:
        one = cls.__new__(cls)
        Members.__init__(one, *parts)
        one.history = None
        return one
