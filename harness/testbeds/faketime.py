"""libfaketime: a library, loaded before a node's own, that tells the node another time while it runs.

It comes with the wheel ``libfaketime`` (``pip install 'rift-harness[clocks]'``) or with the package of that name of a
distribution. It reaches what asks the system's C library for the time: not Go programs, which ask the kernel by
themselves, and nothing that is linked statically.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from harness.errors import MissingPower
from harness.testbeds import hosts
from harness.testbeds.inside.clocks import tell

_NAME: Final = "libfaketime.so.1"
_SYSTEM: Final = ("/usr/lib/*/faketime", "/usr/lib*/faketime", "/usr/local/lib/faketime")
TRIAL_S: Final = 1000.0
TRIAL: Final = """
import threading, time

def reads():
    return int(dict(line.split(": ") for line in open("/proc/self/io"))["syscr"])

def work(until):
    while time.monotonic() < until:
        pass

began, before = time.monotonic(), reads()
other = threading.Thread(target=work, args=(began + 0.1,))
other.start()
work(began + 0.1)
other.join()
time.sleep(0.01)
print(time.time(), time.monotonic() - began, reads() - before)
"""
"""Some versions break what sleeps by the monotonic clock, others what waits for a lock by it: a busy loop that reads
our file all the time. A node would fail by our hand, not by its own."""
_READS_AT_MOST: Final = 2000
ADVICE: Final = "pip install 'rift-harness[clocks]'"
_OWN_MEMORY: Final = 'mount -t tmpfs tmpfs /dev/shm && exec "$@"'


def environment(library: str, file: str, preload: str = "") -> dict[str, str]:
    """What a program needs in its environment, so that its clock is off by what ``file`` says. ``preload`` is what it
    wants to have loaded besides."""
    return {
        "LD_PRELOAD": ":".join(filter(None, (library, preload))),
        "FAKETIME_TIMESTAMP_FILE": file,
        "FAKETIME_NO_CACHE": "1",  # a change is seen at once
        "DONT_FAKE_MONOTONIC": "1",  # time-outs go on as they should
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # else waits by the monotonic clock become busy loops with this glibc
        "NO_FAKE_STAT": "1",  # files keep the times that they have
    }


def library() -> Path:
    """Where the library is. Raises MissingPower when there is none that works."""
    path, reason = _found()
    if path is None:
        raise MissingPower(f"clocks of nodes cannot be moved here: {reason}; {ADVICE}")
    return path


def missing() -> str:
    """Why there is no library that works; empty when there is. Tried once per process."""
    return _found()[1]


@cache
def refused() -> str:
    """Why processes of this machine cannot have other clocks; empty when they can. Tried once per process."""
    path, reason = _found()
    return reason if path is None else _try(path, own_memory=True)


def around(argv: tuple[str, ...]) -> tuple[str, ...]:
    """The command that runs ``argv`` with a /dev/shm of its own: the library leaves things there when it is killed, and
    trips over those of a former process with the same number. Raises MissingPower."""
    return (*hosts.private_mounts(), "sh", "-c", _OWN_MEMORY, "rift", *argv)


def with_clock(path: Path, file: Path, argv: tuple[str, ...], env: Mapping[str, str]) -> tuple[str, ...]:
    """The command that runs ``argv`` by the clock of ``file``. By ``env``, and not in the environment of what is around
    it: nothing else needs another time."""
    settings = environment(str(path), str(file), env.get("LD_PRELOAD", ""))
    return (shutil.which("env") or "env", *(f"{key}={value}" for key, value in settings.items()), *argv)


def judge(said: str, now_s: float) -> str:
    """What is wrong with the answer of ``TRIAL`` under an offset of ``TRIAL_S``; empty when nothing is."""
    try:
        wall_s, took_s, reads = map(float, said.split())
    except ValueError:
        return f"a program under it said {(said.strip().splitlines() or ['nothing'])[-1]!r}"
    if abs(wall_s - now_s - TRIAL_S) > TRIAL_S / 2:
        return f"the clock was {wall_s - now_s:.1f} s off instead of {TRIAL_S:.0f} s"
    if not 0 < took_s < TRIAL_S / 2:
        return f"the monotonic clock moved by {took_s:.1f} s"
    return f"waiting became a busy loop ({reads:.0f} reads in {took_s:.1f} s)" if reads > _READS_AT_MOST else ""


@cache
def _found() -> tuple[Path | None, str]:
    reason = "libfaketime is not installed"
    for path in _candidates():
        if not (problem := _try(path, own_memory=False)):
            return path, ""
        reason = f"{path} does not do: {problem}"
    return None, reason


def _candidates() -> list[Path]:
    wheel = find_spec("libfaketime")  # not imported: it changes the importing process
    places = [Path(wheel.origin).parent / "vendor/libfaketime/src"] if wheel and wheel.origin else []
    places += [found for pattern in _SYSTEM for found in sorted(Path("/").glob(pattern[1:]))]
    return [place / _NAME for place in dict.fromkeys(places) if (place / _NAME).is_file()]


def _try(path: Path, own_memory: bool) -> str:
    try:
        with tempfile.TemporaryDirectory(prefix="rift-clock-") as folder:
            tell(Path(folder), {"trial": TRIAL_S})
            argv = with_clock(path, Path(folder) / "trial", (sys.executable, "-I", "-S", "-c", TRIAL), {})
            done = subprocess.run(
                around(argv) if own_memory else argv, capture_output=True, text=True, timeout=10,
                stdin=subprocess.DEVNULL, env=os.environ, check=False,
            )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired, MissingPower) as error:
        return str(error)
    return judge(done.stdout + done.stderr, time.time())
