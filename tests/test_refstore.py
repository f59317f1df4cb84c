"""The reference store as processes on real sockets and files: what it keeps, and what each planted bug breaks."""

from __future__ import annotations

import asyncio
import importlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from harness import registry
from harness.contracts import Address, Place, Seat, Target
from harness.errors import Refused, Unsure, UsageError
from harness.model.op import invoke
from harness.model.topology import Region, Topology
from harness.wire import HttpWire

SERVER = Path(__file__).resolve().parent.parent / "fixtures" / "servers" / "refstore"
sys.path.insert(0, str(SERVER))
disk: Any = importlib.import_module("disk")
entries_of: Any = importlib.import_module("wire")
sys.path.remove(str(SERVER))

BUGS = ("stale-reads", "ack-before-replication", "lost-tail", "split-brain", "newest-clock-wins")


class Cluster:
    """Three nodes of one region, on addresses 127.77.x.y of its own."""

    def __init__(self, folder: Path, bug: str) -> None:
        self.target: Any = registry.target("refstore", {"bug": bug} if bug else {})
        self.topology = Topology(name="single", regions=(Region(id="here", nodes=3),))
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        block = f"127.77.{os.getpid() % 250}"
        self.reach = {
            node.id: {port.name: free_address(f"{block}.{node.index + 1}") for port in self.target.ports}
            for node in self.topology.nodes
        }

    def seat(self, node_id: str) -> Seat:
        return Seat("here", self.topology.node(node_id), self.reach[node_id], self.topology)

    @property
    def seats(self) -> list[Seat]:
        return [self.seat(node_id) for node_id in self.reach]

    def start(self, *node_ids: str) -> None:
        for node_id in node_ids or tuple(self.reach):
            data = self.folder / node_id
            data.mkdir(exist_ok=True)
            node, reach = self.topology.node(node_id), self.reach
            place = Place(node, self.topology, data, reach[node_id], reach, {id_: id_ for id_ in reach}, seed=1)
            with (self.folder / f"{node_id}.log").open("ab") as log:
                self.processes[node_id] = subprocess.Popen(self.target.launch(place).argv, stderr=log)

    def kill(self, *node_ids: str) -> None:
        for node_id in node_ids or tuple(self.processes):
            process = self.processes.pop(node_id)
            process.kill()
            process.wait()

    async def ready(self, *node_ids: str) -> str:
        """Wait until the nodes serve; the leader."""

        async def serve() -> bool:
            return not any([await self.target.ready(self.seat(node_id)) for node_id in node_ids or self.reach])

        await until(serve)
        leader: str = await self.target.leader(self.seats)
        return leader

    async def heir(self, old: str) -> str:
        """Wait until the others serve under another leader than ``old``; the new one."""

        async def led_anew() -> bool:
            return await self.ready(*self.others(old)) != old

        await until(led_anew)
        return await self.ready(*self.others(old))

    async def do(self, node_id: str, f: str, value: Any = None, key: Any = "x") -> Any:
        client = await self.target.connect(self.seat(node_id))
        try:
            return await client.invoke(invoke(f, value, key))
        finally:
            await client.close()

    async def answer(self, node_id: str, f: str) -> Any:
        """The first answer to a read; until there is one it may be refused, which claims nothing."""
        async with asyncio.timeout(30.0):
            while True:
                with suppress(Refused):
                    return await self.do(node_id, f)
                await asyncio.sleep(0.02)

    def others(self, node_id: str) -> tuple[str, str]:
        one, other = (id_ for id_ in self.reach if id_ != node_id)
        return one, other


@asynccontextmanager
async def cluster(folder: Path, bug: str = "") -> AsyncIterator[Cluster]:
    made = Cluster(folder, bug)
    made.start()
    try:
        await made.ready()
        yield made
    finally:
        made.kill()


def free_address(host: str) -> Address:
    with socket.create_server((host, 0)) as listener:
        return Address(host, listener.getsockname()[1])


async def until(condition: Callable[[], Awaitable[bool]], limit_s: float = 30.0) -> None:
    async with asyncio.timeout(limit_s):
        while not await condition():  # noqa: ASYNC110  (other processes set no event here)
            await asyncio.sleep(0.02)


# --- without a bug -------------------------------------------------------------------------------


async def test_every_node_answers_every_verb(tmp_path: Path) -> None:
    async with cluster(tmp_path) as store:
        for number, node in enumerate(store.reach):
            key = f"a key/{number}"
            assert await store.do(node, "read", key=key) is None
            assert await store.do(node, "write", 3, key) == 3
            assert await store.do(node, "cas", [3, 4], key) == [3, 4]
            with pytest.raises(Refused, match="not 3"):
                await store.do(node, "cas", [3, 5], key)
            assert [await store.do(other, "read", key=key) for other in store.reach] == [4, 4, 4]
            txn = [["r", key, None], ["w", 9, 8], ["r", 9, None]]
            assert await store.do(node, "txn", txn) == [["r", key, 4], ["w", 9, 8], ["r", 9, 8]]
            for element in (2, 1, 2):
                assert await store.do(node, "add", element, key) == element
            assert await store.do(node, "members", key=key) == [1, 2]
            assert await store.do(node, "read", key=9) == 8
        assert await store.do(node, "stale-read", key=9) == 8
        assert await store.do(node, "write", 1, None) == await store.do(node, "read", key=None)


async def test_acknowledged_writes_survive_kills_of_the_leader_and_of_all_nodes(tmp_path: Path) -> None:
    async with cluster(tmp_path) as store:
        leader = await store.ready()
        for value in range(30):
            await store.do(leader, "add", value, "s")
        store.kill(leader)
        heir = await store.heir(leader)
        await store.do(heir, "add", 30, "s")
        store.kill()
        store.start()
        await store.ready()
        for node in store.reach:
            assert await store.do(node, "members", key="s") == list(range(31))


async def test_a_minority_acknowledges_nothing_and_comes_back(tmp_path: Path) -> None:
    async with cluster(tmp_path) as store:
        leader = await store.ready()
        await store.do(leader, "write", 1)
        others = store.others(leader)
        store.kill(*others)
        with pytest.raises((Unsure, Refused)):
            await store.do(leader, "write", 2)
        with pytest.raises(Refused):
            await store.do(leader, "read")
        assert await store.do(leader, "stale-read") == 1
        assert await store.target.ready(store.seat(leader)) == "no leader is known"
        store.start(*others)
        await store.ready()
        assert await store.do(leader, "read") in (1, 2)


async def test_a_paused_leader_that_wakes_up_is_no_leader_anymore(tmp_path: Path) -> None:
    async with cluster(tmp_path) as store:
        leader = await store.ready()
        os.kill(store.processes[leader].pid, signal.SIGSTOP)
        heir = await store.heir(leader)
        await store.do(heir, "write", 7)
        os.kill(store.processes[leader].pid, signal.SIGCONT)
        assert await store.answer(leader, "read") == 7


async def test_no_node_and_a_malformed_request_are_definite(tmp_path: Path) -> None:
    async with cluster(tmp_path) as store:
        wire = HttpWire(store.reach["n1"]["client"])
        for method, path, body, status in (
            ("PUT", "/kv/x", b"{}", 400),
            ("PUT", "/kv/x", b"{", 400),
            ("GET", "/nowhere", b"", 404),
            ("PUT", "/kv/x", b" " * (2 << 20), 413),
        ):
            found, answer = await wire.request(method, path, body)
            assert (found, answer["definite"]) == (status, True)
        wire.drop()
        store.kill("n1")
        with pytest.raises(Refused, match="no connection"):
            await store.do("n1", "write", 1)


async def test_the_connection_of_a_cancelled_operation_is_never_used_again(tmp_path: Path) -> None:
    async with cluster(tmp_path) as store:
        client = await store.target.connect(store.seat("n1"))
        await client.invoke(invoke("write", 1, "a"))
        await client.invoke(invoke("write", 2, "b"))
        for _ in range(20):
            late = asyncio.create_task(client.invoke(invoke("read", None, "a")))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            late.cancel()
            await asyncio.wait([late])
            assert await client.invoke(invoke("read", None, "b")) == 2
        await client.close()


# --- the log file --------------------------------------------------------------------------------


def entries(*commands: bytes, term: int = 1) -> list[Any]:
    return [entries_of.Entry(term, command) for command in commands]


def test_a_log_keeps_everything_up_to_a_torn_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = disk.Disk(path)
    log.save(entries_of.HardState(3, "n2"), 1, entries(b"a", b"b", b"c"))
    log.save(None, 3, entries(b"d", term=2))
    log.close()
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        log = disk.Disk(path)
        found = log.recover()
        log.save(None, len(found.entries) + 1, entries(b"new"))
        log.close()
        again = disk.Disk(path)
        assert again.recover().entries == [*found.entries, *entries(b"new")], f"cut at {cut}"
        again.close()
    path.write_bytes(whole)
    found = disk.Disk(path).recover()
    assert found.state == entries_of.HardState(3, "n2")
    assert found.entries == [*entries(b"a", b"b"), *entries(b"d", term=2)]


def test_a_log_with_a_flipped_bit_ends_there(tmp_path: Path) -> None:
    log = disk.Disk(tmp_path / "log")
    log.save(None, 1, entries(b"a" * 100, b"b" * 100))
    data = bytearray((tmp_path / "log").read_bytes())
    data[-50] ^= 1
    (tmp_path / "log").write_bytes(data)
    assert disk.Disk(tmp_path / "log").recover().entries == entries(b"a" * 100)


def test_a_foreign_file_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("my holiday plans")
    with pytest.raises(disk.DiskError, match="delete it"):
        disk.Disk(tmp_path / "log").recover()
    assert (tmp_path / "log").read_text() == "my holiday plans"


# --- with a bug ----------------------------------------------------------------------------------


def test_an_unknown_bug_is_named_with_the_nearest_one() -> None:
    with pytest.raises(UsageError, match=r"'stale-read'.*'stale-reads'.*lost-tail"):
        registry.target("refstore", {"bug": "lost-tail,stale-read"})
    with pytest.raises(UsageError, match="only one is `bug`"):
        registry.target("refstore", {"bugs": "lost-tail"})


def test_every_bug_stands_in_exactly_the_one_place_that_the_table_names() -> None:
    table: Any = importlib.import_module("runpy").run_path(str(SERVER / "bugs.py"))["BUGS"]
    assert tuple(table) == BUGS
    for name, bug in table.items():
        places = [path.name for path in SERVER.glob("*.py") if f'"{name}" in self.bugs' in path.read_text()]
        assert places == [bug.where]
        assert (SERVER / bug.where).read_text().count(f'"{name}" in self.bugs') == 1


async def test_status_tells_which_bugs_are_on(tmp_path: Path) -> None:
    async with cluster(tmp_path, "stale-reads,lost-tail") as store:
        _, status = await HttpWire(store.reach["n1"]["client"]).request("GET", "/status")
        assert status["bugs"] == ["stale-reads", "lost-tail"]


@pytest.mark.parametrize("bug", ["stale-reads", ""])
async def test_a_lonely_node_answers_reads_from_the_past_only_with_stale_reads(tmp_path: Path, bug: str) -> None:
    async with cluster(tmp_path, bug) as store:
        leader = await store.ready()
        lonely = store.others(leader)[0]
        store.kill(lonely)
        await store.do(leader, "write", 1)
        store.kill()
        store.start(lonely)
        await until(lambda: answers(store.target, store.seat(lonely)))
        if bug:
            assert await store.do(lonely, "read") is None
        else:
            with pytest.raises(Refused):
                await store.do(lonely, "read")


async def answers(target: Target, seat: Seat) -> bool:
    return "does not answer" not in await target.ready(seat)


@pytest.mark.parametrize("bug", ["ack-before-replication", "split-brain", ""])
async def test_a_leader_alone_acknowledges_writes_that_get_lost_only_with_a_bug(tmp_path: Path, bug: str) -> None:
    async with cluster(tmp_path, bug) as store:
        leader = await store.ready()
        others = store.others(leader)
        await store.do(leader, "write", 1)
        store.kill(*others)
        if not bug:
            with pytest.raises((Unsure, Refused)):
                await store.do(leader, "write", 2)
            return
        await store.do(leader, "write", 2)
        store.kill(leader)
        store.start(*others)
        await store.ready(*others)
        assert await store.do(others[0], "read") in (None, 1), "an acknowledged write was kept after all"


@pytest.mark.parametrize("bug", ["lost-tail", ""])
async def test_writes_survive_a_kill_of_all_nodes_unless_the_tail_gets_lost(tmp_path: Path, bug: str) -> None:
    async with cluster(tmp_path, bug) as store:
        leader = await store.ready()
        for value in range(50):
            await store.do(leader, "add", value, "s")
        store.kill()
        store.start()
        await store.ready()
        kept = await store.do("n1", "members", key="s")
        assert (kept == list(range(50))) == (not bug)


# --- speed ---------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_three_nodes_take_some_hundred_writes_a_second(tmp_path: Path) -> None:
    """A loose floor for a busy machine; the figure itself is printed."""
    async with cluster(tmp_path) as store:
        leader = await store.ready()
        numbers = itertools.count()
        end = time.monotonic() + 3.0

        async def write(client: Any) -> None:
            while time.monotonic() < end:
                number = next(numbers)
                await client.invoke(invoke("write", number, number % 10))

        clients = [await store.target.connect(store.seat(leader)) for _ in range(64)]
        await asyncio.gather(*(write(client) for client in clients))
        for client in clients:
            await client.close()
        rate = next(numbers) / 3.0
        size = (tmp_path / leader / "log").stat().st_size / next(numbers)
        print(f"{rate:.0f} writes/s, {size:.0f} bytes of log each")
        assert rate > 200
