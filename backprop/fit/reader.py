"""One epoch of a stream, read ahead in a thread while the engine trains on the last block without the GIL."""

from __future__ import annotations

import _thread
import contextlib
import queue
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backprop._core import Block

    # A block, or None after the last one; and what reading raised.
    Item = tuple[Block | None, BaseException | None]

READ_AHEAD = 2  # blocks that wait, besides the one trained on and the one being read
SECONDS_BETWEEN_LOOKS = 0.05  # at whether someone wants to stop
SECONDS_TO_FINISH = 1.0  # that a reader is given at an early end


class Reader:
    """Reads one epoch's blocks ahead, in a thread, from `start` to `close`.

    The thread ends as well where nobody has the reader any more: Ctrl-C may come as close begins. It may
    come anywhere, so all that the two threads share is locks and queues that C code takes and gives in one
    go: an exception inside a Condition or an Event of `threading` leaves its lock held, for ever.

    Parameters
    ----------
    epoch : iterator of blocks (x, y, sample_weight)
    asked_to_stop : callable
        Looked at while the source keeps the engine waiting; True ends the epoch.
    """

    def __init__(self, epoch: Iterator[Block], asked_to_stop: Callable[[], bool]) -> None:
        self._blocks: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._room: queue.SimpleQueue[None] = queue.SimpleQueue()  # as many items as there are free places
        for _ in range(READ_AHEAD):
            self._room.put(None)
        self._begun, self._done = _held(), _held()  # locks: free once the thread may begin, or has ended
        self._asked_to_stop = asked_to_stop
        self._last: Block | None = None
        self._epoch = [epoch]  # until the thread takes it: a thread that never began keeps its arguments
        self._asked = self._ended = False
        self.thread = 0  #: the thread's identifier: it is refused the network, which waits for it

    def start(self) -> None:
        """Starts the thread, which reads once a block has been asked for."""
        arguments = weakref.ref(self), self._epoch, self._blocks, self._room, self._begun, self._done
        self.thread = _thread.start_new_thread(_read, arguments)

    @property
    def ended(self) -> bool:
        """Whether the epoch's blocks are no longer wanted."""
        return self._ended

    @property
    def last(self) -> Block | None:
        """The block that the engine was given last."""
        return self._last

    def next_block(self) -> Block | None:
        """The next block, None after the last; raises what reading it raised."""
        self._begin()
        while True:
            try:
                block, error = self._blocks.get(timeout=SECONDS_BETWEEN_LOOKS)
                self._room.put(None)
                break
            except queue.Empty:
                if self._asked_to_stop():
                    return None
        if error is not None:
            raise error
        if block is None and self._last is None:
            raise ValueError("there is no batch in this epoch")
        self._last = block or self._last
        return block

    def _begin(self) -> None:
        if not self._asked:
            self._asked = True
            self._begun.release()

    def close(self) -> None:
        """Ends the thread; one that hangs in the user's iterator ends with its next batch."""
        self._ended = True
        self._begin()
        self._epoch.clear()
        if self.thread:
            self._done.acquire(timeout=SECONDS_TO_FINISH)


def _held() -> _thread.LockType:
    lock = _thread.allocate_lock()
    lock.acquire()
    return lock


def _read(
    reader: weakref.ref[Reader],
    epochs: list[Iterator[Block]],
    blocks: queue.SimpleQueue[Item],
    room: queue.SimpleQueue[None],
    begun: _thread.LockType,
    done: _thread.LockType,
) -> None:
    """What the thread does, without keeping the reader alive."""

    def is_wanted() -> bool:
        alive = reader()
        return alive is not None and not alive.ended

    def put(item: Item) -> bool:
        while is_wanted():
            with contextlib.suppress(queue.Empty):
                room.get(timeout=SECONDS_BETWEEN_LOOKS)
                blocks.put(item)
                return True
        return False

    # To wait makes whether the network is refused independent of who is faster.
    while not begun.acquire(timeout=SECONDS_BETWEEN_LOOKS) and is_wanted():
        pass
    epoch = epochs.pop() if epochs else iter(())
    try:
        for block in epoch if is_wanted() else ():
            if not put((block, None)):
                return
            del block  # so that no block is held that the engine has done with
        put((None, None))
    except BaseException as error:
        put((None, error))
    finally:
        try:
            if hasattr(epoch, "close"):
                epoch.close()
        finally:
            done.release()
