"""Starting processes so that they can always be found again, and ending them for sure.

Every process gets a session of its own, marks in its environment (``RIFT_RUN`` and two more), a line in the
run's ``resources.jsonl`` before and after it is started, and the wish to die with the harness (a parent-death
signal). None of it needs an event loop's child watcher: what a process does is read from ``/proc``, and blocking waits
go to threads.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import TestbedError
from harness.testbeds import procfs
from harness.testbeds.leases import runtime_folder

MARK = "RIFT_RUN"
"""The environment variable that says which run a process belongs to."""
HARNESS_MARK = "RIFT_HARNESS"
"""And which process started it: ``pid:start_ticks``."""
LEASES_MARK = "RIFT_LEASES"
"""And in which folder that run's lease lies."""
RESOURCES = "resources.jsonl"
_GONE_LIMIT_S = 10.0
_POLL_S, _POLL_MAX_S = 0.005, 0.05

Wrap = Callable[[tuple[str, ...]], tuple[str, ...]]


@dataclass(frozen=True)
class Process:
    """A process that was started here. ``start_ticks`` protects against a pid that was given to another one. With
    ``alone`` it does not stand for the others of its session."""

    name: str
    pid: int
    start_ticks: int
    run_id: str
    popen: subprocess.Popen[bytes]
    alone: bool = False

    def state(self) -> str:
        """``running``, ``paused`` or ``dead``, as the kernel says now. A zombie is dead, and is reaped here."""
        found = procfs.stat(self.pid)
        if found is None or found.start_ticks != self.start_ticks or found.gone:
            self.popen.poll()
            return "dead"
        return "paused" if found.state in "Tt" else "running"

    @property
    def exit(self) -> str:
        """How it ended, in words; empty while it lives."""
        code = self.popen.poll()
        if code is None:
            return ""
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def members(self) -> list[procfs.Stat]:
        """The living processes of its session, and their descendants: servers like PostgreSQL give each child a session
        of its own. Once the process itself is reaped its number may be somebody else's session, so that from then on
        only marked processes count. Of one that stands alone, only itself."""
        reaped = self.popen.returncode is not None
        living = [found for found in procfs.processes() if not found.gone]
        if self.alone:
            return [found for found in living if found.pid == self.pid and not reaped]
        session = [found for found in living if found.session == self.pid]
        mine = [found for found in session if not reaped or procfs.environment(found.pid).get(MARK) == self.run_id]
        return _with_descendants(mine, living)

    def signal(self, *numbers: signal.Signals) -> None:
        """Send signals to every process of the session."""
        for member in self.members():
            for number in numbers:
                send(member, number)


def _with_descendants(some: Sequence[procfs.Stat], living: Sequence[procfs.Stat]) -> list[procfs.Stat]:
    known, found = {one.pid for one in some}, list(some)
    for one in found:  # grows while we look
        children = [child for child in living if child.parent == one.pid and child.pid not in known]
        known |= {child.pid for child in children}
        found += children
    return found


def send(to: procfs.Stat, number: signal.Signals) -> None:
    """Send a signal to exactly this process, never to a later one that was given the same pid."""
    try:
        handle = os.pidfd_open(to.pid)
    except OSError:
        return  # it is gone
    try:
        # The handle stands for whoever has the pid now; from here on it cannot become another process.
        if procfs.same(to):
            signal.pidfd_send_signal(handle, number)
    except (ProcessLookupError, PermissionError):
        pass
    finally:
        os.close(handle)


class Supervisor:
    """The processes of one run. ``folder`` is the run's folder; it receives ``resources.jsonl``."""

    def __init__(self, run_id: str, folder: Path) -> None:
        self.run_id = run_id
        self.folder = folder
        self._processes: list[Process] = []
        self._marks = {MARK: run_id, HARNESS_MARK: me(), LEASES_MARK: str(runtime_folder())}
        folder.mkdir(parents=True, exist_ok=True)

    async def start(
        self, name: str, argv: Sequence[str], log: Path, env: Mapping[str, str] | None = None,
        wrap: Wrap | None = None, alone: bool = False,
    ) -> Process:  # fmt: skip
        """Start ``argv`` with a minimal environment plus ``env``; output is appended to ``log``.

        ``wrap`` puts another command around it (see ``hosts.inside``); ``alone``: see ``Launch``. Raises TestbedError
        when the command cannot be executed.
        """
        await asyncio.to_thread(self._record, event="starting", name=name, argv=list(argv), log=str(log))
        # Credentials changes clear the parent-death signal, so it is set inside whatever is wrapped around.
        command = (*dying_with_parent(), *argv)
        command = wrap(command) if wrap is not None else command
        process = self._spawn(name, command, log, {**minimal_environment(), **(env or {}), **self._marks}, alone)
        self._processes.append(process)
        await asyncio.to_thread(
            self._record, event="started", name=name, pid=process.pid, start_ticks=process.start_ticks
        )
        return process

    async def kill(self, process: Process) -> None:
        """SIGKILL to the whole session, and wait until all of it is gone."""
        await self._end(process, signal.SIGKILL, _GONE_LIMIT_S)
        if process.state() != "dead" or process.members():
            raise TestbedError(
                f"{process.name} (pid {process.pid}) does not go away after SIGKILL; see `ps {process.pid}`"
            )
        self._forget(process)

    async def terminate(self, process: Process, limit_s: float = 10.0) -> None:
        """SIGTERM, and SIGKILL after ``limit_s``."""
        await self._end(process, signal.SIGTERM, limit_s)
        await self.kill(process)

    async def pause(self, process: Process) -> None:
        """SIGSTOP to the whole session, and wait until it took effect. Nothing happens to a dead process."""
        await asyncio.to_thread(process.signal, signal.SIGSTOP)
        await _until(lambda: all(member.state in "Tt" for member in process.members()), _GONE_LIMIT_S)

    async def resume(self, process: Process) -> None:
        """SIGCONT to the whole session, and wait until it took effect."""
        await asyncio.to_thread(process.signal, signal.SIGCONT)
        await _until(lambda: not any(member.state in "Tt" for member in process.members()), _GONE_LIMIT_S)

    async def close(self) -> None:
        """Kill everything that was started here, and whatever carries this run's mark. Raises the first error,
        after having tried everything."""
        results = await asyncio.gather(
            *(self.kill(process) for process in list(self._processes)), return_exceptions=True
        )

        def over() -> bool:
            stragglers = marked(self.run_id)
            for straggler in stragglers:
                send(straggler, signal.SIGKILL)
            return not stragglers

        await _until(over, _GONE_LIMIT_S)
        errors = [result for result in results if isinstance(result, BaseException)]
        if errors:
            raise errors[0]

    async def _end(self, process: Process, number: signal.Signals, limit_s: float) -> None:
        def over() -> bool:
            if process.state() == "dead" and not process.members():
                return True
            if number is signal.SIGKILL:
                process.signal(number)  # again: it may have forked meanwhile
            return False

        # A paused process would not hear SIGTERM.
        await asyncio.to_thread(process.signal, number, signal.SIGCONT)
        await _until(over, limit_s)

    def _spawn(self, name: str, argv: tuple[str, ...], log: Path, env: dict[str, str], alone: bool) -> Process:
        log.parent.mkdir(parents=True, exist_ok=True)
        # On the event loop's own thread: the parent-death signal comes when the starting *thread* ends.
        with log.open("ab") as output:
            try:
                popen = subprocess.Popen(
                    argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env, start_new_session=True
                )
            except OSError as error:
                raise TestbedError(
                    f"{name}: {argv[0]} cannot be started ({error.strerror}); is it installed?"
                ) from error
        found = procfs.stat(popen.pid)  # at least a zombie: nobody but us can reap it
        return Process(name, popen.pid, found.start_ticks if found else -1, self.run_id, popen, alone)

    def _forget(self, process: Process) -> None:
        if process in self._processes:
            self._processes.remove(process)

    def _record(self, **entry: Any) -> None:
        line = json.dumps({"time": time.time(), "run": self.run_id, **entry}) + "\n"
        with (self.folder / RESOURCES).open("a") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())


def me() -> str:
    """This process, so that it cannot be mistaken for another one with the same pid later."""
    found = procfs.stat(os.getpid())
    return f"{os.getpid()}:{found.start_ticks if found else -1}"


def marked(run_id: str) -> list[procfs.Stat]:
    """Living processes that carry the mark of ``run_id``."""
    return [
        found
        for found in procfs.processes()
        if not found.gone and found.pid != os.getpid() and procfs.environment(found.pid).get(MARK) == run_id
    ]


def end_mine() -> None:
    """SIGKILL to whatever this harness started and that still lives. For the end of a program: the ordinary way out
    ends everything by name, and leaves nothing to do here."""
    for found in procfs.processes():
        if not found.gone and procfs.environment(found.pid).get(HARNESS_MARK) == me():
            send(found, signal.SIGKILL)


def minimal_environment() -> dict[str, str]:
    """What every process gets, so that nothing of the user's shell decides how a node behaves."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.environ.get("HOME", "/"),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
    }


def last_lines(log: Path, count: int = 15) -> str:
    """The end of a log file, indented for an error message."""
    try:
        lines = log.read_text(errors="replace").splitlines()[-count:]
    except OSError:
        lines = []
    return "\n".join(f"    {line}" for line in lines) or "    (its log is empty)"


def dying_with_parent() -> tuple[str, ...]:
    """What to put before a command so that it is killed when the thread that starts it ends; nothing where that is
    not to be had."""
    tool = shutil.which("setpriv")
    return (tool, "--pdeathsig", "KILL") if tool else ()


async def _until(condition: Callable[[], bool], limit_s: float) -> None:
    """Wait until ``condition`` holds or the limit is over. Each look is a short job for a thread, as it reads /proc;
    the kernel tells nobody when a process stopped or a whole session ended."""
    deadline, pause_s = time.monotonic() + limit_s, _POLL_S
    while True:
        if await asyncio.to_thread(condition) or time.monotonic() > deadline:
            return
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 1.5, _POLL_MAX_S)
