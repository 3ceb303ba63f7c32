"""Seconds from the start of a process to 98 % test accuracy on MNIST, with one thread: ours and PyTorch's.

    python benchmarks/mnist_98.py FOLDER               both, in turn, a process each time; of IDX files
    python benchmarks/mnist_98.py FOLDER --validate    accuracy on the last 10,000 training images, trained
                                                       on the others: what the settings were chosen by

784-192-10, ReLU and softmax with cross-entropy, plain SGD whose rate falls to zero in a straight line. The
test images are used once, when training has ended. Imports, reading, unpacking and scaling of the data count.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

WIDTH, BATCH, RATE, EPOCHS = 192, 16, 0.4, 5
HELD_OUT = 10_000
AIM = 0.98


def rate_at(step, samples):
    steps = EPOCHS * math.ceil(samples / BATCH)
    return RATE * (1 - step / steps)


def read(folder, held_out):
    """Pixels from 0 to 1 and labels: to train on, and to test on."""
    from backprop.datasets import load_idx

    x, y, x_test, y_test = load_idx(folder, scale=True)
    if held_out:
        return x[:-held_out], y[:-held_out], x[-held_out:], y[-held_out:]
    return x, y, x_test, y_test


def ours(folder, seed, held_out):
    import backprop as bp

    x, y, x_test, y_test = read(folder, held_out)
    net = bp.Network.dense(
        784, WIDTH, 10, hidden="relu", output="softmax", loss="cross_entropy", seed=seed
    )
    sgd = bp.SGD(lambda step: rate_at(step, len(x)))
    net.fit(x, y, sgd, epochs=EPOCHS, batch_size=BATCH, threads=1, progress=False)
    return net.accuracy(x_test, y_test)


def torchs(folder, seed, held_out):
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    x, y, x_test, y_test = map(torch.from_numpy, read(folder, held_out))
    y = y.long()
    model = torch.nn.Sequential(torch.nn.Linear(784, WIDTH), torch.nn.ReLU(), torch.nn.Linear(WIDTH, 10))
    first, last = model[0], model[2]
    with torch.no_grad():  # the same distributions as ours
        first.weight.normal_(0, (2 / 784) ** 0.5)
        last.weight.normal_(0, (2 / (WIDTH + 10)) ** 0.5)
        first.bias.zero_()
        last.bias.zero_()
    sgd = torch.optim.SGD(model.parameters(), lr=RATE)
    loss = torch.nn.CrossEntropyLoss()
    step = 0
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x)).split(BATCH):
            sgd.param_groups[0]["lr"] = rate_at(step, len(x))
            sgd.zero_grad()
            loss(model(x[rows]), y[rows]).backward()
            sgd.step()
            step += 1
    with torch.no_grad():
        return float((model(x_test).argmax(1) == y_test).float().mean())


LIBRARIES = {"backprop": ours, "PyTorch": torchs}


def timed(library, folder, seed, held_out):
    """Seconds of a process of its own, and the accuracy it came to."""
    from compare import environment

    command = [sys.executable, __file__, folder, "--only", library, "--seed", str(seed)]
    begin = time.perf_counter()
    done = subprocess.run(
        command + ["--validate"] * bool(held_out), env=environment(1), stdout=subprocess.PIPE, check=True
    )
    return time.perf_counter() - begin, json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="MNIST's four IDX files, plain or gzipped")
    parser.add_argument("--validate", action="store_true", help="on held-out training images")
    parser.add_argument("--seeds", type=int, default=3, help="repetitions, each with a seed of its own")
    parser.add_argument("--only", choices=LIBRARIES, help="this library, in this process")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    held_out = HELD_OUT if options.validate else 0
    if options.only:
        print(json.dumps(LIBRARIES[options.only](options.folder, options.seed, held_out)))
        return
    results = {name: [] for name in LIBRARIES}
    for seed in range(options.seeds):
        for name, rows in results.items():
            rows.append(timed(name, options.folder, seed, held_out))
            print(f"{name}, seed {seed}: {rows[-1][0]:.2f} s, accuracy {rows[-1][1]:.4f}", flush=True)
    if held_out:
        return
    medians = {name: statistics.median(seconds for seconds, _ in rows) for name, rows in results.items()}
    print(f"PyTorch / backprop: {medians['PyTorch'] / medians['backprop']:.2f}")
    if not all(accuracy >= AIM for rows in results.values() for _, accuracy in rows):
        sys.exit(f"not every run came to {AIM:.0%}")


if __name__ == "__main__":
    main()
