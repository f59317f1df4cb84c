"""Leases: how one run knows whether another one still lives.

Every run holds a lease: a file in a folder of this user, locked as long as the run lives. The kernel drops the
lock however the harness dies, so a lease that can be locked belongs to a dead run.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.errors import TestbedError
from harness.testbeds import procfs

SUFFIX = ".lease"


def runtime_folder() -> Path:
    """The folder of this user's leases, ``RIFT_RUNTIME_DIR`` or ``/tmp/rift-<uid>``.

    Not ``XDG_RUNTIME_DIR``: it is missing in cron jobs, and emptied at logout while runs go on.
    Raises TestbedError when the folder is somebody else's.
    """
    path = _place()
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise TestbedError(f"{path} is not a folder of yours; remove it, or set RIFT_RUNTIME_DIR to one that is")
    return path


def _place() -> Path:
    return Path(os.environ.get("RIFT_RUNTIME_DIR") or f"/tmp/rift-{os.getuid()}")


class Lease:
    """Says that a run lives, until ``release`` or the end of this process.

    Raises TestbedError when a living run has that ``run_id``.
    """

    def __init__(self, run_id: str, folder: Path, link_server_url: str | None = None, proxy_prefix: str = "") -> None:
        self.path = runtime_folder() / f"{run_id}{SUFFIX}"
        entry = {
            "run": run_id,
            "folder": str(folder.resolve()),
            "link_server_url": link_server_url,
            "proxy_prefix": proxy_prefix,
            "boot_id": procfs.boot_id(),
        }
        with dead(self.path) as former:
            if former is None and self.path.exists():
                raise TestbedError(f"run {run_id} is alive ({self.path} is locked); give each run an id of its own")
        # Locked before it gets its name: nobody ever sees a living run's lease unlocked.
        draft = self.path.with_suffix(f".{os.getpid()}")
        self._file = draft.open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        json.dump(entry, self._file)
        self._file.flush()
        os.fsync(self._file.fileno())
        draft.rename(self.path)

    def release(self) -> None:
        self.path.unlink(missing_ok=True)
        self._file.close()


def is_running(folder: Path) -> bool:
    """Whether a living run of this user keeps its record in ``folder``. Makes no folder, so any run can be read."""
    for lease in _place().glob(f"*{SUFFIX}"):
        try:
            kept = json.loads(lease.read_bytes()).get("folder")
        except (OSError, ValueError, AttributeError):  # it went away, or is none of ours
            continue
        if kept == str(folder.resolve()):
            with dead(lease) as former:
                return former is None and lease.exists()
    return False


@contextmanager
def dead(lease: Path) -> Iterator[dict[str, Any] | None]:
    """The entry of a dead run's lease, with its lock held; None when the run lives or the lease is gone."""
    try:
        file = lease.open("r+")
    except OSError:
        yield None
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield None
            return
        if not lease.exists() or lease.stat().st_ino != os.fstat(file.fileno()).st_ino:
            yield None  # it was removed, or taken anew, while we opened it
            return
        try:
            entry = json.load(file)
        except ValueError:
            entry = {}
        yield entry if isinstance(entry, dict) else {}
