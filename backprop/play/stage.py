"""The engine of the page where there is Python: a network, its samples, its optimizer, what was done to them.

It answers with numbers only. What a round is, in which order its layers come, what is drawn and said of it,
the page decides (backprop/play/page), so that it is the same with the engine in WebAssembly (site/engine.js).
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from backprop import datasets
from backprop._classes import has_classes
from backprop._validate import as_array, index_below, name_among, positive, whole_number
from backprop.network import Network
from backprop.optimizers import SGD, Adam, Optimizer, RMSprop

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from backprop.results import Trace

SETS: dict[str, Callable[..., datasets.Plane]] = {
    "circles": datasets.circles,
    "moons": datasets.moons,
    "two_spirals": datasets.two_spirals,
    "xor": datasets.xor,
}
OWN = "your data"
RULES: dict[str, Callable[..., Optimizer]] = {"sgd": SGD, "adam": Adam, "rmsprop": RMSprop}
MEASURED = 2000  # samples of each part that C and the accuracy are measured on
MOST_EPOCHS = 1000  # that one message may ask for
MOST_UNDONE, BYTES_UNDONE = 200, 1 << 26
PLANE, TESTS = 200, 100  # samples of the sets in the plane


class Part(NamedTuple):
    """Samples by rows x (n, inputs), and y such that y[i] is the target of x[i]."""

    x: NDArray[Any]
    y: NDArray[Any]


class Moment(NamedTuple):
    """All that a step changes, to go back to."""

    parameters: NDArray[Any]
    optimizer: Optimizer
    epochs: int
    generator: Mapping[str, Any]


class Stage:
    """A network on show.

    Parameters
    ----------
    network : Network, optional
        The network itself, not a copy: what is trained here is trained. By default a small new one for the
        sets in the plane, which the page may put another one in the place of.
    x, y : array_like, optional
        Samples by rows (n, inputs) and their targets, as for `Network.fit`. Without them the network needs
        two inputs, and is shown one of the sets in the plane, which any network with two inputs can go over
        to.
    validation : (x, y), optional
        Samples that are shown and measured, and never trained on.
    optimizer : Optimizer, optional
        What updates; by default ``SGD(0.5)``.
    batch_size : int
        For training whole epochs.
    nodes : int
        How many nodes of a layer to draw at most, at least 2; of the output layer up to 10 are drawn all.
    sample : int
        Which sample to begin with.
    name : str, optional
        What the data is called; one of the sets in the plane by its own name.
    classes : sequence of str, optional
        What the classes are called.
    builds : bool, optional
        Whether the page may put another network in the place of this one; by default only of its own.

    Attributes
    ----------
    lock : threading.Lock
        Held by whoever asks the stage something or changes it, for as long.
    version : int
        Grows with every change, so that a page sees that another one was at work.

    Raises
    ------
    TypeError, ValueError
        If the data does not fit the network, or an argument makes no sense.
    """

    def __init__(
        self,
        network: Network | None = None,
        x: ArrayLike | None = None,
        y: ArrayLike | None = None,
        *,
        validation: tuple[ArrayLike, ArrayLike] | None = None,
        optimizer: Optimizer | None = None,
        batch_size: int = 10,
        nodes: int = 8,
        sample: int = 0,
        name: str = "moons",
        classes: tuple[str, ...] | None = None,
        builds: bool | None = None,
    ) -> None:
        self.builds = network is None if builds is None else builds
        if network is None:
            network = Network.dense(2, 5, 4, 1, hidden="tanh", seed=0)
        if not isinstance(network, Network):
            raise TypeError(f"network must be a Network, got {type(network).__name__}")
        if optimizer is not None and not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer must be one such as SGD(0.1), got {type(optimizer).__name__}")
        if (x is None) != (y is None):
            raise ValueError(f"x and y come together; got no {'x' if x is None else 'y'}")
        self.network = network
        self.batch_size = whole_number("batch_size", batch_size)
        self.nodes = whole_number("nodes", nodes, 2)
        self.optimizer = SGD(0.5) if optimizer is None else optimizer
        self.lock = threading.Lock()
        self.version, self.epochs = 0, 0
        self._own: dict[str, tuple[Part, Part | None, tuple[str, ...] | None]] = {}
        if x is not None and y is not None:
            tests = None if validation is None else _part(network, *validation)
            self._own[OWN] = _part(network, x, y), tests, classes
        self.begin_anew()
        self.take_data(OWN if self._own else name)
        self.sample = index_below("sample", sample, len(self.x), "samples")

    @property
    def sets(self) -> tuple[str, ...]:
        """The names of the data that can be shown."""
        inputs = self.network.layers[0].inputs
        own = tuple(name for name, (part, _, _) in self._own.items() if part.x.shape[1] == inputs)
        return own + (tuple(SETS) if inputs == 2 else ())

    def take_data(self, data: object) -> None:
        """Goes over to other data, one of `sets`."""
        if not self.sets:
            inputs = self.network.layers[0].inputs
            raise ValueError(f"a network of {inputs} inputs needs x and y: the sets in the plane have 2")
        name = name_among("data", data, self.sets)
        if name in self._own:
            train, tests, classes = self._own[name]
            train = _part(self.network, *train)
        else:
            train, tests = (
                _part(self.network, *SETS[name](count, rng=seed)) for seed, count in enumerate((PLANE, TESTS))
            )
            classes = None
        self.classes = classes
        (self.x, self.y), self.tests, self.data, self.epochs = train, tests, name, 0
        self.version += 1

    def take_own(self, name: str, part: Part, classes: tuple[str, ...] | None) -> None:
        """Keeps samples that the page brought, to go over to; the first targets show whether they fit."""
        self._own[name] = part, None, classes

    def build(self, network: Network, optimizer: Optimizer, data: str) -> None:
        """Puts another network in the place of the one that the stage made itself."""
        if not self.builds:
            raise ValueError("this network is yours: it was given to the page, and stays")
        before = self.network, self.optimizer
        self.network, self.optimizer = network, optimizer
        try:
            self.take_data(data)
        except (TypeError, ValueError):
            self.network, self.optimizer = before
            raise
        self.begin_anew()

    def begin_anew(self) -> None:
        """What the network is now is what `restart` goes back to."""
        self.epochs = 0
        self._undone: list[Moment] = []
        self._beginning = self._moment()
        self.version += 1

    def _moment(self) -> Moment:
        parameters = self.network._locked(self.network.parameters.copy)
        generator = copy.deepcopy(self.network.rng.bit_generator.state)
        return Moment(parameters, copy.deepcopy(self.optimizer), self.epochs, generator)

    def _go_to(self, moment: Moment) -> None:
        rate = self.optimizer.lr
        self.network.parameters[:] = moment.parameters
        self.optimizer.__setstate__(copy.deepcopy(moment.optimizer).__getstate__())
        if not callable(rate):
            self.optimizer.lr = rate  # a rate that was set stays
        self.network.rng.bit_generator.state = moment.generator
        self.epochs = moment.epochs
        self.version += 1

    def _remember(self) -> None:
        self._undone.append(self._moment())
        most = BYTES_UNDONE // (3 * self.network.parameters.nbytes)
        del self._undone[: -max(1, min(MOST_UNDONE, most))]

    @property
    def undoable(self) -> int:
        """How many steps and trainings can be taken back."""
        return len(self._undone)

    def part(self, which: str) -> Part:
        """The samples that are trained on, or those that are not."""
        if name_among("set", which, ("train", "test")) == "train":
            return Part(self.x, self.y)
        if self.tests is None:
            raise ValueError("these data have no test samples")
        return self.tests

    def trace(self, which: str, index: object) -> tuple[Trace, Part]:
        """`Network.trace` of one sample, and that sample as (1, inputs) and its target."""
        x, y = self.part(which)
        i = index_below("sample", index, len(x), "samples")
        return self.network.trace(x[i], y[i]), Part(x[i : i + 1], y[i : i + 1])

    def step(self, first: object, count: object = 1) -> None:
        """One step of the optimizer for `count` samples from `first` on as one batch."""
        begin = index_below("sample", first, len(self.x), "samples")
        end = begin + whole_number("count", count)
        if end > len(self.x):
            raise ValueError(f"there are {len(self.x)} samples, not {end}")
        self._remember()
        self.network.step(self.x[begin:end], self.y[begin:end], self.optimizer)
        self.version += 1

    def train(self, epochs: object) -> None:
        """Whole epochs, `MOST_EPOCHS` at most."""
        epochs = whole_number("epochs", epochs)
        if epochs > MOST_EPOCHS:
            raise ValueError(f"epochs must be at most {MOST_EPOCHS} at a time, got {epochs}")
        self._remember()
        self.version += 1
        self.network.fit(
            self.x, self.y, self.optimizer, epochs=epochs, batch_size=self.batch_size, progress=False
        )
        self.epochs += epochs

    def losses(self, which: str, index: object, at: NDArray[Any], values: NDArray[Any]) -> NDArray[Any]:
        """C_0 of a sample, or C of the samples where index is None, if parameters ``at`` were each row of
        values (n, len(at)); (n,) float64. Nothing has changed afterwards."""
        x, y = self.part(which)
        chosen = slice(MEASURED)
        if index is not None:
            i = index_below("sample", index, len(x), "samples")
            chosen = slice(i, i + 1)
        parameters = self.network.parameters
        if at.size == 0 or at.min() < 0 or at.max() >= parameters.size or values.size % at.size:
            raise ValueError(f"at must name some of {parameters.size} parameters, and values be rows of them")
        kept = parameters[at].copy()
        found = []
        try:
            for row in values.reshape(-1, at.size):
                parameters[at] = row
                found.append(self.network.loss(x[chosen], y[chosen]))
        finally:
            parameters[at] = kept
        return np.array(found)

    def undo(self) -> None:
        """Takes the last step or training back."""
        if not self._undone:
            raise ValueError("there is nothing to undo")
        self._go_to(self._undone.pop())

    def restart(self) -> None:
        """Takes the first parameters, and the first state of the optimizer and of the generator, back; a rate
        that was set stays."""
        self._go_to(self._beginning)
        self._undone = []

    def set_parameters(self, parameters: NDArray[Any]) -> None:
        """Other parameters (P,), to begin with; the optimizer forgets."""
        if parameters.shape != self.network.parameters.shape:
            count = self.network.parameters.size
            raise ValueError(f"a network of {count} parameters is given {parameters.size}")
        if not np.isfinite(parameters).all():
            raise ValueError("parameters must be finite")
        self._go_to(self._beginning)
        self.network.parameters[:] = parameters
        self.begin_anew()

    def set_rate(self, lr: object) -> None:
        """Gives the optimizer another rate."""
        if callable(self.optimizer.lr):
            raise ValueError("the optimizer's lr is a schedule, which stays")
        self.optimizer.lr = positive("lr", lr)

    def set_batch_size(self, size: object) -> None:
        """How many samples a step of training is for."""
        self.batch_size = whole_number("batch_size", size)

    def figures(self, part: Part | None) -> dict[str, Any] | None:
        """C and the accuracy of the first `MEASURED` samples; NaN where outputs stand for no classes."""
        if part is None:
            return None
        x, y = part.x[:MEASURED], part.y[:MEASURED]
        labels = self.network.targets > 1 and y.ndim == 1
        accuracy = self.network.accuracy(x, y) if has_classes(self.network, labels) else np.nan
        return {"loss": self.network.loss(x, y), "accuracy": accuracy, "samples": len(x)}


def _part(network: Network, x: ArrayLike, y: ArrayLike) -> Part:
    """Samples that the network takes."""
    x, y = as_array("x", x), as_array("y", y)
    if x.ndim != 2 or len(x) == 0:
        inputs = network.layers[0].inputs
        raise ValueError(f"x must have shape (n, {inputs}) with n at least 1, got {x.shape}")
    network.losses(x[:1], y[:1] if y.ndim and len(y) == len(x) else y)  # types and shapes
    if y.ndim == 1:  # labels have a range
        ends = [int(y.argmin()), int(y.argmax())]
        network.losses(x[ends], y[ends])
    if y.ndim == 1 and network.layers[-1].outputs == 1:
        y = y[:, None]
    return Part(x, y)
