"""Fixtures shared by the tests."""

import ctypes
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import reference
from browser import driver  # noqa: F401
from webassembly import node, site_folder, wasm, wasm_compiler  # noqa: F401

import backprop as bp
from backprop import _core

ROOT = Path(__file__).resolve().parents[1]

# Unit roundoff: the largest relative error of one rounded operation.
ROUNDOFF = {"float32": 2.0**-24, "float64": 2.0**-53}


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background: the tests press Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header():
    return f"backprop: instruction set {_core.isa} of {', '.join(_core.candidates)}"


def require_torch():
    """The torch module; without it the test is skipped, or fails if it was promised.

    Set BACKPROP_REQUIRE_TORCH=1 where torch is expected to be installed.
    """
    if os.environ.get("BACKPROP_REQUIRE_TORCH") == "1":
        import torch
    else:
        torch = pytest.importorskip("torch")
    torch.set_num_threads(1)  # its threads wait for each other, which is slow on a busy machine
    return torch


def oracle_layers(net):
    """The network's layers as the oracle of tests/reference.py wants them."""
    return [
        reference.Layer(
            layer.weights.tolist(),
            None if layer.bias is None else layer.bias.tolist(),
            str(layer.activation),
        )
        for layer in net.layers
    ]


def make_network(sizes, activations, loss="squared_error", dtype="float64", bias=True, seed=0):
    """A network whose every weight and bias is random, biases included.

    Parameters
    ----------
    sizes : sequence of int
    activations : str or sequence of str
        One for all layers, or one for each.
    bias : bool or sequence of bool
    """
    count = len(sizes) - 1
    activations = [activations] * count if isinstance(activations, str) else activations
    biases = [bias] * count if isinstance(bias, bool) else bias
    layers = [
        bp.Layer(*shape, name, bias=has_bias)
        for *shape, name, has_bias in zip(sizes, sizes[1:], activations, biases, strict=False)
    ]
    net = bp.Network(*layers, loss=loss, dtype=dtype, seed=seed)
    rng = np.random.default_rng(seed)
    for layer in net.layers:
        outputs, inputs = layer.weights.shape
        layer.weights[...] = rng.normal(0, inputs**-0.5, (outputs, inputs))
        if layer.bias is not None:
            layer.bias[...] = rng.normal(0, 0.5, outputs)
    return net


def make_data(net, n, seed=0):
    """Random x (n, inputs) and y (n, outputs), exact in the network's dtype.

    The targets lie between 0 and 1, where every loss is defined.
    """
    rng = np.random.default_rng(seed + 1000)
    dtype = net.parameters.dtype
    inputs, outputs = net.layers[0].inputs, net.layers[-1].outputs
    x = rng.normal(size=(n, inputs)).astype(dtype)
    y = rng.uniform(0.05, 0.95, (n, outputs)).astype(dtype)
    return x, y


def assert_close(actual, expected, tolerance, what=""):
    """Compare relative to the largest entry of the expected array; zeros check nothing.

    Raises
    ------
    AssertionError
        Shapes differ, an entry is not finite, an entry is further off than the tolerance, or
        every entry of both sides is zero: then the comparison has checked nothing.
    """
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, not {expected.shape}"
    assert np.isfinite(expected).all(), f"{what}: the expected values are not finite"
    assert np.isfinite(actual).all(), f"{what}: not finite"
    scale = np.abs(expected).max(initial=0)
    assert scale > 0, f"{what}: vacuous, the expected values are all zero"
    error = np.abs(actual - expected).max() / scale
    assert error <= tolerance, f"{what}: relative error {error:.3g} > {tolerance:.3g}"


def assert_same_bits(actual, expected, what=""):
    """Same shape, same dtype and the same bytes."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.dtype == expected.dtype, what
    assert actual.shape == expected.shape, what
    assert actual.tobytes() == expected.tobytes(), what


@pytest.fixture
def rng():
    return np.random.default_rng(12345)


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture
def roundoff(dtype):
    """Unit roundoff of the dtype."""
    return ROUNDOFF[dtype]


@pytest.fixture
def small():
    """A small two-layer float64 network with data: net, x (5, 3), y (5, 2)."""
    net = make_network((3, 4, 2), ("tanh", "sigmoid"))
    x, y = make_data(net, 5)
    return SimpleNamespace(net=net, x=x, y=y)


def run_c(sources, flags, folder, *arguments):
    """What main of a C program of tests/c returns, in this process, for which alone it need be compiled."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    library = folder / "program.so"
    command = [compiler, "-std=c11", "-fPIC", "-shared", "-Dmain=run", *flags, *sources, "-o", library, "-lm"]
    subprocess.run(command, check=True)
    words = [b"program", *(argument.encode() for argument in arguments)]
    return ctypes.CDLL(str(library)).run(len(words), (ctypes.c_char_p * len(words))(*words))


def exit_code_of(child, seconds):
    """What a forked process ends with; one that goes on for longer is killed, and fails the test."""
    deadline = time.monotonic() + seconds
    while True:
        finished, status = os.waitpid(child, os.WNOHANG)
        if finished:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            pytest.fail("the child hangs")
        time.sleep(0.01)
