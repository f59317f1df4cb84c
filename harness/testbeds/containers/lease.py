"""The harness's end of the reaper's lease: a word every second into the standard input of a container."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from harness.errors import TestbedError
from harness.testbeds.containers import labels
from harness.testbeds.containers.engine import Engine
from harness.testbeds.containers.files import put

LEASE_S: Final = 8.0
"""Silence after which the reaper takes the harness for dead."""
_BEAT_S: Final = 1.0
_SOCKET: Final = "/var/run/docker.sock"
_PROGRAM: Final = Path(__file__).with_name("inside") / "reaper.py"


class ReaperLease:
    """A reaper container that stands by as long as this process lives. It goes first up and last down.

    Nothing but the engine is needed between the two, so it also works where the engine is on another machine.
    """

    def __init__(self, engine: Engine, run_id: str, image: str, lease_s: float = LEASE_S) -> None:
        self._engine = engine
        self._over = threading.Event()
        self._container = engine.call(
            engine.client.containers.create,
            image,
            ["python3", "-u", "/rift/reaper.py", run_id, f"{lease_s:g}"],
            name=f"rift-{run_id}_reaper",
            labels=labels.of_run(run_id, "reaper"),
            network_mode="none",
            stdin_open=True,
            volumes={_socket_of(engine): {"bind": _SOCKET, "mode": "rw"}},
            log_config={"Type": "json-file", "Config": {"max-size": "1m"}},
        )
        put(engine, self._container, {"/rift/reaper.py": _PROGRAM.read_bytes()})
        self._stream: Any = engine.call(self._container.attach_socket, params={"stdin": 1, "stream": 1})
        engine.call(self._container.start)
        self._thread = threading.Thread(target=self._beat, name="rift-lease", daemon=True)
        self._thread.start()

    def lost(self) -> str:
        """Empty while the reaper stands by."""
        return "" if self._thread.is_alive() else "the reaper's lease broke: the engine was restarted, or is gone"

    def _beat(self) -> None:
        send: Callable[[bytes], Any] = getattr(self._stream, "_sock", self._stream).sendall
        with suppress(OSError, ValueError):
            while not self._over.wait(_BEAT_S):
                send(b".")

    def release(self) -> None:
        """Remove the reaper, which has nothing left to do. Raises TestbedError."""
        self._over.set()
        # Removed before its input is closed, so that it never thinks itself called upon.
        try:
            self._engine.call(self._container.remove, force=True)
        finally:
            with suppress(Exception):
                self._stream.close()


def _socket_of(engine: Engine) -> str:
    """The engine's own socket, as a path on the engine's machine."""
    parts = urlsplit(engine.where)
    if parts.scheme == "unix":
        return parts.path
    if parts.scheme in ("tcp", "http", "https", "ssh"):
        return _SOCKET
    raise TestbedError(
        f"the reaper cannot reach an engine at {engine.where}; set DOCKER_HOST to unix://, tcp:// or ssh://"
    )
