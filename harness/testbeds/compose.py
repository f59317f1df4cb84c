"""The compose testbed: regional clusters as containers, one network per region, and no path between two but a link.

Every object carries the run's label. A reaper container holds a lease from before the first of them to after the last,
so that nothing is left however the harness ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import yaml

from harness.contracts import Address, Contained, Seat, Service, Target
from harness.errors import MissingPower, TestbedError, UsageError
from harness.links.choose import PREFERENCES, LinkServer, ProcessHandle, open_server
from harness.links.control import LinkFleet
from harness.links.lookout import Lookout
from harness.model.topology import Node, Topology
from harness.testbeds import datagrams, faketime
from harness.testbeds.clocks import NodeClocks
from harness.testbeds.containers import composing, doors, driving, images, subnets, sweeping
from harness.testbeds.containers.doors import Doors
from harness.testbeds.containers.engine import Engine
from harness.testbeds.containers.files import put
from harness.testbeds.containers.helpers import Helpers
from harness.testbeds.containers.lease import ReaperLease
from harness.testbeds.containers.nodes import ContainerNodes
from harness.testbeds.containers.subnets import Subnets
from harness.testbeds.leases import Lease
from harness.testbeds.packets import PacketFilter
from harness.testbeds.seating import Seating, leader_of
from harness.testbeds.starting import READY_LIMIT_S, verified_while
from harness.testbeds.undoing import undo_all

_INSIDE: Final = Path(__file__).parent / "inside"
_PROGRAMS: Final = ("wires.py", "packets.py", "clocks.py", "datagrams.py", "doors.py")
_ECHO: Final = Path(__file__).parents[1] / "links" / "echo.py"
_LAST_WORDS: Final = 300
_CLASHES: Final = 5
"""So often another subnet is tried: somebody else may be creating networks at the same moment."""


class ComposeTestbed:
    """A lab on a Docker engine, up between ``async with`` and its end. See ``LocalTestbed`` for the arguments;
    ``home`` is the folder ``compose`` with the base file and the recipes of images."""

    links: LinkFleet
    nodes: ContainerNodes
    containers: ContainerNodes
    packets: PacketFilter
    clocks: NodeClocks

    def __init__(
        self,
        topology: Topology,
        target: Target,
        folder: Path,
        run_id: str,
        seed: int,
        home: Path,
        link_server: str | None = None,
        say: Callable[[str], None] = lambda line: None,
        ready_limit_s: float = READY_LIMIT_S,
        clocks: bool = False,
    ) -> None:
        if not isinstance(target, Contained):
            raise MissingPower(
                f"target {target.name} does not say how to run in a container (`service(place)`, see "
                "docs/compose.md); use --testbed local"
            )
        if link_server not in (None, *PREFERENCES):
            raise UsageError(
                f"--link-server {link_server}: a composed run brings its own; leave it out, or say embedded"
            )
        self.topology = topology
        self.target = target
        self.folder = folder
        self.run_id = run_id
        self.seed = seed
        self.powers = frozenset({"links", "processes", "packets", "containers"} | ({"clocks"} if clocks else set()))
        self.measurements: dict[str, Any] = {}
        self._contained: Contained = target
        self._home = home
        self._embedded = link_server == "embedded"
        self._say = say
        self._ready_limit_s = ready_limit_s
        self._undo = AsyncExitStack()
        self._engine: Engine
        self._subnets: Subnets
        self._doors = Doors()
        self._seating: Seating
        self._reaper: ReaperLease
        self._containers: dict[str, Any] = {}

    # --- up and down -----------------------------------------------------------------------------

    async def __aenter__(self) -> ComposeTestbed:
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
        self.folder.mkdir(parents=True, exist_ok=True)
        lease = Lease(self.run_id, self.folder)
        self._undo.callback(lease.release)
        self._engine = await asyncio.to_thread(Engine.open)
        self._undo.callback(self._engine.close)
        self._say(f"Docker Engine {self._engine.version} at {self._engine.where}")
        await self._remove_leftovers()
        base = yaml.safe_load((self._home / "base.yaml").read_text(encoding="utf-8"))
        if self._embedded:
            base["services"]["links"]["image"] = composing.EMBEDDED
        tools = base["services"]["wires"]["image"]
        await self._have_images(base)
        self._reaper = await asyncio.to_thread(ReaperLease, self._engine, self.run_id, tools)
        self._undo.push_async_callback(asyncio.to_thread, self._reaper.release)
        self._undo.push_async_callback(self._remove_all)
        await self._create(base)
        await self._open_links()
        await self._start_nodes(Helpers(self._engine, self.run_id, tools))
        self.measurements["startup_s"] = round(time.monotonic() - began, 3)
        self._say(f"up after {self.measurements['startup_s']:.1f} s")

    async def _remove_leftovers(self) -> None:
        for leftover in await asyncio.to_thread(sweeping.leftovers, self._engine):
            self._say(f"removing what a dead run left: {leftover}")
            await asyncio.to_thread(sweeping.remove, self._engine, leftover.run_id)

    async def _remove_all(self) -> None:
        await asyncio.to_thread(sweeping.remove_patiently, self._engine, self.run_id, self._say)

    async def _have_images(self, base: dict[str, Any]) -> None:
        wanted = [service["image"] for service in base["services"].values()]
        free = subnets.choose(self.topology, self.target.ports, ())
        wanted += [self._service(node, free).image for node in self.topology.nodes]
        await asyncio.to_thread(
            images.have, self._engine, dict.fromkeys(filter(None, wanted)), self._home / "images", self._say
        )

    async def _create(self, base: dict[str, Any]) -> None:
        """Networks, volumes and containers, and a way for us to reach them."""
        publish = doors.wanted()
        await self._create_links(base, bool(publish))
        if publish is None and await asyncio.to_thread(self._out_of_reach):
            self._say("the engine's networks are none of this machine: using published ports")
            await self._remove_all()
            await self._create_links(base, publish=True)
        await driving.up(self.folder / "compose.yaml", composing.project(self.run_id), "--no-start")
        found = await asyncio.to_thread(sweeping.objects, self._engine, self.run_id, reaper=False)
        self._containers = {_service_name(container): container for container in found.containers}
        self._seating = Seating(self.topology, self._reach)

    async def _create_links(self, base: dict[str, Any], publish: bool) -> None:
        """The link server, running, because the wires live in its network namespace; and with it every network, in
        the first subnets that nobody has."""
        file = self.folder / "compose.yaml"
        for tried in range(_CLASHES):
            taken = await asyncio.to_thread(subnets_in_use, self._engine)
            self._subnets = subnets.choose(self.topology, self.target.ports, taken, skip=tried)
            self._doors = await asyncio.to_thread(self._published) if publish else Doors()
            services = {node.id: self._service(node, self._subnets) for node in self.topology.nodes}
            whole = self.run_id, base, self.topology, self._subnets, services, self.seed, "clocks" in self.powers
            driving.write(file, composing.composed(*whole, self._doors))
            try:
                return await driving.up(file, composing.project(self.run_id), "--detach", "links")
            except driving.Overlap as error:
                self._say(f"{error}\nTrying the next subnets.")
                await self._remove_all()
        raise TestbedError(f"{_CLASHES} times another network had our subnets; set RIFT_SUBNETS to a free range")

    def _published(self) -> Doors:
        doors.carries(self.target.ports)
        own = self._subnets.control_address, self._subnets.lookout_address
        return doors.through(self._engine, own, self._subnets.used_by_clients())

    def _out_of_reach(self) -> bool:
        found = sweeping.objects(self._engine, self.run_id, reaper=False)
        return all(doors.needed(network.id) for network in found.networks)

    def _reach(self, region: str, node: Node) -> dict[str, Address]:
        return {port: self._doors.reach(address) for port, address in self._subnets.reach(region, node).items()}

    async def _open_links(self) -> None:
        files = {path.name: path.read_bytes() for path in (*map(_INSIDE.joinpath, _PROGRAMS), _ECHO)} | doors.programs()
        files = {f"{composing.INSIDE}/{name}": content for name, content in files.items()}
        await asyncio.to_thread(put, self._engine, self._containers["wires"], files)
        await self._engine.run(self._containers["wires"].start)
        await self._until_wired()
        server = await self._link_server()
        self._undo.push_async_callback(server.close)
        kind = "embedded" if self._embedded else "toxiproxy"
        self.measurements["link_server"] = {"kind": kind, "version": server.version, "url": server.url}
        self._say(f"links: {kind} {server.version} at {server.url}")
        self.links = await LinkFleet.open(
            server,
            self.topology,
            self.target.ports,
            listen_at=lambda region, node, port: self._subnets.reach(region, node)[port.name],
            upstream_of=lambda region, node, port: self._subnets.behind(region, node)[port.name],
            beacon_listen_at=self._subnets.beacon_link,
            beacons={region: self._subnets.beacon(region) for region in self.topology.region_ids},
            prefix=composing.project(self.run_id),
            look=await self._lookout(server),
        )
        if datagrams.wanted(self.target.ports):
            await self._carry_datagrams()
        self.packets = PacketFilter(self.links, self.target.ports, self._subnets.behind, self._tell_filter)

    async def _carry_datagrams(self) -> None:
        program = ("python3", f"{composing.INSIDE}/datagrams.py")
        files = {
            f"{composing.INSIDE}/routes.json": datagrams.routes(self.topology, self.target.ports, self._subnets.reach),
            f"{composing.INSIDE}/ways.json": datagrams.ways(self.links),
        }
        wires = self._containers["wires"]
        await asyncio.to_thread(put, self._engine, wires, {path: text.encode() for path, text in files.items()})
        # Its end is the container's end, and its last words are in the container's log: somebody must notice.
        script = f"{' '.join(program)} serve {composing.INSIDE} >/proc/1/fd/1 2>&1; kill -INT 1"
        await self._engine.run(wires.exec_run, ["sh", "-c", script], detach=True)

        async def tell(ways: str) -> None:
            await self._in_wires(*program, "tell", composing.INSIDE, ways)

        await _until_done(partial(tell, datagrams.ways(self.links)))
        datagrams.follow(self.links, tell)

    async def _link_server(self) -> LinkServer:
        if self._doors:
            links = self._containers["links"].id
            self._doors.learn(await self._engine.run(self._engine.client.api.inspect_container, links))
        at = self._doors.reach(self._subnets.control_address)
        try:
            return await open_server(f"http://{at}", _starts_nothing, self.folder, self.seed)
        except TestbedError as error:
            raise TestbedError(f"{error}; {self._doors.advice}" if self._doors else f"{error}") from error

    async def _lookout(self, server: LinkServer) -> Lookout | None:
        """Who looks at links where we reach them through doors, which are open from then on."""
        if not self._doors:
            return None
        nodes = {address for node in self.topology.nodes for address in self._subnets.listen(node).values()}
        program = partial(self._in_wires, "python3", f"{composing.INSIDE}/doors.py")
        await doors.lead(self._doors, server, nodes, self._subnets.lookout_address, program)
        lookout = Lookout(self._doors.reach(self._subnets.lookout_address))
        self.measurements["way_to_engine_ms"] = way_ms = round(await lookout.way_ms() / 2, 3)
        self._say(f"the way to the engine and back takes {way_ms:.1f} ms, which clients' latencies include")
        return lookout

    async def _tell_filter(self, *words: str) -> str:
        return await self._in_wires("python3", f"{composing.INSIDE}/packets.py", *words)

    async def _in_wires(self, *argv: str) -> str:
        """Run a program beside the link server and return what it says. Raises TestbedError when it fails."""
        code, said = await self._engine.run(self._containers["wires"].exec_run, list(argv))
        text: str = said.decode(errors="replace").strip()
        if code:
            raise TestbedError(f"{' '.join(argv)[:80]} ended with {code}: {text}")
        return text

    async def _open_clocks(self, seats: Mapping[str, Seat]) -> None:
        """Give every node a clock of its own, right at first. Raises MissingPower where the library does not run."""
        library = (await asyncio.to_thread(faketime.library)).read_bytes()
        await asyncio.to_thread(put, self._engine, self._containers["wires"], {composing.LIBRARY: library})
        program = ("python3", f"{composing.INSIDE}/clocks.py", composing.CLOCKS)
        await self._in_wires(*program, f"trial={faketime.TRIAL_S}")
        settings = faketime.environment(composing.LIBRARY, f"{composing.CLOCKS}/trial").items()
        trial = ("env", *(f"{key}={value}" for key, value in settings), "python3", "-c", faketime.TRIAL)
        if problem := faketime.judge(await self._in_wires(*trial), time.time()):
            raise MissingPower(f"clocks of containers cannot be moved on this engine: {problem}")

        async def tell(offset_s: Mapping[str, float]) -> None:
            await self._in_wires(*program, *(f"{node}={seconds}" for node, seconds in offset_s.items()))

        self.clocks = NodeClocks(self.target, seats, tell)
        await self.clocks.open()

    async def _until_wired(self, limit_s: float = 20.0) -> None:
        """Wait until the link server has all of its addresses. Raises TestbedError with what was said last."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            if b"beacons:" in await self._engine.run(self._containers["wires"].logs):
                return
            if problem := await asyncio.to_thread(self._parts_missing):
                raise TestbedError(problem)
            await asyncio.sleep(0.05)
        raise TestbedError(f"the link server's addresses were not there within {limit_s:g} s; see `docker logs`")

    async def _start_nodes(self, helpers: Helpers) -> None:
        home = {seat.node.id: seat for seat in self.seats()}
        containers = {node_id: self._containers[node_id] for node_id in home}
        if "clocks" in self.powers:
            await self._open_clocks(home)
        service_of = lambda node: self._service(node, self._subnets)  # noqa: E731
        self.nodes = ContainerNodes(helpers, self.target, home, containers, service_of, self.folder, self._remake)
        self.containers = self.nodes
        self._undo.push_async_callback(self.nodes.save_logs)
        self._say(f"starting {len(home)} nodes of {self.target.name} in {len(self.topology.regions)} regions")
        starting = self.nodes.start_all(self._ready_limit_s)
        self.measurements["links"] = await verified_while(starting, self.links, self._say)

    async def _remake(self, node_id: str, image: str) -> Any:
        """Have the node's container made anew from another image, and return it."""
        have = partial(images.have, self._engine, [image], self._home / "images", self._say)
        await asyncio.to_thread(have)
        file = self.folder / "compose.yaml"
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
        data["services"][node_id]["image"] = image
        file.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
        await driving.up(file, composing.project(self.run_id), "--no-start", "--no-deps", node_id)
        found = await asyncio.to_thread(sweeping.objects, self._engine, self.run_id, reaper=False)
        return next(container for container in found.containers if _service_name(container) == node_id)

    def _service(self, node: Node, plan: Subnets) -> Service:
        return self._contained.service(composing.place(node, self.topology, plan, self.seed))

    # --- the lab ---------------------------------------------------------------------------------

    async def leader(self) -> str | None:
        """The leader as the nodes themselves see it; the question does not cross any link."""
        return await leader_of(self.target, self.seats())

    def lost(self) -> str:
        """Empty while links, beacons and reaper are there, and nodes have a disk, else what happened."""
        try:
            return self._reaper.lost() or self._parts_missing() or self.nodes.starved()
        except TestbedError as error:
            return str(error)

    def _parts_missing(self) -> str:
        for part in ("links", "wires"):
            container = self._containers[part]
            state = self._engine.call(self._engine.client.api.inspect_container, container.id)["State"]
            if not state["Running"]:
                said = self._engine.call(container.logs, tail=1).decode(errors="replace").strip()
                return (
                    f"container {part} ({container.id[:12]}), which carries the links, ended with exit code "
                    f"{state['ExitCode']}, and no fault did it: was the engine stopped or restarted? Run it again. "
                    f"Last it said: {said[:_LAST_WORDS] or 'nothing'}"
                )
        return ""

    @property
    def logs(self) -> dict[str, Path]:
        """Every node's log file, there once the testbed is down."""
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


def _service_name(container: Any) -> str:
    return str(container.attrs["Labels"]["com.docker.compose.service"])


async def _until_done(act: Callable[[], Awaitable[None]], limit_s: float = 10.0) -> None:
    """Try again until it works; raises the last TestbedError."""
    deadline = time.monotonic() + limit_s
    while True:
        try:
            return await act()
        except TestbedError:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.05)


async def _starts_nothing(name: str, argv: Sequence[str], log: Path) -> ProcessHandle:
    raise UsageError(f"{name} is a container here")  # a server that is given by URL never asks for it


def subnets_in_use(engine: Engine) -> list[IPv4Network]:
    """Every subnet that the engine, or this machine when the engine is here, already uses."""
    networks = engine.call(engine.client.networks.list)
    configs = [config for each in networks for config in (each.attrs.get("IPAM") or {}).get("Config") or ()]
    used = [IPv4Network(config["Subnet"]) for config in configs if "." in config.get("Subnet", "")]
    return used + (subnets.routes_here() if engine.is_here else [])
