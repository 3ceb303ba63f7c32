"""Samples that come block by block, so that a data set may be larger than memory.

`Batches` are the user's own: an iterable of ``(x, y)``. `Blocks` are read from arrays, memory-mapped ones
above all. Both are read ahead in a thread, while the engine trains on the last ones without the GIL.
"""

from __future__ import annotations

import contextlib
import mmap
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop import schedules
from backprop._validate import as_array, real_array

if TYPE_CHECKING:
    import queue

    from numpy.typing import NDArray

    from backprop._core import Block, Optimizer

READ_AHEAD = 2  # blocks that wait, besides the one trained on and the one being read
BLOCK_BYTES = 1 << 20  # of x, read in one piece: rows one after the other
WINDOW_BYTES = 32 << 20  # of x, from many blocks, whose rows are shuffled together
LABELS_AT_A_TIME = 1 << 20
RATES_AT_A_TIME = 1 << 10
SECONDS_BETWEEN_LOOKS = 0.05  # at whether someone wants to stop
SECONDS_TO_FINISH = 1.0  # that a reader is given at an early end


class Batches:
    """Batches from an iterable, each of them one step."""

    whole = True

    def __init__(self, source: Any, epochs: int) -> None:
        if isinstance(source, np.ndarray):
            raise TypeError(
                "with an array as x, y must be of float16, float32, float64, an integer type or bool, but is "
                "None, of dtype object"
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
    x, y = as_array("x of a batch", batch[0]), as_array("y of a batch", batch[1])
    if len(batch) == 2:
        return x, y, None
    samples = len(x) if x.ndim > 1 else 1
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


class Reader:
    """Reads one epoch of a source ahead, in a thread; what the engine takes as a stream.

    Parameters
    ----------
    asked_to_stop : callable
        Looked at while the source keeps the engine waiting; True ends the epoch.
    """

    def __init__(
        self,
        source: Batches | Blocks,
        generator: np.random.Generator | None,
        optimizer: Optimizer,
        asked_to_stop: Callable[[], bool],
    ) -> None:
        import queue

        self._blocks: queue.Queue[tuple[Block | None, BaseException | None]] = queue.Queue(READ_AHEAD)
        self._asked, self._ended = threading.Event(), threading.Event()
        self._asked_to_stop = asked_to_stop
        self._any = False
        self._whole = source.whole
        self._lr, self._steps = optimizer.lr, optimizer.steps
        self._rates_from, self._rates = 0, np.empty(0)
        epoch = source.epoch(generator)  # draws; in this thread
        self._thread = threading.Thread(target=self._read, args=(epoch,), name="backprop reader", daemon=True)
        self._thread.start()

    @property
    def engine(self) -> tuple[Any, Any, bool, int]:
        """What _train takes; it refuses the network to the thread, for which training waits."""
        rates = self.rates if callable(self._lr) else None
        return self.next_block, rates, self._whole, self._thread.ident or 0

    def _read(self, epoch: Iterator[Block]) -> None:
        try:
            self._asked.wait()  # so that whether the network is refused does not depend on who is faster
            for block in () if self._ended.is_set() else epoch:
                if not self._put((block, None)):
                    return
                del block  # so that no block is held that the engine has done with
            self._put((None, None))
        except BaseException as error:
            self._put((None, error))
        finally:
            if hasattr(epoch, "close"):
                epoch.close()

    def _put(self, item: tuple[Block | None, BaseException | None]) -> bool:
        import queue

        while not self._ended.is_set():
            with contextlib.suppress(queue.Full):
                self._blocks.put(item, timeout=SECONDS_BETWEEN_LOOKS)
                return True
        return False

    def next_block(self) -> Block | None:
        """The next block, None after the last; raises what reading it raised."""
        import queue

        self._asked.set()
        while True:
            try:
                block, error = self._blocks.get(timeout=SECONDS_BETWEEN_LOOKS)
                break
            except queue.Empty:
                if self._asked_to_stop():
                    return None
        if error is not None:
            raise error
        if block is None and not self._any:
            raise ValueError("there is no batch in this epoch")
        self._any = True
        return block

    def rates(self, first: int, count: int) -> NDArray[np.float64]:
        """Learning rates of `count` steps of this call, from step number `first`."""
        if not self._rates_from <= first <= first + count <= self._rates_from + len(self._rates):
            assert callable(self._lr)
            self._rates_from = first
            self._rates = schedules.rates(self._lr, self._steps + first, max(count, RATES_AT_A_TIME))
        return self._rates[first - self._rates_from :][:count]

    def close(self) -> None:
        """Ends the thread; one that hangs in the user's iterator ends with its next batch."""
        self._ended.set()
        self._asked.set()
        self._thread.join(SECONDS_TO_FINISH)
