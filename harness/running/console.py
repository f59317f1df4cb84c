"""What a person sees while a run goes on: lines on standard error, and one moving line on a terminal."""

from __future__ import annotations

import sys
import time
from typing import Final

EVERY_S: Final = 5.0
"""How often a progress line is written where nothing can move (a log file, CI)."""


class Console:
    """A ``Watcher`` for people; quiet when asked. Never writes to standard output."""

    def __init__(self, time_limit_s: float, quiet: bool = False) -> None:
        self._limit_s, self._quiet = time_limit_s, quiet
        self._moving = sys.stderr.isatty()
        self._began = time.monotonic()
        self._told_at = -EVERY_S
        self._last_ok = 0

    def say(self, line: str) -> None:
        """A line that stays, with the time since the start."""
        if self._quiet:
            return
        self._wipe()
        print(f"{time.monotonic() - self._began:6.1f} s  {line}", file=sys.stderr, flush=True)

    def tick(self, elapsed_s: float, counts: dict[str, int]) -> None:
        """The state of the clients: moves on a terminal, is repeated every few seconds elsewhere."""
        if self._quiet:
            return
        text = (
            f"clients {elapsed_s:3.0f}/{self._limit_s:.0f} s   "
            f"ok {counts['ok']}  fail {counts['fail']}  unknown {counts['info']}"
        )
        if self._moving:
            print(f"\r\033[K{time.monotonic() - self._began:6.1f} s  {text}", end="", file=sys.stderr, flush=True)
        elif elapsed_s - self._told_at >= EVERY_S:
            self._told_at = elapsed_s
            self.say(text)

    def _wipe(self) -> None:
        if self._moving:
            print("\r\033[K", end="", file=sys.stderr)
