"""Generators, optimizers and schedules as JSON values for a file, and back, with every value checked.

`numpy.random.BitGenerator.state` does not check what it is set to: with a position beyond its buffer it reads
memory that is not its own. So a generator's state is compared, entry by entry, with one that NumPy made. An
optimizer is made by its constructor, and must then have the description that it was made from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backprop import schedules
from backprop.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from backprop.solvers import LBFGS, LevenbergMarquardt, WholeBatch

BIT_GENERATORS = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")  # of numpy.random
AnyOptimizer = Optimizer | WholeBatch
OPTIMIZERS: dict[str, Callable[..., AnyOptimizer]] = {
    kind.__name__: kind for kind in (SGD, Adam, AdamW, RMSprop, LBFGS, LevenbergMarquardt)
}
SCHEDULES: dict[str, Callable[..., schedules.Schedule]] = {
    kind.__name__: kind
    for kind in (
        schedules.Step,
        schedules.Exponential,
        schedules.Cosine,
        schedules.WarmUp,
        schedules.OneCycle,
        schedules.ReduceOnPlateau,
    )
}
MOST_NESTED = 100  # schedules in each other
LEARNED = ("lr", "best", "waited")  # what a ReduceOnPlateau has learned

# The largest values of those entries that have a bound of their own; the rest is below 2**64, and PCG's
# 128-bit numbers below 2**128.
LARGEST = {"pos": 624, "buffer_pos": 4, "has_uint32": 1, "uinteger": 2**32 - 1}


def describe_rng(rng: np.random.Generator) -> dict[str, Any]:
    """The state of a generator as dicts, lists, strings and ints.

    Raises
    ------
    ValueError
        If it is not a Generator on one of NumPy's own bit generators.
    """
    known = [getattr(np.random, name) for name in BIT_GENERATORS]
    if not isinstance(rng, np.random.Generator) or type(rng.bit_generator) not in known:
        raise ValueError(f"a file holds the state of NumPy's generators only, so {rng!r} cannot be saved")
    return {key: _plain(value) for key, value in rng.bit_generator.state.items()}


def restore_rng(state: object) -> np.random.Generator:
    """The generator with a state that `describe_rng` gave.

    Raises
    ------
    ValueError
        If the state is anything else.
    """
    name = state.get("bit_generator") if isinstance(state, dict) else None
    if not isinstance(name, str) or name not in BIT_GENERATORS:
        known = ", ".join(BIT_GENERATORS)
        raise ValueError(f"its rng is {state!r:.60}, expected the state of one of {known}")
    bit_generator: np.random.BitGenerator = getattr(np.random, name)(0)
    restored = _like(dict(bit_generator.state), state, "rng")
    if _is_stuck(name, restored["state"]):
        raise ValueError("its rng has a state that gives 0 only, or the same numbers over and over")
    bit_generator.state = restored
    return np.random.Generator(bit_generator)


def _is_stuck(name: str, state: dict[str, Any]) -> bool:
    """Whether a state is one that NumPy never makes, as the generator does not go round from it.

    PCG's period is 2^128 with odd increments only (O'Neill 2014); the Mersenne Twister's 19937 bits, of its
    first number the highest one only, must not all be 0 (Matsumoto and Nishimura 1998).
    """
    if name in ("PCG64", "PCG64DXSM"):
        return bool(state["inc"] % 2 == 0)
    if name == "MT19937":
        return not (state["key"][0] >> 31 or state["key"][1:].any())
    return False


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def _like(template: Any, value: Any, path: str) -> Any:
    """`value`, with arrays where the template has them, if it has the template's keys, types and lengths."""
    if isinstance(template, dict):
        if not isinstance(value, dict) or value.keys() != template.keys():
            raise ValueError(f"its {path} is {value!r:.60}, expected a dict of {', '.join(template)}")
        return {key: _like(entry, value[key], f"{path}.{key}") for key, entry in template.items()}
    if isinstance(template, np.ndarray):
        if not isinstance(value, list) or len(value) != len(template):
            raise ValueError(f"its {path} is {value!r:.60}, expected {len(template)} numbers")
        most = np.iinfo(template.dtype).max
        return np.array([_number(entry, int(most), path) for entry in value], template.dtype)
    if isinstance(template, str):
        return value
    key = path.rpartition(".")[2]
    return _number(value, LARGEST.get(key, 2**128 - 1 if path.startswith("rng.state.") else 2**64 - 1), path)


def _number(value: object, most: int, path: str) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"its {path} is {value!r:.60}, expected a whole number from 0 to {most}")
    return value


def describe_optimizer(optimizer: AnyOptimizer) -> dict[str, Any]:
    """An optimizer's settings and steps, without its state.

    Raises
    ------
    ValueError
        If it, or the schedule that is its rate, is not one of this package's.
    """
    if type(optimizer) not in OPTIMIZERS.values():
        raise ValueError(f"a file holds no code, so {optimizer!r} cannot be saved")
    settings = {name: _describe_setting(value) for name, value in optimizer.settings.items()}
    return {"name": type(optimizer).__name__, "settings": settings, "steps": optimizer.steps}


def restore_optimizer(description: object) -> AnyOptimizer:
    """The optimizer that `describe_optimizer` described, without state.

    Raises
    ------
    ValueError
        If the description is anything else.
    """
    optimizer: AnyOptimizer = _make(OPTIMIZERS, "optimizer", description)
    try:
        optimizer.steps = description["steps"]  # type: ignore[index]
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"its optimizer has wrong steps: {error}") from error
    if describe_optimizer(optimizer) != description:
        raise ValueError(f"its optimizer is {description!r:.200}, which makes no optimizer")
    return optimizer


def _describe_setting(value: Any, nested: int = 0) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, tuple):
        return [_describe_setting(entry, nested) for entry in value]
    if not callable(value):
        return value
    if type(value) not in SCHEDULES.values():
        raise ValueError(f"a file holds no code, so the schedule {value!r} cannot be saved")
    if nested == MOST_NESTED:
        raise ValueError(f"a file holds at most {MOST_NESTED} schedules in each other")
    settings = {name: _describe_setting(entry, nested + 1) for name, entry in value.settings.items()}
    description = {"name": type(value).__name__, "settings": settings}
    if isinstance(value, schedules.ReduceOnPlateau):
        description["learned"] = [getattr(value, name) for name in LEARNED]
    return description


def _restore_schedule(description: dict[str, Any]) -> schedules.Schedule:
    schedule: schedules.Schedule = _make(SCHEDULES, "schedule", description)
    if isinstance(schedule, schedules.ReduceOnPlateau):
        learned = description.get("learned")
        if not isinstance(learned, list) or len(learned) != len(LEARNED):
            raise ValueError(f"its schedule has learned {learned!r:.60}, expected [{', '.join(LEARNED)}]")
        lr, best, waited = learned
        if not (type(lr) is float and 0 <= lr < np.inf and type(best) in (float, type(None))):
            raise ValueError(f"its schedule has learned {learned!r:.60}, expected [{', '.join(LEARNED)}]")
        schedule.lr, schedule.best, schedule.waited = lr, best, _number(waited, 2**63 - 1, "schedule")
    return schedule


def _restored(value: Any) -> Any:
    """A setting; a schedule from its description, also where each member has one."""
    if isinstance(value, list):
        return [_restore_schedule(entry) if isinstance(entry, dict) else entry for entry in value]
    return _restore_schedule(value) if isinstance(value, dict) else value


def _make(kinds: dict[str, Callable[..., Any]], what: str, description: object) -> Any:
    """One of kinds, by its name and settings."""
    name, settings = None, None
    if isinstance(description, dict):
        name, settings = description.get("name"), description.get("settings")
    if not isinstance(name, str) or name not in kinds or not isinstance(settings, dict):
        raise ValueError(f"its {what} is {description!r:.60}, expected one of {', '.join(kinds)}")
    restored = {key: _restored(value) for key, value in settings.items()}
    try:
        return kinds[name](**restored)
    except (TypeError, OverflowError) as error:
        raise ValueError(f"its {what} has a wrong setting: {error}") from error
