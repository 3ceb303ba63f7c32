"""Measures everything, and writes RESULTS.md, results.json and speed.svg beside this file.

    python benchmarks/bench.py                 all of it, some minutes
    python benchmarks/bench.py --quick         a trial with short repetitions, printed only
    python benchmarks/bench.py --report        the files again, from results.json
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import plot  # noqa: E402
import report  # noqa: E402
from compare import environment  # noqa: E402

NEEDED = ("torch", "jax", "sklearn")
MEMORY_CASES = (4, 5, 6)
MEMORY_LIBRARIES = ("backprop", "PyTorch", "JAX", "NumPy")
IMPORTS = ("numpy", "backprop", "torch")


def run(script, *arguments, threads=1, **more):
    """The output of a script of this folder, read as JSON, run with that many threads; `more` goes into its
    environment."""
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    paths = [str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = environment(threads) | {"PYTHONPATH": os.pathsep.join(paths)} | more
    return json.loads(subprocess.run(command, env=variables, stdout=subprocess.PIPE, check=True).stdout)


def measure(options):
    cores = len(os.sched_getaffinity(0))
    settings = ("--repetitions", options.repetitions, "--seconds", options.seconds)
    if options.cases:
        settings += ("--cases", *options.cases)
    if options.cpu_time:
        settings += ("--cpu-time",)
    return {
        "machine": machine() | {"cores": cores, "load_before": os.getloadavg()[0]},
        "training": {
            str(threads): run("compare.py", "--threads", threads, *settings, threads=threads)
            for threads in (1, 2)
            if threads <= cores
        },
        "memory": {
            str(case): {library: run("probe.py", "memory", library, case) for library in MEMORY_LIBRARIES}
            for case in (() if options.quick else MEMORY_CASES)
        },
        "import": imports(3 if options.quick else 11),
        "latency": run("probe.py", "latency"),
    }


def imports(repetitions):
    """Seconds of each import, the libraries taking turns; the first round warms the file cache.

    All of them from byte code, which that round writes, as installing a package does: a checkout may not
    have any.
    """
    times = {name: [] for name in IMPORTS}
    with tempfile.TemporaryDirectory() as folder:
        byte_code = {"PYTHONPYCACHEPREFIX": folder, "PYTHONDONTWRITEBYTECODE": ""}
        for turn in range(repetitions + 1):
            for name, row in times.items():
                seconds = run("probe.py", "import", name, **byte_code)
                if turn:
                    row.append(seconds)
    return {name: statistics.median(row) for name, row in times.items()}


def machine():
    from backprop import _core

    with open("/proc/cpuinfo") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    packages = ("numpy", "torch", "jax", "jaxlib", "scikit-learn")
    return {
        "processor": models[0] if models else platform.processor() or platform.machine(),
        "isa": _core.isa,
        "system": f"{platform.system()} {platform.release()}",
        "date": time.strftime("%Y-%m-%d"),
        "versions": {"Python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in packages},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a trial: short, and nothing is written")
    parser.add_argument("--report", action="store_true", help="write the files again from results.json")
    parser.add_argument("--repetitions", type=int, help="of each library and network (default 5)")
    parser.add_argument("--seconds", type=float, help="that one repetition takes at least (default 0.15)")
    parser.add_argument("--cases", type=int, nargs="+", metavar="N", help="which networks (with --quick)")
    parser.add_argument("--cpu-time", action="store_true", help="not the clock's (with --quick)")
    options = parser.parse_args()
    if (options.cases or options.cpu_time) and not options.quick:
        parser.error("--cases and --cpu-time go with --quick")
    options.repetitions = options.repetitions or (2 if options.quick else 5)
    options.seconds = options.seconds or (0.02 if options.quick else 0.15)
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing and not options.report:
        sys.exit(f"{', '.join(missing)} missing: pip install -r benchmarks/requirements.txt, or make bench")

    results_file = HERE / "results.json"
    if options.report:
        results = json.loads(results_file.read_text())
    else:
        results = measure(options)
        results["machine"]["load_after"] = os.getloadavg()[0]
    text = report.render(results)
    print(text)
    if not options.quick:
        results_file.write_text(json.dumps(results, indent=1) + "\n")
        (HERE / "RESULTS.md").write_text(text)
        (HERE / "speed.svg").write_text(plot.render(results["training"]["1"]))


if __name__ == "__main__":
    main()
