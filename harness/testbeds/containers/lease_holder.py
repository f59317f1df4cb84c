"""Starts a run's reaper and passes on what the harness says: ``python -m ...lease_holder RUN_ID IMAGE LEASE_S``.

A process of its own, so that a harness which is killed between the creation and the start of the reaper leaves
somebody who finishes the job: the reaper then starts, hears nothing, and cleans up. Ends when its standard input is
closed, or with exit code 1 when the reaper is gone.
"""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from harness.errors import RiftError, TestbedError
from harness.testbeds.containers import labels
from harness.testbeds.containers.engine import Engine

HOLDING: Final = "holding"
_SOCKET: Final = "/var/run/docker.sock"
_PROGRAM: Final = Path(__file__).parents[1] / "inside" / "reaper.py"


def hold(run_id: str, image: str, lease_s: str) -> None:
    """Start the reaper, say so, and pass on standard input until it ends. Raises TestbedError, or OSError when the
    reaper is gone."""
    engine = Engine.open()
    reaper = engine.call(
        engine.client.containers.create,
        image,
        ["python3", "-u", "-c", _PROGRAM.read_text(encoding="utf-8"), run_id, lease_s],
        name=f"rift-{run_id}_reaper",
        labels=labels.of_run(run_id, "reaper"),
        network_mode="none",
        stdin_open=True,
        volumes={_socket_of(engine): {"bind": _SOCKET, "mode": "rw"}},
        log_config={"Type": "json-file", "Config": {"max-size": "1m"}},
    )
    stream = engine.call(reaper.attach_socket, params={"stdin": 1, "stdout": 1, "stream": 1})
    engine.call(reaper.start)
    print(HOLDING, flush=True)
    _pass_on(getattr(stream, "_sock", stream))
    stream.close()


def _pass_on(line: Any) -> None:
    """What comes on standard input goes to the reaper, until that ends. Raises OSError when the reaper does."""
    while True:
        readable, _, _ = select.select([0, line], [], [])
        if line in readable and not line.recv(4096):
            raise ConnectionResetError("the reaper is gone")
        if 0 in readable:
            said = os.read(0, 4096)
            if not said:
                return
            line.sendall(said)


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


if __name__ == "__main__":
    try:
        hold(*sys.argv[1:])
    except (RiftError, OSError) as problem:
        sys.exit(str(problem))
