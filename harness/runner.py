"""The runner: lets clients and the nemesis carry out what a generator says, and journals what happens.

One scheduler asks the generator; one task per thread does the work. Everything happens on one event loop, so events
enter the journal in the order in which they happened: an invocation before its request is sent, a completion at the
moment when the answer is there, stamped by the worker and not when the scheduler gets round to it.

A client process whose operation nobody knows the end of is retired: its connection is closed and a new process takes
over its thread, because a logical process does one thing at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from array import array
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, Protocol

from harness.contracts import Client
from harness.errors import OperationError, Refused, RiftError, StoreError, Unsure
from harness.generators.base import PENDING, Generator, ask
from harness.generators.context import Context
from harness.journal import Journal
from harness.model.clock import NS_PER_MS, NS_PER_S, Clock
from harness.model.op import FAIL, INFO, OK, Op
from harness.scenarios import Answer

FLUSH_EVERY_S: Final = 0.25
PENDING_S: Final = 0.01
"""How soon a generator that had nothing to do is asked again, should nothing happen meanwhile."""
LAG_STEP_NS: Final = 10 * NS_PER_MS
"""A dispatch that is late by more than this counts as that many late ones."""
RESTS_S: Final = (0.0, 0.01, 0.05, 0.2)
"""How long a thread rests after its first, second, ... refusal or broken connection in a row. They cost a system no
time: without a rest the clients of a dead node would use up the schedule that was meant for all."""
REST_S: Final = RESTS_S[-1]
SYNC_EVERY: Final = 4
"""Every fourth flush waits for the disk, so that even a power cut costs about a second."""


class Connect(Protocol):
    """Opens the connection of a client thread; an exception means that nothing was sent."""

    async def __call__(self, thread: int) -> Client: ...


class Runner:
    """Runs generators one after the other against the same clients, into the same journal.

    ``places[i]`` is the region and node of client thread ``i``. ``lag_ns`` collects, for every operation that was
    planned for a later moment, how late it was dispatched: the harness's own slowness, not the target's. A thread
    that was refused again and again rests for ``rest_s`` at most.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        clock: Clock,
        connect: Connect,
        places: list[tuple[str, str]],
        op_timeout_s: float,
        rest_s: float = REST_S,
        nemesis: Callable[[Op], Awaitable[Any]] | None = None,
    ) -> None:
        self.journal, self.clock = journal, clock
        self.op_timeout_s, self.rest_s = op_timeout_s, rest_s
        self.lag_ns = array("q")
        self.counts = {OK: 0, FAIL: 0, INFO: 0}
        self._connect, self._places, self._nemesis = connect, places, nemesis
        self._clients: list[Client | None] = [None] * len(places)
        self._ctx = Context.start(clients=len(places))
        self._done: deque[tuple[int, Op]] = deque()
        self._refusals = [0] * (len(places) + 1)
        self._wake: asyncio.Future[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def run(self, generator: Generator) -> None:
        """Carry out ``generator`` until it is exhausted and every operation has ended.

        Raises StoreError when the journal cannot be written, and whatever the generator raises.
        """
        workers = [_Worker(self, thread) for thread in range(len(self._places) + 1)]
        try:
            async with asyncio.TaskGroup() as group:
                running = [group.create_task(worker.serve(), name=f"thread {worker.thread}") for worker in workers]
                running.append(group.create_task(self._flush(), name="journal"))
                with _calm_collector():
                    await self._schedule(generator, workers)
                for task in running:
                    task.cancel()
        except BaseExceptionGroup as group_error:
            raise first_error(group_error) from group_error
        finally:
            self.journal.flush()

    async def note(self, op: Op, act: Callable[[Op], Awaitable[Any]] | None = None) -> Any:
        """Journal a nemesis operation outside any generator: its invocation, ``act`` if any, its completion."""
        self._append(op)
        value = await act(op) if act is not None else op.value
        self._append(op, type_=INFO, value=value)
        self.journal.flush()  # between two generators nobody else does
        return value

    async def close(self) -> None:
        """Close every client; errors while closing say nothing about the target and are dropped."""
        for thread in range(len(self._clients)):
            self._retire(thread)
        while self._closing:
            await asyncio.wait(tuple(self._closing), timeout=2.0)
            for task in tuple(self._closing):
                task.cancel()

    # --- the scheduler -------------------------------------------------------------------------------

    async def _schedule(self, generator: Generator, workers: list[_Worker]) -> None:
        left: Generator | None = generator
        while True:
            left = self._take_completions(left)
            now_ns = self.clock.now_ns()
            self._ctx = self._ctx.at(now_ns)
            answer = ask(left, self._ctx) if left is not None else None
            if answer is None:
                left = None
                if self._ctx.free == self._ctx.all:
                    return
                await self._woken()
                continue
            op, after = answer
            if op is PENDING:
                left = after
                await self._woken(PENDING_S)
                continue
            if op.time_ns > now_ns:
                await self._woken((op.time_ns - now_ns) / NS_PER_S)
                if self._done or self.clock.now_ns() < op.time_ns:
                    continue  # something ended meanwhile: the generator may think otherwise now
                # A stall delays all that falls due meanwhile, which is then sent at once and looks punctual: its length
                # counts again for every step of it, or a harness that stands still half the time would seem quick.
                self.lag_ns.extend(range(self.clock.now_ns() - op.time_ns, -1, -LAG_STEP_NS))
            thread = self._ctx.thread_of(op.process)
            self._ctx = self._ctx.dispatched(thread, now_ns)
            workers[thread].hand(op)
            left = after

    def _take_completions(self, generator: Generator | None) -> Generator | None:
        while self._done:
            thread, event = self._done.popleft()
            self._ctx = self._ctx.completed(thread, self.clock.now_ns(), crashed=event.type == INFO)
            if generator is not None:
                generator = generator.update(self._ctx, event)
        return generator

    async def _woken(self, limit_s: float | None = None) -> None:
        """Wait until an operation ended, or for ``limit_s``."""
        if self._done:
            return
        loop = asyncio.get_running_loop()
        self._wake = loop.create_future()
        timer = loop.call_later(limit_s, self._ring) if limit_s is not None else None
        try:
            await self._wake
        finally:
            self._wake = None
            if timer is not None:
                timer.cancel()

    def _ring(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    # --- events --------------------------------------------------------------------------------------

    def _append(self, op: Op, *, type_: str | None = None, value: Any = None, error: str = "") -> Op:
        region, node = self._places[op.process % len(self._places)] if op.process >= 0 else ("", "")
        event = Op(
            index=self.journal.count,
            time_ns=self.clock.now_ns(),
            type=type_ or op.type,
            f=op.f,
            process=op.process,
            key=op.key,
            value=op.value if type_ is None else value,
            region=region,
            node=node,
            error=error,
        )
        self.journal.append(event)
        return event

    def _complete(self, thread: int, op: Op, type_: str, value: Any, error: str = "") -> None:
        event = self._append(op, type_=type_, value=value, error=error)
        if op.process >= 0:
            self.counts[type_] += 1
        if type_ == INFO and op.process >= 0:
            self._retire(thread)
        rejected = type_ == FAIL or error.startswith("unsure")  # a link to a dead node accepts, then resets
        self._refusals[thread] = self._refusals[thread] + 1 if rejected else 0
        rest_s = min(RESTS_S[: self._refusals[thread]][-1], self.rest_s) if rejected else 0.0
        if rest_s:
            asyncio.get_running_loop().call_later(rest_s, self._release, thread, event)
        else:
            self._release(thread, event)

    def _release(self, thread: int, event: Op) -> None:
        self._done.append((thread, event))
        self._ring()

    def _retire(self, thread: int) -> None:
        client, self._clients[thread] = self._clients[thread], None
        if client is not None:
            task = asyncio.ensure_future(_close(client))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _flush(self) -> None:
        turn = 0
        while True:
            await asyncio.sleep(FLUSH_EVERY_S)
            turn += 1
            self.journal.flush()
            if turn % SYNC_EVERY == 0:
                await asyncio.to_thread(self.journal.sync)


class _Surprised(Exception):
    """A client's code went wrong before anything was sent: the operation did not happen; is the client at fault?"""


class _Worker:
    """The task of one thread: takes an operation, does it, journals how it ended."""

    def __init__(self, runner: Runner, thread: int) -> None:
        self.thread = thread
        self._runner = runner
        self._is_nemesis = thread == len(runner._places)
        self._next: asyncio.Future[Op] = asyncio.get_running_loop().create_future()

    def hand(self, op: Op) -> None:
        """Journal the invocation of ``op`` and let the worker do it."""
        self._runner._append(op)
        self._next.set_result(op)

    async def serve(self) -> None:
        while True:
            op = await self._next
            self._next = asyncio.get_running_loop().create_future()
            if self._is_nemesis:
                await self._strike(op)
            else:
                await self._invoke(op)

    async def _invoke(self, op: Op) -> None:
        runner, thread = self._runner, self.thread

        async def connected() -> Client:
            client = runner._clients[thread]
            if client is None:
                client = runner._clients[thread] = await runner._connect(thread)
            return client

        answer = await attempt(connected, op, runner.op_timeout_s)
        try:
            runner._complete(thread, op, answer.type, answer.value, answer.error)
        except (TypeError, ValueError, OverflowError) as error:
            runner._complete(thread, op, INFO, op.value, f"crash: its answer is no JSON: {error}")

    async def _strike(self, op: Op) -> None:
        runner = self._runner
        assert runner._nemesis is not None, "the generator gives the nemesis work, but there is none"
        try:
            value = await runner._nemesis(op)
        except StoreError:
            raise
        except Exception as error:  # a broken fault file must not stop the clients; its run will be unknown
            value = {"id": op.value["id"], "effective": False, "healed": False, "why": f"crashed: {error!r}"}
        runner._complete(self.thread, op, INFO, value)


async def attempt(connected: Callable[[], Awaitable[Client]], op: Op, limit_s: float) -> Answer:
    """Do ``op`` with the client that ``connected`` gives, within ``limit_s``, and say how it ended. Never raises
    for what a client or a target does: here is decided what is ``fail`` and what is ``info``."""
    client: Client | None = None
    try:
        async with asyncio.timeout(limit_s):
            client = await _open(connected)
            return Answer(OK, await client.invoke(op))
    except _Surprised as error:
        return Answer(FAIL, op.value, f"crash: {error}")
    except Refused as error:
        return Answer(FAIL, op.value, f"refused: {error}")
    except Unsure as error:
        return Answer(INFO, op.value, f"unsure: {error}")
    except TimeoutError:
        if client is None:  # still connecting, so that nothing was sent
            return Answer(FAIL, op.value, "refused: no connection within the time limit")
        return Answer(INFO, op.value, "timeout")
    except Exception as error:  # whatever a client raises by surprise, nobody knows what it did
        return Answer(INFO, op.value, f"crash: {type(error).__name__}: {error}")


async def _open(connected: Callable[[], Awaitable[Client]]) -> Client:
    try:
        return await connected()
    except Refused:
        raise
    except (OSError, EOFError, RiftError, OperationError) as error:  # the network, or a client that says so
        raise Refused(f"cannot connect: {error or type(error).__name__}") from error
    except Exception as error:  # a surprise, but whatever went wrong, no request was sent
        raise _Surprised(f"{type(error).__name__} while connecting: {error}") from error


async def _close(client: Client) -> None:
    with contextlib.suppress(Exception):
        async with asyncio.timeout(1.0):
            await client.close()


@contextlib.contextmanager
def _calm_collector() -> Iterator[None]:
    """Keep the garbage collector off what is alive already: a full collection would stall every client."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def first_error(group: BaseExceptionGroup[Any]) -> BaseException:
    """The first error in a group of groups: what a person should read."""
    for error in group.exceptions:
        return first_error(error) if isinstance(error, BaseExceptionGroup) else error
    return group


def lag_ms(lag_ns: array[int]) -> dict[str, float]:
    """The dispatch lag's ``p50``, ``p99`` and ``max`` in ms; empty when nothing waited."""
    if not lag_ns:
        return {}
    ordered = sorted(lag_ns)
    rank = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {
        name: round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] / NS_PER_MS, 3)
        for name, share in rank.items()
    }
