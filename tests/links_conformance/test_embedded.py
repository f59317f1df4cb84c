"""What only the embedded link server has: its process, its extensions, and the parts that need no socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.errors import PluginError
from harness.links.server import alarms as alarms_module
from harness.links.server import toxics
from harness.links.server.alarms import Alarm, Alarms
from harness.links.server.stage import Entry, Stage
from harness.links.server.toxic import NS_PER_MS, Chunk, Mark, Toxic
from harness.links.server.toxics.latency import Latency
from harness.links.server.toxics.slicer import Slicer
from harness.model.seeds import Rng
from tests.links_conformance import bed
from tests.links_conformance.bed import Link, Server


@pytest.fixture
def server() -> Iterator[Server]:
    with bed.start("embedded") as running:
        yield running


@pytest.fixture
def link(server: Server) -> Iterator[Link]:
    link = Link(server)
    yield link
    link.close()


# --- the process ---


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_and_its_connections(link: Link, number: signal.Signals) -> None:
    near, far = link.open()
    bed.exchange(near, far)
    link.server.process.send_signal(number)
    assert link.server.process.wait(bed.LIMIT_S) == 0
    assert near.recv(1) == b""
    assert far.recv(1) == b""


def test_a_port_in_use_is_named_with_what_to_do(server: Server) -> None:
    second = bed.embedded_process("--host", "127.0.0.1", "--port", str(server.port))
    _, errors = second.communicate(timeout=bed.LIMIT_S)
    assert second.returncode == 3
    assert f"127.0.0.1:{server.port}: Address already in use; choose another" in errors


def test_it_serves_without_uvloop() -> None:
    code = "import runpy, sys; sys.modules['uvloop'] = None; sys.argv[1:] = ['--host', '127.0.0.1', '--port', '0']; "
    code += "runpy.run_module('harness.links.server', run_name='__main__')"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=bed.ROOT)
    try:
        assert child.stdout is not None
        port = int(child.stdout.readline().rpartition(":")[2])
        with contextlib.closing(Link(Server("embedded", port, child))) as link:
            near, far = link.open()
            bed.exchange(near, far)
            link.server.toxic("latency", latency=50)
            bed.exchange(near, far)
    finally:
        child.kill()
        child.communicate()


# --- extensions ---


def test_links_shows_connections_and_bytes_each_way_while_they_live(link: Link) -> None:
    near, far = link.open()
    bed.exchange(near, far)
    row = link.server.call("GET", "/links")["link"]
    assert row == {
        "opened": 1,
        "live": 1,
        "upstream": {"received_bytes": 2, "sent_bytes": 2},
        "downstream": {"received_bytes": 3, "sent_bytes": 3},
    }
    near.close()
    far.close()
    bed.until(lambda: link.server.call("GET", "/links")["link"]["live"] == 0, "the connection is over")
    assert "toxiproxy_proxy_live_connections" in link.server.ask("GET", "/metrics")[2]


def test_swallowed_bytes_are_received_but_not_sent(link: Link) -> None:
    link.server.toxic("timeout", "upstream", timeout=0)
    near, _ = link.open()
    near.sendall(b"lost")
    wanted = {"received_bytes": 4, "sent_bytes": 0}
    bed.until(lambda: link.server.call("GET", "/links")["link"]["upstream"] == wanted, "4 bytes in, none out")


def test_an_unknown_distribution_is_refused_with_the_known_ones(link: Link) -> None:
    toxic = {"type": "latency", "attributes": {"latency": 1, "distribution": "gauss"}}
    status, _, text = link.server.ask("POST", "/proxies/link/toxics", json.dumps(toxic))
    error = "bad request body: distribution 'gauss' is unknown, use one of uniform, normal, pareto"
    assert (status, json.loads(text)) == (400, {"error": error, "status": 400})


def test_a_refused_update_changes_nothing(link: Link) -> None:
    link.server.toxic("latency", latency=5)
    path = "/proxies/link/toxics/latency_downstream"
    assert link.server.ask("PATCH", path, '{"toxicity":0,"attributes":{"latency":9,"jitter":"x"}}')[0] == 400
    shown = link.server.call("GET", path)
    assert (shown["toxicity"], shown["attributes"]) == (1, {"latency": 5, "jitter": 0})


def test_a_jammed_link_holds_the_sender_back(link: Link) -> None:
    link.server.toxic("bandwidth", "upstream", rate=0)
    near, _ = link.open()
    near.settimeout(0.5)
    accepted = 0
    with contextlib.suppress(TimeoutError):
        while accepted < 64_000_000:
            accepted += near.send(b"x" * 100_000)
    assert accepted < 32_000_000


def test_removing_a_toxic_in_the_middle_of_a_full_chain_keeps_the_order(link: Link) -> None:
    for name, rate in (("first", 1_000_000), ("middle", 0), ("last", 1_000_000)):
        toxic = {"name": name, "type": "bandwidth", "stream": "upstream", "attributes": {"rate": rate}}
        link.server.call("POST", "/proxies/link/toxics", toxic)
    near, far = link.open()
    # One chunk at a time, until the jam has filled everything before it.
    for count in range(1, 4):
        near.sendall(bytes([64 + count]))
        bed.until(lambda count=count: bytes_in(link) == count, f"{count} bytes have arrived")  # type: ignore[misc]
    near.sendall(b"E")
    link.server.call("DELETE", "/proxies/link/toxics/middle")
    assert bed.receive(far, 4) == b"ABCE"


def bytes_in(link: Link) -> int:
    """Bytes that the link has read from clients."""
    return int(link.server.call("GET", "/links")["link"]["upstream"]["received_bytes"])


def test_the_client_hears_an_answer_whose_end_is_still_under_way(link: Link) -> None:
    link.server.toxic("latency", latency=200)
    near, far = link.open()
    start = time.monotonic()
    far.sendall(b"last words")
    far.close()
    assert bed.receive(near, 20) == b"last words"
    assert time.monotonic() - start >= 0.199


# --- seeded delays, without a socket ---


class StoppedAlarms(Alarms):
    """Collects deadlines; the test rings them."""

    def __init__(self) -> None:
        self.asked: list[Alarm] = []

    def at(self, due_ns: int, call: Callable[[], None]) -> Alarm:
        self.asked.append(Alarm(due_ns, call))
        return self.asked[-1]


class End:
    """The end of a chain."""

    def __init__(self) -> None:
        self.passed: list[tuple[bytes | Mark, int]] = []

    def has_room(self) -> bool:
        return True

    def put(self, data: bytes | Mark, at_ns: int) -> None:
        self.passed.append((data, at_ns))

    def take_over(self, rest: list[Chunk]) -> None:
        self.passed += [(chunk.data, chunk.at_ns) for chunk in rest]


def stage(toxic: Toxic, seed: int, connection: int = 0) -> tuple[Stage, End, StoppedAlarms]:
    """One toxic between the test and an end."""
    entry = Entry("t", "any", "upstream", 1.0, toxic)
    end, alarms = End(), StoppedAlarms()
    made = Stage(entry, Rng(seed).child("link").child(connection).child("upstream"), alarms, lambda: None)
    made.next, made.before = end, lambda: None
    made.begin()
    return made, end, alarms


def delays_ms(toxic: Toxic, seed: int, connection: int = 0) -> list[float]:
    """The delays that 300 chunks get."""
    spot, _, _ = stage(toxic, seed, connection)
    waits = [next(toxic.treat(Chunk(b"x", 0, number), b"x", spot)) for number in range(300)]
    return [wait / NS_PER_MS for wait in waits if isinstance(wait, int)]


def test_the_same_seed_gives_the_same_delays_whatever_the_timing() -> None:
    toxic = Latency(latency=100, jitter=20)
    assert delays_ms(toxic, 7) == delays_ms(toxic, 7)
    assert delays_ms(toxic, 7) != delays_ms(toxic, 8)
    assert delays_ms(toxic, 7, connection=0) != delays_ms(toxic, 7, connection=1)


def test_jitter_distributions_have_their_shapes() -> None:
    uniform = delays_ms(Latency(100, 20), 1)
    assert 80 <= min(uniform) < 90
    assert 110 < max(uniform) <= 120
    normal = delays_ms(Latency(100, 20, "normal"), 1)
    assert 90 < sum(normal) / len(normal) < 110
    assert 0.55 < sum(80 <= delay <= 120 for delay in normal) / len(normal) < 0.8
    pareto = delays_ms(Latency(100, 20, "pareto"), 1)
    assert min(pareto) >= 100
    assert 110 < sum(pareto) / len(pareto) < 130
    assert max(pareto) > 160


def test_the_same_seed_cuts_the_same_slices() -> None:
    def slices(seed: int) -> list[bytes | Mark]:
        made, end, _ = stage(Slicer(average_size=10, size_variation=4), seed)
        made.put(bytes(200), time.monotonic_ns())
        return [data for data, _ in end.passed]

    assert slices(7) == slices(7)
    assert slices(7) != slices(8)
    assert all(isinstance(piece, bytes) and 1 <= len(piece) <= 14 for piece in slices(7))


def test_a_removed_stage_hands_over_the_rest_of_the_chunk_it_was_busy_with() -> None:
    made, end, _ = stage(Slicer(average_size=10, size_variation=0, delay=60_000_000), 1)
    made.put(b"0123456789" * 4, time.monotonic_ns())
    made.put(Mark.EOF, time.monotonic_ns())
    assert [data for data, _ in end.passed] == [b"0123456789"]
    assert [chunk.data for chunk in made.leave()] == [b"0123456789" * 3, Mark.EOF]


# --- the registry and the clock ---


def test_every_toxic_of_the_api_is_a_file_of_its_name() -> None:
    seven = {"bandwidth", "latency", "limit_data", "reset_peer", "slicer", "slow_close", "timeout"}
    assert set(toxics.load()) == seven | {"noop"}


def test_a_toxic_file_that_does_not_load_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_toxic.py").write_text("TOXIC = 5\n")
    monkeypatch.setattr(toxics, "__path__", [str(tmp_path)])
    with pytest.raises(PluginError, match=r"broken_toxic\.py"):
        toxics.load()


@pytest.mark.parametrize("kernel_timer", [True, False])
async def test_alarms_ring_in_the_order_of_their_deadlines(kernel_timer: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not kernel_timer:
        monkeypatch.setattr(alarms_module, "_open_timer", lambda: (None, -1))
    alarms = Alarms(asyncio.get_running_loop())
    rung: list[str] = []
    done = asyncio.Event()
    now_ns = time.monotonic_ns()
    alarms.at(now_ns + 30 * NS_PER_MS, done.set)
    alarms.at(now_ns + 20 * NS_PER_MS, lambda: rung.append("late"))
    alarms.at(now_ns + 15 * NS_PER_MS, lambda: rung.append("cancelled")).cancel()
    alarms.at(now_ns + 10 * NS_PER_MS, lambda: rung.append("soon"))
    alarms.at(now_ns - 1, lambda: rung.append("past"))
    await asyncio.wait_for(done.wait(), bed.LIMIT_S)
    alarms.close()
    assert time.monotonic_ns() >= now_ns + 30 * NS_PER_MS
    assert rung == ["past", "soon", "late"]
