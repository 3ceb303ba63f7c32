"""A plan as what the engine takes: the only place that calls ``_train``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from backprop.fit.blame import blamed_on_data
from backprop.fit.ranks import Alone, Ranks
from backprop.fit.reader import Reader
from backprop.fit.streams import Batches

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backprop._core import RanksArguments, StreamArguments
    from backprop.fit.plan import Plan
    from backprop.fit.rates import Rates


def train(
    plan: Plan,
    ranks: Alone,
    rates: Rates,
    *,
    epochs: int,
    first_epoch: int,
    budget: float,
    record: NDArray[np.float64],
    losses: list[NDArray[np.float64]] | None,
) -> int:
    """One call of the engine, which trains whole epochs.

    Parameters
    ----------
    plan : Plan
    ranks : Alone or Ranks
    rates : Rates
    epochs : int
        To be done at most; one where the plan has a source.
    first_epoch : int
        Epochs done before, for the message of a divergence.
    budget : float
        Seconds after which no further epoch is begun.
    record : ndarray, (epochs, figures)
        Is filled, a row for each epoch done.
    losses : list of ndarray, optional
        Those of all steps are appended to it.

    Returns
    -------
    int
        The epochs done, or -1 where another rank ended the training.
    """
    generator, before = _generator(plan, ranks), plan.optimizer.steps
    reader = None if plan.source is None else Reader(plan.source.epoch(generator), ranks.is_interrupted)
    all_rates = rates.of_steps(before, epochs * plan.steps) if rates.scheduled and not reader else None
    try:
        if reader is not None:
            reader.start()
        with blamed_on_data(plan, reader):
            return plan.network._train(
                **_arrays(plan),
                validation=plan.held_out,
                stream=_stream(plan, reader, rates, before),
                optimizer=plan.optimizer,
                rates=all_rates,
                epochs=epochs,
                batch_size=plan.batch_size,
                shuffle=bool(plan.shuffle),
                bit_generator=generator.bit_generator if plan.draws else None,
                threads=plan.threads,
                sparing=plan.sparing,
                norms=plan.norms,
                precision=plan.precision,
                record=record,
                losses=losses,
                first_epoch=first_epoch,
                budget=budget,
                ranks=_ranks(ranks, plan.steps),
            )
    finally:
        if reader is not None:
            reader.close()


def _arrays(plan: Plan) -> dict[str, Any]:
    """The samples that lie in arrays; None where a source gives them."""
    samples = plan.samples if plan.source is None else None
    return {
        "x": None if samples is None else samples.x,
        "y": None if samples is None else samples.y,
        "sample_weight": None if samples is None else samples.weights,
        "target_mask": None if samples is None else samples.mask,
    }


def _generator(plan: Plan, ranks: Alone) -> np.random.Generator:
    """What the engine draws from in this call: the plan's, or one for an epoch that is made of draws from it.

    Each rank has one of its own where its data are its own; and so has the engine where the user's iterable
    may draw from the generator that fit was given, whose lock the engine would hold meanwhile.
    """
    own = ranks.sharded or isinstance(plan.source, Batches)
    if not (plan.draws and own):
        return plan.generator
    seed = plan.generator.integers(0, 2**32, 4).tolist()
    return np.random.default_rng([*seed, ranks.rank if ranks.sharded else 0])


def _stream(plan: Plan, reader: Reader | None, rates: Rates, before: int) -> StreamArguments | None:
    """What feeds the engine block by block; `before` counts the steps done before this call."""
    if reader is None or plan.source is None:
        return None

    def of_steps(first: int, count: int) -> NDArray[np.float64]:
        return rates.of_steps(before + first, count)

    return {
        "next_block": reader.next_block,
        "rates": of_steps if rates.scheduled else None,
        "whole": plan.source.whole,
        "thread": reader.thread,
    }


def _ranks(ranks: Alone, steps: int) -> RanksArguments | None:
    """What joins the engine with other ranks."""
    if not isinstance(ranks, Ranks):
        return None
    return {
        "rank": ranks.rank,
        "size": ranks.size,
        "sharded": ranks.sharded,
        "steps": steps,
        "average_every": ranks.average_every,
        "allreduce": ranks.comm.Allreduce,
        "in_place": ranks.mpi.IN_PLACE,
        "interrupted": ranks.interrupted,
        "common_memory": ranks.common_memory,
    }
