"""Measures everything, and writes RESULTS.md, results.json and speed.svg beside this file.

    python benchmarks/bench.py                 all of it, some minutes
    python benchmarks/bench.py --quick         a trial with short repetitions, printed only
    python benchmarks/bench.py --cases 7 8     these networks alone; the others stay as results.json has them
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
from peers import LIBRARIES  # noqa: E402

from backprop.cli.bench import CASES  # noqa: E402

PAUSE = 0.25  # seconds: OpenBLAS's threads look for work for half of it after a product, on all cores
ALL_THREADS = ("backprop, 1 thread", "independent fits")  # which with one thread are backprop
NEEDED = ("torch", "jax", "sklearn")
MEMORY_CASES = (4, 5, 6)
MEMORY_LIBRARIES = ("backprop", "PyTorch", "JAX", "NumPy")
IMPORTS = ("numpy", "backprop", "torch")


def run(script, *arguments, threads=1, **more):
    """The output of a script of this folder, read as JSON, run with that many threads; `more` goes into its
    environment."""
    command, variables = command_of(script, *arguments, threads=threads)
    done = subprocess.run(command, env=variables | more, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def command_of(script, *arguments, threads):
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    paths = [str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return command, environment(threads) | {"PYTHONPATH": os.pathsep.join(paths)}


class Worker:
    """A library at work on a network, in a process of its own, which waits for its turns."""

    def __init__(self, library, case, threads, cpu_time):
        settings = ["--threads", threads, "--case", case, *["--cpu-time"][:cpu_time]]
        command, variables = command_of("compare.py", library, *settings, threads=threads)
        self._process = subprocess.Popen(
            command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.answer = json.loads(self._process.stdout.readline())

    def turn(self, seconds):
        """Seconds of a step, trained for about as long."""
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def end(self):
        self._process.stdin.close()
        self._process.wait()


def train(case, threads, options):
    """The result of one network: seconds a step of each library in lists, those skipped and why, the peak."""
    workers, skipped = {}, {}
    for library in LIBRARIES if threads > 1 else [name for name in LIBRARIES if name not in ALL_THREADS]:
        worker = Worker(library, case, threads, options.cpu_time)
        if "skipped" in worker.answer:
            skipped[library] = worker.answer["skipped"]
            worker.end()
        else:
            workers[library] = worker
    names = list(workers)
    times = {name: [] for name in names}
    peaks = []
    for turn in range(options.repetitions):
        peaks.append(run("probe.py", "peak", threads, threads=threads))
        for i in range(len(names)):
            name = names[(i + turn) % len(names)]
            if threads > 1:
                time.sleep(PAUSE)
            times[name].append(workers[name].turn(options.seconds))
    for worker in workers.values():
        worker.end()
    return {"seconds": times, "skipped": skipped, "peak": statistics.median(peaks)}


def measure_training(options, cores):
    results = {}
    for threads in options.threads or sorted({1, cores}):
        results[str(threads)] = {}
        for case in options.cases or range(len(CASES)):
            print(f"{threads} threads: {CASES[case].name}", file=sys.stderr, flush=True)
            results[str(threads)][CASES[case].name] = train(case, threads, options)
    return results


def measure(options):
    cores = len(os.sched_getaffinity(0))
    results = {
        "machine": machine() | {"cores": cores, "load_before": os.getloadavg()[0]},
        "training": measure_training(options, cores),
    }
    if not (options.cases or options.threads):
        results |= {
            "memory": {
                str(case): {library: run("probe.py", "memory", library, case) for library in MEMORY_LIBRARIES}
                for case in (() if options.quick else MEMORY_CASES)
            },
            "import": imports(3 if options.quick else 11),
            "latency": run("probe.py", "latency"),
        }
    results["machine"]["load_after"] = os.getloadavg()[0]
    return results


def merged(old, new):
    """The old results with those of some networks anew; the new ones alone where the processor is another."""
    if old["machine"]["processor"] != new["machine"]["processor"]:
        return new
    training = {count: old["training"].get(count, {}) | cases for count, cases in new["training"].items()}
    return old | {"machine": new["machine"], "training": training}


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
    parser.add_argument("--cases", type=int, nargs="+", metavar="N", help="which networks, from 0")
    parser.add_argument("--threads", type=int, nargs="+", help="which numbers (default: 1, and all cores)")
    parser.add_argument("--cpu-time", action="store_true", help="not the clock's (with --quick)")
    options = parser.parse_args()
    if options.cpu_time and not options.quick:
        parser.error("--cpu-time goes with --quick")
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
        if (options.cases or options.threads) and not options.quick:
            results = merged(json.loads(results_file.read_text()), results)
    text = report.render(results)
    print(text)
    if not options.quick:
        results_file.write_text(json.dumps(results, indent=1) + "\n")
        (HERE / "RESULTS.md").write_text(text)
        if "1" in results["training"]:
            (HERE / "speed.svg").write_text(plot.render(results["training"]["1"]))


if __name__ == "__main__":
    main()
