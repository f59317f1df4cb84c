"""What a killed harness left behind, and how to remove it without touching a run that lives.

Whether a run lives is told by its lease. Its processes are known by their marks (see ``processes``) and, when a
server overwrote its own environment (PostgreSQL and Redis do, to show a title), by the run's ``resources.jsonl``.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import TestbedError
from harness.links.choose import ProcessHandle, open_server
from harness.links.control import sweep
from harness.testbeds import procfs
from harness.testbeds.leases import SUFFIX, dead, runtime_folder
from harness.testbeds.processes import HARNESS_MARK, LEASES_MARK, MARK, RESOURCES, send

_GONE_LIMIT_S = 10.0


@dataclass(frozen=True)
class Leftover:
    """What one dead run left: processes, proxies on a link server that lives on, node data, and its lease."""

    run_id: str
    processes: tuple[procfs.Stat, ...] = ()
    lease: Path | None = None
    folder: Path | None = None
    link_server_url: str = ""
    proxy_prefix: str = ""

    def __str__(self) -> str:
        parts = [f"process {process.pid} ({process.name})" for process in self.processes]
        if self.link_server_url:
            parts.append(f"proxies {self.proxy_prefix}* on {self.link_server_url}")
        if self.lease is not None:
            parts.append("its lease")
        return f"run {self.run_id}: {', '.join(parts)}"


def find() -> list[Leftover]:
    """What dead runs of this user left; living runs and unmarked processes never appear."""
    by_mark = _marked_processes()
    found: list[Leftover] = []
    for path in sorted(runtime_folder().glob(f"*{SUFFIX}")):
        run_id = path.name.removesuffix(SUFFIX)
        mine = by_mark.pop(run_id, {})
        with dead(path) as entry:
            if entry is None:
                continue
            folder = Path(entry["folder"]) if entry.get("folder") else None
            if folder is not None and entry.get("boot_id") == procfs.boot_id():
                mine |= {process.pid: process for process in _recorded_processes(folder)}
            url = entry.get("link_server_url") or ""
            found.append(Leftover(run_id, tuple(mine.values()), path, folder, url, entry.get("proxy_prefix", "")))
    # Without a lease only the process that started them can tell whether the run lives.
    for run_id, processes in by_mark.items():
        orphans = tuple(process for process in processes.values() if not _harness_lives(process))
        if orphans:
            found.append(Leftover(run_id, orphans))
    return found


async def remove(leftovers: Iterable[Leftover]) -> None:
    """Remove what :func:`find` found. Tries everything; then raises TestbedError with all that would not go."""
    problems: list[str] = []
    for leftover in leftovers:
        if leftover.lease is None:
            problems += await _remove_one(leftover)
            continue
        # The lock is held meanwhile: two heals at once do not meet, and a new owner of the name is left alone.
        with dead(leftover.lease) as entry:
            if entry is None:
                continue
            failed = await _remove_one(leftover)
            problems += failed
            if not failed:
                leftover.lease.unlink(missing_ok=True)
    if problems:
        raise TestbedError("not everything could be removed: " + "; ".join(problems))


async def _remove_one(leftover: Leftover) -> list[str]:
    problems = await asyncio.to_thread(_kill_all, leftover.processes)
    if leftover.link_server_url:
        try:
            server = await open_server(leftover.link_server_url, _start_nothing, leftover.folder or Path(), seed=0)
            try:
                await sweep(server, leftover.proxy_prefix)
            finally:
                await server.close()
        except Exception as error:  # whatever it is, the other things must go too
            problems.append(f"proxies {leftover.proxy_prefix}* on {leftover.link_server_url}: {error}")
    if leftover.folder is not None:
        await asyncio.to_thread(drop_node_data, leftover.folder)
    return problems


async def _start_nothing(name: str, argv: Sequence[str], log: Path) -> ProcessHandle:
    raise TestbedError(f"{name} is not to be started here")  # a server that is given by URL never asks for it


def drop_node_data(folder: Path) -> None:
    """Delete the nodes' data below a run's folder (hundreds of MB for some servers); their logs stay."""
    for data in folder.glob("nodes/*/data"):
        shutil.rmtree(data, ignore_errors=True)


def _kill_all(processes: Iterable[procfs.Stat]) -> list[str]:
    left = list(processes)
    deadline = time.monotonic() + _GONE_LIMIT_S
    while left and time.monotonic() < deadline:
        for process in left:
            send(process, signal.SIGKILL)
        time.sleep(0.01)
        left = [process for process in left if procfs.same(process) and not _zombie(process.pid)]
    return [f"process {process.pid} ({process.name}) does not go away after SIGKILL" for process in left]


def _zombie(pid: int) -> bool:
    found = procfs.stat(pid)
    return found is None or found.gone


def _marked_processes() -> dict[str, dict[int, procfs.Stat]]:
    """This user's marked processes: run id to pid to process."""
    here = str(runtime_folder())
    found: dict[str, dict[int, procfs.Stat]] = defaultdict(dict)
    for process in procfs.processes():
        if process.gone or process.pid == os.getpid() or procfs.owner(process.pid) != os.getuid():
            continue
        marks = procfs.environment(process.pid)
        # A run that keeps its leases elsewhere is not ours to judge.
        if MARK in marks and marks.get(LEASES_MARK) == here:
            found[marks[MARK]][process.pid] = process
    return found


def _recorded_processes(folder: Path) -> Iterator[procfs.Stat]:
    """Processes that the run wrote down and that still are the same, with all of their sessions."""
    try:
        lines = (folder / RESOURCES).read_text(errors="replace").splitlines()
    except OSError:
        return
    leaders = {}
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # the last line of a run that was killed while it wrote
        if entry.get("event") == "started":
            leaders[entry["pid"]] = entry["start_ticks"]
    living = list(procfs.processes())
    ours = {one.pid for one in living if leaders.get(one.pid) == one.start_ticks}
    yield from (one for one in living if one.session in ours and not one.gone)


def _harness_lives(process: procfs.Stat) -> bool:
    pid, _, ticks = procfs.environment(process.pid).get(HARNESS_MARK, "").partition(":")
    found = procfs.stat(int(pid)) if pid.isdigit() else None
    return found is not None and str(found.start_ticks) == ticks and not found.gone
