"""L-BFGS on all 60,000 digits of MNIST, 784-300-10, float32: what an iteration takes, and memory.

`python benchmarks/whole_batch_mnist.py FOLDER WHO --iterations 12 --threads 1`, WHO being backprop,
scikit-learn or PyTorch: a process each. FOLDER has MNIST's four files.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
import warnings


def by_backprop(x, y, iterations, threads):
    import backprop as bp

    net = bp.Network.dense(784, 300, 10, hidden="relu", loss="cross_entropy", seed=0)

    def run():
        history = net.fit(x, y, bp.LBFGS(), epochs=iterations, threads=threads)
        return history.epochs, sum(history["evaluations"]), history["loss"][-1]

    return run


def by_scikit_learn(x, y, iterations, threads):
    from sklearn.neural_network import MLPClassifier

    warnings.simplefilter("ignore")
    model = MLPClassifier((300,), solver="lbfgs", alpha=0, max_iter=iterations, tol=0, random_state=0)

    def run():
        model.fit(x, y)
        return model.n_iter_, 0, model.loss_

    return run


def by_torch(x, y, iterations, threads):
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    linear = torch.nn.Linear
    net = torch.nn.Sequential(linear(784, 300), torch.nn.ReLU(), linear(300, 10))
    data, labels = torch.from_numpy(x), torch.from_numpy(y)
    optimizer = torch.optim.LBFGS(
        net.parameters(),
        max_iter=iterations,
        history_size=50,
        tolerance_grad=0,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )
    losses = []

    def closure():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(data), labels)
        loss.backward()
        losses.append(loss.item())
        return loss

    def run():
        optimizer.step(closure)
        return next(iter(optimizer.state.values()))["n_iter"], len(losses), min(losses)

    return run


WHO = {"backprop": by_backprop, "scikit-learn": by_scikit_learn, "PyTorch": by_torch}


def memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("who", choices=list(WHO))
    parser.add_argument("--iterations", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # before NumPy's first product
        os.environ[name] = str(options.threads)
    from backprop import datasets

    x, labels, _, _ = datasets.load_idx(options.folder, scale=True)
    run = WHO[options.who](x, labels, options.iterations, options.threads)
    before, begun, used = memory(), time.perf_counter(), time.process_time()
    done, evaluations, loss = run()
    wall, used = time.perf_counter() - begun, time.process_time() - used
    counted = f"{evaluations:.0f}" if evaluations else "unknown"
    print(
        f"{options.who}, {options.threads} threads: {done} iterations, {counted} evaluations; "
        f"{wall / done * 1e3:.0f} ms an iteration, {used / done * 1e3:.0f} of a processor's; C {loss:.4f}; "
        f"peak memory {before:.0f} to {memory():.0f} MB"
    )


if __name__ == "__main__":
    main()
