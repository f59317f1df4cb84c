"""The borders between the rooms: what a target, workload, fault, checker, testbed or renderer must offer.

Contracts are protocols of few methods; nobody inherits. Extra powers are extra protocols: a plan that
needs a missing one is skipped with the reason. Plugin files expose one name each (see ``registry``):

    fixtures/<target>.py     ``make(**options: str) -> Target``
    harness/workloads/*.py   ``WORKLOAD: Workload``
    harness/faults/*.py      ``FAULT: Fault``
    reports/<renderer>.py    ``RENDERER: Renderer``
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, runtime_checkable

from harness.lab import Clocks as Clocks  # what a lab can do: part of the contracts, told in a module of its own
from harness.lab import Containers as Containers
from harness.lab import Lab as Lab
from harness.lab import Link as Link
from harness.lab import Links as Links
from harness.lab import Nodes as Nodes
from harness.lab import Packets as Packets
from harness.lab import Searches as Searches
from harness.model.attestation import Symptom as Symptom  # faults speak it; the comparison is pure
from harness.model.claims import Claims
from harness.model.history import History
from harness.model.op import Op
from harness.model.paths import Address as Address
from harness.model.paths import LinkProbe as LinkProbe
from harness.model.paths import PacketsSeen as PacketsSeen
from harness.model.run import Recorded, Run
from harness.model.seeds import Rng
from harness.model.topology import Node, Topology
from harness.model.verdict import Verdict

# --- addresses -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Port:
    """A named port of every node of a target, e.g. ``Port("client", 2379, ping=b"GET /health ...")``.

    ``ping`` is a request that the server answers with at least one byte; link probes send it to learn whether
    data really flows. Empty: probes only see whether a connection opens and stays open.

    ``protocol`` is ``tcp`` or ``udp``; a target needs one of TCP. What speaks both on one number has two ports.
    """

    name: str
    number: int
    ping: bytes = b""
    protocol: str = "tcp"


@dataclass(frozen=True)
class Place:
    """All that a node needs to know to start: who it is, where it listens, how it reaches the others.

    ``listen`` maps a port's name to this node's own address. ``reach[node][port]`` is where this node
    finds a node: the real address in its own region, a link's address elsewhere (its own included).
    ``name_of[node]`` is one host name per node, the same everywhere; it resolves for this process only
    when the target sets ``needs_names``.
    """

    node: Node
    topology: Topology
    data_dir: Path
    listen: Mapping[str, Address]
    reach: Mapping[str, Mapping[str, Address]]
    name_of: Mapping[str, str]
    seed: int = 0


@dataclass(frozen=True)
class Launch:
    """A node's process: ``argv[0]`` is an absolute path; ``env`` is added to a minimal environment.

    Signals go to its session and all descendants, or with ``alone`` only to the process itself: its helpers outlive
    it, as they do where its service manager is told so. They end with the run.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    alone: bool = False


@dataclass(frozen=True)
class Service:
    """A node as a container, told as data.

    ``command`` goes to the image's entrypoint, or takes its place when ``entrypoint`` is given. ``files`` (absolute
    path to content) are written before every start. ``data`` is where the node keeps what must outlive a restart; it is
    a volume of its own, and ``Place.data_dir`` is the same path. ``user`` runs it, when not the image's own. ``names``
    are host names under which all nodes find it, besides ``Place.name_of``. ``more`` are other keys of a compose file.
    """

    image: str
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    data: str = "/data"
    user: str = ""
    names: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Seat:
    """Where a client sits: in region ``region``, connected to ``node`` at ``reach`` (port name to address).

    ``everyone[node id]`` is where somebody here finds each node, for clients that follow a primary.
    """

    region: str
    node: Node
    reach: Mapping[str, Address]
    topology: Topology
    everyone: Mapping[str, Mapping[str, Address]] = field(default_factory=dict)


# --- the system under test -----------------------------------------------------------------------


class Client(Protocol):
    """One logical process's connection. Never used by two operations at once."""

    async def invoke(self, op: Op) -> Any:
        """Do ``op`` and return its answer (the completion's value). Raises Refused when it certainly did not
        happen; Unsure, or anything else, when nobody knows. The runner sets the time limit."""

    async def close(self) -> None: ...


class Target(Protocol):
    """A system under test: how its nodes start, its clients, and what it claims."""

    name: str
    claims: Claims
    speaks: frozenset[str]
    """Verbs (``Op.f``) that its clients understand: ``read``, ``write``, ``cas``, ``stale-read``, ``add`` ..."""
    ports: tuple[Port, ...]
    needs_names: bool

    def launch(self, place: Place) -> Launch:
        """The command that starts this node; may write files into ``place.data_dir``. Called again at each restart."""

    async def ready(self, seat: Seat) -> str:
        """Empty when the node serves; otherwise what is still missing, in a few words. Must return within 2 s."""

    async def connect(self, seat: Seat) -> Client:
        """Open a client. Raises Refused or OSError when the node cannot be reached; anything else is the client's
        mistake and makes the run unknown."""


@runtime_checkable
class Leads(Protocol):
    """A target that can say which node leads."""

    async def leader(self, seats: Iterable[Seat]) -> str | None:
        """The leader's node id as the given nodes see it (most recent term), or None. Must return within 2 s."""


@runtime_checkable
class Installed(Protocol):
    """A target whose server has to be installed; ``rift doctor`` asks."""

    def server(self) -> str:
        """Where the server is. Raises TestbedError that says how to get it."""


@runtime_checkable
class Contained(Protocol):
    """A target whose nodes can be containers, too (``--testbed compose``)."""

    def service(self, place: Place) -> Service:
        """This node's container. ``place.data_dir`` is a path inside it, ``place.listen`` its own addresses, and every
        name of ``place.name_of`` resolves. Does no I/O. Called again at each start."""


@runtime_checkable
class Upgradable(Protocol):
    """A target that can be moved to another image while it runs (``--testbed compose``)."""

    upgrade: str
    """The other image; empty when there is none."""


@runtime_checkable
class TellsTime(Protocol):
    """A target whose nodes say what time they believe it is, so that a moved clock can be attested.

    Not for a target whose own time stamps are judged: it would be judged by clocks that were moved on purpose.
    """

    async def clock(self, seat: Seat) -> tuple[float, float]:
        """The node's wall clock in Unix seconds, as the node's own process answers now: at least, at most (they differ
        when the answer is rounded, as in the ``Date`` of HTTP). Must return within 2 s."""


@runtime_checkable
class Rebuilds(Protocol):
    """A target that may promise more than most: a node that lost all of its data is made whole by the others."""

    rebuilds: bool
    """Whether every promise holds while one node starts with nothing. A voter of Raft that forgot its votes and its log
    must be replaced, not restarted: there it is false."""


# --- what clients do, what judges say ------------------------------------------------------------


class Generator(Protocol):
    """A pure schedule of operations; see ``harness.generators``."""

    def op(self, ctx: Any) -> Any: ...

    def update(self, ctx: Any, event: Op) -> Generator: ...


class Checker(Protocol):
    """A pure function of a history."""

    @property
    def name(self) -> str: ...

    def check(self, history: History) -> Verdict: ...


@dataclass(frozen=True)
class Shape:
    """How big a workload is: ``rate_hz`` over all ``clients`` for ``time_limit_s``.

    ``keys`` 0 means the workload's own choice. ``done`` counts the clients' operations of the main phase, once it
    is over: the final phase may ask.
    """

    clients: int
    rate_hz: float
    time_limit_s: float
    regions: tuple[str, ...]
    keys: int = 0
    done: int = 0


class Workload(Protocol):
    """What clients do: operations, the verbs they need, and the checkers that understand them."""

    name: str
    needs: frozenset[str]
    promise: str
    """The claim it judges, e.g. ``linearizable``; findings on a target that does not claim it are only reported."""

    def generator(self, rng: Rng, shape: Shape) -> Generator:
        """The clients' operations of the main phase; the runner adds rate, time limit and nemesis."""

    def final(self, rng: Rng, shape: Shape) -> Generator | None:
        """Operations after everything healed (final reads), or None."""

    def checkers(self) -> tuple[Checker, ...]: ...


# --- testbeds and faults --------------------------------------------------------------------------


class Testbed(Lab, Protocol):
    """Where nodes live: a lab that is up between ``async with`` and its end, and leaves nothing behind."""

    async def __aenter__(self) -> Lab: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @property
    def powers(self) -> frozenset[str]:
        """What faults may ask for here: ``links``, ``processes`` ..."""

    @property
    def measurements(self) -> dict[str, Any]:
        """Once up: ``startup_s``, ``link_server``, and ``links`` (per ordered pair ``rtt_ms`` and ``preset_ms``)."""

    def seats(self, region: str | None = None) -> tuple[Seat, ...]:
        """Every node as a client in ``region`` reaches it; without one, each node as seen from its own region."""

    def seat(self, region: str, node_id: str) -> Seat:
        """The node as a client in ``region`` reaches it."""

    def seat_for_client(self, i: int) -> Seat:
        """Where client ``i`` sits, so that with enough clients every path is used."""

    def lost(self) -> str:
        """Empty while everything that no fault may break is there, else what happened. May block for a moment."""


@dataclass(frozen=True)
class Aim:
    """A fault's victim. ``says`` names it in words. ``follow`` = ``leader`` asks the nemesis to resolve the
    leader at the moment of injection and put it into ``nodes`` (and its region into ``regions``). ``seed`` decides
    what else the fault chooses; the schedule draws it."""

    says: str
    regions: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    follow: str = ""
    seed: int = 0


class Fault(Protocol):
    """One kind of trouble: it chooses victims, acts, undoes itself, and attests its effect.

    A fault is effective when after ``apply`` entered every symptom is bitten that was well before, and at least
    one is; it is healed when afterwards none is (``harness.model.attestation`` compares).
    """

    name: str
    needs: frozenset[str]
    """Powers of the testbed (``links``, ``processes``, ``packets``, ``containers``, ``clocks``), traits of the target
    (``leader``, ``upgrade``, ``time``, ``rebuilds``)."""

    def aims(self, topology: Topology) -> tuple[Aim, ...]:
        """All victims it could choose; the nemesis draws one. Empty when the topology offers none."""

    def apply(self, lab: Lab, aim: Aim) -> AbstractAsyncContextManager[None]:
        """The trouble lasts as long as the context; leaving it always undoes, also on errors."""

    async def symptoms(self, lab: Lab, aim: Aim) -> list[Symptom]:
        """Probe everything that the aim touches, at once, in about a second."""


class Renderer(Protocol):
    """Turns a stored run into something to share; writes into the run's folder or returns text."""

    name: str
    help: str

    def render(self, run: Run) -> Path | str: ...


@runtime_checkable
class Explains(Protocol):
    """A renderer that can also tell of a verdict on a recorded history."""

    def explain(self, told: Recorded) -> str: ...
