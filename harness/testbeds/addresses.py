"""Which loopback addresses a run uses: one slot of 127.0.0.0/8 per run, an address per node and per link.

In slot ``s``, node ``i`` listens at ``127.s.0.(i+1)``. Region number ``r`` finds a remote node ``i`` at
``127.s.(r+1).(i+1)``, where a link listens *on the same port number*: an address per link needs no port
juggling, and a node may advertise one port to all. Beacons are the ends of round-trip measurements, one per
region, and follow the same pattern from 200 on.
"""

from __future__ import annotations

import errno
import socket

from harness.contracts import Address, Link, Port
from harness.errors import TestbedError
from harness.model.topology import Node, Topology
from harness.testbeds.procfs import listener_on

SLOTS = range(1, 251)
MAX_NODES = 199
GUARD_PORT = 7006
BEACON_PORT = 7007
_BEACONS = 200
_GUARD = 251
_BEHIND = 100


class Slot:
    """A slot of this machine's loopback addresses, held until ``release`` or the end of the process.

    What is held is a bound socket: the kernel frees it however the process ends, and it keeps off the
    runs of other users as well, which a lock file in a folder of one user would not.
    """

    def __init__(self, number: int, guard: socket.socket) -> None:
        self.number = number
        self._guard = guard

    def release(self) -> None:
        self._guard.close()

    def host(self, third: int, fourth: int) -> str:
        return f"127.{self.number}.{third}.{fourth}"


class AddressPlan:
    """Every address of one run."""

    def __init__(self, slot: Slot, topology: Topology, ports: tuple[Port, ...]) -> None:
        self.slot = slot
        self._topology = topology
        self._ports = ports
        self._rank = {region: rank for rank, region in enumerate(topology.region_ids)}

    def listen(self, node: Node) -> dict[str, Address]:
        """Where ``node`` itself listens, by port name."""
        return self._on(self.slot.host(0, node.index + 1))

    def link(self, link: Link) -> dict[str, Address]:
        """Where ``link`` listens, by port name."""
        return self._on(self.slot.host(self._rank[link.source] + 1, link.target.index + 1))

    def reach(self, region: str, node: Node) -> dict[str, Address]:
        """Where somebody in ``region`` finds ``node``: the node itself at home, a link elsewhere."""
        return self.listen(node) if node.region == region else self.link(Link(region, node))

    def behind(self, region: str, node: Node) -> dict[str, Address]:
        """Where a packet filter pretends ``node`` to be for the link from ``region``, so that it can tell the links'
        connections to the same node apart."""
        return self._on(self.slot.host(_BEHIND + self._rank[region], node.index + 1))

    def aliases(self) -> list[str]:
        """Every such pretence and where it leads, as ``ALIAS=ADDRESS``."""
        aliases = {}
        for region in self._topology.region_ids:
            for node in self._topology.nodes:
                if region != node.region:
                    alias = next(iter(self.behind(region, node).values())).host
                    aliases[alias] = next(iter(self.listen(node).values())).host
        return [f"{alias}={host}" for alias, host in aliases.items()]

    def beacon(self, region: str) -> Address:
        """Where the beacon of ``region`` listens."""
        return Address(self.slot.host(0, _BEACONS + self._rank[region]), BEACON_PORT)

    def beacon_link(self, source: str, target: str) -> Address:
        """Where region ``source`` finds the beacon of ``target``."""
        return Address(self.slot.host(self._rank[source] + 1, _BEACONS + self._rank[target]), BEACON_PORT)

    def all(self) -> list[Address]:
        """Every address that something of this run is going to listen on."""
        regions = self._topology.region_ids
        found: list[Address] = []
        for node in self._topology.nodes:
            found += self.listen(node).values()
            for region in regions:
                found += self.link(Link(region, node)).values() if region != node.region else ()
        found += [self.beacon(region) for region in regions]
        return found + [self.beacon_link(source, target) for source, target in self._topology.pairs]

    def _on(self, host: str) -> dict[str, Address]:
        return {port.name: Address(host, port.number) for port in self._ports}


def take_addresses(topology: Topology, ports: tuple[Port, ...]) -> AddressPlan:
    """Every address of one run, in the first slot that no run has and nothing else listens in.

    Raises TestbedError, naming the first address that is in use and who has it, when there is no such slot.
    """
    if len(topology.nodes) > MAX_NODES:
        raise TestbedError(
            f"topology {topology.name}: {len(topology.nodes)} nodes, but the local testbed has addresses for "
            f"{MAX_NODES}; use fewer nodes"
        )
    in_the_way: tuple[Address, str] | None = None
    for number in SLOTS:
        if (slot := _hold(number)) is None:
            continue
        plan = AddressPlan(slot, topology, ports)
        taken = first_taken(plan.all())
        if taken is None:
            return plan
        slot.release()
        in_the_way = in_the_way or taken
    if in_the_way is None:
        raise TestbedError(f"all {len(SLOTS)} address slots are in use by other runs; end some, or run `rift heal`")
    address, reason = in_the_way
    holder = listener_on(address)
    raise TestbedError(
        f"{address} is in use{f' by {holder}' if holder else ''} ({reason}): end that process, or run `rift heal` "
        "if it is what a former run left"
    )


def _hold(number: int) -> Slot | None:
    """The slot, unless a run has it. Raises TestbedError when this machine has no such addresses."""
    guard = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        guard.bind((f"127.{number}.0.{_GUARD}", GUARD_PORT))
    except OSError as error:
        guard.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise TestbedError(
            f"127.{number}.0.{_GUARD} cannot be used ({error.strerror}): the local testbed needs all of 127.0.0.0/8 "
            "on the loopback device; use --testbed compose"
        ) from error
    return Slot(number, guard)


def first_taken(addresses: list[Address]) -> tuple[Address, str] | None:
    """The first address that cannot be listened on, and why; None when all can."""
    for address in addresses:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            # As servers do: connections that linger from before do not count, listeners do.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address.host, address.port))
            except OSError as error:
                return address, error.strerror or str(error)
    return None
