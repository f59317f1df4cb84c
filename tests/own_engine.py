"""A second Docker engine that tests may break: on a machine of its own, as far as namespaces can make one.

Its network is reached by one cable only, so that no container's address is known here; it has its own processes,
its own ``/run`` and its own disk, which can be small. Whatever happens to it, the engine of this machine lives on, and
everything in it ends with the process that holds the namespaces. Only root can have one.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from harness.testbeds.processes import dying_with_parent

CABLES = "198.51.100"
"""The ends of a cable are two of these addresses, set aside for documentation (RFC 5737)."""
PORT = 2375
TOXIPROXY = "ghcr.io/shopify/toxiproxy:2.12.0"
_INIT = """
import os, time
while True:
    try:
        os.wait()
    except ChildProcessError:
        time.sleep(0.05)
"""
_NEEDED = ("dockerd", "docker", "unshare", "nsenter", "ip")
_LIMIT_S = 40.0


class OwnEngine:
    """An engine at ``url``, on its machine's address ``host``. ``disk_mb`` limits everything that it can store."""

    def __init__(self, folder: Path, disk_mb: int = 2000) -> None:
        first = 4 * secrets.randbelow(64)
        self._here, self.host = f"{CABLES}.{first + 1}", f"{CABLES}.{first + 2}"
        self.url = f"tcp://{self.host}:{PORT}"
        self.log = folder / "dockerd.log"
        self.root = folder / "engine"
        self.root.mkdir(parents=True)
        self._daemon: subprocess.Popen[bytes] | None = None
        spaces = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        self._holder = subprocess.Popen([*dying_with_parent(), *spaces, "python3", "-c", _INIT])
        try:
            self._pid = self._until(self._init_pid)
            self._connect(f"rift{secrets.token_hex(3)}")
            self.inside("mount", "-t", "tmpfs", "tmpfs", "/run")
            self.inside("mount", "-t", "tmpfs", "-o", f"size={disk_mb}m", "tmpfs", str(self.root))
            self.start()
        except BaseException:
            self.close()
            raise

    def _init_pid(self) -> int:
        """The process number of the namespaces' init, as it is seen from here; 0 before there is one."""
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text().split()
        if children and os.readlink(f"/proc/{children[0]}/exe").rpartition("/")[2].startswith("python"):
            return int(children[0])
        return 0

    def _connect(self, cable: str) -> None:
        _run("ip", "link", "add", cable, "type", "veth", "peer", "name", "cable", "netns", str(self._pid))
        _run("ip", "address", "add", f"{self._here}/30", "dev", cable)
        _run("ip", "link", "set", cable, "up")
        self.inside("ip", "address", "add", f"{self.host}/30", "dev", "cable")
        self.inside("ip", "link", "set", "cable", "up")
        self.inside("ip", "link", "set", "lo", "up")

    def _words(self, *argv: str) -> list[str]:
        return ["nsenter", "--target", str(self._pid), "--net", "--mount", "--pid", *argv]

    def inside(self, *argv: str) -> str:
        """Run a program on the engine's machine."""
        return _run(*self._words(*argv))

    def start(self) -> None:
        """Start the engine, and wait until it answers."""
        words = ["dockerd", "--data-root", str(self.root), "--host", self.url, "--host", "unix:///var/run/docker.sock"]
        with self.log.open("ab") as log:
            self._daemon = subprocess.Popen(
                self._words(*words, "--bridge=none", "--tls=false"), stdout=log, stderr=subprocess.STDOUT,
                env=os.environ | {"DOCKER_RAMDISK": "yes"},
            )  # fmt: skip
        self._until(self._answers)

    def _answers(self) -> bool:
        assert self._daemon is not None
        assert self._daemon.poll() is None, self.log.read_text()[-2000:]
        return subprocess.run(["docker", "-H", self.url, "version"], capture_output=True, check=False).returncode == 0

    def stop(self) -> None:
        """End the engine, and with it its containers. Not its machine: it can be started again."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """The same without a word to anybody."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self._daemon is not None and self._daemon.poll() is None:
            self.inside("kill", f"-{number.value}", *self.inside("pidof", "dockerd").split())
            self._daemon.wait(_LIMIT_S)

    def load(self, *images: str) -> None:
        """Give it images of this machine's engine."""
        with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as saving:
            loading = ["docker", "-H", self.url, "load", "--quiet"]
            subprocess.run(loading, stdin=saving.stdout, check=True, stdout=subprocess.DEVNULL)

    def close(self) -> None:
        """End everything: engine, containers, network."""
        try:
            self.stop()
        finally:
            self._holder.kill()
            self._holder.wait()

    def _until(self, condition: Any) -> Any:
        deadline = time.monotonic() + _LIMIT_S
        while not (found := condition()):
            assert time.monotonic() < deadline, f"never happened: {condition.__name__}"
            time.sleep(0.05)
        return found


def own_engine(folder: Path, **more: Any) -> OwnEngine:
    """A running one, or the test is skipped where it cannot be had."""
    missing = [tool for tool in _NEEDED if shutil.which(tool) is None]
    if os.getuid() != 0 or missing:
        pytest.skip(f"no engine of our own: {', '.join(missing) or 'only root may start one'}")
    return OwnEngine(folder, **more)


def _run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr.strip()}"
    return done.stdout
