"""How the harness reaches an address that is inside the engine: as it is, or through a published port.

Where the engine's networks are networks of this machine, addresses inside are used as they are. Where they are not
(Docker Desktop, a rootless engine, one on another machine), every address that the harness uses is a *door*: a port
of the link server's container that the engine publishes. Behind a door to a link is that link and nothing else
(``inside/doors.py``); behind a door to a node is a proxy of the link server without any trouble of its own. What links
are like is looked at from inside (``links/lookout.py``).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import harness
from harness.contracts import Address, Port
from harness.errors import MissingPower, TestbedError, UsageError
from harness.links.api import ProxyState
from harness.links.choose import LinkServer
from harness.testbeds.containers.engine import Engine

VARIABLE: Final = "RIFT_PUBLISH"
"""``no``: never publish; an address of the engine's machine: always, there; unset: where it is needed."""
_LOOKOUT: Final = (
    "errors.py",
    "model/paths.py",
    "links/beacon.py",
    "links/echo.py",
    "links/lookout.py",
    "links/noticing.py",
)
_FIRST_PORT: Final = 20001
_HOME: Final = "127.0.0.1"
_EVERYWHERE: Final = "0.0.0.0"


@dataclass
class Doors:
    """The published ports of one run. ``bind`` is the address of the engine's machine that they are on, ``host`` where
    that is found from here; ``inside`` maps an address to the port of the link server's container."""

    bind: str = ""
    host: str = ""
    inside: dict[Address, int] = field(default_factory=dict)
    _outside: dict[Address, Address] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.inside)

    @property
    def advice(self) -> str:
        """What to do when they cannot be reached from here."""
        return (
            f"the engine publishes ports on {self.bind} of its machine, reached from here at {self.host}; if that is "
            f"not the way, name another address of its machine as {VARIABLE}=ADDRESS"
        )

    def published(self) -> list[str]:
        """As a compose file wants them. Which port of the machine each is on, the engine chooses."""
        return [f"{self.bind}::{port}" for port in self.inside.values()]

    def learn(self, container: Mapping[str, Any]) -> None:
        """Take from the running container's attributes where its ports are published. Raises TestbedError."""
        ports = container["NetworkSettings"]["Ports"]
        for address, port in self.inside.items():
            if not (found := ports.get(f"{port}/tcp")):
                raise TestbedError(f"the engine did not publish port {port} on {self.bind}; see `docker ps`")
            self._outside[address] = Address(self.host, int(found[0]["HostPort"]))

    def reach(self, address: Address) -> Address:
        """Where to connect to from here in order to get to ``address``."""
        return self._outside[address] if self.inside else address


def programs() -> dict[str, bytes]:
    """What the lookout consists of, to be laid beside ``inside/doors.py``."""
    root = Path(harness.__file__).parent
    files = {f"harness/{name}": (root / name).read_bytes() for name in _LOOKOUT}
    return files | {f"{folder}/__init__.py": b"" for folder in ("harness", "harness/model", "harness/links")}


def carries(ports: Iterable[Port]) -> None:
    """Raises MissingPower for a port that doors do not lead to."""
    for port in ports:
        if port.protocol != "tcp":
            raise MissingPower(
                f"port {port.name} ({port.number}) speaks {port.protocol}, which published ports do not carry; use an "
                "engine of this machine, or leave that port out"
            )


async def lead(
    doors: Doors,
    server: LinkServer,
    nodes: Collection[Address],
    lookout: Address,
    program: Callable[..., Awaitable[str]],
) -> None:
    """Open every door: those to ``nodes`` by proxies of the link server, all others by ``program(*words)``, which is
    ``inside/doors.py``. It also starts the lookout."""
    behind = {port: address for address, port in doors.inside.items() if port >= _FIRST_PORT}
    proxies = [
        ProxyState(name=f"rift-door-{port}", listen=f"{lookout.host}:{port}", upstream=str(address))
        for port, address in behind.items()
        if address in nodes
    ]
    await server.api.run(server.api.populate, proxies)
    to_links = [f"{port}={address}" for port, address in behind.items() if address not in nodes]
    await program(lookout.host, str(lookout.port), *to_links)


def wanted() -> bool | None:
    """What the user says about publishing; None when nothing."""
    return {"": None, "no": False}.get(os.environ.get(VARIABLE, ""), True)


def needed(network_id: str, devices: Path = Path("/sys/class/net")) -> bool:
    """Whether a network of the engine is none of this machine: its bridge would be a device here."""
    return not (devices / f"br-{network_id[:12]}").exists()


def through(engine: Engine, own: Iterable[Address], others: Iterable[Address]) -> Doors:
    """Doors to the link server's ``own`` addresses, each at its own port, and to ``others``; not yet open.

    They are on the loopback address of this machine when the engine is asked by a local socket; otherwise on the
    address of its machine that the engine itself is asked at, because who may use that one can do everything anyway,
    and no other interface has to trust our ports. Raises UsageError or TestbedError when there is no such address.
    """
    bind = os.environ.get(VARIABLE) or ""
    there = _host_of(engine.where)
    if bind and not _is_address(bind):
        raise UsageError(f"{VARIABLE}={bind!r} is no IPv4 address of the engine's machine, and not `no`")
    bind = bind or there
    ports = {address: _FIRST_PORT + i for i, address in enumerate(others)}
    return Doors(bind, there if bind == _EVERYWHERE else bind, {at: at.port for at in own} | ports)


def _host_of(where: str) -> str:
    parts = urlsplit(where)
    if parts.scheme not in ("tcp", "http", "https", "ssh"):
        return _HOME
    try:
        return socket.gethostbyname(parts.hostname or "")
    except OSError as error:
        raise TestbedError(
            f"the Docker engine at {where}: {parts.hostname} has no address that is known here ({error}); say at which "
            f"address of its machine ports can be published and reached, as {VARIABLE}=ADDRESS"
        ) from error


def _is_address(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True
