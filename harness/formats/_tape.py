"""What every format fills: a recording's events as growing columns, which become a History or Columns.

Both results come from the same events, so they cannot disagree about what a file says.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from harness.model.columns import INFO_CODE, NEVER, NONE, OK_CODE, Columns, Longs, hashable
from harness.model.history import History
from harness.model.op import FAIL, INFO, INVOKE, NEMESIS, OK, Op

TYPES: Final = (OK, FAIL, INFO, INVOKE)
"""By code: the first three are the codes of columns."""
TYPE_CODES: Final = {name: code for code, name in enumerate(TYPES)}
INVOKE_CODE: Final = TYPE_CODES[INVOKE]
NO_KEY: Final = -1
_MOST_FS: Final = 127
_MOST_PROCESS: Final = (1 << 31) - 1
_MOST_TIME_NS: Final = (1 << 62) - 1
_FIELDS: Final = (np.int32, np.int8, np.int32, np.int32, np.int32, np.int64, np.int32)

Row = tuple[int, int, int, int, int, int, int]
"""Numbers: process, type, f, key, value, time in ns, note."""


class Malformed(Exception):
    """The file does not say what its format wants. ``offset`` counts bytes from wherever the raiser began to read;
    who knows better turns it into ``line`` and ``column``, counted from 1."""

    def __init__(self, wanted: str, offset: int = 0, line: int = 0, column: int = 1) -> None:
        super().__init__(wanted)
        self.offset, self.line, self.column = offset, line, column


class Reached(Malformed):
    """The event that a search for its place in the file was after."""


class Trouble(Exception):
    """The events contradict each other at event number ``index``."""

    def __init__(self, index: int, says: str) -> None:
        super().__init__(says)
        self.index = index


class Numbers:
    """Gives every different value a number. Equal means equal in value and type, all the way down."""

    def __init__(self, *first: Any) -> None:
        self.values: list[Any] = []
        self.maps = False
        self._numbers: dict[Any, int] = {}
        for value in first:
            self.number(value)

    def number(self, value: Any) -> int:
        """The number of ``value``."""
        tagged: tuple[Any, ...] = (type(value), value)
        try:
            found = self._numbers.get(tagged)
        except TypeError:  # a map is in it
            self.maps = True
            tagged = (dict, _frozen(value))
            found = self._numbers.get(tagged)
        if found is not None and type(value) is tuple and repr(self.values[found]) != repr(value):
            tagged = (tuple, value, repr(value))  # equal for Python, as [1] and [true] are
            found = self._numbers.get(tagged)
        if found is None:
            found = self._numbers[tagged] = len(self.values)
            self.values.append(value)
        return found


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return frozenset((_frozen(key), _frozen(item)) for key, item in value.items())
    return tuple(map(_frozen, value)) if isinstance(value, tuple) else (type(value), value)


@dataclass(frozen=True)
class _Events:
    process: npt.NDArray[np.int32]
    type: npt.NDArray[np.int8]
    f: npt.NDArray[np.int32]
    key: npt.NDArray[np.int32]
    value: npt.NDArray[np.int32]
    time_ns: npt.NDArray[np.int64]
    note: npt.NDArray[np.int32]


def _events(columns: Iterable[Iterable[int]]) -> _Events:
    arrays: Any = [np.fromiter(column, dtype) for column, dtype in zip(columns, _FIELDS, strict=True)]
    return _Events(*arrays)


class Tape:
    """Collects events in the order of the file. ``stop_at`` names the event at which ``Reached`` is raised."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.stop_at = stop_at
        self.values = Numbers(None)
        self.keys = Numbers()
        self.fs = Numbers()
        self.notes = Numbers(("", "", ""))  # region, node, error
        self._rows: list[Row] = []
        self._blocks: list[_Events] = []
        self._in_blocks = 0

    def __len__(self) -> int:
        return self._in_blocks + len(self._rows)

    def row(
        self, type_: Any, f: Any, process: Any, value: int, key: int = NO_KEY, time_ns: Any = None, note: int = 0
    ) -> Row:
        """An event as numbers, checked. Raises Malformed that says which field is wrong."""
        if type_ not in TYPE_CODES:
            raise Malformed(f"expected :type to be invoke, ok, fail or info, found {_shown(type_)}")
        if process in ("nemesis", NEMESIS):
            process = NEMESIS
        elif type(process) is not int or not 0 <= process <= _MOST_PROCESS:
            raise Malformed(f"expected :process to be a number from 0, or :nemesis, found {_shown(process)}")
        if f is None and process == NEMESIS:
            f = ""
        elif type(f) is not str:
            raise Malformed(f"expected :f to name an operation, found {_shown(f)}")
        if time_ns is None:
            time_ns = -1
        elif type(time_ns) is not int or not -1 <= time_ns <= _MOST_TIME_NS:
            raise Malformed(f"expected :time to be a whole number of nanoseconds, found {_shown(time_ns)}")
        return process, TYPE_CODES[type_], self.fs.number(f), key, value, time_ns, note

    def add(self, row: Row) -> None:
        """Add one event. Raises Reached when it is the one to stop at."""
        if len(self) == self.stop_at:
            raise Reached("here it is")
        self._rows.append(row)

    def extend(self, *columns: Iterable[int]) -> None:
        """Add many events at once: the fields of ``Row`` as columns of equal length."""
        block = _events(columns)
        self._flush()
        self._append(block)

    def _flush(self) -> None:
        if self._rows:
            rows, self._rows = self._rows, []
            self._append(_events(zip(*rows, strict=True)))

    def _append(self, block: _Events) -> None:
        self._blocks.append(block)
        self._in_blocks += len(block.process)

    def _events(self, keyed: bool) -> _Events:
        self._flush()
        if not self._blocks:
            return _events([()] * len(_FIELDS))
        names = _Events.__annotations__
        joined = _Events(*(np.concatenate([getattr(block, name) for block in self._blocks]) for name in names))
        self._blocks = [joined]
        if len(self.fs.values) > _MOST_FS:
            raise Trouble(0, f"{len(self.fs.values)} different operations (:f); at most {_MOST_FS} can be read")
        return self._split(joined) if keyed else joined

    def _split(self, events: _Events) -> _Events:
        """The clients' values ``[key value]`` as key and value."""
        used = np.unique(events.value[events.process != NEMESIS])
        key_of = np.full(len(self.values.values), NO_KEY, np.int32)
        value_of = np.arange(len(self.values.values), dtype=np.int32)
        for number in used.tolist():
            pair = self.values.values[number]
            if isinstance(pair, tuple) and len(pair) == 2:
                key_of[number], value_of[number] = self.keys.number(pair[0]), self.values.number(pair[1])
        clients = events.process != NEMESIS
        key = np.where(clients, key_of[events.value], NO_KEY).astype(np.int32)
        missing = np.flatnonzero((key == NO_KEY) & clients & (events.type == INVOKE_CODE))
        if missing.size:
            found = _shown(self.values.values[events.value[missing[0]]])
            raise Trouble(int(missing[0]), f"expected a value of the form [key value], found {found}")
        value = np.where(clients, value_of[events.value], events.value).astype(np.int32)
        return _Events(events.process, events.type, events.f, key, value, events.time_ns, events.note)

    def history(self, keyed: bool = False) -> History:
        """The events as objects. Raises Trouble when they contradict each other."""
        events = self._events(keyed)
        _paired(events, self.fs.values)
        keys, values, notes = self.keys.values, self.values.values, self.notes.values
        rows = zip(*(getattr(events, name).tolist() for name in _Events.__annotations__), strict=True)
        return History(
            Op(
                index=index,
                type=TYPES[type_],
                f=self.fs.values[f],
                process=process,
                key=None if key == NO_KEY else keys[key],
                value=values[value],
                time_ns=time_ns,
                region=notes[note][0],
                node=notes[note][1],
                error=notes[note][2],
            )
            for index, (process, type_, f, key, value, time_ns, note) in enumerate(rows)
        )

    def columns(self, keyed: bool = False) -> Columns:
        """The clients' operations as columns. Raises Trouble when events contradict each other."""
        events = self._events(keyed)
        starts, ends, ended = _paired(events, self.fs.values)
        type_ = np.where(ended, events.type[ends], INFO_CODE).astype(np.int8)
        certain, ok = type_ != INFO_CODE, type_ == OK_CODE
        values = tuple(self.values.values)
        return Columns(
            process=events.process[starts],
            f=events.f[starts].astype(np.int8),
            type=type_,
            key=events.key[starts],
            value=events.value[starts],
            result=np.where(ok, events.value[ends], NONE).astype(np.int32),
            start=starts.astype(np.int64),
            end=np.where(certain, ends, NEVER).astype(np.int64),
            start_ns=events.time_ns[starts],
            end_ns=np.where(certain, events.time_ns[ends], -1),
            fs=tuple(self.fs.values),
            keys=tuple(map(_plain, self.keys.values)) if self.keys.maps else tuple(self.keys.values),
            values=tuple(map(_plain, values)) if self.values.maps else values,
        )

    def backwards(self) -> tuple[int, int]:
        """How many events carry an earlier time than the event before them, and the first such event (-1: none)."""
        times = self._events(keyed=False).time_ns
        times = times[times >= 0]
        steps = np.flatnonzero(np.diff(times) < 0)
        return len(steps), int(steps[0]) + 1 if steps.size else -1


def _paired(events: _Events, fs: list[Any]) -> tuple[Longs, Longs, npt.NDArray[np.bool_]]:
    """Positions of the invocations in order, of what comes next from their processes, and whether that ends them.

    Raises Trouble at the first event that no client can have caused.
    """
    clients = np.flatnonzero(events.process != NEMESIS)
    order = clients[np.argsort(events.process[clients], kind="stable")]
    process, invokes, times = events.process[order], events.type[order] == INVOKE_CODE, events.time_ns[order]
    same = np.zeros(len(order), np.bool_)  # the row before is of the same process
    same[1:] = process[1:] == process[:-1]
    is_open = same.copy()
    is_open[1:] &= invokes[:-1]
    late = same.copy()
    late[1:] &= (times[1:] < times[:-1]) & (times[1:] >= 0)
    wrong = (invokes == is_open) | late
    if wrong.any():
        _complain(events, fs, order, int(np.flatnonzero(wrong)[np.argmin(order[wrong])]), is_open)
    begun = np.flatnonzero(invokes)
    following = np.minimum(begun + 1, max(len(order) - 1, 0))
    ended = (begun + 1 < len(order)) & same[following] if len(order) else np.zeros(0, np.bool_)
    sort = np.argsort(order[begun], kind="stable")
    return order[begun][sort], order[following][sort], ended[sort]


def _complain(events: _Events, fs: list[Any], order: Longs, row: int, is_open: npt.NDArray[np.bool_]) -> None:
    index = int(order[row])
    who, f = f"process {events.process[index]}", fs[events.f[index]]
    if events.type[index] == INVOKE_CODE and is_open[row]:
        raise Trouble(index, f"{who} invokes {f} while its {fs[events.f[order[row - 1]]]} is still open")
    if events.type[index] != INVOKE_CODE and not is_open[row]:
        raise Trouble(index, f"{who} completes {f} ({TYPES[events.type[index]]}), which it had not invoked")
    before, now = int(events.time_ns[order[row - 1]]), int(events.time_ns[index])
    raise Trouble(index, f"time runs backwards for {who}: {now} ns comes after {before} ns")


def _plain(value: Any) -> Any:
    try:
        return hashable(value)
    except TypeError:  # keys of a map that cannot be sorted
        return repr(value)


def _shown(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
