"""A proxy: a listener, its chains of toxics, and the connections that live. All proxies together."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket

from harness.links.server import addresses
from harness.links.server.alarms import Alarms
from harness.links.server.connection import DIRECTIONS, Connection
from harness.links.server.meters import Meters
from harness.links.server.stage import Entry
from harness.model.seeds import Rng

_OUT_OF_FILES_REST_S = 0.1


class Proxy:
    """Listens at ``listen`` while enabled and joins every connection to ``upstream``."""

    def __init__(self, name: str, listen: str, upstream: str, alarms: Alarms, meters: Meters, rng: Rng) -> None:
        self.name = name
        self.listen = listen
        self.upstream = upstream
        self.enabled = False
        self._chains: dict[str, list[Entry]] = {direction: [] for direction in DIRECTIONS}
        self._connections: set[Connection] = set()
        self._accepted = 0
        self._listener: socket.socket | None = None
        self._alarms = alarms
        self._meters = meters
        # What stands before the first dot says whose proxy it is (a run's id, new each time): it decides nothing.
        self._rng = rng.child(name.partition(".")[2] or name)

    # --- life ---

    async def start(self) -> None:
        """Listen; AddressError says why not. Nothing happens when it listens already."""
        if self.enabled:
            return
        listener = await addresses.listen(self.listen)
        host, port = listener.getsockname()[:2]
        self.listen = addresses.join(host, port)
        self._listener = listener
        self.enabled = True
        asyncio.get_running_loop().add_reader(listener, self._accept)

    def stop(self) -> None:
        """Close the listener and every connection."""
        self.enabled = False
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        for connection in list(self._connections):
            connection.close()

    async def differs(self, listen: str, upstream: str) -> bool:
        """Whether these addresses are others than its own; AddressError for a malformed one."""
        return (await addresses.normal(listen), upstream) != (self.listen, self.upstream)

    async def update(self, listen: str, upstream: str, enabled: bool) -> None:
        """Move to other addresses (which cuts all connections) and switch on or off."""
        if await self.differs(listen, upstream):
            self.stop()
            self.listen, self.upstream = listen, upstream
        if enabled:
            await self.start()
        else:
            self.stop()

    # --- toxics ---

    @property
    def toxics(self) -> list[Entry]:
        """All toxics in the order of the API: upstream ones first, each chain in its order."""
        return [entry for direction in DIRECTIONS for entry in self._chains[direction]]

    def toxic(self, name: str) -> Entry | None:
        """The toxic with this name."""
        return next((entry for entry in self.toxics if entry.name == name), None)

    def add_toxic(self, entry: Entry) -> None:
        """Put a toxic at the end of its chain, also on live connections."""
        self._chains[entry.direction].append(entry)
        for connection in list(self._connections):
            if (pipe := connection.pipe(entry.direction)) is not None:
                pipe.add(entry, self._alarms)

    def update_toxic(self, entry: Entry) -> None:
        """Its attributes or toxicity changed."""
        for connection in list(self._connections):
            if (pipe := connection.pipe(entry.direction)) is not None:
                pipe.update(entry)

    def remove_toxic(self, entry: Entry) -> None:
        """Take it out, also on live connections."""
        self._chains[entry.direction].remove(entry)
        for connection in list(self._connections):
            if (pipe := connection.pipe(entry.direction)) is not None:
                pipe.remove(entry)

    # --- connections ---

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._rest_from_accepting()
            return
        client.setblocking(False)
        with contextlib.suppress(OSError):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        meter = self._meters.of(self.name, self.listen, self.upstream)
        meter.opened += 1
        meter.live += 1

        def gone(connection: Connection) -> None:
            meter.live -= 1
            self._connections.discard(connection)

        rng = self._rng.child(self._accepted)
        self._accepted += 1
        connection = Connection(client, self.upstream, self._chains, meter.tallies, self._alarms, rng, gone)
        self._connections.add(connection)

    def _rest_from_accepting(self) -> None:
        """Out of file descriptors: without a rest the loop would spin on the waiting connection."""
        loop = asyncio.get_running_loop()
        listener = self._listener
        assert listener is not None
        loop.remove_reader(listener)

        def resume() -> None:
            if self._listener is listener:
                loop.add_reader(listener, self._accept)

        loop.call_later(_OUT_OF_FILES_REST_S, resume)


class Proxies:
    """All proxies by name, and what they share: the clock, the counters and the seed."""

    def __init__(self, seed: int) -> None:
        self.by_name: dict[str, Proxy] = {}
        self.meters = Meters()
        self.alarms = Alarms(asyncio.get_running_loop())
        self._rng = Rng(seed)

    def new(self, name: str, listen: str, upstream: str) -> Proxy:
        """A proxy that is not yet one of ``by_name``."""
        return Proxy(name, listen, upstream, self.alarms, self.meters, self._rng)

    async def put(self, proxy: Proxy, enabled: bool) -> Proxy:
        """Add, or replace one with the same name and other addresses; returns the proxy that serves now."""
        existing = self.by_name.get(proxy.name)
        if existing is not None:
            if not await existing.differs(proxy.listen, proxy.upstream):
                return existing
            existing.stop()
        if enabled:
            await proxy.start()
        self.by_name[proxy.name] = proxy
        return proxy

    def remove(self, name: str) -> None:
        """Stop and forget; KeyError when there is none."""
        self.by_name.pop(name).stop()

    def close(self) -> None:
        """Stop them all."""
        for name in list(self.by_name):
            self.remove(name)
        self.alarms.close()
