"""What the kernel says about processes and listeners, read from ``/proc`` at the moment of asking."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from harness.contracts import Address

PROC = Path("/proc")


class Stat(NamedTuple):
    """One process. ``start_ticks`` (since boot) tells two processes that had the same pid apart."""

    pid: int
    parent: int
    name: str
    state: str
    group: int
    session: int
    start_ticks: int

    @property
    def gone(self) -> bool:
        """A zombie has ended: nothing runs, only its exit status waits for the parent."""
        return self.state in "ZX"


def stat(pid: int) -> Stat | None:
    """The process ``pid``, or None when there is none."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The name stands in parentheses and may contain both spaces and parentheses.
    name, _, rest = text.partition("(")[2].rpartition(")")
    fields = rest.split()
    return Stat(pid, int(fields[1]), name, fields[0], int(fields[2]), int(fields[3]), int(fields[19]))


def processes() -> Iterator[Stat]:
    """Every process that can be seen, zombies included."""
    for entry in os.listdir(PROC):
        if entry.isdigit() and (found := stat(int(entry))) is not None:
            yield found


def same(one: Stat) -> bool:
    """Whether this very process is still there, not a later one with its pid."""
    now = stat(one.pid)
    return now is not None and now.start_ticks == one.start_ticks


def environment(pid: int) -> dict[str, str]:
    """The environment ``pid`` was started with; empty when it is gone or belongs to somebody else."""
    try:
        data = (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return {}
    pairs = (item.partition(b"=") for item in data.split(b"\0") if item)
    return {os.fsdecode(key): os.fsdecode(value) for key, _, value in pairs}


def command(pid: int) -> str:
    """The command line of ``pid``, empty when it is gone."""
    try:
        return os.fsdecode((PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ")).strip()
    except OSError:
        return ""


def owner(pid: int) -> int | None:
    """The user id that ``pid`` runs as, None when it is gone."""
    try:
        return (PROC / str(pid)).stat().st_uid
    except OSError:
        return None


def boot_id() -> str:
    """Changes with every boot, and with it the meaning of every pid and start time. Empty when unknown."""
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def listener_on(address: Address) -> str:
    """Who listens on ``address``, in words (``etcd, pid 4711``); empty when nobody can be named."""
    inode = _listening_inode(address)
    if inode is None:
        return ""
    wanted = f"socket:[{inode}]"
    for found in processes():
        try:
            descriptors = list((PROC / str(found.pid) / "fd").iterdir())
        except OSError:
            continue
        for descriptor in descriptors:
            try:
                if os.readlink(descriptor) == wanted:
                    return f"{found.name}, pid {found.pid}"
            except OSError:
                continue
    return "a process of another user"


def _listening_inode(address: Address) -> str | None:
    # The kernel prints the address as the hexadecimal of a number in its own byte order.
    (number,) = struct.unpack("=I", socket.inet_aton(address.host))
    port = f"{address.port:04X}"
    try:
        lines = (PROC / "net/tcp").read_text().splitlines()[1:] + (PROC / "net/tcp6").read_text().splitlines()[1:]
    except OSError:
        return None
    mine = {f"{number:08X}:{port}", f"00000000:{port}", f"{'0' * 32}:{port}"}
    for line in lines:
        fields = line.split()
        if fields[3] == "0A" and fields[1] in mine:
            return fields[9]
    return None
