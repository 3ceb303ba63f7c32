"""The engine's calls for a population: the only place that trains members, and that asks all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backprop import _core
from backprop.fit.figures import new_record

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backprop.population.members import Members
    from backprop.population.plan import Plan
    from backprop.population.rates import MemberRates


def train(
    population: Members,
    plan: Plan,
    rates: MemberRates,
    chosen: NDArray[np.intp],
    *,
    epochs: int,
    first_epoch: int,
    budget: float,
    record: NDArray[np.float64],
) -> int:
    """Trains some members for whole epochs.

    Parameters
    ----------
    population : Population
        Its parameters, generators and `diverged` are changed in place, and the plan's states.
    plan : Plan
    rates : MemberRates
    chosen : ndarray of intp, (k,)
        The members.
    epochs : int
        To be done at most.
    first_epoch : int
        Epochs done before.
    budget : float
        Seconds after which no further epoch is begun.
    record : ndarray, (epochs, members, figures)
        Is filled where the chosen members were trained.

    Returns
    -------
    int
        The epochs done.
    """
    for member in chosen.tolist():
        _train_alone(population, plan, rates, member, epochs, first_epoch, record)
    return epochs


def _train_alone(
    population: Members,
    plan: Plan,
    rates: MemberRates,
    member: int,
    epochs: int,
    first_epoch: int,
    record: NDArray[np.float64],
) -> None:
    """Some epochs of one member, as its own fit does them."""
    network, optimizer = population.network(member), plan.optimizer.of_member(member)
    x, y, weights, mask = plan.samples.of_member(member)
    validation = None if plan.held_out is None else plan.held_out.of_member(member)[:3]
    if validation is not None and validation[2] is None:
        validation = validation[:2]
    of_steps = None
    if rates.scheduled:
        of_steps = rates.of_steps(np.array([member]), plan.states.steps, epochs * plan.steps)[0]
    draws = bool(plan.shuffle) or any(layer.dropout for layer in network.layers)
    filled = new_record(epochs)
    try:
        network._train(
            x=x,
            y=y,
            sample_weight=weights,
            target_mask=mask,
            validation=validation,
            optimizer=optimizer,
            rates=of_steps,
            epochs=epochs,
            batch_size=plan.batch_size,
            shuffle=bool(plan.shuffle),
            bit_generator=population.rngs[member].bit_generator if draws else None,
            threads=1,
            record=filled,
            first_epoch=first_epoch,
        )
    except _core.DivergenceError:
        population.diverged[member] = True
    record[:, member] = filled
    population.parameters[member] = network.parameters
    plan.states.steps[member] = optimizer.steps
    for kept, array in zip(plan.states.state, optimizer.state, strict=False):
        kept[member] = array
