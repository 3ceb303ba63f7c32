"""Functions that users write: what they may be, and whether a derivative is right.

A function is a Python callable of arrays, or a C function of doubles: a ``ctypes`` function, a ``cffi``
function pointer, a ``scipy.LowLevelCallable``, a ``numba.cfunc``, or a plain address, whose signature
nobody can check. C functions run without the GIL, on any number of threads; Python ones with it, on one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from backprop import _core

# Derivatives are compared with central differences of step h: their error is h²/6 of the third derivative,
# about 6e-12, plus what rounding makes of the difference, 2^-53 |f| / h = 2e-11 |f|. A right derivative of a
# function that varies over lengths of 1 is far within the tolerance; a wrong factor or sign is not.
STEP = 6e-6
TOLERANCE = 1e-5
FAR_POINTS = 48  # so many that of every kind of output with every kind of target there are some


class CFunction:
    """A C function of doubles that returns a double; called with arrays, entry by entry."""

    __slots__ = ("address", "source")

    def __init__(self, address: int, source: object) -> None:
        self.address = address
        self.source = source  # keeps the function alive

    def __call__(self, *arrays: Any) -> Any:
        result = _core.call_address(self.address, *map(np.asarray, arrays))
        return result.astype(np.result_type(np.float32, *arrays), copy=False)

    def __repr__(self) -> str:
        return f"<C function at {self.address:#x}>"


Function = Callable[..., Any] | CFunction


def as_function(what: str, function: object, arguments: int) -> Function:
    """`function` as the engine can call it.

    Raises
    ------
    TypeError
        If it is no function, or a C function of another signature than double(double, ...).
    """
    address = _address(what, function, arguments)
    if address is not None:
        return CFunction(address, function)
    if not callable(function):
        raise TypeError(f"{what} must be a function, got {type(function).__name__} {function!r:.60}")
    return function


def for_engine(function: Function) -> Callable[..., Any] | int:
    """The callable, or the address."""
    return function.address if isinstance(function, CFunction) else function


def _address(what: str, function: Any, arguments: int) -> int | None:
    """The address of a C function, or None for anything else."""
    if isinstance(function, (int, np.integer)) and not isinstance(function, bool):
        if not 0 < function < 2 ** (8 * np.dtype(np.intp).itemsize):
            raise ValueError(f"{what} must be the address of a function, got {function}")
        return int(function)
    signature = f"double ({', '.join(arguments * ['double'])})"
    kinds = {f"{kind.__module__}.{kind.__name__}" for kind in type(function).__mro__}
    if "_ctypes.CFuncPtr" in kinds:
        codes = [getattr(kind, "_type_", None) for kind in (function.restype, *(function.argtypes or ()))]
        if codes != ["d"] * (1 + arguments):
            raise TypeError(
                f"{what} must be declared as {signature}: restype = c_double, argtypes = "
                f"{arguments * ['c_double']}"
            )
        return int.from_bytes(bytes(memoryview(function).cast("B")), sys.byteorder)
    if type(function).__module__ == "_cffi_backend":
        cffi: Any = sys.modules["_cffi_backend"]
        kind = cffi.typeof(function)
        if kind.kind != "function" or [kind.result.cname, *(k.cname for k in kind.args)] != ["double"] * (
            1 + arguments
        ):
            raise TypeError(f"{what} must be a {signature}, got a {kind.cname}")
        return int(cffi.cast(cffi.new_primitive_type("uintptr_t"), function))
    if any(kind.endswith(".LowLevelCallable") for kind in kinds):
        if function.signature.replace(" ", "") != signature.replace(" ", ""):
            raise TypeError(f"{what} must have the signature {signature}, got {function.signature}")
        inner = function.function
        if type(inner).__name__ == "PyCapsule":
            return _core.capsule_address(inner)
        return _address(what, inner, arguments)
    if isinstance(getattr(function, "address", None), int) and hasattr(function, "native_name"):
        return _address(what, function.ctypes, arguments)  # numba.cfunc, which tells its types there
    return None


def check_activation(g: Function, g_prime: Function) -> None:
    """Raises a ValueError that names a point where g_prime is not the derivative of g.

    Also for a g that is not elementwise, or not finite within ±8.
    """
    # No round numbers: kinks lie at those.
    z = np.concatenate([np.linspace(-8.017, 8.023, 61), np.linspace(-1.013, 1.017, 24)])
    a, low, high = (_values("g", g(points), z.shape) for points in (z, z - STEP, z + STEP))
    slope = _values("g_prime", g_prime(z), z.shape)
    finite = np.isfinite(a) & np.isfinite(slope)
    if not finite.all():
        i = int(np.argmin(finite))
        raise ValueError(
            f"g and g_prime must be finite everywhere; at z = {z[i]:.6g} they are {a[i]} and {slope[i]}"
        )
    for what, function, values in (("g", g, a), ("g_prime", g_prime, slope)):
        some = z[::-7]
        if not np.allclose(_values(what, function(some), some.shape), values[::-7], rtol=1e-9, atol=1e-12):
            raise ValueError(f"{what} must be elementwise: its value at a point depends on the others")
    difference = (high - low) / (2 * STEP)
    wrong = np.abs(slope - difference) > TOLERANCE * (1 + np.abs(a) + np.abs(slope))
    if wrong.any():
        i = int(np.argmax(wrong))
        raise ValueError(
            f"g_prime is not the derivative of g: at z = {z[i]:.6g} it is {slope[i]:.6g}, but the slope "
            f"of g there is {difference[i]:.6g}"
        )


def check_loss(value: Function, derivative: Function, outputs: int | None, targets: int | None) -> None:
    """Raises a ValueError that names a point where `derivative` is not the derivative of `value`.

    At outputs and targets between 0 and 1, where every loss should be defined; then farther out, about ±1 and
    ±10, with targets of ±1 too, where `value` is. 3 columns stand for any number.
    """
    outputs = outputs or 3
    targets = targets or outputs
    rng = np.random.default_rng(0)
    total = summed(value)
    a, y = rng.uniform(0.05, 0.95, (7, outputs)), rng.uniform(0.05, 0.95, (7, targets))
    c = _values("value", total(a, y), (7,))
    slope = _values("derivative", derivative(a, y), (7, outputs))
    if not np.isfinite(c).all() or not np.isfinite(slope).all():
        raise ValueError("value and derivative must be finite for outputs and targets between 0 and 1")
    if not np.allclose(total(a[::-2], y[::-2]), c[::-2], rtol=1e-9, atol=1e-12):
        raise ValueError("value must give each sample's loss: that of a sample depends on the others")
    _compare_slopes(total, derivative, a, y)
    # No round outputs: kinks lie at those.
    a = rng.uniform(1.003, 1.097, (FAR_POINTS, outputs)) * rng.choice([0.5, 1, 10], (FAR_POINTS, outputs))
    a *= rng.choice([-1, 1], a.shape)
    y = rng.uniform(0.05, 0.95, (FAR_POINTS, targets))
    labelled = rng.random(y.shape) < 0.7
    y[labelled] = rng.choice([-1.0, 1.0], int(labelled.sum()))
    with np.errstate(all="ignore"):
        defined = np.isfinite(_where_defined(total, a, y))
        if defined.any():
            _compare_slopes(total, derivative, a[defined], y[defined])


def _where_defined(total: Function, a: Any, y: Any) -> Any:
    """The losses, NaN for each sample where the function raises what functions raise out of their domain."""
    try:
        return _values("value", total(a, y), (len(a),))
    except (ArithmeticError, LookupError, ValueError):
        if len(a) == 1:
            return np.array([np.nan])
    return np.concatenate([_where_defined(total, a[n : n + 1], y[n : n + 1]) for n in range(len(a))])


def _compare_slopes(total: Function, derivative: Function, a: Any, y: Any) -> None:
    """Raises a ValueError for the first entry of the derivative which is not the slope, where that is one."""
    c, slope = total(a, y), _values("derivative", derivative(a, y), a.shape)
    for j in range(a.shape[1]):
        shift = STEP * np.eye(a.shape[1])[j]
        difference = (total(a + shift, y) - total(a - shift, y)) / (2 * STEP)
        near = np.abs(slope[:, j] - difference) <= TOLERANCE * (1 + np.abs(c) + np.abs(slope[:, j]))
        wrong = np.isfinite(difference) & ~near
        if wrong.any():
            n = int(np.argmax(wrong))
            raise ValueError(
                f"derivative is not the derivative of value: at a = {a[n].round(6).tolist()}, "
                f"y = {y[n].round(6).tolist()} its entry {j} is {slope[n, j]:.6g}, but the slope of "
                f"value there is {difference[n]:.6g}"
            )


def summed(value: Function) -> Function:
    """A loss's value for each sample, whether it gives that or, in C, each node's part of it."""
    return (lambda a, y: value(a, y).sum(axis=-1)) if isinstance(value, CFunction) else value


def _values(what: str, result: object, shape: tuple[int, ...]) -> Any:
    values = np.asarray(result)
    if values.dtype.kind not in "biuf":
        raise TypeError(f"{what} must return real numbers, got dtype {values.dtype}")
    if values.shape != shape:
        raise ValueError(f"{what} must return an array of shape {shape}, got {values.shape}")
    return values.astype(np.float64)
