"""What a link costs on containers, the real Toxiproxy and the embedded server: ``python bench/overhead.py``.

Two composed regions without latency, once with each link server; from this machine to a node, direct and over its link.
Echo: 64-byte messages to and fro over one connection. Bulk: one connection, sender to receiver. CPU: what the link
server's container used meanwhile, as the engine counts it. Needs a Docker engine; ``bench/links.py`` does without.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import link_ends
from bench.links import bulk_mb_s, echo_us
from harness import registry
from harness.contracts import Address, Client, Launch, Place, Port, Seat, Service
from harness.errors import Unsure
from harness.model.claims import Claims
from harness.model.topology import Between, Region, Topology
from harness.testbeds import opening

NO_LATENCY = Topology(
    name="near",
    regions=(Region(id="here", nodes=0), Region(id="there")),
    links=(Between.model_validate({"from": "here", "to": "there", "rtt_ms": 0}),),
)
ENDS = """
import socket, sys, threading

def talk(end, echo):
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    buffer = memoryview(bytearray(1 << 20))
    with end:
        while size := end.recv_into(buffer):
            if echo:
                end.sendall(buffer[:size])
        if not echo:
            end.sendall(b".")

def listen(port, echo):
    listener = socket.create_server((sys.argv[1], port))
    while True:
        threading.Thread(target=talk, args=(listener.accept()[0], echo), daemon=True).start()

threading.Thread(target=listen, args=(7301, False), daemon=True).start()
listen(7300, True)
"""


class Ends:
    """The far end: ``echo`` sends everything back, ``sink`` one byte at the end."""

    name = "ends"
    claims = Claims()
    speaks: frozenset[str] = frozenset()
    ports: tuple[Port, ...] = (Port("echo", 7300), Port("sink", 7301))
    needs_names = False

    def launch(self, place: Place) -> Launch:
        raise NotImplementedError("composed only")

    def service(self, place: Place) -> Service:
        argv = ("-I", "-S", "-u", "-c", ENDS, place.listen["echo"].host)
        return Service("rift/tools:1", argv, entrypoint=("python3",))

    async def ready(self, seat: Seat) -> str:
        _, writer = await asyncio.open_connection(seat.reach["echo"].host, seat.reach["echo"].port)
        writer.close()
        return ""

    async def connect(self, seat: Seat) -> Client:
        raise Unsure("the ends have no clients")


class Cost(NamedTuple):
    """What was measured on one path."""

    p50_us: float
    p99_us: float
    bulk_mb_s: float
    cpu_us_per_message: float
    cpu_s_per_gb: float


def connected(address: Address) -> socket.socket:
    """A connection that sends at once."""
    line = socket.create_connection((address.host, address.port))
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return line


def cost(seat: Seat, cpu_s: Callable[[], float], rounds: int, megabytes: int) -> Cost:
    """Measure the path from this machine to the seat's node."""
    began = cpu_s()
    with connected(seat.reach["echo"]) as line:
        times = echo_us(line, rounds)
    between = cpu_s()
    with connected(seat.reach["sink"]) as line:
        rate = bulk_mb_s(line, megabytes)
    ended = cpu_s()
    messages = 2 * rounds  # there and back
    return Cost(
        link_ends.quantile(times, 0.5), link_ends.quantile(times, 0.99), rate,
        (between - began) / messages * 1e6, (ended - between) / megabytes * 1e3,
    )  # fmt: skip


async def measured(link_server: str, rounds: int, megabytes: int) -> tuple[Cost, Cost]:
    """The direct path and the one over a link, in one lab."""
    wanted = None if link_server == "toxiproxy" else link_server
    with tempfile.TemporaryDirectory() as folder:
        testbed: Any = opening.open_testbed(
            "compose", NO_LATENCY, Ends(), Path(folder), run_id=f"bench-{secrets.token_hex(3)}", seed=1,
            link_server=wanted, home=registry.home("compose"), say=lambda line: None,
        )  # fmt: skip
        async with testbed:
            container, engine = testbed._containers["links"], testbed._engine

            def cpu_s() -> float:
                found = engine.call(engine.client.api.stats, container.id, stream=False, one_shot=True)
                return float(found["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e9

            def both() -> tuple[Cost, Cost]:
                paths = testbed.seat("there", "n1"), testbed.seat("here", "n1")
                direct, linked = (cost(seat, cpu_s, rounds, megabytes) for seat in paths)
                return direct, linked

            return await asyncio.to_thread(both)


def typical(found: list[Cost]) -> Cost:
    """The median of every measure."""
    return Cost(*(median(values) for values in zip(*found, strict=True)))


def row(name: str, found: Cost, direct: Cost) -> None:
    """Print one line of the table; what a link costs is told by a link only."""
    cells = [found.p50_us, found.p99_us, found.p50_us - direct.p50_us, found.p99_us - direct.p99_us]
    numbers = [*cells, found.bulk_mb_s, found.cpu_us_per_message]
    print(f"{name:<12}" + "".join(f"{number:>14.0f}" for number in numbers) + f"{found.cpu_s_per_gb:>14.2f}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5000, help="echoes per path")
    parser.add_argument("--megabytes", type=int, default=1500, help="bulk transfer per path")
    parser.add_argument("--times", type=int, default=3, help="how often, in turn; the medians are told")
    args = parser.parse_args()
    direct: list[Cost] = []
    linked: dict[str, list[Cost]] = {"toxiproxy": [], "embedded": []}
    for _ in range(args.times):
        for name in linked:
            without, over = asyncio.run(measured(name, args.rounds, args.megabytes))
            direct.append(without)
            linked[name].append(over)
    heads = ("p50 us", "p99 us", "added p50", "added p99", "bulk MB/s", "CPU us/msg", "CPU s/GB")
    print(f"{'path':<12}" + "".join(f"{head:>14}" for head in heads))
    row("direct", typical(direct), typical(direct))
    for name, found in linked.items():
        row(name, typical(found), typical(direct))


if __name__ == "__main__":
    main()
