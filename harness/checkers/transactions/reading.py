"""From recorded transactions to micro-operations: from objects, or, for large histories, without any."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import numpy as np

from harness.kernels.compiling import Kernel, fast
from harness.kernels.linear.columnwise import operation
from harness.kernels.transactions.columns import READ, UNKNOWN, WRITE, MicroOps
from harness.kernels.transactions.packed import APPEND, NOT_A_LIST, SET, measure, name_of, take
from harness.model.columns import NEVER, NONE, OK_CODE, TYPE_CODES, Columns, Interner, Longs
from harness.model.history import NEVER_NS, Operation
from harness.model.op import OK
from harness.model.packed import Values, ranked

KINDS: Final = {"list-append": "append", "rw-register": "w"}
"""What a transaction does besides reading (``r``), by the kind of its objects."""
LARGE: Final = 20_000
"""From so many transactions on, compiled code takes their texts apart."""


def micro_ops(operations: Sequence[Operation], kind: str) -> MicroOps:
    """The columns of transactions in order of invocation.

    A transaction's value is a list of ``[f, key, value]``; its answer is the same list with reads filled in. Raises
    ValueError that names the event of a transaction that is none.
    """
    rows = _Rows(kind)
    for txn, op in enumerate(operations):
        try:
            rows.add(txn, op)
        except (TypeError, ValueError) as error:
            raise ValueError(f"the transaction that begins at event {op.start_index}: {error}") from None
    return rows.columns(operations)


def transactions_of(columns: Columns) -> Longs:
    """The rows of a history's transactions."""
    return np.flatnonzero(np.isin(columns.f, [at for at, f in enumerate(columns.fs) if f == "txn"]))


def micro_ops_of(columns: Columns, rows: Longs, kind: str, compiled: Callable[[Kernel], Kernel] = fast) -> MicroOps:
    """The same for ``rows`` of columns; many are taken apart without objects, if nothing about them is unusual."""
    said = np.where(_known(columns, rows), columns.result[rows], columns.value[rows])
    values = columns.values
    if len(rows) >= LARGE and isinstance(values, Values) and (said >= values.first_text).all():
        places = values.places[said - values.first_text]
        found = _flat(columns, rows, values, places, kind, compiled)
        if found is not None:
            return found
    return micro_ops([operation(columns, row) for row in rows.tolist()], kind)


def _known(columns: Columns, rows: Longs) -> Any:
    return (columns.type[rows] == OK_CODE) & (columns.result[rows] != NONE)


def _flat(
    columns: Columns, rows: Longs, values: Values, places: Longs, kind: str, compiled: Callable[[Kernel], Kernel]
) -> MicroOps | None:
    """The micro-operations in packed texts; None when one of them has another form."""
    text, ends, lists = values.texts.text.taken, values.texts.ends.taken, kind == "list-append"
    spans, sizes = (ends[places], ends[places + 1]), np.zeros(2, np.int64)
    compiled(measure)(text, *spans, sizes)
    txn, length = (np.empty(sizes[0], np.int32) for _ in range(2))
    key, value, items = (np.empty(size, np.int64) for size in (sizes[0], sizes[0], sizes[1]))
    done = np.empty(sizes[0], np.int8)
    verb = APPEND if lists else SET
    taken = compiled(take)(text, *spans, _known(columns, rows), verb, txn, done, key, value, length, items, sizes)
    if taken < len(rows):
        return None
    count = int(sizes[0])
    txn, done, key, value, length = (each[:count] for each in (txn, done, key, value, length))
    coded = (done == WRITE) | (length == NOT_A_LIST)
    codes, [numbers, elements] = ranked(value[coded], items[: sizes[1]])
    value[coded] = numbers + 1
    keys, [key] = ranked(key)
    never = columns.end[rows] >= NEVER
    return MicroOps(
        process=columns.process[rows],
        type=columns.type[rows],
        start=columns.start[rows],
        end=columns.end[rows],
        txn=txn,
        kind=done,
        key=key,
        value=value.astype(np.int32),
        length=length if lists else None,
        elements=np.add(elements, 1, out=elements) if lists else None,
        start_ns=columns.start_ns[rows],
        end_ns=np.where(never, NEVER, columns.end_ns[rows]),
        keys=_Named(keys),
        values=_Named(np.concatenate(([0], codes))),
    )


class _Named(Sequence[Any]):
    """What codes stand for, found when asked for; code 0 is None."""

    def __init__(self, codes: Longs) -> None:
        self._codes = codes

    def __len__(self) -> int:
        return len(self._codes)

    def __getitem__(self, number: Any) -> Any:
        code = int(self._codes[number])
        return name_of(code) if code else None


class _Rows:
    def __init__(self, kind: str) -> None:
        self._verb = KINDS[kind]
        self._lists = kind == "list-append"
        self._keys, self._values = Interner(), Interner()
        self._rows: list[tuple[int, int, int, int, int]] = []
        self._elements: list[int] = []

    def add(self, txn: int, op: Operation) -> None:
        known = op.type == OK and op.result is not None
        for micro in _checked(op.result if known else op.value):
            f, key, value = micro
            if f not in ("r", self._verb):
                raise ValueError(f"{micro!r} is neither a read, ['r', key, value], nor ['{self._verb}', key, value]")
            kind = READ if f == "r" else WRITE
            number, length = self._number(kind, value, known)
            self._rows.append((txn, kind, self._keys.number(key) - 1 if key is not None else -1, number, length))

    def _number(self, kind: int, value: Any, known: bool) -> tuple[int, int]:
        if kind == READ and not known:
            return UNKNOWN, 0
        if kind == WRITE or not self._lists:
            return self._values.number(value), 0
        if not isinstance(value, list | tuple | None):
            raise ValueError(f"a read answered {value!r}; of a list, it must be a list")
        begin = len(self._elements)
        self._elements.extend(map(self._values.number, value or ()))
        return begin, len(self._elements) - begin

    def columns(self, operations: Sequence[Operation]) -> MicroOps:
        table = np.array(self._rows, np.int32).reshape(-1, 5)
        keys: list[Any] = self._keys.values[1:]
        if len(table) and int(table[:, 2].min()) < 0:  # a key called None
            keys = [None, *keys]
            table[:, 2] += 1
        return MicroOps(
            process=np.array([op.process for op in operations], np.int32),
            type=np.array([TYPE_CODES[op.type] for op in operations], np.int8),
            start=np.array([op.start_index for op in operations], np.int64),
            end=_ends(op.end_index for op in operations),
            txn=table[:, 0].copy(),
            kind=table[:, 1].astype(np.int8),
            key=table[:, 2].copy(),
            value=table[:, 3].copy(),
            length=table[:, 4].copy() if self._lists else None,
            elements=np.array(self._elements, np.int32) if self._lists else None,
            start_ns=np.array([op.start_ns for op in operations], np.int64),
            end_ns=_ends(op.end_ns for op in operations),
            keys=tuple(keys),
            values=tuple(self._values.values),
        )


def _checked(value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"its value is {value!r}; it must be a list of [f, key, value]")
    for micro in value:
        if not isinstance(micro, list | tuple) or len(micro) != 3:
            raise ValueError(f"{micro!r} is no micro-operation; it must be [f, key, value]")
    return list(value)


def _ends(ends: Iterable[int]) -> Any:
    return np.array([int(NEVER) if end == NEVER_NS else end for end in ends], np.int64)
