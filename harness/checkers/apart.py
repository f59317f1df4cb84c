"""Calls a function in a process of its own, for a limited time: what hangs or dies there takes nothing with it.

A thread cannot be stopped, and compiled code hears no signal; a process can be ended. The process is a fork: it has
everything that was loaded, copies only what it changes, and starts in milliseconds.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import pickle
import select
import signal
import sys
import time
from collections.abc import Callable
from tempfile import TemporaryFile
from typing import IO, Final, NoReturn, TypeVar

T = TypeVar("T")
_GRACE_S: Final = 3.0
"""A process that should have ended itself gets so long before it is killed."""
_PIECE: Final = 1 << 20
_PR_SET_PDEATHSIG: Final = 1


class Stopped(Exception):
    """There is no answer; the text says why, ``where`` shows what the process was doing, if that is known."""

    def __init__(self, says: str, where: str = "") -> None:
        super().__init__(says)
        self.where = where


def apart(work: Callable[[], T], limit_s: float) -> T:
    """What ``work`` returns, from a process that lives ``limit_s`` seconds at most.

    Raises Stopped when the process ended without an answer. However this is left, the process has ended.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    reader, writer = os.pipe()
    with TemporaryFile() as words:
        parent = os.getpid()
        child = os.fork()
        if child == 0:
            _answer(work, writer, words, limit_s, parent)
        os.close(writer)
        answer: bytes | None = None
        try:
            answer = _read(reader, time.monotonic() + limit_s + _GRACE_S)
        finally:
            os.close(reader)
            if answer is None:
                os.kill(child, signal.SIGKILL)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if answer and status == 0:
            found: T = pickle.loads(answer)
            return found
        words.seek(0)
        raise _stopped(status, answer is None, words.read().decode(errors="replace"), limit_s)


def _answer(work: Callable[[], object], writer: int, words: IO[bytes], limit_s: float, parent: int) -> NoReturn:
    """In the child: write the pickled answer and end at once, without any of the endings that are the parent's."""
    try:
        os.dup2(2, 1)  # standard output is for the verdict alone, whatever a checker prints
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        # Nobody waits for the answer once the parent is gone, however it went.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        faulthandler.dump_traceback_later(limit_s, exit=True, file=words)
        answer = memoryview(pickle.dumps(work()))
        sys.stdout.flush()
        while answer:
            answer = answer[os.write(writer, answer) :]
        os._exit(0)
    except BaseException as error:  # there is nobody above to tell
        os.write(words.fileno(), f"{type(error).__name__}: {error}".encode(errors="replace"))
    finally:
        os._exit(1)


def _read(reader: int, deadline_s: float) -> bytes | None:
    """All that comes until the other end is closed; None when that takes too long."""
    pieces: list[bytes] = []
    while True:
        ready, _, _ = select.select([reader], [], [], max(0.0, deadline_s - time.monotonic()))
        if not ready:
            return None
        piece = os.read(reader, _PIECE)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)


def _stopped(status: int, late: bool, words: str, limit_s: float) -> Stopped:
    if late or words.startswith("Timeout"):
        return Stopped(f"it gave no answer within {limit_s:g} s and was stopped", words)
    if status == -signal.SIGKILL:
        return Stopped("its process was killed, as it happens when memory runs out", words)
    if status < 0:
        return Stopped(f"its process died of {signal.Signals(-status).name}", words)
    return Stopped(f"its process ended without an answer: {words or f'exit code {status}'}", words)
