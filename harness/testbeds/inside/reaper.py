"""The sidecar that cleans up after a dead harness: ``reaper.py RUN_ID LEASE_S``, with the engine's socket mounted.

The harness holds the other end of standard input and says something every second. When that end is closed (it was
killed), or silent for ``LEASE_S`` (its machine is gone, or a laptop was closed), everything that carries the label
``rift.run=RUN_ID`` is removed: containers, networks, volumes, and with the containers every rule in their network
namespaces. Nothing else is touched. At last the reaper removes itself.

Uses nothing but Python itself.
"""

import http.client
import json
import os
import select
import socket
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

SOCKET = "/var/run/docker.sock"
EMPTY_ROUNDS = 3
"""What the engine was asked to create just before the end may appear a moment later."""
ROUND_S = 0.7
AT_ONCE = 8
GIVE_UP_S = 120.0


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(SOCKET)


def call(method: str, path: str) -> Any:
    """The engine's answer as data; None when it refuses or does not answer. The next round tries again."""
    connection = _Connection("docker")
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read()
        return json.loads(body) if answer.status == 200 and body else None
    except (OSError, ValueError, http.client.HTTPException) as error:
        print(f"reaper: {method} {path}: {error}", flush=True)
        return None
    finally:
        connection.close()


def sweep(run_id: str, myself: str) -> bool:
    """Remove what there is of the run, but for this container; whether nothing was found, for sure."""
    filters = quote(json.dumps({"label": [f"rift.run={run_id}"]}))
    containers = call("GET", f"/containers/json?all=1&filters={filters}")
    containers = None if containers is None else [c["Id"] for c in containers if not c["Id"].startswith(myself)]
    delete(f"/containers/{each}?force=1&v=1" for each in containers or ())
    networks = call("GET", f"/networks?filters={filters}")
    delete(f"/networks/{network['Id']}" for network in networks or ())
    volumes = (call("GET", f"/volumes?filters={filters}") or {"Volumes": [None]})["Volumes"]
    delete(f"/volumes/{quote(volume['Name'])}?force=1" for volume in volumes or () if volume is not None)
    return containers == [] and networks == [] and not volumes


def delete(paths: Iterable[str]) -> None:
    """Ask the engine to delete all of them at once: on a busy machine each takes its time."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda path: call("DELETE", path), paths))


def wait_for_the_end(lease_s: float) -> str:
    """Why the lease ended."""
    while True:
        readable, _, _ = select.select([sys.stdin], [], [], lease_s)
        if not readable:
            return f"nothing was heard for {lease_s:g} s"
        if not os.read(sys.stdin.fileno(), 4096):
            return "the harness is gone"


def main(run_id: str, lease_s: float) -> None:
    """Hold the lease, then clean up."""
    myself = socket.gethostname()
    print(f"reaper: holds the lease of run {run_id}", flush=True)
    print(f"reaper: {wait_for_the_end(lease_s)}; removing everything labelled rift.run={run_id}", flush=True)
    empty, deadline = 0, time.monotonic() + GIVE_UP_S
    while empty < EMPTY_ROUNDS and time.monotonic() < deadline:
        empty = empty + 1 if sweep(run_id, myself) else 0
        time.sleep(ROUND_S)
    print("reaper: all gone" if empty else "reaper: gave up; run `rift heal`", flush=True)
    call("DELETE", f"/containers/{myself}?force=1")


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
