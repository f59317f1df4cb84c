"""Operations as columns: what kernels read, and what large recorded histories are from the start.

A history of ten million operations does not fit into objects; as arrays it takes some hundred megabytes. Values and
keys are interned: the arrays hold numbers that index ``values`` and ``keys``.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from harness.model.history import NEVER_NS, History
from harness.model.op import FAIL, INFO, OK

OK_CODE, FAIL_CODE, INFO_CODE = 0, 1, 2
TYPE_CODES: Final = {OK: OK_CODE, FAIL: FAIL_CODE, INFO: INFO_CODE}
NEVER: Final = np.int64(1) << 62
"""The ``end`` of an operation that may still take effect: after every other event."""
NONE: Final = 0
"""The number of the value None (unknown, or never written: the model says which)."""

Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.int8]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Columns:
    """The client operations of a history, one row each, in order of invocation.

    ``start`` and ``end`` are event positions (all different; ``end`` is NEVER for info operations); ``start_ns`` and
    ``end_ns`` are times (-1 where the source has none). ``f`` indexes ``fs``, ``key`` indexes ``keys`` (-1: no key).
    ``value``, ``result`` index ``values``: the argument, and the answer (NONE unless ok). The two
    arguments of a compare-and-set are one value, the tuple ``(old, new)``. Lists are interned as tuples. ``values`` may
    make an object when it is asked for one, so ask for few.
    """

    process: Ints
    f: Bytes
    type: Bytes
    key: Ints
    value: Ints
    result: Ints
    start: Longs
    end: Longs
    start_ns: Longs
    end_ns: Longs
    fs: tuple[str, ...]
    keys: tuple[Hashable, ...]
    values: Sequence[Any]

    def __len__(self) -> int:
        return len(self.process)


class Interner:
    """Gives every different value a number; number 0 is None. True and 1 stay different."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {_tagged(None): NONE}
        self.values: list[Any] = [None]

    def number(self, value: Any) -> int:
        """The number of ``value``; lists and dicts count by their content."""
        value = hashable(value)
        tagged = _tagged(value)
        found = self._numbers.get(tagged)
        if found is None:
            found = self._numbers[tagged] = len(self.values)
            self.values.append(value)
        return found


def _tagged(value: Any) -> Any:
    """``value`` with its types, all the way down: to Python True is 1 and 1 is 1.0."""
    return (tuple, *map(_tagged, value)) if isinstance(value, tuple) else (type(value), value)


def hashable(value: Any) -> Any:
    """``value`` with lists as tuples and dicts as sorted tuples of pairs, all the way down."""
    if isinstance(value, list | tuple):
        return tuple(hashable(item) for item in value)
    if isinstance(value, dict):
        return tuple(sorted((hashable(key), hashable(item)) for key, item in value.items()))
    return value


def columns_of(history: History) -> Columns:
    """The client operations of ``history`` as columns. Raises ValueError as ``History.operations`` does."""
    operations = history.operations
    values, keys, fs = Interner(), Interner(), Interner()

    def ints(numbers: list[int]) -> Ints:
        return np.array(numbers, np.int32)

    def longs(numbers: list[int], never: int) -> Longs:
        return np.array([never if number == NEVER_NS else number for number in numbers], np.int64)

    return Columns(
        process=ints([each.process for each in operations]),
        f=np.array([fs.number(each.f) - 1 for each in operations], np.int8),
        type=np.array([TYPE_CODES[each.type] for each in operations], np.int8),
        key=ints([-1 if each.key is None else keys.number(each.key) - 1 for each in operations]),
        value=ints([values.number(each.value) for each in operations]),
        result=ints([values.number(each.result) for each in operations]),
        start=longs([each.start_index for each in operations], int(NEVER)),
        end=longs([each.end_index for each in operations], int(NEVER)),
        start_ns=longs([each.start_ns for each in operations], -1),
        end_ns=longs([each.end_ns for each in operations], -1),
        fs=tuple(fs.values[1:]),
        keys=tuple(keys.values[1:]),
        values=tuple(values.values),
    )
