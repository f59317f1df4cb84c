"""Which link server a run uses: the user's by URL, ``toxiproxy-server`` on PATH, or the embedded one."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

import harness
from harness.contracts import Address
from harness.errors import TestbedError, UsageError
from harness.links.api import ToxiproxyApi

BINARY: Final = "toxiproxy-server"
ANY_PORT: Final = Address("127.0.0.1", 0)
START_LIMIT_S: Final = 15.0
PREFERENCES: Final = ("auto", "toxiproxy", "embedded")
_POLL_S: Final = 0.03
_LAST_BREATH_S: Final = 0.5
_LISTENING = re.compile(r"link server listening on (\S+):(\d+)")


class ProcessHandle(Protocol):
    """A process that somebody else started and watches over."""

    @property
    def pid(self) -> int: ...

    def alive(self) -> bool:
        """Whether it still runs, asked now; a zombie does not."""

    async def terminate(self) -> None:
        """End it and wait until it is gone."""


class Spawn(Protocol):
    """Starts a helper process for a run, so that its owner can find and end it even after a crash."""

    async def __call__(self, name: str, argv: Sequence[str], log: Path) -> ProcessHandle:
        """Start ``argv`` as ``name`` with standard output and error appended to ``log``."""


@dataclass(frozen=True)
class LinkServer:
    """A link server that answers. ``kind``: ``url``, ``toxiproxy`` or ``embedded``; ``owned``: this run started it."""

    kind: str
    version: str
    url: str
    api: ToxiproxyApi
    process: ProcessHandle | None = None

    @property
    def owned(self) -> bool:
        return self.process is not None

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    @property
    def gone(self) -> bool:
        """Whether the process that this run started has ended, or nobody listens any more at a URL that was given;
        the latter asks over the network and may block for a second."""
        return not self.process.alive() if self.process else not _listens(self.url)

    def __str__(self) -> str:
        return f"link server (pid {self.pid})" if self.process else f"link server {self.url}"

    async def close(self) -> None:
        """End the server when this run started it; a server given by URL stays. May be called twice."""
        self.api.close()
        if self.process is not None and self.process.alive():
            await self.process.terminate()


async def open_server(
    url: str | None,
    spawn: Spawn,
    folder: Path,
    seed: int,
    prefer: str = "auto",
    listen: Address | None = None,
) -> LinkServer:
    """The link server at ``url``, or one started here with its log in ``folder``, once it answers.

    ``prefer`` = ``toxiproxy`` insists on the binary, ``embedded`` ignores it. A server started here offers its API
    at ``listen``, or on any free loopback port. Raises UsageError for a malformed ``url`` or ``prefer``,
    TestbedError when the server cannot be had.
    """
    if prefer not in PREFERENCES:
        raise UsageError(f"link server {prefer!r} is unknown; write one of {', '.join(PREFERENCES)}")
    if url is not None:
        return await _join(url)
    binary = shutil.which(BINARY)
    if prefer == "toxiproxy" and binary is None:
        raise TestbedError(f"{BINARY} is not on PATH; install Toxiproxy, or let Rift use its embedded link server")
    if binary is not None and prefer != "embedded":
        return await _start_toxiproxy(binary, spawn, folder, seed, listen)
    return await _start_embedded(spawn, folder, seed, listen or ANY_PORT)


async def _join(url: str) -> LinkServer:
    text = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(text)
        well_formed = parts.scheme == "http" and parts.hostname is not None and parts.port is not None
    except ValueError:
        well_formed = False
    if not well_formed:
        raise UsageError(f"link server URL {url!r} is not like http://127.0.0.1:8474; give scheme http, host and port")
    base = f"http://{parts.netloc}"
    api = ToxiproxyApi(base, lambda: f"link server {base} (given by URL; is it running?)")
    try:
        return LinkServer("url", await api.run(api.version), base, api)
    except BaseException:
        api.close()
        raise


async def _start_toxiproxy(binary: str, spawn: Spawn, folder: Path, seed: int, listen: Address | None) -> LinkServer:
    # It cannot report a port that it chose itself, so we choose one; somebody may be quicker, hence more than one try.
    for last_try in (listen is not None, False, True):
        at = _free_address(listen or ANY_PORT)
        argv = ["/usr/bin/env", "LOG_LEVEL=warn", binary, "-host", at.host, "-port", str(at.port)]
        start = _Start("toxiproxy", folder / "toxiproxy.log", str(at))
        try:
            return await start.bring_up(spawn, [*argv, "-seed", str(seed), "-proxy-metrics"])
        except _AddressInUse:
            if last_try:
                raise
    raise AssertionError("the last try returns or raises")


async def _start_embedded(spawn: Spawn, folder: Path, seed: int, listen: Address) -> LinkServer:
    # env(1) makes the package importable whatever environment and folder the process is started in.
    argv = ["/usr/bin/env", f"PYTHONPATH={_import_path()}", sys.executable, "-m", "harness.links.server"]
    argv += ["--host", listen.host, "--port", str(listen.port), "--seed", str(seed)]
    return await _Start("embedded", folder / "link-server.log").bring_up(spawn, argv)


def _import_path() -> str:
    root = str(Path(harness.__file__).resolve().parent.parent)
    return os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))


def _listens(url: str) -> bool:
    """Whether somebody accepts connections at ``url``; one who is only slow to do so counts."""
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=1.0).close()
    except TimeoutError:
        return True
    except OSError:
        return False
    return True


class _AddressInUse(TestbedError):
    """Somebody else listens where the server should."""


class _Start:
    """One attempt to bring up a server of our own. Without ``address``, the server announces it in its log."""

    def __init__(self, kind: str, log: Path, address: str | None = None) -> None:
        self.kind, self.log, self._address = kind, log, address
        self._log_start = log.stat().st_size if log.exists() else 0
        self._process: ProcessHandle | None = None
        self._answered = False
        self._deadline = time.monotonic() + START_LIMIT_S

    async def bring_up(self, spawn: Spawn, argv: Sequence[str]) -> LinkServer:
        process = self._process = await spawn("link-server", argv, self.log)
        api: ToxiproxyApi | None = None
        try:
            while self._address is None:
                await self._pause()
                found = _LISTENING.search(self._logged())
                self._address = f"{found[1]}:{found[2]}" if found else None
            api = ToxiproxyApi(f"http://{self._address}", self._explain)
            version = await self._first_answer(api)
        except BaseException:
            if api is not None:
                api.close()
            await process.terminate()
            raise
        self._answered = True
        return LinkServer(self.kind, version, api.url, api, process)

    async def _first_answer(self, api: ToxiproxyApi) -> str:
        while True:
            await self._pause()
            with suppress(TestbedError):
                return await api.run(api.version)

    async def _pause(self) -> None:
        """A moment's wait; raises when there is nothing to wait for."""
        if "address already in use" in self._logged().lower():  # which Toxiproxy survives
            raise _AddressInUse(f"{self._explain()}; end what listens there, or choose another address")
        if not self._alive:
            raise TestbedError(f"{self._explain()}; it ended before it answered")
        if time.monotonic() > self._deadline:
            raise TestbedError(f"{self._explain()}; it did not answer within {START_LIMIT_S:g} s of its start")
        await asyncio.sleep(_POLL_S)

    @property
    def _alive(self) -> bool:
        return self._process is not None and self._process.alive()

    def _explain(self) -> str:
        """Who the server is, how it fares and what it logged last: the start of every error about it.

        Blocks for a moment when the server seems to live: connections break a little before the process is gone.
        The API asks in a thread of its own.
        """
        deadline = time.monotonic() + _LAST_BREATH_S
        while self._answered and self._alive and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        pid = self._process.pid if self._process else 0
        lines = " | ".join(line[:300] for line in self._logged().strip().splitlines()[-5:])
        fares = "does not answer" if self._alive else "is gone"
        return f"link server (pid {pid}) {fares}: {self.kind}, last lines of {self.log}: {lines or '(empty)'}"

    def _logged(self) -> str:
        """The end of what this server logged."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(self._log_start, self.log.stat().st_size - 10_000))
                return file.read().decode(errors="replace")
        except OSError as problem:
            return f"(unreadable: {problem})"


def _free_address(wanted: Address) -> Address:
    """``wanted`` with a port that nobody uses; raises TestbedError when somebody uses ``wanted`` itself."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            probe.bind((wanted.host, wanted.port))
        except OSError as problem:
            raise _AddressInUse(f"link server: {wanted} cannot be had ({problem}); choose another address") from problem
        return Address(wanted.host, int(probe.getsockname()[1]))
