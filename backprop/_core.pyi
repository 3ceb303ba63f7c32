from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Real = TypeVar("Real", NDArray[np.float32], NDArray[np.float64])

Function = Callable[..., Any] | int
Rate = float | Callable[[int], float]
Rates = Callable[[int, int], NDArray[np.float64]]
SharedMemory = tuple[NDArray[np.uint8], int, Callable[[], None], Callable[[], None]]
Block = tuple[NDArray[Any], NDArray[Any], NDArray[np.float64] | None]

isa: str
candidates: tuple[str, ...]
activations: tuple[str, ...]
losses: tuple[str, ...]
figures: tuple[str, ...]  # of one epoch: the columns of _train's record

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
        weight_decay: float = 0.0,
        beta_1: float = 0.0,
        beta_2: float = 0.0,
        epsilon: float = 0.0,
        clip_norm: float = ...,
        clip_value: float = ...,
    ) -> None: ...
    def _set_state(self, state: tuple[NDArray[Any], ...]) -> None: ...

class Network:
    @property
    def parameters(self) -> NDArray[Any]: ...
    def __call__(self, x: ArrayLike) -> NDArray[Any]: ...
    def classify(self, x: ArrayLike) -> NDArray[np.int64]: ...
    def loss(self, x: ArrayLike, y: ArrayLike) -> float: ...
    def losses(self, x: ArrayLike, y: ArrayLike) -> NDArray[Any]: ...
    def accuracy(self, x: ArrayLike, y: ArrayLike) -> float: ...
    def step(self, x: ArrayLike, y: ArrayLike, optimizer: Optimizer) -> float: ...
    def _setup(
        self,
        layers: list[
            tuple[int, int, str | tuple[Function, Function], bool, float, float, float]
        ],  # inputs, outputs, activation, bias, l1, l2, dropout
        loss: str | tuple[Function, Function],
        dtype: str,
    ) -> None: ...
    def _gradient(
        self, x: ArrayLike, y: ArrayLike, per_sample: bool
    ) -> tuple[NDArray[Any], NDArray[Any], float | NDArray[Any]]: ...
    def _trace(
        self, x: ArrayLike, y: ArrayLike | None = None
    ) -> list[
        tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None, NDArray[Any] | None, NDArray[Any] | None]
    ]: ...
    def _jacobian(self, x: ArrayLike) -> NDArray[Any]: ...
    def _hessian_vector(self, x: ArrayLike, y: ArrayLike, direction: NDArray[Any]) -> NDArray[Any]: ...
    def _train(
        self,
        x: NDArray[Any] | None,
        y: NDArray[Any] | None,
        optimizer: Optimizer,
        epochs: int,
        batch_size: int,
        bit_generator: np.random.BitGenerator | None,
        threads: int,
        rates: NDArray[np.float64] | None,
        sample_weight: ArrayLike | None,
        validation: tuple[ArrayLike, ArrayLike] | None,
        budget: float,
        first_epoch: int,
        record: NDArray[np.float64],
        shuffle: bool,
        target_mask: NDArray[np.bool_] | None,
        norms: bool,
        stream: tuple[Callable[[], Block | None], Rates | None, bool, int] | None,
        ranks: tuple[
            int, int, bool, int, int, Callable[..., None], Any, NDArray[np.bool_], SharedMemory | None
        ]
        | None,
    ) -> int: ...
    def _room_to_share(self, optimizer: Optimizer, ranks: int, rows: int) -> int: ...

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
