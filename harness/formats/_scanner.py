"""Runs a scan of ``_scan`` over a file's text and puts what it took on the tape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from harness.formats import _scan
from harness.formats._tape import FIELDS, Tape
from harness.kernels.compiling import fast
from harness.model.packed import Growing

LARGE_BYTES: Final = 1 << 23
"""From this size on a file is worth compiled code, which takes half a second to load, and some more to be made once."""
MOST_WORDS: Final = 64
"""So many different operations, and notes, a scan knows at most; events with others are read carefully."""
_ROWS: Final = 1 << 14


class _Words:
    """Words that a scan may find, each with a number."""

    def __init__(self) -> None:
        self.bytes, self.ends = Growing(np.uint8), Growing(np.int64)
        self.ends.extend([0])
        self._numbers: dict[bytes, int] = {}
        self.numbers = np.zeros(1, np.int32)

    def learn(self, word: bytes, number: int) -> None:
        if word not in self._numbers and len(self._numbers) < MOST_WORDS:
            self._numbers[word] = number
            self.bytes.extend(np.frombuffer(word, np.uint8))
            self.ends.extend([self.bytes.count])
            # The last one is what a note gets that is at place NO, which is -1.
            self.numbers = np.array([*self._numbers.values(), 0], np.int32)


class Scanner:
    """Takes the usual events that stand one after the other. What it does not know yet, it must be taught."""

    def __init__(self, tape: Tape, scan: Callable[..., int], compiled: bool = True) -> None:
        self._tape = tape
        self._scan = fast(scan) if compiled else scan
        self._text: Callable[[bytes], Any] = _array if compiled else bytes
        self._rows = np.empty((_ROWS, len(FIELDS)), np.int64)
        self._state = np.zeros(_scan.STATE, np.int64)
        self._fs, self._notes, self._known = _Words(), _Words(), 0

    def learn(self) -> None:
        """Look at operations that came to the tape from elsewhere."""
        names = self._tape.fs.values
        while self._known < len(names):
            self._fs.learn(names[self._known].encode(), self._known)
            self._known += 1

    def learn_note(self, text: bytes, number: int) -> None:
        """``text`` means the note ``number``."""
        self._notes.learn(text, number)

    def through(self, text: bytes, position: int) -> int:
        """Take events from ``position`` on; where it stopped, at an event of another kind or at the end."""
        self.learn()
        array = self._text(text)
        while True:
            rows = self._rows[: min(len(self._rows), self._tape.room)]
            position = self._some(array, position, rows)
            if not len(rows) or self._state[_scan.ROWS] < len(rows):
                return position

    def _some(self, text: Any, position: int, rows: Any) -> int:
        texts, state = self._tape.texts, self._state
        packed = texts.text.reserve(2 * (len(text) - position) + 64)
        ends = texts.ends.reserve(2 * len(rows) + 1)
        state[: _scan.TEXTS + 1] = 0, texts.text.count, texts.ends.count - 1
        fs, notes = self._fs, self._notes
        position = int(
            self._scan(
                *(text, position, rows, packed, ends, fs.bytes.taken, fs.ends.taken, notes.bytes.taken),
                *(notes.ends.taken, state),
            )
        )
        taken = rows[: state[_scan.ROWS]].T
        texts.text.count, texts.ends.count = int(state[_scan.BYTES]), int(state[_scan.TEXTS]) + 1
        self._tape.extend(
            *taken[: _scan.F], fs.numbers[taken[_scan.F]], *taken[_scan.F + 1 : -1], notes.numbers[taken[_scan.NOTE]]
        )
        return position


def _array(text: bytes) -> Any:
    return np.frombuffer(text, np.uint8)
