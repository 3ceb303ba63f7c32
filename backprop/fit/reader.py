"""One epoch of a stream, read ahead in a thread while the engine trains on the last block without the GIL."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backprop._core import Block

READ_AHEAD = 2  # blocks that wait, besides the one trained on and the one being read
SECONDS_BETWEEN_LOOKS = 0.05  # at whether someone wants to stop
SECONDS_TO_FINISH = 1.0  # that a reader is given at an early end


class Reader:
    """Reads one epoch's blocks ahead, in a thread.

    Parameters
    ----------
    epoch : iterator of blocks (x, y, sample_weight)
    asked_to_stop : callable
        Looked at while the source keeps the engine waiting; True ends the epoch.
    """

    def __init__(self, epoch: Iterator[Block], asked_to_stop: Callable[[], bool]) -> None:
        self._blocks: queue.Queue[tuple[Block | None, BaseException | None]] = queue.Queue(READ_AHEAD)
        self._asked, self._ended = threading.Event(), threading.Event()
        self._asked_to_stop = asked_to_stop
        self._any = False
        self._thread = threading.Thread(target=self._read, args=(epoch,), name="backprop reader", daemon=True)
        self._thread.start()

    @property
    def thread(self) -> int:
        """The thread's identifier: it is refused the network, which waits for it."""
        return self._thread.ident or 0

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
        while not self._ended.is_set():
            with contextlib.suppress(queue.Full):
                self._blocks.put(item, timeout=SECONDS_BETWEEN_LOOKS)
                return True
        return False

    def next_block(self) -> Block | None:
        """The next block, None after the last; raises what reading it raised."""
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

    def close(self) -> None:
        """Ends the thread; one that hangs in the user's iterator ends with its next batch."""
        self._ended.set()
        self._asked.set()
        self._thread.join(SECONDS_TO_FINISH)
