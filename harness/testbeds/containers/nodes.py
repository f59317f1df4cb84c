"""Power ``processes`` on an engine: every node is a container with a volume of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from harness.contracts import Seat, Service, Target, Upgradable
from harness.errors import TestbedError
from harness.model.topology import Node
from harness.testbeds.containers.engine import Engine, Gone
from harness.testbeds.containers.files import put
from harness.testbeds.containers.helpers import Helpers
from harness.testbeds.starting import READY_LIMIT_S, all_or_none, until_ready

_STATES: Final = {"running": "running", "restarting": "running", "paused": "paused"}
_LOG_LINES: Final = 15
_CRUMB: Final = "/.rift-is-there-room"


class ContainerNodes:
    """Powers ``processes`` and ``containers``. ``service_of(node)`` tells what a node runs, anew for each start;
    ``remake(node_id, image)`` makes its container anew and returns it.

    Output over all starts is in ``folder/nodes/<id>/log`` after :meth:`save_logs`.
    """

    def __init__(
        self,
        helpers: Helpers,
        target: Target,
        seats: Mapping[str, Seat],
        containers: Mapping[str, Any],
        service_of: Callable[[Node], Service],
        folder: Path,
        remake: Callable[[str, str], Awaitable[Any]],
    ) -> None:
        self._engine: Engine = helpers.engine
        self._helpers = helpers
        self._target = target
        self._seats = seats
        self._containers = dict(containers)
        self._service_of = service_of
        self._folder = folder
        self._remake = remake
        self.upgrade = target.upgrade if isinstance(target, Upgradable) else ""
        self._plugs: dict[str, tuple[str, str]] = {}
        """Of unplugged nodes: network and address."""
        self._starts = dict.fromkeys(seats, 0)
        self._looked = dict.fromkeys(seats, 0)
        self._locks = {node_id: asyncio.Lock() for node_id in seats}

    def log(self, node_id: str) -> Path:
        """Where the node's output is once the run is over."""
        return self._folder / "nodes" / node_id / "log"

    def container(self, node_id: str) -> Any:
        """The node's container, as an object of the SDK."""
        return self._containers[node_id]

    async def start_all(self, limit_s: float = READY_LIMIT_S) -> None:
        """Start every node at once and wait until all are ready. Raises the first node's NotReady."""
        await all_or_none(*(self.start(node_id, limit_s) for node_id in self._seats))

    async def start(self, node_id: str, limit_s: float = READY_LIMIT_S) -> None:
        async with self._locks[node_id]:
            if await asyncio.to_thread(self.state, node_id) != "dead":
                return
            container = self._containers[node_id]
            service = self._service_of(self._seats[node_id].node)
            await asyncio.to_thread(put, self._engine, container, service.files)
            await self._engine.run(container.start)
            self._starts[node_id] += 1
        await until_ready(
            self._target, self._seats[node_id], limit_s, lambda: self._end_of(node_id), lambda: self._log_end(node_id)
        )

    async def kill(self, node_id: str) -> None:
        await self._unless_dead(node_id, lambda container: container.kill())

    async def stop(self, node_id: str, limit_s: float = 10.0) -> None:
        await self._unless_dead(node_id, lambda container: container.stop(timeout=round(limit_s)))

    async def pause(self, node_id: str) -> None:
        async with self._locks[node_id]:
            if await asyncio.to_thread(self.state, node_id) == "running":
                await self._engine.run(self._containers[node_id].pause)

    async def resume(self, node_id: str) -> None:
        async with self._locks[node_id]:
            if await asyncio.to_thread(self.state, node_id) == "paused":
                await self._engine.run(self._containers[node_id].unpause)

    async def wipe(self, node_id: str) -> None:
        if (state := await asyncio.to_thread(self.state, node_id)) != "dead":
            raise TestbedError(f"{node_id} is {state}: its data cannot be wiped; kill or stop it first")
        data = self._service_of(self._seats[node_id].node).data
        argv = ("find", data, "-mindepth", "1", "-delete")
        await self._helpers.run(argv, volumes_from=[self._containers[node_id].id])

    async def files(self, node_id: str) -> int:
        data = self._service_of(self._seats[node_id].node).data
        argv = ("sh", "-c", 'find "$0" -type f | wc -l', data)  # a number: no answer must never count as no files
        said = await self._helpers.run(argv, volumes_from=[self._containers[node_id].id])
        if not said.strip().isdigit():
            raise TestbedError(f"{node_id}: its files could not be counted: {said.strip() or 'nothing was said'}")
        return int(said)

    async def disconnect(self, node_id: str) -> None:
        async with self._locks[node_id]:
            found = await self._attributes(node_id)
            for name, plug in found["NetworkSettings"]["Networks"].items():
                self._plugs[node_id] = name, plug["IPAMConfig"]["IPv4Address"]
                network = await self._engine.run(self._engine.client.networks.get, name)
                await self._engine.run(network.disconnect, self._containers[node_id].id)

    async def connect(self, node_id: str) -> None:
        async with self._locks[node_id]:
            if node_id in self._plugs:
                name, address = self._plugs[node_id]
                network = await self._engine.run(self._engine.client.networks.get, name)
                await self._engine.run(network.connect, self._containers[node_id].id, ipv4_address=address)
                del self._plugs[node_id]

    async def image(self, node_id: str) -> str:
        found = await self._attributes(node_id)
        return str(found["Config"]["Image"])

    async def change_image(self, node_id: str, image: str) -> None:
        if (state := await asyncio.to_thread(self.state, node_id)) != "dead":
            raise TestbedError(f"{node_id} is {state}: its image cannot be changed; kill or stop it first")
        async with self._locks[node_id]:
            await asyncio.to_thread(self._save_log, node_id)  # it goes with the container
            self._containers[node_id] = await self._remake(node_id, image)

    async def _attributes(self, node_id: str) -> dict[str, Any]:
        inspect = self._engine.client.api.inspect_container
        found: dict[str, Any] = await self._engine.run(inspect, self._containers[node_id].id)
        return found

    def state(self, node_id: str) -> str:
        return _STATES.get(self._inspect(node_id)["Status"], "dead")

    def incarnation(self, node_id: str) -> int:
        return self._starts[node_id]

    def starved(self) -> str:
        """Empty unless a node ended while the engine's disk is full, which is no fault of the node's. Looks once at
        each end; blocks. A log would not tell: there was no room for it."""
        for node_id, starts in self._starts.items():
            if self._looked[node_id] == starts or self.state(node_id) != "dead":
                continue
            self._looked[node_id] = starts
            try:
                put(self._engine, self._containers[node_id], {_CRUMB: bytes(1 << 16)})
            except TestbedError as error:
                if "no space left" in str(error).lower():
                    return f"node {node_id} ended, and the engine's disk is full; make room there: {error}"
        return ""

    async def save_logs(self) -> None:
        """Copy every node's output into the run's folder. A node without a container is passed over."""
        await asyncio.gather(*(asyncio.to_thread(self._save_log, node_id) for node_id in self._containers))

    def _save_log(self, node_id: str) -> None:
        """Append: a node may have had more than one container."""
        path = self.log(node_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            said = self._engine.call(self._containers[node_id].logs)
        except Gone:
            return
        with path.open("ab") as log:
            log.write(said)

    async def _unless_dead(self, node_id: str, act: Callable[[Any], Any]) -> None:
        async with self._locks[node_id]:
            if await asyncio.to_thread(self.state, node_id) == "dead":
                return
            container = self._containers[node_id]
            try:
                await self._engine.run(act, container)
            except TestbedError as error:
                if "is not running" not in str(error):  # it ended by itself meanwhile
                    raise
            await self._engine.run(container.wait, timeout=30)

    def _inspect(self, node_id: str) -> dict[str, Any]:
        container = self._containers[node_id]
        found: dict[str, Any] = self._engine.call(self._engine.client.api.inspect_container, container.id)["State"]
        return found

    def _end_of(self, node_id: str) -> str:
        """How the node ended, in words; empty while it runs."""
        state = self._inspect(node_id)
        if _STATES.get(state["Status"], "dead") != "dead":
            return ""
        return f"ended with exit code {state['ExitCode']}" + (f" ({state['Error']})" if state["Error"] else "")

    async def _log_end(self, node_id: str) -> str:
        container = self._containers[node_id]
        said = await self._engine.run(container.logs, tail=_LOG_LINES)
        lines = [f"    {line}" for line in said.decode(errors="replace").splitlines()]
        return f"`docker logs {container.id[:12]}`:\n" + ("\n".join(lines) or "    (its log is empty)")
