"""What classifier and regressor share: parameters, and the course of a fit."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, validate_data

from backprop.layer import Layer
from backprop.network import Network
from backprop.sklearn import parameters, training
from backprop.sklearn.bagging import OF_BAGS, out_of_bag, seeds_and_rows
from backprop.sklearn.fitted import OF_X, Fitted
from backprop.sklearn.halving import with_parameters
from backprop.sklearn.samples import Samples, hold_out
from backprop.sklearn.scaling import Moments, Units, from_units, to_units
from backprop.sklearn.stopping import Watch
from backprop.sklearn.training import UNITS, Begun, Fit, Job, Known, Shared
from backprop.sklearn.warn import warn_user

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from backprop._types import Precision
    from backprop.losses import Loss
    from backprop.optimizers import Optimizer
    from backprop.solvers import WholeBatch

    Self = TypeVar("Self", bound="Estimator")


class Estimator(Fitted):
    """What classifier and regressor share: parameters, and training until it stops getting better."""

    _sums_of_squares: ClassVar[tuple[str, ...]] = ()  # of the losses, those that solver="lm" can have

    network_: Network
    optimizer_: Optimizer | WholeBatch
    n_outputs_: int
    n_iter_: int
    t_: int
    loss_: float
    best_loss_: float
    loss_curve_: list[float]
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    _moments_of_x: Moments | None

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str = "relu",
        *,
        solver: Literal["adam", "sgd", "lbfgs", "lm"] = "adam",
        alpha: float | Literal["auto", "bayesian"] = "auto",
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: Literal["constant", "invscaling", "adaptive"] = "constant",
        learning_rate_init: float | Literal["auto"] = "auto",
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        loss: str | Loss = "auto",
        dropout: float = 0.0,
        standardize: bool = True,
        threads: int | None = None,
        members: int = 1,
        bootstrap: bool = True,
        precision: Precision | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.loss = loss
        self.dropout = dropout
        self.standardize = standardize
        self.threads = threads
        self.members = members
        self.bootstrap = bootstrap
        self.precision = precision

    # What differs between classifier and regressor.

    def _learn(self, y: Any, classes: ArrayLike | None, goes_on: bool, incremental: bool) -> NDArray[Any]:
        """y as validated, after what is to be known of it is learned and checked."""
        raise NotImplementedError

    def _class_weights(self, y: NDArray[Any], incremental: bool) -> NDArray[np.float64] | None:
        """Each sample's weight by its class, (n,), None for all 1."""
        return None

    def _learn_scale(self, samples: Samples, forget: bool) -> None:
        """Learns the moments of the targets, where they are standardised."""

    def _targets(self, y: NDArray[Any]) -> NDArray[Any]:
        """y as the engine takes it."""
        raise NotImplementedError

    def _output(self) -> tuple[str, str | Loss]:
        """The output layer's activation and the loss."""
        raise NotImplementedError

    def _score_of(self, network: Network, held_out: Samples) -> float:
        """What early stopping watches."""
        raise NotImplementedError

    def _judge(self, a: NDArray[np.float64], samples: Samples) -> None:
        """Sets what the outputs of samples out of the bags, (n, outputs), say; NaN where there are none."""
        raise NotImplementedError

    def _stratum(self, y: NDArray[Any]) -> NDArray[Any] | None:
        """What to hold out equal shares of."""
        return None

    @property
    def _loss_scale(self) -> float:
        """The engine's loss as a multiple of scikit-learn's, beside which alpha stands."""
        return 1.0

    @property
    def _of_x(self) -> Units | None:
        """The units of the inputs that the network is trained on, if they are not those of X."""
        return None if self._moments_of_x is None else Units.of_inputs(self._moments_of_x)

    @property
    def _of_y(self) -> Units | None:
        """The units of the targets that the network is trained on, if they are not those of y."""
        return None

    def _fit(
        self: Self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        *,
        incremental: bool,
        classes: ArrayLike | None = None,
    ) -> Self:
        """All of a fit or, if anything fails, nothing."""
        before = self.__dict__.copy()
        try:
            parameters.check(self, self._sums_of_squares)
            if self.members > 1 and self.warm_start:
                raise ValueError(f"members={self.members} are trained anew; warm_start is for members=1")
            goes_on = self.__sklearn_is_fitted__() and (incremental or bool(self.warm_start))
            samples = self._validated(X, y, sample_weight, goes_on, incremental, classes)
            if self.members == 1:
                job = self._job(samples, goes_on, incremental)
                self._finish(job, training.train_alone(job, training.threads_of(self)), incremental)
                return self
            begun = self._begin(samples, training.Shared())
            jobs = [job for _, job in begun.jobs]
            self._end(begun, training.train_together(jobs, training.threads_of(self)))
        except BaseException:
            self.__dict__ = before
            raise
        return self

    def _validated(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        goes_on: bool,
        incremental: bool,
        classes: ArrayLike | None,
    ) -> Samples:
        x, targets = validate_data(self, X, y, **OF_X, multi_output=True, reset=not goes_on)
        weights: NDArray[Any] | None = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, x, dtype=np.float64, ensure_non_negative=True)
        targets = self._learn(targets, classes, goes_on, incremental)
        of_class = self._class_weights(targets, incremental)
        if of_class is not None:
            weights = of_class if weights is None else weights * of_class
        return Samples(x, targets, weights)

    def _job(self, samples: Samples, goes_on: bool, incremental: bool, shared: Shared | None = None) -> Job:
        """What is to be trained; with `shared`, samples that other jobs have too are the same arrays."""
        random = check_random_state(self.random_state)
        held_out = None
        if self.early_stopping and not incremental:
            stratum = self._stratum(samples.y)
            samples, held_out = hold_out(samples, self.validation_fraction, stratum, random)
        forget = not (goes_on and incremental)
        common = None if samples.weights is not None or held_out is not None else shared
        kind = (bool(self.standardize), self.precision is None)
        known = None if common is None else common.known.get(kind)
        if known is None:
            self._learn_units(samples, forget)
        else:
            self.__dict__.update(known.units)
        n = samples.x.shape[0]
        batch_size = parameters.batch_of(self, n)
        total = n if samples.weights is None else float(samples.weights.sum())
        l2 = parameters.penalty(self, n, total, batch_size, 0 if forget else self.t_)
        if self.alpha != "auto":
            l2 *= self._loss_scale
        network = self._network(samples.x, l2, random, self.network_ if goes_on else None)
        if forget:
            self.t_, self.loss_curve_ = 0, []
        optimizer = parameters.optimizer_of(self, self.optimizer_ if goes_on else None, self.t_)
        x, y = known.samples if known else (self._inputs(samples.x, network), self._targets(samples.y))
        if common is not None and known is None:
            common.known[kind] = Known({n: vars(self)[n] for n in UNITS if n in vars(self)}, (x, y))
        score = None
        if held_out is not None:
            held_out = held_out._replace(x=self._inputs(held_out.x, network))

            def score(network: Network) -> float:
                return self._score_of(network, held_out)

        watch = Watch(self, network, optimizer, before=self.t_, samples=n, batch_size=batch_size, score=score)
        how = (batch_size, 1 if incremental else self.max_iter, bool(self.shuffle), self.precision)
        return Job(network, optimizer, x, y, samples.weights, *how, watch)

    def _begin(self, samples: Samples, shared: Shared) -> Begun:
        """What is to be trained in a fit that begins anew: a network of its own, or those of all members."""
        if self.members == 1:
            return Begun([(self, self._job(samples, False, False, shared))], samples, [])
        random = check_random_state(self.random_state)
        bags = seeds_and_rows(random, self.members, samples.x.shape[0], bool(self.bootstrap))
        jobs = []
        for seed, rows in bags:
            one = copy.copy(self)
            one.members, one.random_state = 1, seed
            of_bag = samples.of(rows) if self.bootstrap else samples
            jobs.append((one, one._job(of_bag, False, False, None if self.bootstrap else shared)))
        return Begun(jobs, samples, [rows for _, rows in bags] if self.bootstrap else [])

    def _end(self, begun: Begun, failures: Sequence[Exception | None]) -> None:
        """What is left to do after training; raises what went wrong."""
        for failure in failures:
            if failure is not None:
                raise failure
        for one, job in begun.jobs:
            one._finish(job, False, False)
        if self.members == 1:
            return
        self._forget("network_", "optimizer_", "loss_curve_", *OF_BAGS)
        self.estimators_ = [one for one, _ in begun.jobs]
        self.n_iter_ = max(one.n_iter_ for one in self.estimators_)
        self.loss_ = float(np.mean([one.loss_ for one in self.estimators_]))
        if begun.bags:
            networks = [one.network_ for one in self.estimators_]
            self._judge(out_of_bag(networks, begun.bags, begun.samples.x), begun.samples)

    def _forget(self, *names: str) -> None:
        for name in names:
            self.__dict__.pop(name, None)

    def _finish(self, job: Job, interrupted: bool, incremental: bool) -> None:
        """What is left to do after training."""
        network, watch = job.network, job.watch
        if not incremental:
            watch.keep_the_best(network, lambda: job.mean_loss)
        to_units(network, self._of_x, self._of_y)
        self._set_results(network, job.optimizer, watch)
        if interrupted:
            warn_user("training was interrupted; the best parameters so far are kept")
        elif not incremental and not watch.stopped:
            unit, rate = ("iterations", "") if watch.whole else ("epochs", " or learning_rate_init")
            limit = f"max_iter={self.max_iter} {unit}"
            if watch.spent:
                limit = f"max_fun={self.max_fun} evaluations"
            warn_user(
                f"training reached {limit} and has not converged; train for more, or raise tol{rate}",
                ConvergenceWarning,
            )

    def _learn_units(self, samples: Samples, forget: bool) -> None:
        """The moments of X and y, of all samples so far unless those before are to be forgotten."""
        if not self.standardize:
            self._moments_of_x = None
        else:
            found = Moments.of("X", samples.x, samples.weights)
            known = None if forget else self._moments_of_x
            self._moments_of_x = found if known is None else known.joined(found)
        self._learn_scale(samples, forget)

    def _inputs(self, x: Any, network: Network) -> Any:
        """X as the network is trained on it."""
        units = self._of_x
        return x if units is None else units.standardised(x, network.dtype)

    def _network(
        self, x: Any, l2: float, random: np.random.RandomState, before: Network | None
    ) -> Network:
        """A network to train, in standardised units; with the parameters of the one `before`."""
        hidden = parameters.hidden_sizes(self)
        activation = "sigmoid" if self.activation == "logistic" else self.activation
        output, loss = self._output()
        sizes = [x.shape[1], *hidden, self.n_outputs_]
        last = len(hidden)
        layers = [
            Layer(
                sizes[i],
                sizes[i + 1],
                activation if i < last else output,
                l2=l2,
                dropout=self.dropout if i < last else 0.0,
                init="glorot_uniform" if before is None else "zeros",
            )
            for i in range(last + 1)
        ]
        if before is None:
            units = [u for u in (self._of_x, self._of_y) if u is not None]
            single = self.precision or (x.dtype == np.float32 and all(u.fits_float32 for u in units))
            return Network(
                *layers,
                loss=loss,
                dtype="float32" if single else "float64",
                seed=int(random.randint(2**31 - 1)),
            )
        was = tuple(layer.outputs for layer in before.layers[:-1])
        if was != hidden:
            raise ValueError(f"hidden_layer_sizes must stay {was} while training goes on, got {hidden}")
        network = Network(*layers, loss=loss, dtype=before.dtype, seed=copy.deepcopy(before.rng))
        network.parameters[:] = before.parameters
        from_units(network, self._of_x, self._of_y)
        return network

    def _set_results(self, network: Network, optimizer: Optimizer | WholeBatch, watch: Watch) -> None:
        """The attributes that a fit leaves."""
        self._forget("estimators_", *OF_BAGS)
        epochs = len(watch.losses)
        goes_on = self.t_ > 0
        self.network_, self.optimizer_ = network, optimizer
        self.n_iter_ = epochs + (self.n_iter_ if goes_on else 0)
        self.t_ += epochs * watch.samples
        self.loss_curve_ = [*self.loss_curve_, *watch.losses]
        if self.loss_curve_:
            self.loss_, self.best_loss_ = self.loss_curve_[-1], min(self.loss_curve_)
        scores = watch.scores
        self.validation_scores_ = scores if watch.score else None
        self.best_validation_score_ = max(scores, default=None) if watch.score else None


def fit_together(fits: Sequence[Fit], threads: int | None) -> list[Exception | None]:
    """Fits new estimators, each as its own fit would, but together; what went wrong with each."""
    errors: list[Exception | None] = [None] * len(fits)
    begun: dict[int, Begun] = {}
    for i, fit in enumerate(fits):
        e = fit.estimator
        try:
            parameters.check(e, e._sums_of_squares)
            validate = partial(e._validated, fit.X, fit.y, fit.sample_weight, False, False, None)
            begun[i] = e._begin(fit.shared.once(e, fit.sample_weight, validate), fit.shared)
            for one, job in begun[i].jobs:
                job.contender = fit.contender
                job.fitted = partial(with_parameters, one, (one._of_x, one._of_y))
        except (TypeError, ValueError) as error:
            errors[i] = error
    jobs = [job for each in begun.values() for _, job in each.jobs]
    failures = iter(training.train_together(jobs, threads))
    for i, each in begun.items():
        try:
            fits[i].estimator._end(each, [next(failures) for _ in each.jobs])
        except (ArithmeticError, TypeError, ValueError) as error:
            errors[i] = error
    return errors
