"""What every format fills: a recording's events as growing columns, which become a History or Columns.

Both results come from the same events, so they cannot disagree about what a file says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from harness.formats._numbered import numbered
from harness.model.columns import INFO_CODE, NEVER, OK_CODE, Columns, Longs, hashable
from harness.model.history import History
from harness.model.op import FAIL, INFO, INVOKE, NEMESIS, OK, Op
from harness.model.packed import BELOW, NOTHING, Growing, Texts, code_of, packed, unpacked

TYPES: Final = (OK, FAIL, INFO, INVOKE)
"""By code: the first three are the codes of columns."""
TYPE_CODES: Final = {name: code for code, name in enumerate(TYPES)}
INVOKE_CODE: Final = TYPE_CODES[INVOKE]
_MOST_FS: Final = 127
_MOST_PROCESS: Final = (1 << 31) - 1
_MOST_TIME_NS: Final = (1 << 62) - 1

Row = tuple[int, int, int, int, int, int, int]
"""Numbers: process, type, f, the codes of key (NOTHING: none) and value, time in ns (-1: none), note."""


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
    key: Longs
    value: Longs
    time_ns: Longs
    note: npt.NDArray[np.int32]


FIELDS: Final = {
    "process": np.int32,
    "type": np.int8,
    "f": np.int32,
    "key": np.int64,
    "value": np.int64,
    "time_ns": np.int64,
    "note": np.int32,
}


class Tape:
    """Collects events in the order of the file. ``stop_at`` names the event at which ``Reached`` is raised."""

    def __init__(self, stop_at: int | None = None, size_bytes: int = 0) -> None:
        self.stop_at, self.size_bytes = stop_at, size_bytes
        self.objects = Numbers(None)
        self.texts = Texts()
        self.fs = Numbers()
        self.notes = Numbers(("", "", ""))  # region, node, error
        self._rows: list[Row] = []
        self._columns: dict[str, Growing[Any]] = {name: Growing(dtype) for name, dtype in FIELDS.items()}

    def __len__(self) -> int:
        return self._columns["process"].count + len(self._rows)

    @property
    def room(self) -> int:
        """How many events may be added before the one to stop at."""
        return (1 << 62 if self.stop_at is None else self.stop_at) - len(self)

    def code(self, value: Any) -> int:
        """The code of ``value``; see ``harness.model.packed``."""
        if type(value) is int and -BELOW < value < BELOW:
            return code_of(value)
        text = packed(value) if value is not None else None
        return self.objects.number(value) << 2 if text is None else self.texts.add(text)

    def value(self, code: int) -> Any:
        """What ``code`` stands for."""
        if code & 1:
            return code >> 1
        return unpacked(self.texts[code >> 2]) if code & 2 else self.objects.values[code >> 2]

    def row(
        self, type_: Any, f: Any, process: Any, value: int, key: int = NOTHING, time_ns: Any = None, note: int = 0
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

    def extend(self, *columns: npt.ArrayLike) -> None:
        """Add many events at once: the fields of ``Row`` as columns of equal length, at most ``room``."""
        self._flush()
        for name, column in zip(FIELDS, columns, strict=True):
            self._columns[name].extend(column)

    def _flush(self) -> None:
        if self._rows:
            rows, self._rows = self._rows, []
            self.extend(*zip(*rows, strict=True))

    def _events(self, keyed: bool) -> _Events:
        self._flush()
        if len(self.fs.values) > _MOST_FS:
            raise Trouble(0, f"{len(self.fs.values)} different operations (:f); at most {_MOST_FS} can be read")
        events = _Events(**{name: column.taken for name, column in self._columns.items()})
        return self._split(events) if keyed else events

    def _split(self, events: _Events) -> _Events:
        """The clients' values ``[key value]`` as key and value."""
        clients = events.process != NEMESIS
        codes, which = np.unique(np.where(clients, events.value, NOTHING), return_inverse=True)
        parts = np.array([self._pair(code) for code in codes.tolist()], np.int64).reshape(-1, 3)
        key, value, paired = parts[which].T
        missing = np.flatnonzero(clients & (paired == 0) & (events.type == INVOKE_CODE))
        if missing.size:
            found = _shown(self.value(int(events.value[missing[0]])))
            raise Trouble(int(missing[0]), f"expected a value of the form [key value], found {found}")
        value = np.where(clients, value, events.value)
        return _Events(events.process, events.type, events.f, key, value, events.time_ns, events.note)

    def _pair(self, code: int) -> tuple[int, int, int]:
        """The codes of key and value, and whether the value is such a pair."""
        pair = self.value(code)
        if isinstance(pair, tuple) and len(pair) == 2:
            return self.code(pair[0]), self.code(pair[1]), 1
        return NOTHING, code, 0

    def history(self, keyed: bool = False) -> History:
        """The events as objects. Raises Trouble when they contradict each other."""
        events = self._events(keyed)
        _paired(events, self.fs.values)
        found, (keys, numbers) = numbered((events.key, events.value), self.objects.values, self.texts)
        values, notes, fs = list(found), self.notes.values, self.fs.values
        rows = zip(
            *(each.tolist() for each in (events.process, events.type, events.f, keys, numbers)),
            *(each.tolist() for each in (events.time_ns, events.note)),
            strict=True,
        )
        return History(
            Op(
                index=index,
                type=TYPES[type_],
                f=fs[f],
                process=process,
                key=values[key],
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
        certain = type_ != INFO_CODE
        objects = [_plain(value) for value in self.objects.values] if self.objects.maps else self.objects.values
        results = np.where(type_ == OK_CODE, events.value[ends], NOTHING)
        values, (value, result) = numbered((events.value[starts], results), objects, self.texts)
        keys, key = self._keys(events.key[starts], objects)
        return Columns(
            process=events.process[starts],
            f=events.f[starts].astype(np.int8),
            type=type_,
            key=key,
            value=value,
            result=result,
            start=starts,
            end=np.where(certain, ends, NEVER),
            start_ns=events.time_ns[starts],
            end_ns=np.where(certain, events.time_ns[ends], -1),
            fs=tuple(self.fs.values),
            keys=keys,
            values=values,
        )

    def _keys(self, codes: Longs, objects: list[Any]) -> tuple[tuple[Any, ...], npt.NDArray[np.int32]]:
        """The different keys, and which each operation has; -1 where it has none."""
        if not codes.any():
            return (), np.full(len(codes), -1, np.int32)
        values, (found,) = numbered((codes,), objects, self.texts)
        used, at = np.unique(found, return_inverse=True)
        nobody = int(used[0] == 0)  # number 0 is None
        return tuple(values[number] for number in used[nobody:].tolist()), (at - nobody).astype(np.int32)

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
