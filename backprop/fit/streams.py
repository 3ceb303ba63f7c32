"""Samples that come block by block, so that a data set may be larger than memory.

`Batches` are the user's own: an iterable of ``(x, y)``. `Blocks` are read from arrays, memory-mapped ones
above all. Both give an epoch's samples as an iterator, which `reader` reads ahead.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop._sparse import as_rows, is_sparse
from backprop._validate import as_array, real_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backprop._core import Block

BLOCK_BYTES = 1 << 20  # of x, read in one piece: rows one after the other
WINDOW_BYTES = 32 << 20  # of x, from many blocks, whose rows are shuffled together
LABELS_AT_A_TIME = 1 << 20


class Batches:
    """Batches from an iterable, each of them one step."""

    whole = True

    def __init__(self, source: Any, epochs: int) -> None:
        if isinstance(source, np.ndarray) or is_sparse(source):
            raise TypeError(
                "with an array as x, y must be an array of numbers, but is None"
            )
        if not callable(source) and not isinstance(source, Iterable):
            raise TypeError(
                "without y, x must be an iterable of (x, y) batches, or a function that returns one; got "
                f"{type(source).__name__}"
            )
        if epochs > 1 and isinstance(source, Iterator):
            raise ValueError(
                "an iterator can be gone through once, not for several epochs: give a list, or a function "
                "that returns a new iterator"
            )
        self._source = source

    def epoch(self, generator: np.random.Generator | None) -> Iterator[Block]:
        """The blocks of one epoch."""
        batches = self._source() if callable(self._source) else self._source
        if not isinstance(batches, Iterable):
            raise TypeError(f"the function must return an iterable of batches, got {type(batches).__name__}")
        return map(_as_block, batches)


def _as_block(batch: Any) -> Block:
    if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
        raise TypeError(f"a batch must be (x, y) or (x, y, sample_weight), got {type(batch).__name__}")
    x, y = as_rows("x of a batch", batch[0]), as_array("y of a batch", batch[1])
    if len(batch) == 2:
        return x, y, None
    samples = x.shape[0] if x.ndim > 1 else 1
    weights = real_array("sample_weight of a batch", batch[2], (samples,))
    return x, y, np.ascontiguousarray(weights, dtype=np.float64)


class Blocks:
    """Windows of rows from arrays of n samples.

    In order, or mixed: then blocks of 1 MiB, consecutive rows, come in a random order, and 32 of them at a
    time make a window, whose rows the engine shuffles. Every window but the last is a multiple of
    batch_size, so that batches are what they would be without windows.
    """

    whole = False

    def __init__(
        self,
        x: NDArray[Any],
        y: NDArray[Any],
        weights: NDArray[np.float64] | None,
        *,
        batch_size: int,
        outputs: int,
        mix: bool,
    ) -> None:
        if x.ndim != 2 or y.ndim == 0 or len(y) != len(x) or len(x) == 0:
            raise ValueError(
                f"x must be (n, inputs) and y have one entry a sample; got {x.shape} and {y.shape}"
            )
        if outputs > 1 and y.ndim == 1:
            _check_labels(y, outputs)
        self._arrays = (x, y, weights)
        self._mix = mix
        row = max(1, x.itemsize * x.shape[1])
        self._block_rows = max(1, BLOCK_BYTES // row)
        self._window_rows = max(1, WINDOW_BYTES // row // batch_size) * batch_size

    def epoch(self, generator: np.random.Generator | None) -> Iterator[Block]:
        """The windows of one epoch; the order of the blocks is drawn now."""
        samples = len(self._arrays[0])
        firsts = np.arange(0, samples, self._block_rows if self._mix else self._window_rows)
        if self._mix and generator is not None:
            generator.shuffle(firsts)
        return self._windows(firsts.tolist(), self._block_rows if self._mix else self._window_rows)

    def _windows(self, firsts: list[int], rows: int) -> Iterator[Block]:
        x, y, weights = self._arrays
        samples = len(x)
        pieces = [(first, min(first + rows, samples)) for first in firsts]
        left = samples
        while left:
            count = min(left, self._window_rows)
            window_x = np.empty((count, *x.shape[1:]), x.dtype)
            window_y = np.empty((count, *y.shape[1:]), y.dtype)
            window_weights = None if weights is None else np.empty(count)
            filled = 0
            while filled < count:
                first, last = pieces.pop(0)
                if last - first > count - filled:
                    pieces.insert(0, (first + count - filled, last))
                    last = first + count - filled
                place = slice(filled, filled + last - first)
                for to, of in ((window_x, x), (window_y, y)):
                    to[place] = of[first:last]
                if weights is not None and window_weights is not None:
                    window_weights[place] = weights[first:last]
                filled = place.stop
            left -= count
            forget(x)
            forget(y)
            yield window_x, window_y, window_weights


def _check_labels(y: NDArray[Any], outputs: int) -> None:
    if y.dtype.kind not in "biu":
        raise TypeError(
            f"y must have shape ({len(y)}, {outputs}), or be integer class labels of shape ({len(y)},), but "
            f"has one number of dtype {y.dtype} a sample"
        )
    for first in range(0, len(y), LABELS_AT_A_TIME):
        labels = y[first : first + LABELS_AT_A_TIME]
        wrong = labels[(labels < 0) | (labels >= outputs)]
        if wrong.size:
            raise ValueError(
                f"labels in y must be 0 to {outputs - 1}, one for each of the {outputs} outputs, but one is "
                f"{wrong[0]}"
            )
        forget(y)


def is_mapped(array: NDArray[Any]) -> bool:
    """Whether the array is a file that NumPy has mapped into memory."""
    return _mapping(array) is not None


def _mapping(array: Any) -> mmap.mmap | None:
    """The mapping of a shared file below an array; not a private one, which may have changes of its own."""
    shared = False
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            shared = array.mode in ("r", "r+", "w+")
        array = array.base
    return array if shared and isinstance(array, mmap.mmap) else None


def forget(array: NDArray[Any]) -> None:
    """Lets the system take back the memory of a mapped array, which stays in the file.

    All of it: the system maps pages around those that are read, too.
    """
    mapping = _mapping(array)
    if mapping is not None and hasattr(mapping, "madvise"):
        mapping.madvise(mmap.MADV_DONTNEED)
