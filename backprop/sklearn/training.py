"""One training of an estimator's network, alone; or many of them together, as populations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from backprop._core import DivergenceError
from backprop._sparse import is_sparse
from backprop.population import Population
from backprop.population.loop import fit
from backprop.sklearn.halving import compete
from backprop.sklearn.watching import MemberWatch
from backprop.solvers import WholeBatch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backprop._types import Precision
    from backprop.network import Network
    from backprop.optimizers import Optimizer
    from backprop.sklearn.halving import Contender
    from backprop.sklearn.samples import Samples
    from backprop.sklearn.stopping import Watch


# Attributes of an estimator that hold the units of its samples.
UNITS = ("_moments_of_x", "_moments")


class Known(NamedTuple):
    """What trainings on the same samples have alike.

    Attributes
    ----------
    units : dict
        `UNITS` of an estimator.
    samples : (x, y)
        As networks are trained on them.
    """

    units: dict[str, Any]
    samples: tuple[Any, NDArray[Any]]


class Shared:
    """What fits on the same X and y have alike, filled by the first of them.

    Attributes
    ----------
    validated : dict
        What an estimator learned of X and y, and the samples; by its class and the weights it was given.
    known : dict
        By whether samples are standardised, and whether the network is of the samples' precision.
    """

    def __init__(self) -> None:
        self.validated: dict[tuple[type, int], tuple[dict[str, Any], Samples]] = {}
        self.known: dict[tuple[bool, bool], Known] = {}

    def once(self, estimator: Any, sample_weight: Any, validate: Callable[[], Samples]) -> Samples:
        """The samples of a new estimator, validated where no other one has done it with these weights."""
        if getattr(estimator, "class_weight", None) is not None:
            return validate()
        key, before = (type(estimator), id(sample_weight)), set(vars(estimator))
        if key not in self.validated:
            samples = validate()
            learned = {name: value for name, value in vars(estimator).items() if name not in before}
            self.validated[key] = learned, samples
        learned, samples = self.validated[key]
        estimator.__dict__.update(learned)
        return samples


@dataclass
class Job:
    """What one call of fit is to train, as far as it is known before training.

    Attributes
    ----------
    network : Network
        In standardised units.
    optimizer : Optimizer or WholeBatch
    x, y : ndarray; x may be a sparse matrix in compressed rows
        As the network is trained on them.
    weights : ndarray of float64, (n,), or None
    batch_size, epochs : int
    shuffle : bool
    precision : str or None
        Of the products, as `Network.fit` takes it.
    watch : Watch
        Is called after every epoch, and keeps the best parameters.
    contender : Contender or None
        In a search with halving: what it competes as.
    fitted : callable or None
        The estimator with a network's parameters in the units of X and y.
    """

    network: Network
    optimizer: Optimizer | WholeBatch
    x: Any
    y: NDArray[Any]
    weights: NDArray[np.float64] | None
    batch_size: int
    epochs: int
    shuffle: bool
    precision: Precision | None
    watch: Watch
    contender: Contender | None = None
    fitted: Callable[[Network, NDArray[Any]], Any] | None = None

    @property
    def is_alone(self) -> bool:
        """Whether it is nothing that a population can do."""
        wide = self.precision in (None, "float32")
        return isinstance(self.optimizer, WholeBatch) or not wide or is_sparse(self.x)

    @property
    def mean_loss(self) -> float:
        """C with the parameters as they are."""
        return float(np.average(self.network.losses(self.x, self.y), weights=self.weights))

    @property
    def shape(self) -> tuple[Any, ...]:
        """What jobs have alike that are trained in one population."""
        layers = [
            (layer.inputs, layer.outputs, str(layer.activation), layer.has_bias, layer.dropout)
            for layer in self.network.layers
        ]
        nesterov = self.optimizer.settings.get("nesterov")
        network = (*layers, self.network.loss_function, self.network.dtype)
        data = (self.x.shape, self.x.dtype, self.y.shape[1:], self.y.dtype, self.weights is None)
        return (network, data, type(self.optimizer), nesterov, self.batch_size, self.epochs, self.shuffle)


class Begun(NamedTuple):
    """A fit before its networks are trained: these, all samples, and of a bootstrap the rows of each bag."""

    jobs: list[tuple[Any, Job]]
    samples: Samples
    bags: list[NDArray[np.int64]]


class Fit(NamedTuple):
    """One call of fit: an estimator, what it is to be given, what other fits on the same X share, and what it
    competes as."""

    estimator: Any
    X: Any
    y: Any
    sample_weight: Any
    shared: Shared
    contender: Contender | None = None


def threads_of(estimator: Any) -> int | None:
    """What fit takes; inside joblib's workers one thread, because the other cores have work."""
    if estimator.threads is not None:
        return int(estimator.threads)
    from joblib.parallel import get_active_backend

    nested = (get_active_backend()[0].nesting_level or 0) > 0
    return 1 if nested else None


def train_alone(job: Job, threads: int | None) -> bool:
    """Trains one network; whether Ctrl-C ended it.

    Raises
    ------
    DivergenceError
        As from `Network.fit`.
    """
    try:
        history = job.network.fit(
            job.x,
            job.y,
            job.optimizer,
            epochs=job.epochs,
            batch_size=job.batch_size,
            shuffle=job.shuffle,
            threads=threads,
            precision=job.precision,
            progress=False,
            callbacks=[job.watch],
            sample_weight=job.weights,
        )
        job.watch.stopped |= history.stopped in ("gradient", "settled", "stalled")
    except KeyboardInterrupt:
        return True
    return False


def train_together(jobs: Sequence[Job], threads: int | None) -> list[Exception | None]:
    """Trains all networks, those of one shape in one population, each with the bits that `train_alone` gives.

    Those of solvers that look at all samples before they move, those in bfloat16 and those on a sparse X are
    trained one by one.

    Parameters
    ----------
    jobs : sequence of Job
    threads : int or None

    Returns
    -------
    list of Exception or None
        What went wrong with each.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C.
    """
    errors: list[Exception | None] = [None] * len(jobs)
    groups: dict[Any, list[int]] = {}
    for i, job in enumerate(jobs):
        if not job.is_alone:
            groups.setdefault(job.shape, []).append(i)
            continue
        try:
            if train_alone(job, threads):
                raise KeyboardInterrupt
        except (DivergenceError, ValueError) as error:
            errors[i] = error
    together = [_Together([jobs[i] for i in members], threads) for members in groups.values()]
    for stage in (2, 1, 0):
        for group in together:
            group.train(stage)
        if stage > 0:
            _compete(together)
    for group, members in zip(together, groups.values(), strict=True):
        group.finish()
        for member, i in enumerate(members):
            if group.population.diverged[member]:
                errors[i] = DivergenceError("the loss is no longer finite")
    return errors


class _Together:
    """Networks of one shape that are trained as a population.

    Parameters
    ----------
    jobs : list of Job
    threads : int or None
    """

    def __init__(self, jobs: list[Job], threads: int | None) -> None:
        self.population = Population.of([job.network for job in jobs])
        self._jobs, self._threads, self._epochs = jobs, threads, 0
        self._optimizer = _optimizer_of(jobs)
        self._watch = MemberWatch([job.watch for job in jobs], self.population, self._optimizer)
        self._samples = _samples_of(jobs)

    def train(self, stage: int) -> None:
        """Up to the epoch after which this stage's competition is, if there is any; stage 0 is the last."""
        first, watch = self._jobs[0], self._watch
        until = first.epochs
        if stage > 0:
            until = 0 if first.contender is None else until // first.contender.factor**stage
        if until <= self._epochs or not watch.training.any():
            return
        x, y, weights, rows = self._samples
        fit(
            self.population,
            x,
            y,
            self._optimizer,
            epochs=until - self._epochs,
            batch_size=first.batch_size,
            shuffle=first.shuffle,
            samples=rows,
            validation=None,
            patience=None,
            monitor="loss",
            min_delta=0.0,
            target=None,
            sample_weight=weights,
            class_weight=None,
            target_mask=None,
            threads=self._threads,
            norms=False,
            progress=False,
            callbacks=[watch] if watch.looks_on else (),
            resting=~watch.training,
            stopping=None if watch.looks_on else watch.rule,
        )
        watch.after(self.population)
        self._epochs = until

    def scores(self) -> list[tuple[Contender, float]]:
        """Those that are not dropped, and how good they are now."""
        scores = []
        for i, job in enumerate(self._jobs):
            if job.contender is None or job.fitted is None or job.contender.dropped:
                continue
            lost = bool(self.population.diverged[i])
            one = job.fitted(job.network, self.population.parameters[i])
            scores.append((job.contender, -np.inf if lost else job.contender.score(one)))
        return scores

    def drop(self) -> None:
        """Ends the training of those that have been dropped."""
        contenders = [job.contender for job in self._jobs]
        self._watch.drop(np.array([one is not None and one.dropped for one in contenders]))

    def finish(self) -> None:
        """Gives each network its parameters back."""
        self._watch.finish(self.population)
        for i, job in enumerate(self._jobs):
            job.network.parameters[:] = self.population.parameters[i]
            job.network.rng = self.population.rngs[i]
            job.optimizer = job.watch.optimizer = self._optimizer.of_member(i)


def _compete(together: list[_Together]) -> None:
    """Ends the training of the settings that are not good enough."""
    scores = [pair for group in together for pair in group.scores()]
    if scores:
        compete(*zip(*scores, strict=True))
        for group in together:
            group.drop()


def _optimizer_of(jobs: list[Job]) -> Optimizer:
    """One with the numbers of all, (members,)."""
    settings: dict[str, Any] = {}
    every = [job.optimizer.settings for job in jobs]
    for name, first in every[0].items():
        values = [each[name] for each in every]
        if name == "betas":
            settings[name] = tuple(np.array(values, np.float64).T)
        else:
            settings[name] = first if isinstance(first, bool) else np.array(values, np.float64)
    kind: Any = type(jobs[0].optimizer)
    optimizer: Optimizer = kind(**settings)
    return optimizer


def _samples_of(
    jobs: list[Job],
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float64] | None, NDArray[np.uint32] | None]:
    """The samples that jobs have, each set once, their weights, and which rows are whose."""
    n = len(jobs[0].x)
    sets: dict[tuple[int, ...], tuple[int, Job]] = {}
    first = [
        sets.setdefault((id(job.x), id(job.y), id(job.weights)), (len(sets) * n, job))[0] for job in jobs
    ]
    kept = [job for _, job in sets.values()]
    if len(kept) == 1:
        return kept[0].x, kept[0].y, kept[0].weights, None
    weights = [job.weights for job in kept if job.weights is not None]
    rows = (np.array(first)[:, np.newaxis] + np.arange(n)).astype(np.uint32)
    together = np.concatenate([job.x for job in kept]), np.concatenate([job.y for job in kept])
    return (*together, np.concatenate(weights) if weights else None, rows)
