"""What can be asked of all members without changing anything."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop.population.samples import inputs_of, samples_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from backprop.network import Network
    from backprop.population.members import Members


def each_network(members: Members) -> Iterator[Network]:
    """One network that is each member in turn: its parameters are theirs."""
    network = copy.deepcopy(members.prototype)
    for row in members.parameters:
        network.parameters[:] = row
        yield network


def outputs_of(members: Members, x: ArrayLike) -> NDArray[Any]:
    """Outputs of all members, (members, n, outputs), or (members, outputs) for a 1-D x."""
    if np.ndim(x) == 1:  # one sample
        return np.stack([network(x) for network in each_network(members)])
    inputs, own = inputs_of(x, len(members))
    width = members.prototype.layers[-1].outputs
    a = np.empty((len(members), inputs.shape[1] if own else len(inputs), width), members.prototype.dtype)
    for i, network in enumerate(each_network(members)):
        network(inputs[i] if own else inputs, out=a[i])
    return a


def losses_of(
    members: Members,
    x: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    target_mask: ArrayLike | None,
) -> NDArray[np.float64]:
    """C of each member, (members,)."""
    samples = samples_of(
        x,
        y,
        members=len(members),
        targets=members.prototype.targets,
        sample_weight=sample_weight,
        target_mask=target_mask,
    )
    each = enumerate(each_network(members))
    found = []
    for i, network in each:
        own_x, own_y, weights, mask = samples.of_member(i)
        found.append(network.loss(own_x, own_y, sample_weight=weights, target_mask=mask))
    return np.array(found)


def accuracies_of(members: Members, x: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
    """The accuracy of each member, (members,)."""
    samples = samples_of(x, y, members=len(members), targets=members.prototype.targets)
    each = enumerate(each_network(members))
    return np.array([network.accuracy(*samples.of_member(i)[:2]) for i, network in each])
