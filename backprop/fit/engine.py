"""A plan as what the engine takes: the only place that calls ``_train``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backprop._core import DivergenceError
from backprop.fit.blame import blame_data
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
    draws, before = plan.draws, plan.optimizer.steps
    generator = _generator(plan, ranks, draws)
    reader = None if plan.source is None else Reader(plan.source.epoch(generator), ranks.is_interrupted)
    state = plan.generator.bit_generator.state if draws else None
    samples = plan.samples if reader is None else None
    try:
        if reader is not None:
            reader.start()
        return plan.network._train(  # in the order of _core.arguments, which is read fastest
            x=None if samples is None else samples.x,
            y=None if samples is None else samples.y,
            optimizer=plan.optimizer,
            epochs=epochs,
            batch_size=plan.batch_size,
            record=record,
            bit_generator=generator.bit_generator if draws else None,
            threads=plan.threads,
            rates=rates.of_steps(before, epochs * plan.steps) if rates.scheduled and not reader else None,
            sample_weight=None if samples is None else samples.weights,
            target_mask=None if samples is None else samples.mask,
            validation=plan.held_out,
            budget=budget,
            first_epoch=first_epoch,
            shuffle=bool(plan.shuffle),
            norms=plan.norms,
            sparing=plan.sparing,
            losses=losses,
            precision=plan.precision,
            stream=None if reader is None else _stream(plan, reader, rates, before),
            ranks=_ranks(ranks, plan.steps) if isinstance(ranks, Ranks) else None,
        )
    except DivergenceError:
        blame_data(plan, reader, state)
        raise
    finally:
        if reader is not None:
            reader.close()


def _generator(plan: Plan, ranks: Alone, draws: bool) -> np.random.Generator:
    """What the engine draws from in this call: the plan's, or one for an epoch that is made of draws from it.

    Each rank has one of its own where its data are its own; and so has the engine where the user's iterable
    may draw from the generator that fit was given, whose lock the engine would hold meanwhile.
    """
    own = ranks.sharded or isinstance(plan.source, Batches)
    if not (draws and own):
        return plan.generator
    seed = plan.generator.integers(0, 2**32, 4).tolist()
    return np.random.default_rng([*seed, ranks.rank if ranks.sharded else 0])


def _stream(plan: Plan, reader: Reader, rates: Rates, before: int) -> StreamArguments:
    """What feeds the engine block by block; `before` counts the steps done before this call."""
    assert plan.source is not None

    def of_steps(first: int, count: int) -> NDArray[np.float64]:
        return rates.of_steps(before + first, count)

    return {
        "next_block": reader.next_block,
        "rates": of_steps if rates.scheduled else None,
        "whole": plan.source.whole,
        "thread": reader.thread,
    }


def _ranks(ranks: Ranks, steps: int) -> RanksArguments:
    """What joins the engine with other ranks."""
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
