"""What is shown: a network, one sample, and how far its step has come.

A round is one step of gradient descent for one sample, taken apart: forward through every layer, backward
through every layer, then the update of every layer, from the output layer back. The terms of the whole round
are those of one trace, taken when it begins; the page gets to see each when its turn has come.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from backprop import datasets
from backprop._notation import layer_name
from backprop._validate import as_array, index_below, name_among, positive, whole_number
from backprop.explain import Explanation, Snapshot
from backprop.layer import parts_of
from backprop.network import Network
from backprop.optimizers import SGD, Optimizer
from backprop.play.plane import points_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

SETS: dict[str, Callable[..., datasets.Plane]] = {
    "circles": datasets.circles,
    "moons": datasets.moons,
    "two_spirals": datasets.two_spirals,
    "xor": datasets.xor,
}
OWN = "your data"
PHASES = ("forward", "backward", "update")
MOST_EPOCHS = 1000  # that one message may ask for


class Stage:
    """A network on show.

    Parameters
    ----------
    network : Network, optional
        The network itself, not a copy: what is trained here is trained. By default a small new one for the
        sets in the plane.
    x, y : array_like, optional
        Samples by rows (n, inputs) and their targets, as for `Network.fit`. Without them the network needs
        two inputs, and is shown one of the sets in the plane, which any network with two inputs can go over
        to.
    optimizer : Optimizer, optional
        What updates; by default ``SGD(0.5)``.
    batch_size : int
        For training whole epochs.
    nodes : int
        How many nodes of a layer to draw at most, at least 2.
    sample : int
        Which sample to begin with.
    name : str, optional
        What the data is called; one of the sets in the plane by its own name.

    Attributes
    ----------
    lock : threading.Lock
        Held by whoever asks the stage something or changes it, for as long.

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
        optimizer: Optimizer | None = None,
        batch_size: int = 10,
        nodes: int = 8,
        sample: int = 0,
        name: str = "moons",
    ) -> None:
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
        self.own = None if x is None or y is None else _samples(network, x, y)
        self.lock = threading.Lock()
        self._beginning = network._locked(network.parameters.copy), copy.deepcopy(self.optimizer)
        self._take_data(OWN if self.own is not None else name)
        self.sample = index_below("sample", sample, len(self.x), "samples")

    @property
    def sets(self) -> tuple[str, ...]:
        """The names of the data that can be shown."""
        own = () if self.own is None else (OWN,)
        plane = tuple(SETS) if self.network.layers[0].inputs == 2 else ()
        return own + plane

    def _take_data(self, name: str) -> None:
        if not self.sets:
            inputs = self.network.layers[0].inputs
            raise ValueError(f"a network of {inputs} inputs needs x and y: the sets in the plane have 2")
        name = name_among("data", name, self.sets)
        if name == OWN:
            assert self.own is not None
            self.x, self.y = self.own
        else:
            self.x, self.y = _samples(self.network, *SETS[name](200, rng=0))
        self.data, self.sample, self.epochs = name, 0, 0
        self.points = points_of(self.x, self.y)
        self._begin()

    def _begin(self) -> None:
        """A round that nothing has been done of."""
        self.done = 0
        self._taken: Snapshot | None = None
        self._after: NDArray[Any] | None = None

    @property
    def layers(self) -> int:
        """How many layers have weights."""
        return len(self.network.layers)

    @property
    def run(self) -> Snapshot:
        """The trace of this round, for its sample; taken anew until the first layer was stepped through."""
        if self._taken is None:
            return Snapshot(self.network, self.x[self.sample], self.y[self.sample])
        return self._taken

    @property
    def coming(self) -> tuple[str, int]:
        """What comes next: the phase, and which of ``net.layers``."""
        phase, place = divmod(self.done % (3 * self.layers), self.layers)
        return PHASES[phase], place if phase == 0 else self.layers - 1 - place

    def has(self, phase: str, layer: int) -> bool:
        """Whether a layer has gone through a phase in this round."""
        place = layer if phase == "forward" else self.layers - 1 - layer
        return self.done > PHASES.index(phase) * self.layers + place

    def explanation(self, layer: int, j: int, k: int | None) -> Explanation:
        """`Network.explain` of a weight or, k being None, a bias, with the terms of this round."""
        layer = index_below("layer", layer, self.layers, "layers")
        shape = self.network.layers[layer]
        j = index_below("j", j, shape.outputs, f"nodes of layers[{layer}]")
        if k is not None:
            k = index_below("k", k, shape.inputs, f"inputs of layers[{layer}]")
        elif shape.bias is None:
            raise ValueError(f"layers[{layer}] has no bias")
        return Explanation(self.run, layer, j, k)

    def step(self, phase: str) -> None:
        """One layer of a phase, which must be the one that comes next."""
        coming, layer = self.coming
        if phase != coming:
            where = layer_name(layer, self.layers)
            raise ValueError(f"{phase} is not what comes next: that is {coming}, layer {where}")
        if self.done == 3 * self.layers:
            self._begin()
        if self.done == 0:
            self._taken = self.run
        if phase == "update":
            self._update(layer)
        self.done += 1

    def _update(self, layer: int) -> None:
        """Gives one layer what the optimizer's step gives it; the first one updated takes the step."""
        parameters = self.network.parameters
        if self._after is None:
            before = parameters.copy()
            self.network.step(self.x[self.sample], self.y[self.sample], self.optimizer)
            self._after = parameters.copy()
            parameters[:] = before
        layers = self.network.layers
        parts_of(layers, parameters)[layer][...] = parts_of(layers, self._after)[layer]

    def _finish_update(self) -> None:
        """A step that was begun is a whole one before anything else happens: the optimizer has counted it."""
        if self._after is not None:
            self.network.parameters[:] = self._after
        self._begin()

    def train(self, epochs: object) -> None:
        """Whole epochs, `MOST_EPOCHS` at most."""
        epochs = whole_number("epochs", epochs)
        if epochs > MOST_EPOCHS:
            raise ValueError(f"epochs must be at most {MOST_EPOCHS} at a time, got {epochs}")
        self._finish_update()
        self.network.fit(
            self.x, self.y, self.optimizer, epochs=epochs, batch_size=self.batch_size, progress=False
        )
        self.epochs += epochs

    def restart(self) -> None:
        """Takes the first parameters and the first state of the optimizer back; a rate that was set stays."""
        parameters, optimizer = self._beginning
        self._begin()
        rate = self.optimizer.lr
        self.network.parameters[:] = parameters
        self.optimizer.__setstate__(copy.deepcopy(optimizer).__getstate__())
        if not callable(rate):
            self.optimizer.lr = rate
        self.epochs = 0

    def choose(self, data: object) -> None:
        """Goes over to other data, one of `sets`."""
        name = name_among("data", data, self.sets)
        self._finish_update()
        self._take_data(name)

    def pick(self, index: object) -> None:
        """Begins a round for another sample."""
        sample = index_below("sample", index, len(self.x), "samples")
        self._finish_update()
        self.sample = sample

    def set_rate(self, lr: object) -> None:
        """Gives the optimizer another rate."""
        if callable(self.optimizer.lr):
            raise ValueError("the optimizer's lr is a schedule, which stays")
        self.optimizer.lr = positive("lr", lr)


def _samples(network: Network, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """x (n, inputs), and y such that y[i] is what the network takes as the target of x[i]."""
    x, y = as_array("x", x), as_array("y", y)
    if x.ndim != 2 or len(x) == 0:
        inputs = network.layers[0].inputs
        raise ValueError(f"x must have shape (n, {inputs}) with n at least 1, got {x.shape}")
    network.losses(x[:1], y[:1] if y.ndim and len(y) == len(x) else y)  # types and shapes
    if y.ndim == 1 and network.layers[-1].outputs == 1:
        y = y[:, None]
    return x, y
