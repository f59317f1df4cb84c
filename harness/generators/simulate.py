"""Driving a generator with a simulated clock: no sleeping, no sockets, the same events each time."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final, TypeAlias

import msgspec

from harness.generators.base import PENDING, Generator, ask
from harness.generators.context import Context
from harness.generators.sequence import Liftable, lift
from harness.model.clock import NS_PER_MS, NS_PER_S
from harness.model.op import INFO, INVOKE, OK, Op

Cluster: TypeAlias = Callable[[Op], Op]
"""An imaginary system: the completion of an invocation, stamped with its (later) time."""

IDLE_LIMIT_NS: Final = 24 * 3600 * NS_PER_S


def completion(op: Op, type: str, latency_ns: int, value: Any = None, error: str = "") -> Op:
    """The end of ``op``, ``latency_ns`` after its invocation; ``value`` None repeats the argument."""
    return Op(
        type=type,
        f=op.f,
        process=op.process,
        key=op.key,
        value=op.value if value is None else value,
        time_ns=op.time_ns + latency_ns,
        error=error,
    )


def perfect(latency_ns: int = 10 * NS_PER_MS) -> Cluster:
    """A cluster where everything succeeds after the same time."""
    return lambda op: completion(op, OK, latency_ns)


def simulate(generator: Liftable, clients: int, *, cluster: Cluster | None = None, limit: int = 10_000) -> list[Op]:
    """The events of a run of ``clients`` client threads and a nemesis: invocations and completions, in order.

    Stops after ``limit`` invocations, without the completions that would come later. ``cluster`` is ``perfect()``
    unless given. Raises RuntimeError when the generator waits although nothing runs and a day has passed.
    """
    simulation = _Simulation(lift(generator), clients, cluster or perfect())
    while simulation.invoked < limit and simulation.step():
        pass
    return simulation.events


class _Simulation:
    """The state of :func:`simulate`: the only mutable thing here."""

    def __init__(self, generator: Generator, clients: int, cluster: Cluster) -> None:
        self.events: list[Op] = []
        self.invoked = 0
        self._generator = generator
        self._cluster = cluster
        self._ctx = Context.start(clients)
        self._running: list[tuple[int, int, Op]] = []  # a heap by time, then by order of invocation
        self._idle_ns = 0

    def step(self) -> bool:
        """One invocation or one completion or one wait; False at the end."""
        answer = ask(self._generator, self._ctx)
        if answer is None:
            return self._complete()
        op, generator = answer
        if op is PENDING:
            self._generator = generator
            return self._complete() or self._wait()
        if self._running and self._running[0][0] <= op.time_ns:
            return self._complete()
        self._idle_ns = 0
        self._generator = generator
        self._invoke(op)
        return True

    def _invoke(self, op: Op) -> None:
        self._ctx = self._ctx.dispatched(self._ctx.thread_of(op.process), op.time_ns)
        self.events.append(op)
        end = self._cluster(op)
        heapq.heappush(self._running, (end.time_ns, self.invoked, end))
        self.invoked += 1

    def _complete(self) -> bool:
        """The completion that comes next, if there is one."""
        if not self._running:
            return False
        time_ns, _, event = heapq.heappop(self._running)
        self._ctx = self._ctx.completed(self._ctx.thread_of(event.process), time_ns, event.type == INFO)
        self._generator = self._generator.update(self._ctx, event)
        self.events.append(event)
        return True

    def _wait(self) -> bool:
        """Nothing runs: let time pass, longer each time."""
        if self._idle_ns > IDLE_LIMIT_NS:
            raise RuntimeError(f"the generator waits for ever, with nothing running: {self._generator!r:.500}")
        step_ns = max(NS_PER_MS, self._idle_ns // 8)
        self._idle_ns += step_ns
        self._ctx = self._ctx.at(self._ctx.time_ns + step_ns)
        return True


def schedule_hash(generator: Liftable, clients: int, *, limit: int = 5_000) -> str:
    """32 hex digits that identify the schedule: the first ``limit`` invocations against the perfect cluster.

    Counted are who (client or nemesis), f, key, value and planned time; so the same seed and options give the
    same hash on every machine, whatever really happens in a run.
    """
    digest, encoder = blake2b(digest_size=16), msgspec.json.Encoder(order="deterministic")
    for op in simulate(generator, clients, limit=limit):
        if op.type == INVOKE:
            digest.update(encoder.encode([op.is_nemesis, op.f, op.key, op.value, op.time_ns]) + b"\n")
    return digest.hexdigest()
