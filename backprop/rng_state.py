"""The state of a NumPy generator as JSON values, and back, with every value checked.

`numpy.random.BitGenerator.state` believes what it is given: a position beyond its buffer makes it read
memory that is not its own. So a state from a file is compared, entry by entry, with one that NumPy made.
"""

from __future__ import annotations

from typing import Any

import numpy as np

BIT_GENERATORS: dict[str, type[np.random.BitGenerator]] = {
    "MT19937": np.random.MT19937,
    "PCG64": np.random.PCG64,
    "PCG64DXSM": np.random.PCG64DXSM,
    "Philox": np.random.Philox,
    "SFC64": np.random.SFC64,
}
# The largest values of those entries that have a bound of their own; the rest is below 2**64, and PCG's
# 128-bit numbers below 2**128.
LARGEST = {"pos": 624, "buffer_pos": 4, "has_uint32": 1, "uinteger": 2**32 - 1}


def describe_rng(rng: np.random.Generator) -> dict[str, Any]:
    """The state of a generator as dicts, lists, strings and ints.

    Raises
    ------
    TypeError
        If it is not a Generator on one of NumPy's own bit generators.
    """
    if not isinstance(rng, np.random.Generator) or type(rng.bit_generator) not in BIT_GENERATORS.values():
        raise TypeError(
            f"a file can hold the state of one of NumPy's own generators, got {rng!r} as the network's rng"
        )
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
    bit_generator = BIT_GENERATORS[name](0)
    bit_generator.state = _like(dict(bit_generator.state), state, "rng")
    return np.random.Generator(bit_generator)


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
