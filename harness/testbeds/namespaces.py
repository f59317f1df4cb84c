"""A network of a run's own: in a network namespace the local testbed may filter packets without touching the machine's.

A process cannot move all of its threads into a namespace, so that the command starts itself again inside one. It has
all of 127.0.0.0/8 for itself, and vanishes with the last process in it, the filter's rules included.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Final

from harness.errors import MissingPower

MARK: Final = "RIFT_OWN_NETWORK"
"""The environment variable that names the namespace which was made for this process."""
_NAMESPACE: Final = Path("/proc/self/ns/net")
_ENTER: Final = f'ip link set lo up && {MARK}=$(readlink {_NAMESPACE}) exec "$@"'
_TRIAL: Final = """
set -e
iptables-restore --noflush <<END
*nat
-A OUTPUT -d 127.9.9.9/32 -j DNAT --to-destination 127.0.0.1
COMMIT
END
iptables-restore --noflush <<END
*filter
-A INPUT -p tcp -m conntrack --ctorigdst 127.9.9.9 --ctdir REPLY -m statistic --mode random --probability 0.5 -j DROP
-A INPUT -d 127.9.9.9/32 -m hashlimit --hashlimit-above 100kb/s --hashlimit-burst 100kb --hashlimit-name t -j DROP
-A OUTPUT -s 127.9.9.9/32 -m mark ! --mark 0x1 -j NFQUEUE --queue-num 1 --queue-bypass
COMMIT
END
"""


def inside() -> bool:
    """Whether this process is in a network namespace of its own, so that its packet filter is ours."""
    return bool(os.environ.get(MARK)) and os.environ[MARK] == str(_NAMESPACE.readlink())


def enter(arguments: list[str]) -> None:
    """Start ``rift`` again with ``arguments`` in a network namespace of its own; does not return.

    Raises MissingPower when this machine does not allow it.
    """
    argv = command(sys.executable, "-m", "harness", *arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execvpe(argv[0], argv, os.environ | {"PATH": _path()})


def command(*argv: str) -> tuple[str, ...]:
    """The command that runs ``argv`` in a network namespace of its own. Raises MissingPower."""
    way, reason = _way()
    if reason:
        raise MissingPower(f"a network namespace with a packet filter is not possible here: {reason}; {ADVICE}")
    return (*way, "sh", "-c", _ENTER, "rift", *argv)


ADVICE: Final = "install iptables and allow user namespaces, or use --testbed compose"


def refused() -> str:
    """Why this machine does not allow it; empty when it does. Tried once per process."""
    return _way()[1]


@cache
def _way() -> tuple[tuple[str, ...], str]:
    """The ``unshare`` command that works here, or the reason why none does."""
    missing = [tool for tool in ("unshare", "sh", "ip", "iptables-restore") if shutil.which(tool, path=_path()) is None]
    if missing:
        return (), f"{missing[0]} is not installed"
    unshare = shutil.which("unshare", path=_path()) or "unshare"
    ways: list[tuple[str, ...]] = [(unshare, "--net", "--map-current-user", "--keep-caps")]
    if os.geteuid() == 0:
        ways.insert(0, (unshare, "--net"))
    reason = ""
    for way in ways:
        if not (reason := _try(way)):
            return way, ""
    return (), reason


def _try(way: tuple[str, ...]) -> str:
    trial = (*way, "sh", "-c", f"ip link set lo up\n{_TRIAL}")
    try:
        done = subprocess.run(
            trial, capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL, check=False,
            env=os.environ | {"PATH": _path()},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or [f"unshare ended with {done.returncode}"])[-1]


def _path() -> str:
    """Where the tools of network administrators lie, too."""
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
