"""The processes that train one network together: `fit`'s ``comm``, on mpi4py.

Every rank calls fit. What may raise on one rank is done by all of them in `Ranks.gather`, after which each
knows whether all are well; and a signal is only noted while others might wait for this rank. So either all
go on or all raise, and nobody waits for ever. A rank that dies is the business of mpiexec, which ends all.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from backprop import _core
from backprop.fit.threads import usable_threads, whole_quota

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backprop._base import BaseNetwork
    from backprop._core import CommonMemoryArguments

    T = TypeVar("T")

LEAST_TO_SHARE = 1 << 16  # bytes of parameters


class Alone:
    """One process."""

    rank, size = 0, 1
    sharded = False
    average_every = 0

    def __enter__(self) -> Alone:
        return self

    def __exit__(self, kind: object, error: BaseException | None, where: object) -> None:
        pass

    def is_interrupted(self) -> bool:
        """Never: a signal's handler raises by itself."""
        return False

    def gather(self, act: Callable[[], T]) -> list[T]:
        """What act returns, for each rank."""
        return [act()]

    def attempt(self, act: Callable[[], T]) -> T:
        """What act returns on this rank."""
        return act()

    def broadcast(self, record: NDArray[np.float64]) -> None:
        """Makes rank 0's record everyone's."""

    def checksum(self, network: BaseNetwork) -> int:
        """A number that tells networks of different parameters apart."""
        return 0

    def usable_threads(self) -> int:
        """The cores that this process may use."""
        return usable_threads()


class Ranks(Alone):
    """The ranks of an mpi4py communicator.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    sharded : bool
    average_every : int
        0 where gradients are added up in every step.
    """

    def __init__(self, comm: Any, sharded: bool, average_every: int) -> None:
        try:
            from mpi4py import MPI
        except ImportError as error:
            raise ImportError(
                "fit(comm=...) needs mpi4py, and an MPI library below it; install them with: "
                f"pip install 'cbackprop[mpi]' ({error})"
            ) from error
        if not isinstance(comm, MPI.Intracomm):
            raise TypeError(f"comm must be a communicator of mpi4py such as MPI.COMM_WORLD, got {comm!r:.60}")
        if comm == MPI.COMM_NULL:
            raise ValueError("comm must be a communicator that this process is part of, got MPI.COMM_NULL")
        self.comm, self.mpi = comm, MPI
        self.rank, self.size = comm.Get_rank(), comm.Get_size()
        self._usable_threads = 1  # until all have begun
        self.sharded = sharded
        self.average_every = average_every
        self.interrupted = np.zeros(1, bool)  # by a signal
        self.common_memory: CommonMemoryArguments | None = None
        self._handler: Any = None
        self._window: Any = None  # memory that all ranks have in common
        self._raised_by_all: BaseException | None = None  # while all others raise as well

    def __enter__(self) -> Ranks:
        import signal
        import threading

        handler = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and callable(handler):
            self._handler = handler
            signal.signal(signal.SIGINT, self._set_interrupted)  # before it waits for the others
        try:
            self._usable_threads = self._share_of_threads()
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, where: object) -> None:
        if self._window is not None and (error is None or error is self._raised_by_all):
            self.common_memory = None
            self._window.Unlock_all()
            self._window.Free()  # by all ranks; one that is here by itself leaves it to MPI's end
        if self._handler is None:
            return
        import signal

        signal.signal(signal.SIGINT, self._handler)
        if self.interrupted[0] and error is None:  # too late to end the others' training
            self._handler(signal.SIGINT, None)

    def _set_interrupted(self, number: int, frame: object) -> None:
        self.interrupted[0] = True

    def is_interrupted(self) -> bool:
        """Whether Ctrl-C was pressed, or the like."""
        return bool(self.interrupted[0])

    def gather(self, act: Callable[[], T]) -> list[T]:
        """Every rank acts; what each act returned, or, on every rank, what went wrong on one."""
        result: Any = None
        error: BaseException | None = None
        try:
            result = act()
        except self.mpi.Exception:
            self._abort()
        except BaseException as caught:
            error = caught
        if error is None and self.is_interrupted():
            error = KeyboardInterrupt()
        try:
            gathered = self.comm.allgather((_described(error), result if error is None else None))
        except self.mpi.Exception:
            self._abort()
        troubles = [(rank, trouble) for rank, (trouble, _) in enumerate(gathered) if trouble is not None]
        if troubles:
            self._raise(troubles, error)
        return [result for _, result in gathered]

    def attempt(self, act: Callable[[], T]) -> T:
        """Every rank acts; what this rank's act returned, or, on every rank, what went wrong on one."""
        own: list[T] = []
        self.gather(lambda: own.append(act()))
        return own[0]

    def _raise(self, troubles: list[tuple[int, dict[str, Any]]], own: BaseException | None) -> None:
        """The divergence that concerns the lowest layer, as on one process; else each its own trouble."""
        diverged = [trouble for _, trouble in troubles if "layer" in trouble]
        if len(diverged) == len(troubles):
            first = min(diverged, key=lambda trouble: int(trouble["layer"]))
            error = _core.DivergenceError(first["text"])
            error.epoch, error.layer = first["epoch"], first["layer"]
            self._raised_by_all = error
        elif own is not None:
            self._raised_by_all = own
        else:
            rank, trouble = troubles[0]
            what = f"{trouble['kind']}: {trouble['text']}"
            self._raised_by_all = RuntimeError(f"rank {rank} of {self.size} ended the training: {what}")
        raise self._raised_by_all

    def _abort(self) -> None:
        """Ends all processes: after an exchange has failed there is no other way to end the other ranks."""
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
        self.comm.Abort(1)

    def broadcast(self, record: NDArray[np.float64]) -> None:
        """Makes rank 0's record everyone's: the seconds differ."""
        self.comm.Bcast(record, 0)

    def checksum(self, network: BaseNetwork) -> int:
        """A number that tells networks of different parameters apart."""
        import zlib

        return network._locked(lambda: zlib.crc32(network.parameters.data))

    def share_memory(self, network: BaseNetwork, optimizer: _core.Optimizer, rows: int) -> None:
        """Where all ranks are on one machine, memory in common for parameters, state, and gradients or rows.

        `rows`: that this rank has of a batch at most, 0 where nobody knows.

        Not for small networks, whose gradient is one quick message, and not where /dev/shm, in which MPI
        libraries keep such memory on Linux, has no room: a page too many there kills the process.
        """
        import shutil

        every = self.comm.allgather(rows)
        rows = max(every) if all(every) else 0
        room = network._room_to_share(optimizer, ranks=self.size, rows=rows)
        node = self.comm.Split_type(self.mpi.COMM_TYPE_SHARED)
        alone = self.size == 1 or node.Get_size() < self.size
        node.Free()
        fits = not os.path.isdir("/dev/shm") or shutil.disk_usage("/dev/shm").free > 1.25 * room
        suits = network.parameters.nbytes >= LEAST_TO_SHARE and room > 0 and not alone and fits
        if not all(self.comm.allgather(suits)):
            return
        self._window = self.mpi.Win.Allocate_shared(room if self.rank == 0 else 0, 1, comm=self.comm)
        self._window.Lock_all()
        memory = np.frombuffer(self._window.Shared_query(0)[0], np.uint8)
        self.common_memory = {
            "memory": memory,
            "rows": rows,
            "barrier": self.comm.Barrier,
            "sync": self._window.Sync,
        }

    def usable_threads(self) -> int:
        """The cores that this rank may use, as all found out together when they began."""
        return self._usable_threads

    def _share_of_threads(self) -> int:
        """The cores that ranks on this machine may use, divided among them; 1 at least."""
        node = self.comm.Split_type(self.mpi.COMM_TYPE_SHARED)
        every = set(range(os.cpu_count() or 1))
        cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else every
        together: set[int] = set().union(*node.allgather(cores))
        shared = min(len(together), whole_quota())
        threads = max(1, min(len(cores), shared // node.Get_size()))
        node.Free()
        return threads

    def require_same(self, settings: dict[str, Any]) -> None:
        """Compares settings by name.

        Raises
        ------
        ValueError
            If one differs; on every rank.
        """
        every = self.comm.allgather(settings)
        names = dict.fromkeys(itertools.chain.from_iterable(every))  # an optimizer names what it was given
        for rank, name in itertools.product(range(self.size), names):
            here, there = every[0].get(name), every[rank].get(name)
            if there != here:
                raise ValueError(
                    f"every rank must call fit alike, but {name} is {here} on rank 0 and {there} on "
                    f"rank {rank}"
                )

    def broadcast_state(
        self, network: BaseNetwork, optimizer: _core.Optimizer, generator: np.random.Generator
    ) -> None:
        """Gives all ranks the parameters, the optimizer's state and the generator's of rank 0."""
        kinds = [(len(array), array.dtype.str) for array in optimizer.state]
        first = (optimizer.steps, kinds, generator.bit_generator.state)
        steps, wanted, draws = self.comm.bcast(first)
        self.comm.Bcast(network.parameters, 0)
        state = optimizer.state
        if kinds != wanted:
            state = tuple(np.empty(count, dtype) for count, dtype in wanted)
        for array in state:
            self.comm.Bcast(array, 0)

        def follow() -> None:
            generator.bit_generator.state = draws
            optimizer.steps = steps
            if kinds != wanted:
                optimizer._set_state(state)

        self.attempt(follow if self.rank > 0 else lambda: None)


def _described(error: BaseException | None) -> dict[str, Any] | None:
    if error is None:
        return None
    described: dict[str, Any] = {"kind": type(error).__name__, "text": str(error)}
    if isinstance(error, _core.DivergenceError):
        described |= {"epoch": error.epoch, "layer": error.layer}
    return described
