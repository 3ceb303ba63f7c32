"""Single figures that want a process of their own; each prints one number or a JSON object.

    python benchmarks/probe.py import numpy        seconds of `import numpy`
    python benchmarks/probe.py memory JAX 5        bytes that training CASES[5] takes at its peak
    python benchmarks/probe.py latency             seconds of small calls
    python benchmarks/probe.py peak 2              multiply-adds a second of so many threads, as FLOP/s
"""

import concurrent.futures
import ctypes
import importlib
import json
import statistics
import sys
import time


def import_seconds(name):
    begin = time.perf_counter()
    importlib.import_module(name)
    return time.perf_counter() - begin


def memory(library, case):
    """The peak of resident memory while two epochs are trained, beyond what the process held when the data,
    the first parameters and a small network's training were behind it."""
    import peers

    from backprop.cli.bench import CASES, Backprop, first_parameters, make_data

    made = {peer.name: peer for peer in (Backprop, *peers.PEERS)}[library]
    small = CASES[0]
    made(small, first_parameters(small), *make_data(small, 10)).train(1)
    parameters, data = first_parameters(case), make_data(case, case.samples)
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # forget the peak so far
    before = _status("VmRSS")
    made(case, parameters, *data).train(2)
    return _status("VmHWM") - before


def _status(key):
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith(key):
                return int(line.split()[1]) * 1024
    raise LookupError(f"/proc/self/status has no {key}")


def peak(threads):
    from backprop import _core

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(lambda _: _core.fma_peak("float32", 0.02), range(threads)))


def latency():
    """Medians for one sample: net(x) of each library, and net.step of backprop."""
    import jax
    import numpy as np
    import torch
    from compare import confine

    import backprop as bp
    from backprop.cli.bench import CASES, PyTorch, first_parameters, make_data, network_of

    confine(1)
    torch.set_num_threads(1)
    result = {}
    for case in CASES[:2]:
        parameters, (x, y) = first_parameters(case), make_data(case, case.batch)
        x, y = x[0], y[0]
        net, sgd = network_of(parameters), bp.SGD(0.1)
        model, tensor = PyTorch(case, parameters, x[None], y[None]).model, torch.from_numpy(x)

        def by_hand(x, parameters=parameters):
            a = x
            for weights, bias in parameters:
                a = 1 / (1 + np.exp(-(weights @ a + bias)))
            return a

        def in_torch(x, model=model):
            with torch.inference_mode():
                return model(x)

        in_jax, array = jax.jit(_jax_outputs), jax.numpy.asarray(x)
        arrays = jax.tree.map(jax.numpy.asarray, parameters)
        result[case.name] = {
            "net(x)": _median(net, x),
            "net.step(x, y, optimizer)": _median(net.step, x, y, sgd),
            "NumPy by hand": _median(by_hand, x),
            "PyTorch model(x), inference mode": _median(in_torch, tensor),
            "JAX, jitted": _median(lambda p, a, f=in_jax: f(p, a).block_until_ready(), arrays, array),
        }
    return result


def _jax_outputs(parameters, x):
    import jax

    a = x
    for weights, bias in parameters:
        a = jax.nn.sigmoid(weights @ a + bias)
    return a


def _median(function, *arguments):
    """Seconds a call: the median of 15 rounds of about 5 ms."""
    calls = 1
    while (took := _round(function, arguments, calls)) < 0.005:
        calls *= 2
    return statistics.median([took] + [_round(function, arguments, calls) for _ in range(14)]) / calls


def _round(function, arguments, calls):
    begin = time.perf_counter()
    for _ in range(calls):
        function(*arguments)
    return time.perf_counter() - begin


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what == "import":
        print(import_seconds(*rest))
    elif what == "memory":
        from backprop.cli.bench import CASES

        print(memory(rest[0], CASES[int(rest[1])]))
    elif what == "peak":
        print(peak(int(rest[0])))
    elif what == "latency":
        print(json.dumps(latency()))
    else:
        sys.exit(__doc__)
