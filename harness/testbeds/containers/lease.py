"""The harness's end of the reaper's lease: a word every second, which ends up in the standard input of a container."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

import harness
from harness.errors import TestbedError
from harness.testbeds.containers import lease_holder
from harness.testbeds.containers.engine import Engine, Gone

LEASE_S: Final = 8.0
"""Silence after which the reaper takes the harness for dead."""
_BEAT_S: Final = 1.0
_END_LIMIT_S: Final = 10.0


class ReaperLease:
    """A reaper container that stands by as long as this process lives. It goes first up and last down.

    Nothing but the engine is needed between the two, so it also works where the engine is on another machine.
    Raises TestbedError when the reaper cannot be started.
    """

    def __init__(self, engine: Engine, run_id: str, image: str, lease_s: float = LEASE_S) -> None:
        self._engine = engine
        self._name = f"rift-{run_id}_reaper"
        self._over = threading.Event()
        root = str(Path(harness.__file__).resolve().parent.parent)
        paths = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        # A session of its own: what ends the harness, Ctrl-C too, must not end the one who tells the reaper.
        self._holder = subprocess.Popen(
            [sys.executable, "-m", lease_holder.__name__, run_id, image, f"{lease_s:g}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            env=os.environ | {"PYTHONPATH": paths}, bufsize=0,
        )  # fmt: skip
        assert self._holder.stdout is not None
        if self._holder.stdout.readline().strip() != lease_holder.HOLDING.encode():
            raise TestbedError(f"the reaper could not be started: {self._last_words()}")
        threading.Thread(target=self._beat, name="rift-lease", daemon=True).start()

    def lost(self) -> str:
        """Empty while the reaper stands by."""
        if self._holder.poll() is None:
            return ""
        return f"the reaper's lease broke: was the engine restarted? {self._last_words()}"

    def release(self) -> None:
        """Remove the reaper, which has nothing left to do. Raises TestbedError."""
        self._over.set()
        # Removed before its input is closed, so that it never thinks itself called upon.
        try:
            with suppress(Gone):
                self._engine.call(self._engine.client.api.remove_container, self._name, force=True)
        finally:
            for stream in (self._holder.stdin, self._holder.stdout, self._holder.stderr):
                with suppress(OSError):
                    if stream is not None:
                        stream.close()
            with suppress(subprocess.TimeoutExpired):
                self._holder.wait(_END_LIMIT_S)

    def _beat(self) -> None:
        assert self._holder.stdin is not None
        with suppress(OSError, ValueError):
            while not self._over.wait(_BEAT_S):
                self._holder.stdin.write(b".")

    def _last_words(self) -> str:
        with suppress(subprocess.TimeoutExpired, ValueError):
            return self._holder.communicate(timeout=_END_LIMIT_S)[1].decode(errors="replace").strip()
        return ""
