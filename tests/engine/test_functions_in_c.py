"""C functions that are Python code, made by ctypes: they may be called on any of a team's threads."""

import subprocess
import sys
import textwrap

import pytest

HANGING = 60  # seconds

CODE = """
    import ctypes
    import numpy as np
    import backprop as bp

    refused, other_says = [], []
    double_of = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)

    def call(z):
        if armed:
            other_says.append(other.loss(x[:1], y[:1]) > 0)
            try:
                net.loss(x, y)
            except RuntimeError as error:
                refused.append(str(error))
        return z

    armed = False
    g, one = double_of(call), double_of(lambda z: 1.0)
    other = bp.Network.dense(3, 2, seed=0)
    net = bp.Network(bp.Layer(3, 40, bp.Activation(g, one)), bp.Layer(40, 2), seed=0)
    x, y = np.ones((8, 3)), np.zeros((8, 2))
    armed = True
    {call}
    assert refused and all("computing with the network already" in text for text in refused)
    assert other_says and all(other_says)
    print("done")
"""


@pytest.mark.parametrize(
    "call", ["net.fit(x, y, bp.SGD(0.1), threads=2)", "net.fit(x, y, bp.SGD(0.1), threads=1)", "net(x)"]
)
def test_a_c_function_that_uses_its_own_network_is_refused_and_does_not_wait(call):
    command = [sys.executable, "-c", textwrap.dedent(CODE).replace("{call}", call)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANGING, check=False)
    assert done.stdout == "done\n", done.stderr
