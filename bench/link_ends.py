"""The two ends of a benched link, each in a process of its own, and the link servers to put between them.

``python -m bench.link_ends echo|sink`` serves on a free port and prints it; the measuring functions run in the
bench's own process, so that client, link and server can each have their core.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent
_BUFFER_BYTES = 1 << 20


def serve(kind: str) -> None:
    """Answer every connection until the process is ended: ``echo`` sends all back, ``sink`` one byte at the end."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    events = selectors.DefaultSelector()
    events.register(listener, selectors.EVENT_READ)
    buffer = memoryview(bytearray(_BUFFER_BYTES))
    while True:
        for key, _ in events.select():
            end = key.fileobj
            assert isinstance(end, socket.socket)
            if end is listener:
                client, _ = listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                events.register(client, selectors.EVENT_READ)
                continue
            with contextlib.suppress(OSError):
                size = end.recv_into(buffer)
                if kind == "echo" and size:
                    end.sendall(buffer[:size])
                    continue
                if size:
                    continue
                if kind == "sink":
                    end.sendall(b".")
            events.unregister(end)
            end.close()


@contextlib.contextmanager
def process(argv: Sequence[str], ready: str) -> Iterator[int]:
    """A child that prints a line matching ``ready``, whose first group is a port; gives the port, ends the child."""
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert child.stdout is not None
        for line in child.stdout:
            if match := re.search(ready, line):
                yield int(match.group(1))
                break
        else:
            raise SystemExit(f"{argv[0]} ended before it was ready; start it by hand to see why: {' '.join(argv)}")
    finally:
        child.terminate()
        child.wait()


def end(kind: str) -> contextlib.AbstractContextManager[int]:
    """An ``echo`` or ``sink`` process; gives its port."""
    return process([sys.executable, "-m", "bench.link_ends", kind], r"^(\d+)$")


@contextlib.contextmanager
def link_server(kind: str) -> Iterator[httpx.Client]:
    """A client of the API of a fresh ``embedded`` or ``toxiproxy`` server."""
    if kind == "embedded":
        argv = [sys.executable, "-m", "harness.links.server", "--host", "127.0.0.1", "--port", "0", "--seed", "1"]
        with process(argv, r"listening on \S+:(\d+)") as port, httpx.Client(base_url=f"http://127.0.0.1:{port}") as api:
            yield api
        return
    binary = toxiproxy()
    assert binary is not None
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    child = subprocess.Popen([binary, "-host", "127.0.0.1", "-port", str(port)], stdout=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as api:
            _wait_for(api)
            yield api
    finally:
        child.terminate()
        child.wait()


def servers() -> list[str]:
    """The link servers that this machine has."""
    if toxiproxy() is None:
        print("toxiproxy-server is not on PATH and TOXIPROXY_SERVER is not set: only the embedded server is measured")
        return ["embedded"]
    return ["embedded", "toxiproxy"]


def toxiproxy() -> str | None:
    """Where the real server's binary is."""
    return os.environ.get("TOXIPROXY_SERVER") or shutil.which("toxiproxy-server")


def proxy(api: httpx.Client, name: str, upstream_port: int) -> int:
    """The port of a new proxy to a port of this machine."""
    body = {"name": name, "listen": "127.0.0.1:0", "upstream": f"127.0.0.1:{upstream_port}"}
    answer = api.post("/proxies", json=body)
    answer.raise_for_status()
    return int(answer.json()["listen"].rpartition(":")[2])


def connect(port: int) -> socket.socket:
    """A connected socket that sends at once."""
    client = socket.create_connection(("127.0.0.1", port))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def quantile(sorted_values: Sequence[float], q: float) -> float:
    """The value at quantile ``q``."""
    return sorted_values[min(len(sorted_values) - 1, int(q * len(sorted_values)))]


def _wait_for(api: httpx.Client) -> None:
    for _ in range(100):
        with contextlib.suppress(httpx.TransportError):
            api.get("/version").raise_for_status()
            return
        time.sleep(0.05)
    raise SystemExit("toxiproxy-server does not answer; start it by hand to see why")


if __name__ == "__main__":
    serve(sys.argv[1])
