"""Where the real Toxiproxy does wrong and the embedded server right: the same scene on both, side by side."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.links_conformance import bed
from tests.links_conformance.bed import Link, Server


@pytest.fixture(params=["embedded", "toxiproxy"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with bed.start(request.param) as running:
        yield running


@pytest.fixture
def link(server: Server) -> Iterator[Link]:
    link = Link(server)
    yield link
    link.close()


def right(server: Server) -> bool:
    """Whether this server is the one that does it right."""
    return server.kind == "embedded"


# --- the seed ---


def bitten(kind: str, seed: int) -> str:
    """Which of 24 connections a toxic with toxicity 0.5 bites."""
    with bed.start(kind, seed) as server, contextlib.closing(Link(server)) as link:
        server.toxic("limit_data", "upstream", toxicity=0.5, bytes=1)
        pattern = ""
        for _ in range(24):
            near, far = link.open()
            near.sendall(b"ab")
            pattern += "x" if bed.receive(far, 2) == b"a" else "."
        return pattern


@pytest.mark.parametrize("kind", ["embedded", "toxiproxy"])
def test_the_same_seed_bites_the_same_connections(kind: str) -> None:
    first = bitten(kind, 7)
    assert "x" in first
    assert "." in first
    assert (bitten(kind, 7) == first) is (kind == "embedded")


def test_another_seed_bites_other_connections() -> None:
    assert bitten("embedded", 7) != bitten("embedded", 8)


# --- dialling ---


def dials_hang(link: Link) -> socket.socket:
    """Let the upstream's kernel ignore new connections, as a dead host does; undone by accepting one."""
    link.far_listener.listen(0)
    return socket.create_connection(link.far_listener.getsockname())


def dialling(port: int) -> bool:
    """Whether a connection to this port waits for its answer (state SYN_SENT)."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[3] == "02" and int(row[2].partition(":")[2], 16) == port for row in rows)


def test_a_dial_that_hangs_does_not_hold_up_the_next_connection(link: Link) -> None:
    port = link.far_listener.getsockname()[1]
    with dials_hang(link):
        link.dial().sendall(b"first")
        bed.until(lambda: dialling(port), "the first connection is being dialled")
        link.answer()  # takes the filler: from now on the upstream answers
        link.dial().sendall(b"second")
        # The first dial comes through when its kernel tries again, after a second.
        arrived = bed.receive(link.answer(), 5)
    assert (arrived == b"secon") is right(link.server)


def test_a_proxy_with_a_dead_upstream_is_switched_off_at_once(link: Link) -> None:
    port = link.far_listener.getsockname()[1]
    with dials_hang(link):
        link.dial()
        bed.until(lambda: dialling(port), "the connection is being dialled")
        try:
            answered = link.server.ask("PATCH", "/proxies/link", '{"enabled":false}', limit_s=2.5)[0] == 200
        except TimeoutError:
            answered = False
    assert answered is right(link.server)


# --- resets ---


def was_reset(end: socket.socket) -> bool:
    """Whether the connection ended by a TCP reset; False for a polite end."""
    try:
        return end.recv(1) != b""
    except ConnectionResetError:
        return True


def test_reset_peer_resets_an_idle_connection(link: Link) -> None:
    near, far = link.open()
    bed.exchange(near, far)
    link.server.toxic("reset_peer", timeout=100)
    if right(link.server):
        assert was_reset(near)
        assert was_reset(far)
    else:
        assert bed.silent(near, 0.6)


def test_reset_peer_sends_a_real_reset_on_a_connection_that_existed_before(link: Link) -> None:
    near, far = link.open()
    bed.exchange(near, far)
    link.server.toxic("reset_peer", timeout=100)
    far.sendall(b"x")
    assert was_reset(near) is right(link.server)


# --- counters ---


def test_bytes_are_counted_while_the_connection_lives(link: Link) -> None:
    bed.exchange(*link.open())
    metrics = link.server.ask("GET", "/metrics")[2].splitlines()
    labels = f'direction="upstream",listener="{link.listen}",proxy="link",upstream="{link.upstream}"'
    assert (f"toxiproxy_proxy_received_bytes_total{{{labels}}} 2" in metrics) is right(link.server)


# --- closing ---


def test_a_client_that_ends_its_request_still_gets_the_answer(link: Link) -> None:
    near, far = link.open()
    near.sendall(b"ask")
    near.shutdown(socket.SHUT_WR)
    assert bed.receive(far, 4) == b"ask"
    if not right(link.server):
        # It has closed the upstream's side altogether; wait until that is felt.
        assert near.recv(6) == b""
        return
    far.sendall(b"answer")
    assert bed.receive(near, 6) == b"answer"


def test_timeout_closes_in_time_although_data_keeps_coming(link: Link) -> None:
    link.server.toxic("timeout", "upstream", timeout=500)
    near, far = link.open()
    deadline = time.monotonic() + 1.6
    closed = False
    while not closed and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            near.sendall(b"x")
        closed = not bed.silent(far, 0.05)
    assert closed is right(link.server)


def test_removing_a_timeout_spares_the_connections_that_it_never_bit(link: Link) -> None:
    link.server.toxic("timeout", "upstream", toxicity=0, timeout=0)
    near, far = link.open()
    bed.exchange(near, far)
    link.server.call("DELETE", "/proxies/link/toxics/timeout_upstream")
    if right(link.server):
        bed.exchange(near, far)
    else:
        assert far.recv(1) == b""


# --- bad attributes ---


def test_a_negative_rate_does_not_end_the_server(link: Link) -> None:
    near, far = link.open()
    bed.exchange(near, far)
    link.server.toxic("bandwidth", "upstream", rate=-1)
    near.sendall(b"x")
    if right(link.server):
        assert bed.silent(far)
        assert link.server.ask("GET", "/version")[0] == 200
    else:
        assert link.server.process.wait(bed.LIMIT_S) != 0


def test_removing_toxics_under_load_neither_hangs_nor_loses_a_byte() -> None:
    portion = bytes(range(256)) * 256
    portions = 300
    with bed.start("embedded") as server, contextlib.closing(Link(server)) as link:
        near, far = link.open()
        sender = threading.Thread(target=near.sendall, args=(portion * portions,))
        received = bytearray()
        receiver = threading.Thread(target=lambda: received.extend(bed.receive(far, len(portion) * portions)))
        receiver.start()
        sender.start()
        while receiver.is_alive():
            for type_, attributes in (
                ("latency", {"latency": 30, "jitter": 10}),
                ("bandwidth", {"rate": 100_000}),
                ("slicer", {"average_size": 5000, "size_variation": 1000, "delay": 10}),
            ):
                server.toxic(type_, "upstream", **attributes)
            for type_ in ("bandwidth", "latency", "slicer"):
                server.call("DELETE", f"/proxies/link/toxics/{type_}_upstream")
        sender.join()
        receiver.join()
    assert received == portion * portions
