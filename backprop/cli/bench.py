"""How fast training is: the networks to measure, data for them, and a stopwatch that takes turns.

``python -m backprop bench`` is the short form, for one's own machine; PyTorch runs alongside where it is
installed. ``benchmarks/`` of the source repository compares with more libraries.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from backprop import _core
from backprop.fit.threads import usable_threads
from backprop.layer import Layer
from backprop.network import Network
from backprop.optimizers import SGD

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backprop._types import Precision

    Parameters = Sequence[tuple[NDArray[Any], NDArray[Any]]]  # weights (outputs, inputs), bias (outputs,)


@dataclass(frozen=True)
class Case:
    """A network of sigmoid layers with biases, its batch size, and how many samples an epoch has."""

    sizes: tuple[int, ...]
    batch: int
    samples: int

    @property
    def name(self) -> str:
        return "-".join(map(str, self.sizes))

    @property
    def steps(self) -> int:
        """Steps in an epoch."""
        return self.samples // self.batch

    @property
    def parameters(self) -> int:
        return sum((inputs + 1) * outputs for inputs, outputs in itertools.pairwise(self.sizes))

    @property
    def flops(self) -> int:
        """Operations of the three products in a step: forward, weight gradient, and the deltas of all
        layers but the first. An addition or a multiplication is one each."""
        weights = [inputs * outputs for inputs, outputs in itertools.pairwise(self.sizes)]
        return 2 * self.batch * (3 * sum(weights) - weights[0])


CASES = (
    Case((2, 3, 1), 1, 10_000),
    Case((784, 30, 10), 10, 20_000),
    Case((784, 300, 10), 1, 10_000),
    Case((64, 64, 64, 1), 32, 32_000),
    Case((784, 800, 10), 128, 12_800),
    Case((784, 2048, 2048, 10), 256, 2048),
    Case((784, 2500, 2000, 1500, 1000, 500, 10), 100, 1000),
    Case((4, 32, 16, 4), 10_000, 10_000),  # full batches
    Case((64, 256, 256, 1), 1024, 1024),
)
SHORT = CASES[:5]  # those that take no seconds each
RATE = 0.1


class Peer(Protocol):
    """A library at work on a case: squared error summed over the outputs, plain SGD, float32."""

    name: str
    piece: int  # steps

    def train(self, pieces: int) -> None:
        """Trains that many pieces, minibatch by minibatch, on samples in a new random order each epoch."""


class Backprop:
    """This library, through `Network.fit`."""

    name = "backprop"

    def __init__(
        self,
        case: Case,
        parameters: Parameters,
        x: NDArray[Any],
        y: NDArray[Any],
        *,
        rate: float = RATE,
        shuffle: bool = True,
        threads: int | None = None,
        output: str = "sigmoid",
        precision: Precision = "float32",
    ) -> None:
        self.piece = len(x) // case.batch
        self.net = network_of(parameters, output)
        self._x, self._y = x, y
        self._batch, self._shuffle, self._threads = case.batch, shuffle, threads
        self._sgd, self._precision = SGD(rate), precision

    def train(self, pieces: int) -> None:
        self.net.fit(
            self._x,
            self._y,
            self._sgd,
            epochs=pieces,
            batch_size=self._batch,
            shuffle=self._shuffle,
            threads=self._threads,
            precision=self._precision,
            progress=False,
        )

    def parameters(self) -> list[tuple[NDArray[Any], NDArray[Any]]]:
        return [(layer.weights, layer.bias) for layer in self.net.layers if layer.bias is not None]


class PyTorch:
    """The ordinary eager loop: Sequential, loss, backward, optim.SGD; minibatches gathered by index."""

    name = "PyTorch"

    def __init__(
        self,
        case: Case,
        parameters: Parameters,
        x: NDArray[Any],
        y: NDArray[Any],
        *,
        rate: float = RATE,
        shuffle: bool = True,
    ) -> None:
        torch: Any = importlib.import_module("torch")
        self._torch, self._batch, self._shuffle = torch, case.batch, shuffle
        self._x, self._y = torch.from_numpy(x), torch.from_numpy(y)
        self.piece = min(len(x) // case.batch, 100)
        parts = []
        for weights, bias in parameters:
            linear = torch.nn.Linear(weights.shape[1], weights.shape[0])
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(weights))
                linear.bias.copy_(torch.from_numpy(bias))
            parts += [linear, torch.nn.Sigmoid()]
        self.model = torch.nn.Sequential(*parts)
        self._loss = torch.nn.MSELoss(reduction="sum")
        self._sgd = torch.optim.SGD(self.model.parameters(), lr=rate)
        self._left: Any = iter(())

    def train(self, pieces: int) -> None:
        for _ in range(pieces * self.piece):
            rows = next(self._left, None)
            if rows is None:
                self._left = iter(self._minibatches())
                rows = next(self._left)
            loss = self._loss_of(self._x[rows], self._y[rows])
            self._sgd.zero_grad()
            loss.backward()
            self._sgd.step()

    def _loss_of(self, x: Any, y: Any) -> Any:
        return self._loss(self.model(x), y) / len(y)

    def _minibatches(self) -> Any:
        n, torch = len(self._x), self._torch
        order = torch.randperm(n) if self._shuffle else torch.arange(n)
        return order.split(self._batch)

    def parameters(self) -> list[tuple[NDArray[Any], NDArray[Any]]]:
        linear = [part for part in self.model if hasattr(part, "weight")]
        return [(part.weight.detach().numpy(), part.bias.detach().numpy()) for part in linear]


def first_parameters(case: Case, seed: int = 0) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Glorot normal weights and zero biases, of each layer (outputs, inputs) and (outputs,)."""
    rng = np.random.default_rng(seed)
    return [
        (
            rng.normal(0, (2 / (inputs + outputs)) ** 0.5, (outputs, inputs)).astype(np.float32),
            np.zeros(outputs, np.float32),
        )
        for inputs, outputs in itertools.pairwise(case.sizes)
    ]


def network_of(parameters: Parameters, output: str = "sigmoid") -> Network:
    """A network of sigmoid layers with those parameters; `output` is the last layer's activation."""
    activations = ["sigmoid"] * (len(parameters) - 1) + [output]
    net = Network(
        *(
            Layer(weights.shape[1], weights.shape[0], activation)
            for (weights, _), activation in zip(parameters, activations, strict=True)
        )
    )
    for layer, (weights, bias) in zip(net.layers, parameters, strict=True):
        layer.weights = weights
        layer.bias = bias
    return net


def make_data(case: Case, samples: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Random x (samples, inputs) in [0, 1) and y (samples, outputs) in [0.1, 0.9)."""
    rng = np.random.default_rng(1)
    x = rng.random((samples, case.sizes[0]), np.float32)
    y = 0.1 + 0.8 * rng.random((samples, case.sizes[-1]), np.float32)
    return x, y


def take_turns(
    peers: Sequence[Peer],
    repetitions: int,
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
    pause: float = 0.0,
) -> list[list[float]]:
    """Seconds a step of each peer, one entry per repetition; the peers take turns.

    Each repetition is at least one piece of the peer's, and about `seconds` long where that is more. Who
    begins changes from round to round. Before each turn, `pause` seconds pass, for the threads of the one
    before to fall asleep. With the clock `time.process_time`, the times are the processor's, which other
    programs disturb less.
    """

    def timed(peer: Peer, pieces: int) -> float:
        time.sleep(pause)
        begin = clock()
        peer.train(pieces)
        return clock() - begin

    pieces = []
    for peer in peers:
        took = timed(peer, 1)
        if took < seconds:  # the first piece may be slower than the others, which matters where it is short
            took = timed(peer, 1)
        pieces.append(max(1, round(seconds / took)))
    times: list[list[float]] = [[] for _ in peers]
    for turn in range(repetitions):
        for i in range(len(peers)):
            i = (i + turn) % len(peers)
            times[i].append(timed(peers[i], pieces[i]) / (pieces[i] * peers[i].piece))
    return times


def short(threads: int | None = None) -> None:
    """Prints a table of the smaller cases.

    Parameters
    ----------
    threads : int, optional
        For both libraries; by default backprop chooses, and PyTorch has as many as there are cores. Then the
        table also has what backprop takes with 1, 2, 4, ... threads, up to as many as there are cores.
    """
    torch: Any = importlib.import_module("torch") if importlib.util.find_spec("torch") else None
    cores = usable_threads() if threads is None else threads
    counts = _doubling(cores) if threads is None and cores > 1 else ()
    peak = _core.fma_peak("float32", 0.2)
    print(f"backprop with {_core.isa}, {_threads_text(threads)}; one core's peak {peak / 1e9:.0f} GFLOP/s")
    if torch is None:
        print("PyTorch is not installed, so there is nothing to compare with")
    else:
        torch.set_num_threads(cores)
        print(f"PyTorch {torch.__version__} eager, {torch.get_num_threads()} threads")
    print("sigmoid layers, squared error, SGD, float32, shuffled minibatches; µs and steps are medians\n")
    head = f"{'network':<14}{'batch':>6}{'µs a step':>12}{'steps/s':>12}{'GFLOP/s':>9}"
    head += "".join(f"{_count_text(count):>12}" for count in counts)
    print(head + (f"{'PyTorch µs':>12}{'ratio':>10}" if torch else ""))
    for case in SHORT:
        parameters, data = first_parameters(case), make_data(case, case.samples)
        peers: list[Peer] = [Backprop(case, parameters, *data, threads=count) for count in (threads, *counts)]
        if torch is not None:
            peers.append(PyTorch(case, parameters, *data))
        medians = list(map(statistics.median, take_turns(peers, 3, 0.1)))
        step = medians[0]
        line = f"{case.name:<14}{case.batch:>6}{1e6 * step:>12.4g}{1 / step:>12,.0f}"
        line += f"{case.flops / step / 1e9:>9.1f}"
        line += "".join(f"{1e6 * median:>12.4g}" for median in medians[1 : 1 + len(counts)])
        if torch is not None:
            line += f"{1e6 * medians[-1]:>12.4g}{medians[-1] / step:>10.3g}"
        print(line, flush=True)


def _doubling(cores: int) -> tuple[int, ...]:
    """1, 2, 4, ... and `cores`."""
    return (*(1 << i for i in range(cores.bit_length()) if 1 << i < cores), cores)


def _threads_text(threads: int | None) -> str:
    return f"threads as it chooses of {usable_threads()}" if threads is None else _count_text(threads)


def _count_text(threads: int) -> str:
    return f"{threads} thread{'s'[: threads > 1]}"
