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

from docker.types import Mount

from harness.errors import RiftError, TestbedError
from harness.testbeds.containers import labels
from harness.testbeds.containers.engine import USUAL, Engine

HOLDING: Final = "holding"
VARIABLE: Final = "RIFT_ENGINE_SOCKET"
"""Where the engine's socket is on its own machine, when it is not where it usually is."""
_SOCKET: Final = "/var/run/docker.sock"
_FIND_MYSELF: Final = f"""
import http.client, socket
line = socket.socket(socket.AF_UNIX)
line.connect("{_SOCKET}")
ask = http.client.HTTPConnection("docker")
ask.sock = line
ask.request("GET", "/containers/" + socket.gethostname() + "/json")
assert ask.getresponse().status == 200, "it is another engine's"
"""
_PROGRAM: Final = Path(__file__).parents[1] / "inside" / "reaper.py"


def hold(run_id: str, image: str, lease_s: str) -> None:
    """Start the reaper, say so, and pass on standard input until it ends. Raises TestbedError, or OSError when the
    reaper is gone."""
    engine = Engine.open()
    told = []
    for socket in _sockets(engine):
        reaper = _created(engine, run_id, image, lease_s, socket)
        try:
            stream = engine.call(reaper.attach_socket, params={"stdin": 1, "stdout": 1, "stream": 1})
            engine.call(reaper.start)
            told.append(f"{socket}: {_missing(engine, reaper)}")
        except TestbedError as error:
            told.append(f"{socket}: {error}")
        if told[-1].endswith(": "):
            break
        engine.call(reaper.remove, force=True)
    else:
        raise TestbedError(
            f"the reaper does not reach the engine ({'; '.join(told)}); say where the engine's socket is on its own "
            f"machine as {VARIABLE}=PATH"
        )
    print(HOLDING, flush=True)
    _pass_on(getattr(stream, "_sock", stream))
    stream.close()


def _created(engine: Engine, run_id: str, image: str, lease_s: str, socket: str) -> Any:
    return engine.call(
        engine.client.containers.create,
        image,
        ["python3", "-u", "-c", _PROGRAM.read_text(encoding="utf-8"), run_id, lease_s],
        name=f"rift-{run_id}_reaper",
        labels=labels.of_run(run_id, "reaper"),
        network_mode="none",
        stdin_open=True,
        mounts=[Mount(_SOCKET, socket, type="bind")],  # unlike a volume, it fails where there is no such file
        log_config={"Type": "json-file", "Config": {"max-size": "1m"}},
    )


def _missing(engine: Engine, reaper: Any) -> str:
    """Empty when the reaper finds itself on the engine that it asks: it could be another one's socket."""
    if engine.where == USUAL:
        return ""
    code, said = engine.call(reaper.exec_run, ["python3", "-c", _FIND_MYSELF])
    return "" if code == 0 else said.decode(errors="replace").strip().splitlines()[-1]


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


def _sockets(engine: Engine) -> list[str]:
    """Where the engine's own socket may be on its machine, which need not be this one: a socket here may be the end of
    a tunnel, or of Docker Desktop."""
    if given := os.environ.get(VARIABLE):
        return [given]
    parts = urlsplit(engine.where)
    return list(dict.fromkeys([_SOCKET, *([parts.path] if parts.scheme == "unix" else [])]))


if __name__ == "__main__":
    try:
        hold(*sys.argv[1:])
    except (RiftError, OSError) as problem:
        sys.exit(str(problem))
