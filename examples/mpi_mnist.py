"""Trains on all MPI ranks together, and goes on from the last checkpoint where there is one.

    mpiexec -n 2 python -m mpi4py examples/mpi_mnist.py mnist/ --epochs 10

The folder holds MNIST's four IDX files, unpacked: the images are mapped into memory, so that they may be more
than fit into it. Without a folder it trains on the digits that come with backprop. `-m mpi4py` ends all ranks
when one of them raises outside fit; inside, fit sees to it.
"""

import argparse
import os

import numpy as np
from mpi4py import MPI

import backprop as bp


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
    steps = max(-(-(edges[1:] - edges[:-1]) // max(1, arguments.batch_size // comm.size)))

    if os.path.exists(arguments.checkpoint):
        net, optimizer = bp.load(arguments.checkpoint, optimizer=True)
    else:
        sizes = (x.shape[1], 100, 10)
        net = bp.Network.dense(*sizes, hidden="relu", output="softmax", loss="cross_entropy", seed=0)
        optimizer = bp.Adam(1e-3)
    comm.Barrier()  # before anyone writes a new checkpoint
    done = optimizer.steps // steps
    if done < arguments.epochs:
        history = net.fit(
            x[own],
            y[own],
            optimizer,
            epochs=arguments.epochs - done,
            batch_size=arguments.batch_size,
            shuffle="blocks",
            comm=comm,
            sharded=True,
            sync_every=arguments.sync_every,
            callbacks=[bp.Checkpoint(arguments.checkpoint, optimizer=optimizer)],
        )
        if comm.rank == 0:
            print(history)
    if comm.rank == 0:
        print(f"test accuracy {net.accuracy(x_test, y_test):.4f}")


if __name__ == "__main__":
    main()
