"""What faults act on: a lab, and its powers over links, packets, nodes, containers and clocks.

Part of the contracts, and imported from there. Which powers there are depends on the testbed and on the machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from harness.model.paths import LinkProbe as LinkProbe
from harness.model.paths import PacketsSeen as PacketsSeen
from harness.model.topology import LinkProfile, Node, Topology


@dataclass(frozen=True)
class Link:
    """The directed path from region ``source`` to node ``target``; one proxy per port of the target."""

    source: str
    target: Node

    def __str__(self) -> str:
        return f"{self.source}>{self.target.id}"


class Links(Protocol):
    """Power ``links``: control of every path between regions. All methods act on all links given, at once,
    and return when the link server has confirmed; TestbedError names the link that would not.

    ``toward`` picks directions of a connection: ``both``, ``upstream`` (bytes from source to target) or
    ``downstream``.

    Troubles overlap: a link suffers what all owners ask for together (every cut; of shapes, the latest), so that a
    fault which ends heals nothing but its own. ``owner`` names who asks, e.g. the fault's id.
    """

    @property
    def all(self) -> tuple[Link, ...]: ...

    async def refuse(self, links: Iterable[Link], owner: str = "") -> None:
        """Close the listeners and every connection: a polite cut."""

    async def blackhole(self, links: Iterable[Link], toward: str = "both", owner: str = "") -> None:
        """Keep connections open and swallow what is sent."""

    async def reset(self, links: Iterable[Link], owner: str = "") -> None:
        """Answer everything with a TCP reset."""

    async def shape(self, links: Iterable[Link], profile: LinkProfile, owner: str = "") -> None:
        """Give the links another latency, jitter and bandwidth until ``restore``."""

    async def restore(self, links: Iterable[Link], owner: str = "") -> None:
        """Undo what ``owner`` asked for; without an owner, what anybody did: the topology's own profile, enabled.
        Leaves alone what is as it should be."""

    async def probe(self, link: Link, limit_s: float = 1.0) -> LinkProbe:
        """Send the target's ping over the link's first port and see what comes back."""

    async def rtt_ms(self, source: str, target: str, samples: int = 16) -> float:
        """Median round trip between two regions, measured on a link of its own with the same profile and cuts;
        infinity when no sample came back."""

    async def traffic(self) -> dict[str, dict[str, int]]:
        """What senders have put on each link so far: ``{"a>n2": {"bytes_up": ..., "bytes_down": ...}}``; empty when the
        link server does not count."""

    async def throughput_kbps(self, source: str, target: str) -> float:
        """Measured bulk rate in KB/s between two regions, on that same link of its own; bounded to about a second."""


class Packets(Protocol):
    """Power ``packets``: what becomes of a link's packets, below TCP, where no proxy answers in the target's place.

    A trouble holds for all connections that are made over a link, in the direction ``toward`` (see :class:`Links`), and
    for the measuring link of a pair of regions when all links of the pair have it. Owners overlap as with links.
    """

    async def drop(self, links: Iterable[Link], toward: str = "both", owner: str = "") -> None:
        """Let no packet pass: nothing is refused, closed or acknowledged any more, on either side of the border."""

    async def disturb(self, links: Iterable[Link], kind: str, amount: float, owner: str = "") -> None:
        """Do ``kind`` to each packet with probability ``amount``: ``lose``, ``duplicate``, ``reorder`` or ``corrupt``;
        or ``police``: lose what goes beyond ``amount`` KB/s on a link. On the half of the path that lies in the
        connecting region."""

    async def restore(self, links: Iterable[Link], owner: str = "") -> None:
        """Undo what ``owner`` asked for; without an owner, what anybody did."""

    async def notice(
        self, pairs: Iterable[tuple[str, str]], bulk: bool = False
    ) -> Mapping[tuple[str, str], PacketsSeen]:
        """Send a few hundred small segments both ways between each pair of regions, or a bulk transfer, and tell what
        TCP noticed. Takes one or two seconds."""


class Clocks(Protocol):
    """Power ``clocks``: what time it is for nodes. Only the wall clock moves: monotonic clocks, by which time-outs run,
    stay right. A clock that was moved stays so while its node is restarted. Unknown node ids raise KeyError."""

    async def shift(self, node_id: str, offset_s: float, owner: str = "") -> None:
        """Let the node's clock be ``offset_s`` off from now on, without a restart. The latest owner wins."""

    async def restore(self, node_ids: Iterable[str], owner: str = "") -> None:
        """Undo what ``owner`` asked for; without an owner, what anybody did."""

    async def ahead_s(self, node_id: str) -> tuple[float, float]:
        """How many seconds the node's clock is ahead of ours, as the node itself says: at least, at most.

        Raises Refused when it does not say.
        """


class Nodes(Protocol):
    """Power ``processes``: control of the nodes themselves. Unknown node ids raise KeyError."""

    async def kill(self, node_id: str) -> None:
        """SIGKILL, and wait until it is gone."""

    async def stop(self, node_id: str, limit_s: float = 10.0) -> None:
        """SIGTERM, and SIGKILL after ``limit_s``."""

    async def start(self, node_id: str, limit_s: float = 30.0) -> None:
        """Start with the data it left and wait until ready; nothing when it runs already. Raises NotReady."""

    async def pause(self, node_id: str) -> None:
        """SIGSTOP, whole process group."""

    async def resume(self, node_id: str) -> None: ...

    async def wipe(self, node_id: str) -> None:
        """Delete a stopped node's data."""

    async def files(self, node_id: str) -> int:
        """How many files the node's data is, counted now; 0 after ``wipe``."""

    def state(self, node_id: str) -> str:
        """``running``, ``paused`` or ``dead``, read from the operating system now."""

    def incarnation(self, node_id: str) -> int:
        """How often the node was started in this run."""


@runtime_checkable
class Searches(Protocol):
    """Nodes whose files can be looked into: data, logs, whatever they left behind."""

    async def search(self, node_id: str, needle: str) -> list[str]:
        """Every file of the node that contains ``needle``, as paths inside its folder."""


class Containers(Protocol):
    """Power ``containers``: what can be done to nodes only where they are containers. Unknown node ids: KeyError."""

    upgrade: str
    """The image that the target names as the other one, empty when it names none."""

    async def disconnect(self, node_id: str) -> None:
        """Unplug the node from its region's network."""

    async def connect(self, node_id: str) -> None:
        """Plug it in again, with the address that it had; nothing when it is."""

    async def image(self, node_id: str) -> str:
        """The image that the node's container is made from."""

    async def change_image(self, node_id: str, image: str) -> None:
        """Make a stopped node's container anew from another image; its data stays. Raises TestbedError."""


class Lab(Protocol):
    """What faults act on."""

    @property
    def topology(self) -> Topology: ...

    @property
    def links(self) -> Links: ...

    @property
    def nodes(self) -> Nodes: ...

    @property
    def packets(self) -> Packets:
        """There where the power ``packets`` is offered."""

    @property
    def containers(self) -> Containers:
        """There where the power ``containers`` is offered."""

    @property
    def clocks(self) -> Clocks:
        """There where the power ``clocks`` is offered."""

    async def leader(self) -> str | None:
        """The leader's node id, None when the target has none or does not say."""
