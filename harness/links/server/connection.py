"""One accepted connection: dialled to the upstream in its own task, then two pipes until both have ended."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Mapping, Sequence

from harness.links.server.addresses import AddressError, dial
from harness.links.server.alarms import Alarms
from harness.links.server.pipe import Ends, Pipe, Tally
from harness.links.server.stage import Entry
from harness.links.server.toxic import Mark
from harness.model.seeds import Rng

UPSTREAM, DOWNSTREAM = DIRECTIONS = ("upstream", "downstream")
DIAL_LIMIT_S = 10.0
"""An upstream that does not answer for this long counts as unreachable."""
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Connection:
    """Joins ``client`` to the address ``upstream``; calls ``gone(self)`` once, when nothing of it is left."""

    def __init__(
        self,
        client: socket.socket,
        upstream: str,
        chains: Mapping[str, Sequence[Entry]],
        tallies: Mapping[str, Tally],
        alarms: Alarms,
        rng: Rng,
        gone: Callable[[Connection], None],
    ) -> None:
        self._client = client
        self._server: socket.socket | None = None
        self._chains = chains
        self._tallies = tallies
        self._alarms = alarms
        self._rng = rng
        self._gone = gone
        self._pipes: dict[str, Pipe] = {}
        self._closed = False
        self._task = asyncio.get_running_loop().create_task(self._join(upstream))

    def pipe(self, direction: str) -> Pipe | None:
        """The live pipe of a direction; None while dialling. A later join takes the chain as it is then."""
        return self._pipes.get(direction)

    def close(self, mark: Mark = Mark.CLOSE) -> None:
        """Close both sockets now, with a TCP reset when ``mark`` says so; what is under way is lost."""
        if self._closed:
            return
        self._closed = True
        self._task.cancel()
        for pipe in self._pipes.values():
            pipe.stop()
        for end in (self._client, self._server):
            if end is not None:
                if mark is Mark.RESET and end.fileno() >= 0:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                end.close()
        self._gone(self)

    async def _join(self, upstream: str) -> None:
        try:
            self._server = await asyncio.wait_for(dial(upstream), DIAL_LIMIT_S)
        except (OSError, AddressError, TimeoutError):
            self.close()
            return
        if self._closed:
            self._server.close()
            return
        ends = Ends(over=self._pipe_over, reset=lambda: self.close(Mark.RESET))
        for direction, source, dest in (
            (UPSTREAM, self._client, self._server),
            (DOWNSTREAM, self._server, self._client),
        ):
            pipe = Pipe(source, dest, self._tallies[direction], ends, self._rng.child(direction))
            self._pipes[direction] = pipe
        for direction, pipe in self._pipes.items():
            for entry in self._chains[direction]:
                pipe.add(entry, self._alarms)
        for pipe in self._pipes.values():
            pipe.start()

    def _pipe_over(self, pipe: Pipe, mark: Mark) -> None:
        """``pipe`` delivered its last byte. An EOF goes on as a half-close; otherwise its receiver is closed."""
        pipe.stop()
        other = next(p for p in self._pipes.values() if p is not pipe)
        if mark is Mark.EOF:
            with contextlib.suppress(OSError):
                pipe.dest.shutdown(socket.SHUT_WR)
        else:
            other.source_gone()
            pipe.dest.close()
        if other.over:
            self.close()
