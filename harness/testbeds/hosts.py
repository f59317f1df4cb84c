"""One host name per node, another address for it in every region: a private ``/etc/hosts`` per process.

Systems whose members must agree on one name per node (etcd, NATS, Galera, ZooKeeper) advertise a name. A mount
namespace of its own with a file bound over ``/etc/hosts`` lets each process resolve that name to *its* link.
Mounts in there are private: nothing leaks out, and they vanish with the last process inside.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from harness.errors import MissingPower

HOSTS = Path("/etc/hosts")
_BIND = f'mount --bind "$0" {HOSTS} && exec "$@"'


def name_of(node_id: str) -> str:
    """The host name of a node. ``.test`` is reserved (RFC 6761): it never meets a real host."""
    return f"{node_id}.rift.test"


def hosts_text(names: Mapping[str, str], original: str) -> str:
    """A hosts file: ``names`` (name to address) first, so that they win, then what the machine had."""
    ours = "".join(f"{address}\t{name}\n" for name, address in names.items())
    return f"{ours}{original}"


def write_hosts(path: Path, names: Mapping[str, str]) -> None:
    """Write the hosts file for one process; the machine's own entries stay."""
    original = HOSTS.read_text(errors="replace") if HOSTS.exists() else "127.0.0.1\tlocalhost\n"
    path.write_text(hosts_text(names, original))
    path.chmod(0o644)


def inside(hosts_file: Path, argv: tuple[str, ...]) -> tuple[str, ...]:
    """The command that runs ``argv`` with ``hosts_file`` as its ``/etc/hosts``; the pid stays the same.

    Raises MissingPower when this machine does not allow it.
    """
    prefix, reason = _way()
    if reason:
        raise MissingPower(f"a host name per node is not possible here: {reason}; use --testbed compose")
    return (*prefix, "sh", "-c", _BIND, str(hosts_file), *argv)


def private_mounts() -> tuple[str, ...]:
    """What to put before a command so that what it mounts is seen by nobody else. Raises MissingPower."""
    prefix, reason = _way()
    if reason:
        raise MissingPower(f"mounts of a process's own are not possible here: {reason}; use --testbed compose")
    return prefix


def refused() -> str:
    """Why this machine does not allow a private ``/etc/hosts``; empty when it does. Tried once per process."""
    return _way()[1]


@cache
def _way() -> tuple[tuple[str, ...], str]:
    """The ``unshare`` command that works here, or the reason why none does."""
    missing = [tool for tool in ("unshare", "mount", "sh") if shutil.which(tool) is None]
    if missing:
        return (), f"{missing[0]} is not installed"
    if not HOSTS.exists():
        return (), f"there is no {HOSTS} to mount over"
    mounts = (shutil.which("unshare") or "unshare", "--mount", "--propagation", "private")
    # Root in a container may lack the right to mount, yet be allowed a user namespace of its own.
    ways: list[tuple[str, ...]] = [(*mounts, "--user", "--map-root-user")]
    if os.geteuid() == 0:
        ways.insert(0, mounts)
    reason = ""
    for way in ways:
        if not (reason := _try(way)):
            return way, ""
    return (), reason


def _try(way: tuple[str, ...]) -> str:
    trial = (*way, "sh", "-c", _BIND, str(HOSTS), "true")
    try:
        done = subprocess.run(trial, capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or [f"unshare ended with {done.returncode}"])[-1]
