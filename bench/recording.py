"""How many operations of real clients one harness process records a second, and what it is that limits them.

    python bench/recording.py [--clients 50] [--seconds 5] [NAME ...]

Runner, journal and the target's own clients, as in a run, against one region without latency. ``answerer`` is a server
that parses nothing and answers the same bytes at once: what is left is the harness. CPU is per operation, of this
process and of all servers; whoever is busy all the time is the limit. Where a store has no cas, it is sent as a write.
Reach: 10,000 operations/s with 50 clients.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # this file is run as a script

from harness import registry
from harness.contracts import Address, Client, Shape
from harness.generators import clients, time_limit
from harness.journal import Journal
from harness.model.clock import MonotonicClock
from harness.model.op import Op
from harness.model.seeds import Rng
from harness.planning import plans
from harness.runner import Connect, Runner
from harness.testbeds.local import LocalTestbed
from harness.testbeds.procfs import PROC, processes
from harness.wire import HttpWire

ANSWERER: Final = """
import asyncio, sys
BODY = b'{"value":1}'
ANSWER = b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(BODY) + BODY

class Answer(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        self.transport.write(ANSWER)

async def main():
    server = await asyncio.get_running_loop().create_server(Answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

import uvloop
uvloop.run(main())
"""
REACH_HZ: Final = 10_000
TICKS: Final = os.sysconf("SC_CLK_TCK")


class Asks:
    """A client of the answerer."""

    def __init__(self, address: Address) -> None:
        self._wire = HttpWire(address)

    async def invoke(self, op: Op) -> Any:
        _, answer = await self._wire.request("POST", "/op", b'{"f":"read","key":"1","value":null,"kind":"register"}')
        return answer["value"]

    async def close(self) -> None:
        self._wire.drop()


class WritesOnly:
    """A client of a store that has no cas."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def invoke(self, op: Op) -> Any:
        if op.f == "cas":
            op = msgspec.structs.replace(op, f="write", value=op.value[1])
        return await self._client.invoke(op)

    async def close(self) -> None:
        await self._client.close()


class Measured(NamedTuple):
    """Operations a second, and seconds of CPU a second of the harness and of all servers together."""

    rate_hz: float
    harness: float
    servers: float


@asynccontextmanager
async def answerer() -> AsyncIterator[Connect]:
    """Clients of a server that does nothing."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", ANSWERER, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    address = Address("127.0.0.1", int(await process.stdout.readline()))

    async def connect(thread: int) -> Client:
        return Asks(address)

    try:
        yield connect
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def store(target_name: str, topology_name: str) -> AsyncIterator[Connect]:
    """Clients of a reference store."""
    topology, target = plans.topology(topology_name), registry.target(target_name)
    with tempfile.TemporaryDirectory() as folder:
        async with LocalTestbed(topology, target, Path(folder), secrets.token_hex(4), seed=7) as lab:

            async def connect(thread: int) -> Client:
                client = await target.connect(lab.seat_for_client(thread))
                return client if target_name == "refstore" else WritesOnly(client)

            yield connect


SUBJECTS: Final[dict[str, Callable[[], AbstractAsyncContextManager[Connect]]]] = {
    "answerer": answerer,
    "refregion": lambda: store("refregion", "lone-region"),
    "refstore": lambda: store("refstore", "lone-region"),
    "refstore-3": lambda: store("refstore", "single-region"),
}
"""What can be measured; ``refstore-3`` agrees among three nodes."""


async def measure(name: str, many: int, seconds: float) -> Measured:
    """Let ``many`` clients work as fast as they can."""
    async with SUBJECTS[name]() as connect:
        with tempfile.TemporaryDirectory() as folder:
            journal = Journal(Path(folder) / "history.jsonl")
            runner = Runner(journal=journal, clock=MonotonicClock(), connect=connect, places=[("here", "n1")] * many,
                            op_timeout_s=5.0)  # fmt: skip
            work = registry.workload("register").generator(Rng(7), Shape(many, 0, seconds, ("here",)))
            began_s, own_s, theirs_s = time.perf_counter(), own_cpu_s(), servers_cpu_s()
            await runner.run(clients(time_limit(seconds, work)))
            took_s, own_s = time.perf_counter() - began_s, own_cpu_s() - own_s
            theirs_s = servers_cpu_s() - theirs_s
            await runner.close()
            journal.close()
    return Measured(sum(runner.counts.values()) / took_s, own_s / took_s, theirs_s / took_s)


def own_cpu_s() -> float:
    """CPU that this process has used so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def servers_cpu_s() -> float:
    """CPU that everything below this process has used so far."""
    every, mine = list(processes()), {os.getpid()}
    for _ in range(4):  # children's children, and theirs
        mine |= {each.pid for each in every if each.parent in mine}
    return sum(_cpu_s(pid) for pid in mine - {os.getpid()})


def _cpu_s(pid: int) -> float:
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def limit(found: Measured) -> str:
    """What the rate is limited by, as far as CPU tells."""
    if found.rate_hz >= REACH_HZ:
        return "-"
    if found.harness > 0.9:
        return "this process: one core"
    return "the servers" if found.servers > 0.9 else "neither: the machine is shared, or somebody waits"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=", ".join(SUBJECTS))
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=5.0)
    given = parser.parse_args()
    if unknown := set(given.names) - set(SUBJECTS):
        parser.error(f"{', '.join(sorted(unknown))}: unknown; write some of {', '.join(SUBJECTS)}")
    print(f"{'':<11}  {'operations/s':>12}  {'harness us':>10}  {'cores':>5}  {'servers us':>10}  {'cores':>5}  limit")
    for name in given.names or SUBJECTS:
        found = uvloop.run(measure(name, given.clients, given.seconds))
        own_us, theirs_us = (1e6 * share / found.rate_hz for share in (found.harness, found.servers))
        print(f"{name:<11}  {found.rate_hz:12,.0f}  {own_us:10.0f}  {found.harness:5.2f}  {theirs_us:10.0f}  "
              f"{found.servers:5.2f}  {limit(found)}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
