"""The results as Markdown."""

import statistics

from backprop.cli.bench import CASES

# of the design: times over PyTorch, times over JAX, share of the peak or microseconds a step; one thread
GOALS = {
    "2-3-1": (4000, 1.8, "60 ns"),
    "784-30-10": (28, 3.5, "75 %"),
    "784-300-10": (26, 2.7, "17 µs"),
    "64-64-64-1": (19, 1.6, "70 %"),
    "784-800-10": (1.5, 1.22, "94 %"),
    "784-2048-2048-10": (1.22, 1.13, "92 %"),
    "784-2500-2000-1500-1000-500-10": (1.5, 1.3, "90 %"),
}
RIVALS = ("PyTorch", "PyTorch compiled", "JAX", "NumPy", "scikit-learn")

INTRODUCTION = """\
Sigmoid layers with biases, squared error summed over the outputs, plain SGD, float32, shuffled minibatches
of synthetic data; the last two networks have all samples in each batch. Ours is `Network.fit`; PyTorch the
ordinary eager loop, and the same with network and loss compiled by `torch.compile`; JAX a whole epoch as one
jitted `lax.scan`; NumPy the equations by hand on its BLAS; scikit-learn `MLPRegressor.partial_fit`, whose
output layer is the identity, so that it has less to do. Each library trains each network in a process of its
own; they take turns, once per repetition, with several threads after a quarter of a second each time, since
OpenBLAS's threads keep a core busy for a while after a product. Figures are medians over the repetitions, and
ratios are ratios of medians. First, each trains the network for 5 unshuffled steps from the same weights and
must arrive at the same ones, within the tolerance that `peers.py` derives."""


def render(results):
    parts = ["# Speed\n\nWritten by `make bench`; do not edit.", _machine(results["machine"]), INTRODUCTION]
    for threads, training in results["training"].items():
        parts += _training(int(threads), training)
    single = results["training"].get("1")
    if single:
        parts += _goals(single)
    if results.get("memory"):
        parts += _memory(results["memory"])
    if "import" in results:
        parts += [*_imports(results["import"]), *_latency(results["latency"])]
    return "\n\n".join(parts) + "\n"


def _machine(machine):
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"{machine['date']}: {machine['processor']}, {machine['cores']} cores used, {machine['system']}; "
        f"kernels {machine['isa']}. {versions}. Load average of the machine before and after: "
        f"{machine['load_before']:.2f} and {machine['load_after']:.2f}; above the number of threads, "
        "something else was running."
    )


def _present(training):
    return [(case, training[case.name]) for case in CASES if case.name in training]


def _medians(result):
    return {name: statistics.median(times) for name, times in result["seconds"].items()}


def _training(threads, training):
    alone, together = "backprop, 1 thread", "independent fits"
    speed, spread = [], []
    for case, result in _present(training):
        median = _medians(result)
        ours = median["backprop"]
        row = [case.name, case.batch, _micro(ours), f"{1 / ours:,.0f}"]
        row.append(f"{case.flops / ours / result['peak']:.1%}")
        if threads > 1:
            row += [f"{median[alone] / ours:.2f}", f"{median[together] / ours:.0%}"]
        speed.append(row + [_beside(median, name, ours) for name in RIVALS])
        spread.append([case.name] + [_spread(result["seconds"].get(name)) for name in ("backprop", *RIVALS)])
    peaks = [result["peak"] / 1e9 for _, result in _present(training)]
    head = ["network", "batch", "backprop", "steps/s", "of FMA peak"]
    if threads > 1:
        head += ["over its one thread", "of independent fits"]
    parts = [
        f"## Training, {threads} thread{'s'[: threads > 1]}",
        f"µs a step, and in brackets how many times ours. The peak is {statistics.median(peaks):.0f} GFLOP/s "
        f"({min(peaks):.0f} to {max(peaks):.0f}, measured in turn with the libraries). A step's operations "
        "are those of its three products."
        + (_SEVERAL.format(threads) if threads > 1 else ""),
        _table([*head, *RIVALS], speed),
        "Least, and from least to most in per cent of the median:",
        _table(["network", "backprop", *RIVALS], spread),
    ]
    return [*parts, *_rounded(training), *_skipped(training)]


_SEVERAL = (
    " `threads=None`: backprop chooses how many. Independent fits are {} fits at once with one thread each, "
    "which no fit on all threads can pass; the column says what part of their steps a second it reaches."
)


def _rounded(training):
    rows = []
    for case, result in _present(training):
        median = _medians(result)
        ours = median.get("backprop bfloat16")
        if ours is not None:
            over = f"{median['backprop'] / ours:.2f}"
            theirs = _beside(median, "PyTorch bfloat16", ours)
            rows.append([case.name, case.batch, _micro(ours), over, theirs])
    if not rows:
        return []
    return [
        "bfloat16: `precision=\"bfloat16\"`, and PyTorch's autocast.",
        _table(["network", "batch", "backprop", "over its float32", "PyTorch"], rows),
    ]


def _skipped(training):
    reasons = {}
    for case, result in _present(training):
        for name, reason in result["skipped"].items():
            reasons.setdefault((name, reason), []).append(case.name)
    return [
        f"Not measured: {name} on {', '.join(cases)} ({reason})." for (name, reason), cases in reasons.items()
    ]


def _beside(median, name, ours):
    if name not in median:
        return "–"
    return f"{_micro(median[name])} ({_ratio(median[name] / ours)})"


def _goals(training):
    rows = []
    for case, result in _present(training):
        median = _medians(result)
        if case.name not in GOALS:
            continue
        over_torch, over_jax, share = GOALS[case.name]
        ours = median["backprop"]
        if share.endswith("%"):
            reached = f"{case.flops / ours / result['peak']:.0%}"
        else:
            reached = f"{1e9 * ours:.0f} ns" if share.endswith("ns") else f"{1e6 * ours:.1f} µs"
        rows.append([
            case.name,
            f"{_ratio(median['PyTorch'] / ours)} ({over_torch})",
            f"{_ratio(median['JAX'] / ours)} ({over_jax})",
            f"{reached} ({share})",
        ])  # fmt: skip
    return [
        "## What was aimed at",
        "One thread; the aim in brackets.",
        _table(["network", "over PyTorch", "over JAX", "of FMA peak, or a step"], rows),
    ]


def _memory(memory):
    libraries = list(next(iter(memory.values())))
    rows = []
    for index, sizes in memory.items():
        case = CASES[int(index)]
        needed = _needed(case)
        row = [case.name, case.batch, _mega(needed), f"{sizes['backprop'] / needed:.2f}"]
        rows.append(row + [_mega(sizes[name]) for name in libraries])
    return [
        "## Memory",
        "MB, the peak while training beyond the data and the first parameters, each in a process of its own. "
        "`needed` is 3 × parameters + activations (inputs too) + deltas.",
        _table(["network", "batch", "needed", "ours / needed", *libraries], rows),
    ]


def _needed(case):
    deltas = case.batch * sum(case.sizes[1:])
    return 4 * (3 * case.parameters + deltas + case.batch * sum(case.sizes))


def _imports(seconds):
    rows = [[name, f"{1e3 * s:.0f}", f"{s / seconds['numpy']:.2f}"] for name, s in seconds.items()]
    return ["## Import", _table(["module", "ms", "over NumPy"], rows)]


def _latency(latency):
    names = list(next(iter(latency.values())))
    rows = [[name] + [f"{1e6 * times[name]:.2f}" for times in latency.values()] for name in names]
    return ["## One sample", "µs a call, one thread.", _table(["call", *latency], rows)]


def _micro(seconds):
    return f"{1e6 * seconds:,.3g}" if seconds < 1e-3 else f"{1e6 * seconds:,.0f}"


def _ratio(ratio):
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:,.0f}"


def _mega(size):
    return f"{size / 1e6:.1f}"


def _spread(times):
    if times is None:
        return "–"
    return f"{_micro(min(times))}, {(max(times) - min(times)) / statistics.median(times):.0%}"


def _table(head, rows):
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
