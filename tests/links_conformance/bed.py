"""Real link servers as child processes, and both ends of a link in the test's hands."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NO_TOXIPROXY = "toxiproxy-server is not on PATH; go install github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0"
LIMIT_S = 20.0
"""Far above what anything here takes, so that a busy machine does not fail a test."""


@dataclass
class Server:
    """A running link server; ``kind`` is ``embedded`` or ``toxiproxy``."""

    kind: str
    port: int
    process: subprocess.Popen[str]

    def ask(self, method: str, path: str, body: str | None = None, limit_s: float = LIMIT_S) -> tuple[int, str, str]:
        """Status, content type and text of one exchange; TimeoutError when no answer comes."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=limit_s)
        try:
            link.request(method, path, body)
            answer = link.getresponse()
            return answer.status, answer.getheader("Content-Type") or "", answer.read().decode()
        finally:
            link.close()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of a successful exchange."""
        status, _, text = self.ask(method, path, None if body is None else json.dumps(body))
        assert status < 300, f"{method} {path} {body}: {status} {text}"
        return json.loads(text) if text else None

    def toxic(self, type_: str, stream: str = "downstream", toxicity: float = 1.0, **attributes: Any) -> None:
        """Add a toxic to proxy ``link``."""
        toxic = {"type": type_, "stream": stream, "toxicity": toxicity, "attributes": attributes}
        self.call("POST", "/proxies/link/toxics", toxic)


def toxiproxy_binary() -> str | None:
    """The real server's binary, when this machine has it."""
    return os.environ.get("TOXIPROXY_SERVER") or shutil.which("toxiproxy-server")


@contextlib.contextmanager
def start(kind: str, seed: int = 1) -> Iterator[Server]:
    """A fresh server of a kind; the test is skipped when there is no real one."""
    process, port = _embedded(seed) if kind == "embedded" else _toxiproxy(seed)
    try:
        yield Server(kind, port, process)
    finally:
        process.kill()
        process.communicate()


def embedded_process(*arguments: str) -> subprocess.Popen[str]:
    """The embedded server's process, not waited for."""
    argv = [sys.executable, "-m", "harness.links.server", *arguments]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)


def _embedded(seed: int) -> tuple[subprocess.Popen[str], int]:
    process = embedded_process("--host", "127.0.0.1", "--port", "0", "--seed", str(seed))
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("link server listening on 127.0.0.1:"), line
    return process, int(line.rpartition(":")[2])


def _toxiproxy(seed: int) -> tuple[subprocess.Popen[str], int]:
    binary = toxiproxy_binary()
    if binary is None:
        pytest.skip(NO_TOXIPROXY)
    port = free_port()
    argv = [binary, "-host", "127.0.0.1", "-port", str(port), "-seed", str(seed), "-proxy-metrics"]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, text=True)
    until(lambda: _opens(port), "toxiproxy-server listens")
    return process, port


def free_port() -> int:
    """A port that was free a moment ago, and that the system gives to nobody who does not ask for it by number."""
    for port in random.sample(range(10_000, 30_000), 1000):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no port of 127.0.0.1 from 10000 to 29999 seems to be free")


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition; fail when it does not come true."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(0.01)


def _opens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
        return True
    return False


class Link:
    """Proxy ``link`` of a server, with the upstream's listener in the test's hands."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.far_listener = socket.create_server(("127.0.0.1", 0))
        self.far_listener.settimeout(LIMIT_S)
        self.upstream = f"127.0.0.1:{self.far_listener.getsockname()[1]}"
        body = {"name": "link", "listen": "127.0.0.1:0", "upstream": self.upstream}
        self.listen = server.call("POST", "/proxies", body)["listen"]
        self._ends: list[socket.socket] = []

    def dial(self) -> socket.socket:
        """A client's socket."""
        host, _, port = self.listen.rpartition(":")
        near = socket.create_connection((host, int(port)), LIMIT_S)
        self._ends.append(near)
        return near

    def answer(self) -> socket.socket:
        """The upstream's socket for the next connection that arrives there."""
        far, _ = self.far_listener.accept()
        far.settimeout(LIMIT_S)
        self._ends.append(far)
        return far

    def open(self, stream: str = "upstream") -> tuple[socket.socket, socket.socket]:
        """Both ends of a new connection: the one that sends on ``stream``, and the one that receives."""
        near = self.dial()
        far = self.answer()
        return (near, far) if stream == "upstream" else (far, near)

    def close(self) -> None:
        """Close what the test holds; the proxy stays."""
        for end in (*self._ends, self.far_listener):
            end.close()


def receive(end: socket.socket, size: int) -> bytes:
    """Exactly ``size`` bytes, fewer only when the stream ended."""
    parts: list[bytes] = []
    while size and (part := end.recv(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def silent(end: socket.socket, for_s: float = 0.3) -> bool:
    """Whether nothing arrives, not even an end, for this long."""
    end.settimeout(for_s)
    try:
        end.recv(1, socket.MSG_PEEK)
    except TimeoutError:
        return True
    finally:
        end.settimeout(LIMIT_S)
    return False


def exchange(one: socket.socket, other: socket.socket) -> None:
    """Prove that both directions carry bytes."""
    one.sendall(b"to")
    assert receive(other, 2) == b"to"
    other.sendall(b"fro")
    assert receive(one, 3) == b"fro"
