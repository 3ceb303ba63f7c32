"""One pass over a data set that is larger than memory, and how much memory it took.

    python benchmarks/larger_than_memory.py x.npy [gigabytes]

x.npy is made as a hole: it takes no room on a disk that knows sparse files.
"""

import resource
import sys
import time

import numpy as np

import backprop as bp


def main(path, gigabytes="32"):
    samples = int(float(gigabytes) * 1e9 / 784)
    x = np.lib.format.open_memmap(path, "w+", np.uint8, (samples, 784))
    y = np.zeros(samples, np.uint8)
    net = bp.Network.dense(784, 10, 10, seed=0)
    for shuffle in ("blocks", False):
        begun = time.perf_counter()
        net.fit(x, y, bp.SGD(0.1), batch_size=256, shuffle=shuffle)
        seconds = time.perf_counter() - begun
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{x.nbytes / 1e9:.1f} GB, shuffle={shuffle!r}: {seconds:.0f} s, "
            f"{x.nbytes / seconds / 1e9:.2f} GB/s; resident memory at most {peak:.0f} MiB, "
            f"{y.nbytes / 2**20:.0f} of them labels"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
