"""What a generator may know when it is asked for an operation: the time and the threads.

A *thread* is a seat for one client, numbered 0 to n-1; the nemesis is thread n. A *process* is the
logical client that sits there now: when an operation ends in ``info``, its process is retired and
the thread goes on under a new process number. Sets of threads are bit masks, so that routing
operations to some threads is one AND.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from msgspec import Struct

from harness.generators.draws import below
from harness.model.op import INVOKE, NEMESIS, Op

_SEED: Final = 0
"""Of the choice of threads. It is the same in every run: which client does an operation is not what a seed is about."""


class Context(Struct, frozen=True):
    """An immutable view of the run; drivers make the next one with ``dispatched`` and ``completed``.

    ``free`` and ``all`` are masks of thread numbers. ``processes[thread]`` is the thread's current
    process, the last entry is the nemesis. ``key`` is the object that operations without a key of their
    own are about. ``turn`` counts dispatched operations and makes the choice of a thread fair.
    """

    time_ns: int
    free: int
    all: int
    processes: tuple[int, ...]
    key: Any = None
    turn: int = 0

    @classmethod
    def start(cls, clients: int, time_ns: int = 0) -> Context:
        """The beginning of a run: ``clients`` client threads and the nemesis, all free."""
        everyone = (1 << (clients + 1)) - 1
        return cls(time_ns, everyone, everyone, (*range(clients), NEMESIS))

    # --- for generators --------------------------------------------------------------------------

    @property
    def clients(self) -> int:
        """The number of client threads of the whole run, which is also the nemesis' thread number."""
        return len(self.processes) - 1

    def at(self, time_ns: int) -> Context:
        """The same view at another time. Asking a generator with a later time means: what then, as far as is known?"""
        return Context(time_ns, self.free, self.all, self.processes, self.key, self.turn)

    def within(self, mask: int, key: Any = None) -> Context:
        """Only the threads of ``mask``; about ``key`` when one is given."""
        return Context(
            self.time_ns,
            self.free & mask,
            self.all & mask,
            self.processes,
            self.key if key is None else key,
            self.turn,
        )

    def pick(self) -> int:
        """A free thread, all with the same chance; raises ValueError when none is free.

        The draw depends on ``turn`` alone, so that the same run chooses the same threads. Going round instead would be
        unfair to groups of threads that take turns: each would always meet the same remainder.
        """
        free = self.free
        if not free:
            raise ValueError("no thread is free: a generator must answer PENDING when ctx.free is 0")
        if free < 1 << 16:
            among = _listed(free)
            return among[below(_SEED, self.turn, len(among))]
        return _nth_thread(free, below(_SEED, self.turn, free.bit_count()))

    def invoke(self, f: str, value: Any = None, key: Any = None) -> Op:
        """An invocation now, on a free thread. Raises ValueError when none is free."""
        return Op(
            type=INVOKE,
            f=f,
            process=self.processes[self.pick()],
            key=self.key if key is None else key,
            value=value,
            time_ns=self.time_ns,
        )

    def thread_of(self, process: int) -> int:
        """The thread on which ``process`` sits or sat."""
        clients = len(self.processes) - 1
        return clients if process == NEMESIS else process % clients

    # --- for drivers (the runner, the simulator) -------------------------------------------------

    def dispatched(self, thread: int, time_ns: int) -> Context:
        """After an operation was given to ``thread``: it is busy."""
        return Context(time_ns, self.free & ~(1 << thread), self.all, self.processes, self.key, self.turn + 1)

    def completed(self, thread: int, time_ns: int, crashed: bool = False) -> Context:
        """After ``thread`` finished: it is free. ``crashed`` (the operation ended in ``info``) gives a client
        thread a new process, whose number is higher by the number of clients; the nemesis keeps its own."""
        processes = self.processes
        if crashed and thread != self.clients:
            renewed = processes[thread] + self.clients
            processes = (*processes[:thread], renewed, *processes[thread + 1 :])
        return Context(time_ns, self.free | (1 << thread), self.all, processes, self.key, self.turn)


def threads(mask: int) -> Iterator[int]:
    """The thread numbers in ``mask``, lowest first."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


def lowest_threads(mask: int, count: int) -> int:
    """The mask of the ``count`` lowest threads of ``mask``; all of it when it has fewer."""
    chosen = 0
    for thread in threads(mask):
        if count <= 0:
            break
        chosen |= 1 << thread
        count -= 1
    return chosen


@lru_cache(maxsize=4096)
def _listed(mask: int) -> tuple[int, ...]:
    return tuple(threads(mask))


def _nth_thread(mask: int, rank: int) -> int:
    """The thread of ``mask`` that has ``rank`` lower ones beside it."""
    below = 0
    while rank > 8:  # halve the mask instead of walking it
        half = mask.bit_length() >> 1
        low = mask & ((1 << half) - 1)
        count = low.bit_count()
        if rank < count:
            mask = low
        else:
            mask, rank, below = mask >> half, rank - count, below + half
    for _ in range(rank):
        mask &= mask - 1
    return below + (mask & -mask).bit_length() - 1
