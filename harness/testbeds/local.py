"""The local testbed: a regional cluster as processes on this machine, every region border behind a link.

Nothing is left when it is left: not after an error half-way through the start, not after Ctrl-C; and what
``kill -9`` of the harness leaves, the kernel ends or the next run removes (see ``leftovers``).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from harness.contracts import Address, Containers, Launch, Seat, Target
from harness.errors import TestbedError
from harness.links.beacon import Beacon
from harness.links.choose import open_server
from harness.links.control import LinkFleet
from harness.model.topology import Node, Topology
from harness.testbeds import datagrams, faketime, leftovers, local_filter, namespaces
from harness.testbeds.addresses import AddressPlan, take_addresses
from harness.testbeds.clocks import NodeClocks
from harness.testbeds.inside.clocks import tell
from harness.testbeds.inside.datagrams import tell as tell_datagrams
from harness.testbeds.leases import Lease
from harness.testbeds.leftovers import drop_node_data
from harness.testbeds.nodes import LocalNodes
from harness.testbeds.packets import PacketFilter
from harness.testbeds.processes import Process, Supervisor
from harness.testbeds.seating import Seating, leader_of
from harness.testbeds.starting import READY_LIMIT_S, verified_while
from harness.testbeds.undoing import undo_all


class LocalTestbed:
    """A lab on this machine, up between ``async with`` and its end.

    ``folder`` is the run's folder, ``run_id`` is unique among all runs of this machine. ``prefer`` is which link server
    to start when none is given by URL (see ``links.choose``). ``say`` is told what is going on, in one line each. With
    ``keep_data`` the nodes' data outlives the run (their logs always do). Without ``exact_links`` a machine too busy
    for the topology's latencies is only noted: for what does not judge by latency. With ``clocks`` every node's clock
    can be moved, for which it runs with another library (see ``faketime``).
    ``measurements`` holds, once up: ``startup_s``, ``link_server``, and ``links`` (per ordered pair ``rtt_ms``
    and ``preset_ms``).
    """

    links: LinkFleet
    nodes: LocalNodes
    packets: PacketFilter
    clocks: NodeClocks
    containers: Containers
    """Never there: nodes are processes."""

    def __init__(
        self,
        topology: Topology,
        target: Target,
        folder: Path,
        run_id: str,
        seed: int,
        link_server_url: str | None = None,
        say: Callable[[str], None] = lambda line: None,
        ready_limit_s: float = READY_LIMIT_S,
        keep_data: bool = False,
        prefer: str = "auto",
        exact_links: bool = True,
        clocks: bool = False,
    ) -> None:
        self.topology = topology
        self.target = target
        self.folder = folder
        self.run_id = run_id
        self.seed = seed
        self.measurements: dict[str, Any] = {}
        self._link_server_url = link_server_url
        self._prefer = prefer
        self._say = say
        self._ready_limit_s = ready_limit_s
        self._keep_data = keep_data
        self._exact_links = exact_links
        self._prefix = f"rift-{run_id}"
        self._undo = AsyncExitStack()
        self.powers = frozenset({"links", "processes"})
        if namespaces.inside() and link_server_url is None:
            self.powers |= {"packets"}
        if clocks:
            self.powers |= {"clocks"}
        self._beside: dict[str, Process] = {}
        """What works beside the link server."""
        self._plan: AddressPlan
        self._seating: Seating

    # --- up and down -----------------------------------------------------------------------------

    async def __aenter__(self) -> LocalTestbed:
        try:
            await self._bring_up()
        except BaseException as error:
            await undo_all(self._undo, error)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await undo_all(self._undo, error)

    async def _bring_up(self) -> None:
        began = time.monotonic()
        await self._remove_leftovers()
        self.folder.mkdir(parents=True, exist_ok=True)
        # The lease comes first and goes last: until everything is gone, somebody must be able to find it.
        lease = Lease(self.run_id, self.folder, self._link_server_url, self._prefix)
        self._undo.callback(lease.release)
        self._plan = await asyncio.to_thread(take_addresses, self.topology, self.target.ports)
        self._undo.callback(self._plan.slot.release)
        self._seating = Seating(self.topology, self._plan.reach)
        if not self._keep_data:
            self._undo.callback(drop_node_data, self.folder)
        supervisor = Supervisor(self.run_id, self.folder)
        self._undo.push_async_callback(supervisor.close)
        await self._open_links(supervisor)
        await self._start_nodes(supervisor)
        self.measurements["startup_s"] = round(time.monotonic() - began, 3)
        self._say(f"up after {self.measurements['startup_s']:.1f} s")

    async def _remove_leftovers(self) -> None:
        for leftover in await asyncio.to_thread(leftovers.find):
            self._say(f"removing what a dead run left: {leftover}")
            try:
                await leftovers.remove([leftover])
            except TestbedError as error:
                self._say(f"{error}; going on without")  # what is in our way fails by name when we need it

    async def _open_links(self, supervisor: Supervisor) -> None:
        async def spawn(name: str, argv: Sequence[str], log: Path) -> _Helper:
            return _Helper(supervisor, await supervisor.start(name, argv, log))

        server = await open_server(self._link_server_url, spawn, self.folder, self.seed, self._prefer)
        self._undo.push_async_callback(server.close)
        self._link_server = server
        self.measurements["link_server"] = {"kind": server.kind, "version": server.version, "url": server.url}
        self._say(f"links: {server.kind} {server.version} at {server.url}")
        if "packets" in self.powers:
            self._beside["packets"] = await local_filter.serve(
                supervisor, "packets", self._plan.aliases(), self.folder / "packets.log"
            )
        beacons = {region: self._plan.beacon(region) for region in self.topology.region_ids}
        for address in beacons.values():
            beacon = await Beacon.open(address)
            self._undo.push_async_callback(beacon.close)
        self.links = await LinkFleet.open(
            server,
            self.topology,
            self.target.ports,
            listen_at=lambda region, node, port: self._plan.reach(region, node)[port.name],
            upstream_of=lambda region, node, port: self._behind(region, node)[port.name],
            beacon_listen_at=self._plan.beacon_link,
            beacons=beacons,
            prefix=self._prefix,
        )
        self._undo.push_async_callback(self.links.close)
        if datagrams.wanted(self.target.ports):
            await self._carry_datagrams(supervisor)
        if "packets" in self.powers:
            self.packets = PacketFilter(self.links, self.target.ports, self._plan.behind, local_filter.tell)

    async def _carry_datagrams(self, supervisor: Supervisor) -> None:
        folder = self.folder / "datagrams"
        folder.mkdir(exist_ok=True)
        (folder / "routes.json").write_text(datagrams.routes(self.topology, self.target.ports, self._plan.reach))
        (folder / "ways.json").write_text(datagrams.ways(self.links))
        log = self.folder / "datagrams.log"
        self._beside["datagrams"] = await local_filter.serve(supervisor, "datagrams", (str(folder),), log)

        async def tell(ways: str) -> None:
            tell_datagrams(folder, ways)

        datagrams.follow(self.links, tell)

    def _behind(self, region: str, node: Node) -> dict[str, Address]:
        """Where a link finds its node."""
        return self._plan.behind(region, node) if "packets" in self.powers else self._plan.listen(node)

    async def _start_nodes(self, supervisor: Supervisor) -> None:
        home = {seat.node.id: seat for seat in self.seats()}
        faked = await self._open_clocks(home) if "clocks" in self.powers else None
        self.nodes = LocalNodes(self.target, self._plan, home, supervisor, self.folder, self.seed, faked)
        self._undo.push_async_callback(self.nodes.end_all)
        self._say(f"starting {len(home)} nodes of {self.target.name} in {len(self.topology.regions)} regions")
        starting = self.nodes.start_all(self._ready_limit_s)
        self.measurements["links"] = await verified_while(starting, self.links, self._say, self._exact_links)

    async def _open_clocks(self, seats: Mapping[str, Seat]) -> Callable[[str, Launch], Launch]:
        """Give every node a clock of its own; how to start it by that. Raises MissingPower."""
        library, folder = await asyncio.to_thread(faketime.library), self.folder.resolve() / "clocks"
        folder.mkdir(exist_ok=True)

        async def write(offset_s: Mapping[str, float]) -> None:
            tell(folder, offset_s)

        self.clocks = NodeClocks(self.target, seats, write)
        await self.clocks.open()
        return lambda node_id, launch: replace(
            launch, argv=faketime.with_clock(library, folder / node_id, launch.argv, launch.env)
        )

    # --- the lab ---------------------------------------------------------------------------------

    async def leader(self) -> str | None:
        """The leader as the nodes themselves see it; the question does not cross any link."""
        return await leader_of(self.target, self.seats())

    def lost(self) -> str:
        """Empty while the link server and what works beside it run, else what happened."""
        server = self._link_server
        if server.gone:
            log = f"see the end of {self.folder}/link*.log" if server.owned else "start it again, and run again"
            return f"{server} is gone; {log}"
        dead = [name for name, process in self._beside.items() if process.state() == "dead"]
        return f"inside/{dead[0]}.py is gone; see the end of {self.folder}/{dead[0]}.log" if dead else ""

    @property
    def logs(self) -> dict[str, Path]:
        """Every node's log file."""
        return {node.id: self.nodes.log(node.id) for node in self.topology.nodes}

    def seats(self, region: str | None = None) -> tuple[Seat, ...]:
        """Every node as a client in ``region`` reaches it; without one, each node as seen from its own region."""
        return self._seating.all(region)

    def seat(self, region: str, node_id: str) -> Seat:
        """A client's place in ``region``, connected to ``node_id``; KeyError when either is unknown."""
        return self._seating.seat(region, node_id)

    def seat_for_client(self, i: int) -> Seat:
        """Where client ``i`` sits, so that with enough clients every path is used."""
        return self._seating.for_client(i)


@dataclass(frozen=True)
class _Helper:
    """A supervised process as the links know it."""

    supervisor: Supervisor
    process: Process

    @property
    def pid(self) -> int:
        return self.process.pid

    def alive(self) -> bool:
        return self.process.state() != "dead"

    async def terminate(self) -> None:
        await self.supervisor.terminate(self.process, limit_s=2.0)
