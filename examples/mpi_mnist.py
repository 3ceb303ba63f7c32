"""Trains on all MPI ranks together, and goes on from the last checkpoint where there is one.

    mpiexec -n 2 python -m mpi4py examples/mpi_mnist.py mnist/ --epochs 10

The folder holds MNIST's four IDX files, unpacked: the images are mapped into memory, so that they may be more
than fit into it, and are brought to [0, 1] batch by batch. Without a folder it trains on the digits that come
with backprop. `-m mpi4py` ends all ranks when one of them raises outside fit; inside, fit sees to it.
"""

import argparse
import os
from collections.abc import Iterator

import numpy as np
from mpi4py import MPI

import backprop as bp


def scaled(x: np.ndarray) -> np.ndarray:
    return x / np.float32(255) if x.dtype == np.uint8 else x


def batches(
    x: np.ndarray, y: np.ndarray, rows: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """One pass: batches of rows that lie one after the other, in a fresh order."""
    for first in rows * rng.permutation(-(-len(x) // rows)):
        part = slice(first, first + rows)
        yield scaled(x[part]), y[part]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", help="of MNIST's IDX files")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--sync-every", type=int, help="average the weights after so many steps instead")
    parser.add_argument("--checkpoint", default="mpi_mnist.safetensors")
    arguments = parser.parse_args()

    comm = MPI.COMM_WORLD
    if arguments.folder:
        x, y, x_test, y_test = bp.datasets.load_idx(arguments.folder, mapped=True)
    else:
        x, y, x_test, y_test = bp.datasets.load_digits()
    # Each rank reads a part of its own.
    edges = np.linspace(0, len(x), comm.size + 1).astype(int)
    own = slice(edges[comm.rank], edges[comm.rank + 1])
    rows = max(1, arguments.batch_size // comm.size)
    steps = max(-(-(edges[1:] - edges[:-1]) // rows))

    if os.path.exists(arguments.checkpoint):
        net, optimizer = bp.load(arguments.checkpoint, optimizer=True)
    else:
        sizes = (x.shape[1], 100, 10)
        net = bp.Network.dense(*sizes, hidden="relu", output="softmax", loss="cross_entropy", seed=0)
        optimizer = bp.Adam(1e-3)
    comm.Barrier()  # before anyone writes a new checkpoint
    done = round(optimizer.steps / steps)  # another number of ranks may have had other steps
    if done < arguments.epochs:
        rng = np.random.default_rng([comm.rank, done])
        history = net.fit(
            lambda: batches(x[own], y[own], rows, rng),
            None,
            optimizer,
            epochs=arguments.epochs - done,
            comm=comm,
            sharded=True,
            sync_every=arguments.sync_every,
            callbacks=[bp.Checkpoint(arguments.checkpoint, optimizer=optimizer)],
        )
        if comm.rank == 0:
            print(history)
    if comm.rank == 0:
        print(f"test accuracy {net.accuracy(scaled(x_test), y_test):.4f}")


if __name__ == "__main__":
    main()
