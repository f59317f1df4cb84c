"""What a link costs without toxics: ``python bench/links.py``.

Echo: 64-byte messages to and fro over one connection; what the link adds is its median minus that of a direct
connection. Bulk: one connection, sender to receiver. The real server stands beside when its binary is found.
Reach: added p50 at most 150 us, bulk at least 400 MB/s.
"""

from __future__ import annotations

import argparse
import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import link_ends


def echo_us(client: socket.socket, rounds: int) -> list[float]:
    """Round trips of 64 bytes in microseconds, sorted; the first tenth warms up."""
    message = b"x" * 64
    times: list[float] = []
    for _ in range(rounds):
        start = time.perf_counter_ns()
        client.sendall(message)
        left = len(message)
        while left:
            left -= len(client.recv(left))
        times.append((time.perf_counter_ns() - start) / 1000)
    return sorted(times[rounds // 10 :])


def bulk_mb_s(client: socket.socket, megabytes: int) -> float:
    """Rate of a one-way transfer, from the first byte sent until the receiver says that it has the last."""
    portion = b"x" * 1_000_000
    start = time.perf_counter()
    for _ in range(megabytes):
        client.sendall(portion)
    client.shutdown(socket.SHUT_WR)
    # A server that cuts the answer at the half-close has delivered all the same.
    client.recv(1)
    return megabytes / (time.perf_counter() - start)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5000, help="echoes per path")
    parser.add_argument("--megabytes", type=int, default=1500, help="bulk transfer per path")
    args = parser.parse_args()
    print(f"{'path':<12} {'echo p50 us':>12} {'added p50 us':>13} {'echo p99 us':>12} {'bulk MB/s':>10}")
    with link_ends.end("echo") as echo_port, link_ends.end("sink") as sink_port:
        direct = row("direct", echo_port, sink_port, args, None)
        for kind in link_ends.servers():
            with link_ends.link_server(kind) as api:
                ports = link_ends.proxy(api, "echo", echo_port), link_ends.proxy(api, "bulk", sink_port)
                row(kind, *ports, args, direct)


def row(name: str, echo_port: int, sink_port: int, args: argparse.Namespace, direct: float | None) -> float:
    """Measure one path, print its row, return its median echo."""
    with link_ends.connect(echo_port) as client:
        times = echo_us(client, args.rounds)
    with link_ends.connect(sink_port) as client:
        bulk = bulk_mb_s(client, args.megabytes)
    p50, p99 = link_ends.quantile(times, 0.5), link_ends.quantile(times, 0.99)
    added = "" if direct is None else f"{p50 - direct:.0f}"
    print(f"{name:<12} {p50:>12.0f} {added:>13} {p99:>12.0f} {bulk:>10.0f}", flush=True)
    return p50


if __name__ == "__main__":
    main()
