"""WebAssembly gives the bits of BACKPROP_ISA=baseline: the same C, no fused multiply-add in either.

Networks are trained in Node's engine, which is Chromium's, from the same parameters and the same state of
NumPy's PCG64. Skipped where Node.js, or clang with lld and wasi-libc, is missing.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NETWORKS = {
    "float32": ([2, 5, 4, 1], "tanh", "sigmoid", "squared_error", "float32", ["sgd", 0.5, 0]),
    "float64": ([2, 5, 4, 1], "tanh", "sigmoid", "squared_error", "float64", ["sgd", 0.5, 0]),
    "wide": ([2, 40, 17, 3], "relu", "softmax", "cross_entropy", "float32", ["sgd", 0.1, 0.9]),
    "gelu": ([2, 9, 2], "gelu", "sigmoid", "binary_cross_entropy", "float64", ["rmsprop", 0.01, 0]),
    "silu": ([2, 7, 2], "silu", "softmax", "cross_entropy", "float32", ["sgd", 0.2, 0]),
    "softplus": ([2, 6, 1], "softplus", "identity", "huber", "float32", ["sgd", 0.05, 0]),
    "adam": ([2, 6, 2], "leaky_relu", "sigmoid", "squared_error", "float64", ["adam", 0.01, 0]),
    "elu": ([2, 3, 3, 1], "elu", "tanh", "mean_squared_error", "float64", ["sgd", 0.1, 0]),
}
STEPS, BATCH = 100, 10


def run(command, told, **more):
    text = json.dumps(told)
    options = {"capture_output": True, "text": True, "timeout": 300, "check": False}
    done = subprocess.run(command, input=text, **options, **more)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_hundred_steps_have_the_bits_of_baseline(wasm, node):
    told = {"networks": list(NETWORKS.values()), "epochs": STEPS * BATCH // 100, "batch": BATCH}
    environment = os.environ | {"BACKPROP_ISA": "baseline", "PYTHONPATH": str(ROOT)}
    cases = run([sys.executable, HERE / "bits_of_baseline.py"], told, env=environment)
    answers = run([node, "bits_in_node.mjs"], told | {"cases": cases}, cwd=wasm)
    for name, case, answer in zip(NETWORKS, cases, answers, strict=True):
        assert case["first"] != case["last"], name
        assert answer["last"] == case["last"], name
        assert answer["C"] == case["C"], name
        assert np.array_equal(answer["delta"], case["delta"]), name


def test_the_module_is_small_and_asks_for_a_clock_only(wasm, node):
    assert (wasm / "engine.wasm").stat().st_size < 700_000
    code = (
        "const m = new WebAssembly.Module(require('fs').readFileSync('engine.wasm'));"
        "console.log(JSON.stringify(WebAssembly.Module.imports(m)))"
    )
    imports = run([node, "-e", code], None, cwd=wasm)
    assert [(each["module"], each["name"]) for each in imports] == [("host", "now")]
