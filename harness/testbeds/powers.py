"""What this machine offers, in plain words, for ``rift doctor``."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import socket
import subprocess
from dataclasses import dataclass

from harness.testbeds import faketime, hosts

_ASK_LIMIT_S = 5.0


@dataclass(frozen=True)
class Power:
    """One thing that a run may need. ``advice`` says what is lost without it and how to get it; empty when
    nothing is."""

    name: str
    present: bool
    says: str
    advice: str = ""


def powers() -> tuple[Power, ...]:
    """Everything that decides which testbeds, links and faults work here. Takes at most a few seconds."""
    return (_system(), _loopback(), _names(), _parent_death(), _link_server(), _clocks(), _docker(), _size())


def _system() -> Power:
    says = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (OSError, AttributeError):
        return Power(
            "system", False, says, "the local testbed needs Linux 5.3 or newer, to end exactly the right processes"
        )
    return Power("system", True, says)


def _loopback() -> Power:
    with socket.socket() as probe:
        try:
            probe.bind(("127.250.250.250", 0))
        except OSError as error:
            return Power("addresses", False, f"127.0.0.0/8: {error.strerror}", "use --testbed compose")
    return Power("addresses", True, "all of 127.0.0.0/8 can be listened on")


def _names() -> Power:
    reason = hosts.refused()
    if not reason:
        return Power("names", True, "a private /etc/hosts per process works")
    advice = (
        "targets whose members share one name per node (etcd) need it; allow user namespaces or use --testbed compose"
    )
    return Power("names", False, reason, advice)


def _parent_death() -> Power:
    tool = shutil.which("setpriv")
    if tool:
        return Power("parent-death", True, f"{tool}: nodes end with a killed harness")
    return Power(
        "parent-death", False, "setpriv is not installed", "install util-linux, or run `rift heal` after a kill -9"
    )


def _link_server() -> Power:
    tool = shutil.which("toxiproxy-server")
    if tool is None:
        return Power(
            "toxiproxy", False, "toxiproxy-server is not on PATH", "nothing is lost: the embedded link server is used"
        )
    return Power("toxiproxy", True, f"{tool}: {_ask(tool, '--version')[1]}")


def _clocks() -> Power:
    if reason := faketime.missing():
        return Power("clocks", False, reason, f"faults that move nodes' clocks need it: {faketime.ADVICE}")
    if reason := faketime.refused():
        return Power("clocks", False, reason, "nodes' clocks can be moved with --testbed compose only")
    return Power("clocks", True, f"{faketime.library()}: nodes' clocks can be moved")


def _docker() -> Power:
    tool = shutil.which("docker")
    if tool is None:
        return Power("docker", False, "docker is not installed", "--testbed compose needs it")
    worked, says = _ask(tool, "version", "--format", "{{.Server.Version}}")
    return Power(
        "docker",
        worked,
        f"engine {says}" if worked else says,
        "" if worked else "--testbed compose needs a running engine",
    )


def _size() -> Power:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    enough = cores >= 2 and files >= 1024
    advice = "" if enough else "expect scheduler lag, or too many open files; give it 2 cores and `ulimit -n 4096`"
    return Power("size", enough, f"{cores} cores, {files} open files", advice)


def _ask(*argv: str) -> tuple[bool, str]:
    """Whether the command worked, and the last line it printed."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_ASK_LIMIT_S, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, str(error)
    lines = (done.stdout.strip() or done.stderr.strip()).splitlines()
    return done.returncode == 0, lines[-1] if lines else f"exit code {done.returncode}"
