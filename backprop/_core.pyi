from collections.abc import Callable, Sequence
from typing import Any, TypedDict, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backprop._types import SamplesLike, Seed

T = TypeVar("T")
Real = TypeVar("Real", NDArray[np.float32], NDArray[np.float64])

Function = Callable[..., Any] | int
Rate = float | Callable[[int], float]
Rates = Callable[[int, int], NDArray[np.float64]]
Block = tuple[NDArray[Any], NDArray[Any], NDArray[np.float64] | None]

class LayerArguments(TypedDict):
    inputs: int
    outputs: int
    activation: str | tuple[Function, ...]
    bias: bool
    l1: float
    l2: float
    dropout: float

class StreamArguments(TypedDict):
    next_block: Callable[[], Block | None]
    rates: Rates | None
    whole: bool
    thread: int

class CommonMemoryArguments(TypedDict):
    memory: NDArray[np.uint8]
    rows: int
    barrier: Callable[[], None]
    sync: Callable[[], None]

class RanksArguments(TypedDict):
    rank: int
    size: int
    sharded: bool
    steps: int
    average_every: int
    allreduce: Callable[..., None]
    in_place: Any
    interrupted: NDArray[np.bool_]
    common_memory: CommonMemoryArguments | None

isa: str
interface: int  # the CRC-32 of this file when the engine was built
candidates: tuple[str, ...]
activations: tuple[str, ...]
losses: tuple[str, ...]
figures: tuple[str, ...]  # of one epoch: the columns of _train's record
solved_figures: tuple[str, ...]  # of one iteration: the columns of _solve's record
bayesian_numbers: tuple[str, ...]  # of the Bayesian way: what _solve's numbers are

class DivergenceError(ArithmeticError):
    epoch: int
    layer: int

class Optimizer:
    lr: Rate
    steps: int
    @property
    def state(self) -> tuple[NDArray[Any], ...]: ...
    def _setup(
        self,
        kind: str,
        *,
        momentum: float = 0.0,
        nesterov: bool | float = False,
        lazy: bool | float = False,
        weight_decay: float = 0.0,
        beta_1: float = 0.0,
        beta_2: float = 0.0,
        epsilon: float = 0.0,
        clip_norm: float = ...,
        clip_value: float = ...,
        members: int = 0,  # of the population that it is of; 0 where it is of a network
    ) -> None: ...
    def _set_state(self, state: tuple[NDArray[Any], ...]) -> None: ...

class Network:
    @property
    def parameters(self) -> NDArray[Any]: ...
    def __call__(
        self,
        x: SamplesLike,
        *,
        out: NDArray[Any] | None = None,
        dropout: bool = False,
        rng: Seed = None,
    ) -> NDArray[Any]: ...
    def classify(self, x: SamplesLike) -> NDArray[np.int64]: ...
    def loss(
        self,
        x: SamplesLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        target_mask: ArrayLike | None = None,
    ) -> float: ...
    def losses(
        self,
        x: SamplesLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        target_mask: ArrayLike | None = None,
    ) -> NDArray[Any]: ...
    def accuracy(self, x: SamplesLike, y: ArrayLike) -> float: ...
    @overload
    def step(
        self,
        x: SamplesLike,
        y: ArrayLike,
        optimizer: Optimizer,
        *,
        dC_da: None = None,
        sample_weight: ArrayLike | None = None,
        target_mask: ArrayLike | None = None,
    ) -> float: ...
    @overload
    def step(
        self,
        x: SamplesLike,
        y: None = None,
        *,
        optimizer: Optimizer,
        dC_da: ArrayLike,
        sample_weight: ArrayLike | None = None,
        target_mask: None = None,
    ) -> float: ...
    def _has_classes(self, labels: bool, /) -> bool: ...
    def _usable_threads(self) -> int: ...
    def _setup(
        self, layers: list[LayerArguments], loss: str | tuple[Function, Function, int], dtype: str
    ) -> None: ...
    def _gradient(
        self,
        x: SamplesLike,
        y: ArrayLike | None = None,
        *,
        dC_da: ArrayLike | None = None,
        per_sample: bool = False,
        sample_weight: ArrayLike | None = None,
        target_mask: ArrayLike | None = None,
    ) -> tuple[NDArray[Any], NDArray[Any], float | NDArray[Any]]: ...
    def _trace(
        self, x: ArrayLike, y: ArrayLike | None = None
    ) -> list[
        tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None, NDArray[Any] | None, NDArray[Any] | None]
    ]: ...
    def _jacobian(self, x: SamplesLike) -> NDArray[Any]: ...
    def jacobian_vector(self, x: SamplesLike, v: ArrayLike) -> NDArray[Any]: ...
    def vector_jacobian(self, x: SamplesLike, u: ArrayLike) -> NDArray[Any]: ...
    def _hessian_vector(
        self,
        x: SamplesLike,
        y: ArrayLike,
        direction: NDArray[Any],
        *,
        sample_weight: ArrayLike | None = None,
        target_mask: ArrayLike | None = None,
    ) -> NDArray[Any]: ...
    def _train(
        self,
        *,
        x: NDArray[Any] | None,  # None with a stream, as y
        y: NDArray[Any] | None,
        optimizer: Optimizer,
        epochs: int,
        batch_size: int,
        record: NDArray[np.float64],  # (epochs, figures)
        bit_generator: np.random.BitGenerator | None = None,
        threads: int = 1,
        rates: NDArray[np.float64] | None = None,
        sample_weight: ArrayLike | None = None,
        target_mask: NDArray[Any] | None = None,
        validation: tuple[ArrayLike | None, ...] | None = None,
        budget: float = ...,
        first_epoch: int = 0,
        shuffle: bool = False,
        norms: bool = False,
        sparing: bool = False,
        losses: list[NDArray[np.float64]] | None = None,  # those of all steps are appended
        precision: str = "float32",
        stream: StreamArguments | None = None,
        ranks: RanksArguments | None = None,
    ) -> int: ...
    def _locked(self, function: Callable[[], T]) -> T: ...  # while no other thread computes with it
    def _room_to_share(self, optimizer: Optimizer, *, ranks: int, rows: int) -> int: ...
    def _solve(
        self,
        *,
        x: NDArray[Any],
        y: NDArray[Any],
        iterations: int,
        record: NDArray[np.float64],  # (iterations, solved_figures)
        numbers: NDArray[np.float64],  # count, place, steps; or damping, steps; or bayesian_numbers
        after: Callable[[], bool] | None = None,  # after each iteration; others may use the network meanwhile
        pairs: NDArray[np.float64] | None = None,  # (memory, 2, parameters), for L-BFGS
        accelerated: bool = False,
        penalties: NDArray[np.float64] | None = None,  # (2, groups), for the Bayesian way
        kept: NDArray[np.float64] | None = None,  # (parameters,), likewise
        residuals: int = 0,
        sample_weight: NDArray[np.float64] | None = None,
        target_mask: NDArray[Any] | None = None,
        validation: tuple[ArrayLike | None, ...] | None = None,
        threads: int = 1,
        gradient: float = 0.0,
        target: float = ...,
        budget: float = ...,
    ) -> tuple[int, str]: ...
    def _train_population(
        self,
        *,
        parameters: NDArray[Any],  # (members, parameters)
        states: tuple[NDArray[Any], ...],  # each (members, parameters)
        steps: NDArray[np.uint64],  # (members,)
        active: NDArray[np.bool_],  # (members,)
        optimizer: Optimizer,
        x: NDArray[Any] | Sequence[NDArray[Any]],
        own_x: bool = False,
        y: NDArray[Any] | Sequence[NDArray[Any]],
        own_y: bool = False,
        epochs: int,
        batch_size: int,
        record: tuple[NDArray[np.float64] | None, ...],  # of each figure (epochs, members)
        numbers: NDArray[np.float64] | None = None,  # (members, 8)
        rates: NDArray[np.float64] | None = None,  # (steps,) or (members, steps)
        penalties: NDArray[np.float64] | None = None,  # (members, layers, 2): l1, l2
        samples: NDArray[np.uint32] | None = None,  # (members, n)
        sample_weight: ArrayLike | None = None,
        target_mask: NDArray[Any] | None = None,
        own_weight: bool = False,
        own_mask: bool = False,
        validation: tuple[ArrayLike, ...] | None = None,
        own_validation: bool = False,
        bit_generators: list[np.random.BitGenerator] | np.random.BitGenerator | None = None,
        alike: bool = False,  # whether they are likely to draw the same; the bits do not depend on it
        shuffle: bool = False,
        norms: bool = False,
        # tol, most, best, waited, epochs, ended, kept, objective: csrc/core/population/population.h
        patience: tuple[NDArray[Any], ...] | None = None,
        # figure, rises, spread, least, patience, target, before, best, best_epoch, epochs, ended, kept
        monitor: tuple[Any, ...] | None = None,
        threads: int = 1,
        way: str = "fastest",  # or "one by one", "in lanes"; the bits are the same
    ) -> None: ...
    def _population_outputs(
        self,
        *,
        parameters: NDArray[Any],
        x: NDArray[Any] | Sequence[NDArray[Any]],
        own_x: bool = False,
        threads: int = 1,
    ) -> NDArray[Any]: ...
    def _population_scores(
        self,
        *,
        parameters: NDArray[Any],
        x: NDArray[Any] | Sequence[NDArray[Any]],
        own_x: bool = False,
        y: NDArray[Any] | Sequence[NDArray[Any]],
        own_y: bool = False,
        sample_weight: ArrayLike | None = None,
        target_mask: NDArray[Any] | None = None,
        own_weight: bool = False,
        own_mask: bool = False,
        threads: int = 1,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
    def _set_freedom(
        self, *, layer: int, lr: float, bias_lr: float, mask: NDArray[np.bool_] | None = None
    ) -> None: ...
    def _levenberg_bytes(self, *, samples: int, primal: bool) -> int | None: ...

def arguments() -> dict[str, tuple[str, ...]]: ...  # what the engine takes by name, for tests
def as_array(name: str, object: object, /) -> NDArray[Any]: ...
def as_rows(name: str, object: object, /) -> Any: ...
def is_sparse(object: object, /) -> bool: ...
def capsule_address(capsule: object) -> int: ...
def call_address(address: int, first: NDArray[Any], second: NDArray[Any] = ...) -> NDArray[np.float64]: ...
def weighted_sum(a: Real, weights: Real, bias: Real | None = None, out: Real | None = None) -> Real: ...
def activation(name: str, z: Real, out: Real | None = None) -> Real: ...
def activation_derivative(name: str, z: Real, out: Real | None = None) -> Real: ...
def loss(name: str, a: Real, y: Real, out: Real | None = None) -> Real: ...
def loss_derivative(name: str, a: Real, y: Real, out: Real | None = None) -> Real: ...
def delta_output(dC_da: Real, da_dz: Real, out: Real | None = None) -> Real: ...
def delta_hidden(delta: Real, weights: Real, da_dz: Real, out: Real | None = None) -> Real: ...
def weight_gradient(delta: Real, a: Real, out: Real | None = None) -> Real: ...
def sgd_update(weights: Real, gradient: Real, lr: float, out: Real | None = None) -> Real: ...
def fma_peak(dtype: str, seconds: float) -> float: ...
def pairwise_squares(numbers: NDArray[Any], /) -> float: ...  # Σ x², C-contiguous, in the precision of x
def products(dtype: str, precision: str) -> str: ...  # the name of the instructions
