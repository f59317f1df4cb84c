"""Power ``processes`` on this machine: every node is a process with a data directory and a log of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from harness.contracts import Launch, Place, Seat, Target
from harness.errors import TestbedError
from harness.model.topology import Node
from harness.testbeds import faketime, hosts
from harness.testbeds.addresses import AddressPlan
from harness.testbeds.processes import Process, Supervisor, last_lines
from harness.testbeds.starting import READY_LIMIT_S, all_or_none, until_ready


class LocalNodes:
    """Control of a run's nodes. Data lies in ``folder/nodes/<id>/data``, output in ``folder/nodes/<id>/log``.

    ``faked`` makes a node's launch one by a clock of its own, when clocks are to be moved.
    """

    def __init__(
        self,
        target: Target,
        plan: AddressPlan,
        seats: Mapping[str, Seat],
        supervisor: Supervisor,
        folder: Path,
        seed: int,
        faked: Callable[[str, Launch], Launch] | None = None,
    ) -> None:
        self._target = target
        self._plan = plan
        self._seats = seats
        self._supervisor = supervisor
        self._folder = folder
        self._seed = seed
        self._faked = faked
        self._processes: dict[str, Process] = {}
        self._starts = dict.fromkeys(seats, 0)
        self._locks = {node_id: asyncio.Lock() for node_id in seats}

    def log(self, node_id: str) -> Path:
        """Where the node's output goes, over all its starts."""
        return self._home(node_id) / "log"

    def data(self, node_id: str) -> Path:
        """The node's data directory."""
        return self._home(node_id) / "data"

    async def start_all(self, limit_s: float = READY_LIMIT_S) -> None:
        """Start every node at once and wait until all are ready. Raises the first node's NotReady."""
        await all_or_none(*(self.start(node_id, limit_s) for node_id in self._seats))

    async def end_all(self) -> None:
        """Kill every node at once; raises the first error after having tried all."""
        results = await asyncio.gather(*map(self.kill, self._processes), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def start(self, node_id: str, limit_s: float = READY_LIMIT_S) -> None:
        async with self._locks[node_id]:
            if self.state(node_id) != "dead":
                return
            if former := self._processes.get(node_id):
                await self._supervisor.kill(former)  # the rest of its session, if there is any
            launch = self._target.launch(self._place(self._seats[node_id].node))
            launch = self._faked(node_id, launch) if self._faked is not None else launch
            self._processes[node_id] = await self._supervisor.start(
                node_id, launch.argv, self.log(node_id), launch.env, partial(self._wrapped, node_id), launch.alone
            )
            self._starts[node_id] += 1
        await self._wait_until_ready(node_id, limit_s)

    def _wrapped(self, node_id: str, argv: tuple[str, ...]) -> tuple[str, ...]:
        """What has to be around the node's process: mounts of its own, for names and for another clock."""
        argv = faketime.around(argv) if self._faked is not None else argv
        return hosts.inside(self._home(node_id) / "hosts", argv) if self._target.needs_names else argv

    async def kill(self, node_id: str) -> None:
        async with self._locks[node_id]:
            if (process := self._processes.get(node_id)) is not None:
                await self._supervisor.kill(process)

    async def stop(self, node_id: str, limit_s: float = 10.0) -> None:
        async with self._locks[node_id]:
            if (process := self._processes.get(node_id)) is not None:
                await self._supervisor.terminate(process, limit_s)

    async def pause(self, node_id: str) -> None:
        async with self._locks[node_id]:
            if (process := self._processes.get(node_id)) is not None:
                await self._supervisor.pause(process)

    async def resume(self, node_id: str) -> None:
        async with self._locks[node_id]:
            if (process := self._processes.get(node_id)) is not None:
                await self._supervisor.resume(process)

    async def wipe(self, node_id: str) -> None:
        if self.state(node_id) != "dead":
            raise TestbedError(f"{node_id} is {self.state(node_id)}: its data cannot be wiped; kill or stop it first")
        await asyncio.to_thread(shutil.rmtree, self.data(node_id), True)

    async def files(self, node_id: str) -> int:
        self._locks[node_id]  # KeyError for a node that the topology does not have
        return await asyncio.to_thread(_count, self.data(node_id))

    async def search(self, node_id: str, needle: str) -> list[str]:
        """Every file of the node that contains ``needle``, as paths inside its folder."""
        return await asyncio.to_thread(_holding, self._home(node_id), needle.encode())

    def state(self, node_id: str) -> str:
        self._locks[node_id]  # KeyError for a node that the topology does not have
        process = self._processes.get(node_id)
        return "dead" if process is None else process.state()

    def incarnation(self, node_id: str) -> int:
        return self._starts[node_id]

    def _home(self, node_id: str) -> Path:
        return self._folder / "nodes" / node_id

    def _place(self, node: Node) -> Place:
        """What the node needs to know; makes its data directory and, for names, its hosts file."""
        seat = self._seats[node.id]
        nodes = seat.topology.nodes
        data = self.data(node.id)
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        names = {other.id: hosts.name_of(other.id) for other in nodes}
        reach = {other.id: self._plan.reach(node.region, other) for other in nodes}
        if self._target.needs_names:
            first_port = self._target.ports[0].name
            entries = {names[id_]: addresses[first_port].host for id_, addresses in reach.items()}
            hosts.write_hosts(self._home(node.id) / "hosts", entries)
        listen = self._plan.listen(node)
        return Place(node, seat.topology, data.resolve(), listen, reach, names, self._seed)

    async def _wait_until_ready(self, node_id: str, limit_s: float) -> None:
        def ended() -> str:
            process = self._processes[node_id]
            return process.exit if process.state() == "dead" else ""

        async def log_end() -> str:
            return f"{self.log(node_id)}:\n{last_lines(self.log(node_id))}"

        await until_ready(self._target, self._seats[node_id], limit_s, ended, log_end)


def _count(folder: Path) -> int:
    """All files below; what vanishes meanwhile counts or not."""
    return sum(len(files) for _, _, files in os.walk(folder))


def _holding(folder: Path, needle: bytes) -> list[str]:
    found = []
    for path in sorted(folder.rglob("*")):
        try:
            if path.is_file() and needle in path.read_bytes():
                found.append(str(path.relative_to(folder)))
        except FileNotFoundError:
            continue  # replaced while we looked
    return found
