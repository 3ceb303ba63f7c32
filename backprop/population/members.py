"""The members of a population: their seeds, their parameters, and networks of their own."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop import _core
from backprop._initial import draw_weights
from backprop._of_members import is_of_members, list_of
from backprop._validate import not_negative, whole_number
from backprop.layer import arrays_of, like, parts_of
from backprop.network import Network

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backprop._base import BaseNetwork


def generators_of(seed: Any, members: int | None) -> list[np.random.Generator]:
    """A generator for each member: of its own seed, or of one that a single seed spawns.

    Raises
    ------
    TypeError, ValueError
        If there are not as many seeds as members, or seed is none.
    """
    if is_of_members(seed):
        count = len(seed) if members is None else whole_number("members", members)
        if len(seed) != count:
            raise ValueError(f"seed must be one seed, or one for each of {count} members; got {len(seed)}")
        if count == 0:
            raise ValueError("a Population takes at least one seed, got none")
        rngs = [np.random.default_rng(each) for each in list_of(seed)]
        if len({id(rng.bit_generator) for rng in rngs}) < count:
            raise ValueError("seed must have a generator for each member, but some are the same one")
        return rngs
    if members is None:
        raise TypeError("members must say how many, or seed must have a seed for each member")
    count = whole_number("members", members)
    if isinstance(seed, np.random.BitGenerator):
        seed = np.random.Generator(seed)
    if isinstance(seed, np.random.RandomState):
        raise TypeError("a RandomState spawns no seeds; give a Generator, a whole number, or a list of seeds")
    spawning = seed if isinstance(seed, (np.random.SeedSequence, np.random.Generator)) else None
    return [np.random.default_rng(each) for each in (spawning or np.random.SeedSequence(seed)).spawn(count)]


def penalties_of(what: str, given: Any, of_layers: Sequence[float], members: int) -> NDArray[np.float64]:
    """l1 or l2 of each member's layers, (members, layers): the layers' own if None is given, else
    (members,) of all layers, or (members, layers).

    Raises
    ------
    TypeError, ValueError
        If they are no numbers of at least 0 of such a shape.
    """
    layers = len(of_layers)
    if given is None:
        return np.tile(np.array(of_layers, np.float64), (members, 1))
    array = np.asarray(given)
    if array.shape == (members,):
        array = np.repeat(array[:, np.newaxis], layers, axis=1)
    if array.shape != (members, layers):
        raise ValueError(f"{what} must have shape {(members,)} or {(members, layers)}, got {array.shape}")
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{what} must hold real numbers, got dtype {array.dtype}")
    for value in array.ravel():
        not_negative(what, float(value))
    return array.astype(np.float64)


def prototype_of(network: BaseNetwork) -> Network:
    """A network of this shape, for what is the same of all members."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of loss and output: the user's own network has warned
        return Network(
            *map(like, network.layers), loss=network.loss_function, dtype=network.dtype.name, seed=0
        )


class Members:
    """Networks of one shape, that differ in parameters, generators and penalties; `Population` documents it.

    Modules below `Population` take this class.
    """

    def __init__(
        self,
        prototype: Network,
        rngs: list[np.random.Generator],
        l1: NDArray[np.float64],
        l2: NDArray[np.float64],
        parameters: NDArray[Any] | None = None,
    ) -> None:
        self.prototype = prototype
        self.rngs = rngs
        self.l1, self.l2 = l1, l2
        self._parameters = first_parameters(prototype, rngs) if parameters is None else parameters
        self.diverged = np.zeros(len(rngs), np.bool_)

    def __len__(self) -> int:
        return len(self.rngs)

    @property
    def parameters(self) -> NDArray[Any]:
        """All parameters, (members, P), live and writable; a row is as `Network.parameters`."""
        return self._parameters

    def network(self, i: int) -> Network:
        """A network of its own: a member's parameters and penalties, and a copy of its generator.

        Parameters
        ----------
        i : int

        Returns
        -------
        Network

        Raises
        ------
        IndexError
            If there is no such member.
        """
        import copy

        parts = parts_of(self.prototype.layers, self.parameters[i])
        layers = (
            like(layer, l1=float(self.l1[i, number]), l2=float(self.l2[i, number]), parameters=part)
            for number, (layer, part) in enumerate(zip(self.prototype.layers, parts, strict=True))
        )
        return _network(self.prototype, layers, copy.deepcopy(self.rngs[i]))


def copies_of(networks: Sequence[Network]) -> tuple[Any, ...]:
    """What `Members` takes, of networks of one shape.

    Raises
    ------
    TypeError, ValueError
        If there are none, or they are not alike.
    """
    import copy

    networks = [] if isinstance(networks, Network) else list(networks)
    if not networks or not all(isinstance(network, Network) for network in networks):
        raise TypeError("Population.of takes a sequence of at least one Network")
    first = networks[0]
    for i, network in enumerate(networks):
        if _shape(network) != _shape(first):
            raise ValueError(f"the networks must be alike, but networks[{i}] is {network!r}, not {first!r}")
    rngs = [copy.deepcopy(network.rng) for network in networks]
    penalties = [
        np.array([[getattr(layer, name) for layer in network.layers] for network in networks])
        for name in ("l1", "l2")
    ]
    return prototype_of(first), rngs, *penalties, np.stack([network.parameters for network in networks])


def _shape(network: Network) -> tuple[Any, ...]:
    """What the members of a population have alike; functions of the user's own by identity."""
    layers = []
    for layer in network.layers:
        name = str(layer.activation)
        activation = name if name in _core.activations else id(layer.activation)
        mask = None if layer.mask is None else layer.mask.tobytes()
        freedom = (layer.dropout, layer.lr, layer.bias_lr, mask)
        layers.append((layer.inputs, layer.outputs, activation, layer.has_bias, freedom))
    return tuple(layers), network.loss_function, network.dtype


def first_parameters(prototype: Network, rngs: Sequence[np.random.Generator]) -> NDArray[Any]:
    """What each member's own network would draw from its generator, (members, P)."""
    drawn = np.zeros((len(rngs), prototype.parameters.size), prototype.dtype)
    arrays = arrays_of(prototype.layers, drawn)
    layers = [(layer, weights) for layer, (weights, _) in zip(prototype.layers, arrays, strict=True)]
    for i, rng in enumerate(rngs):
        for layer, weights in layers:
            draw_weights(layer.init, str(layer.activation), weights[i], rng)
    for layer, weights in layers:
        if layer.mask is not None:
            weights[:, ~layer.mask] = 0
    return drawn


def _network(prototype: Network, layers: Any, rng: np.random.Generator) -> Network:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Network(*layers, loss=prototype.loss_function, dtype=prototype.dtype.name, seed=rng)
