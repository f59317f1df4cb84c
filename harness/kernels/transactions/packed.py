"""Micro-operations out of packed texts (``harness.model.packed``), without an object for any of them.

A transaction is ``[["append",3,4],["r",5,[1,2]]]``. Keys and values are codes here: odd for a whole number, twice it
and 1; even for a string of up to seven plain characters, twice the number that its bytes are, after a leading 1.
"""

from __future__ import annotations

from typing import Any, Final

from harness.kernels.transactions.columns import READ, UNKNOWN, WRITE

APPEND, SET = 0, 1
"""What the transactions do besides reading: they append to lists, or write registers."""
NOT_A_LIST: Final = -2
"""The length of a register's read that answered a value; of one that answered nothing it is 0."""
_SHORT: Final = 7
_QUOTED_APPEND: Final = int.from_bytes(b'"append', "big")
_DIGITS: Final = 18


def measure(text: Any, begins: Any, ends: Any, sizes: Any) -> None:
    """How many micro-operations, and how many elements in what they read, there are at most, into ``sizes[0:2]``."""
    ops = items = 0
    for txn in range(len(begins)):
        depth = 0
        for at in range(begins[txn], ends[txn]):
            if text[at] == 91:
                depth += 1
                ops += depth == 2
                items += depth == 3
            elif text[at] == 93:
                depth -= 1
            elif text[at] == 44:
                items += depth == 3
    sizes[0], sizes[1] = ops, items


def take(
    text: Any, begins: Any, ends: Any, known: Any, verb: int,
    txns: Any, kinds: Any, keys: Any, values: Any, lengths: Any, elements: Any, sizes: Any,
) -> int:  # fmt: skip
    """Take transactions apart; the first that is of another form, or how many there are.

    ``known`` says whose reads were answered. Per micro-operation: its transaction's row, kind, key and value (as in
    ``MicroOps``, but keys and written values as codes); of a read with elements ``value`` is where they begin, of a
    register's it is a code. ``sizes`` becomes how many micro-operations and elements there are.
    """
    row = item = 0
    for txn in range(len(begins)):
        at, end, first = begins[txn], ends[txn], row
        if end - at < 2 or text[at] != 91 or text[end - 1] != 93:
            return txn
        at += 1
        while at < end - 1:
            if row > first:
                if text[at] != 44:
                    return txn
                at += 1
            kind, at = _verb(text, at, end, verb)
            if kind < 0 or row == len(txns):
                return txn
            txns[row], kinds[row], lengths[row] = txn, kind, 0
            keys[row], at = _code(text, at, end)
            if at < 0 or text[at] != 44:
                return txn
            values[row], lengths[row], item, at = _value(text, at + 1, end, kind, verb, known[txn], elements, item)
            if at < 0 or text[at] != 93:
                return txn
            row, at = row + 1, at + 1
        if at != end - 1:
            return txn
    sizes[0], sizes[1] = row, item
    return len(begins)


def _verb(text: Any, at: int, end: int, verb: int) -> tuple[int, int]:
    """The kind of the micro-operation at ``at``, and where its key begins; -1 when it is none."""
    if at + 5 < end and text[at] == 91 and text[at + 1] == 34 and text[at + 3] == 34 and text[at + 4] == 44:
        if text[at + 2] == 114:  # ["r",
            return READ, at + 5
        if text[at + 2] == 119 and verb == SET:  # ["w",
            return WRITE, at + 5
    if verb == APPEND and at + 10 < end and text[at] == 91 and text[at + 8] == 34 and text[at + 9] == 44:
        name = 0
        for i in range(7):
            name = name << 8 | int(text[at + 1 + i])
        if name == _QUOTED_APPEND:
            return WRITE, at + 10
    return -1, at


def _value(
    text: Any, at: int, end: int, kind: int, verb: int, known: bool, elements: Any, item: int
) -> tuple[int, int, int, int]:
    """Value, length, how many elements there are now, and the end of the value (-1 when it is of another form)."""
    nothing = at + 4 < end and text[at] == 110  # null
    if kind == WRITE:
        code, at = _code(text, at, end)
        return code, 0, item, at
    if nothing:
        at += 4
        return (item if known and verb == APPEND else UNKNOWN if not known else 0), 0, item, at
    if verb == SET:
        code, at = _code(text, at, end)
        return (code if known else UNKNOWN), (NOT_A_LIST if known else 0), item, at
    begin = item
    if text[at] != 91:
        return 0, 0, item, -1
    at += 1
    while text[at] != 93:
        if item > begin:
            if text[at] != 44:
                return 0, 0, item, -1
            at += 1
        if item == len(elements):
            return 0, 0, item, -1
        elements[item], at = _code(text, at, end)
        if at < 0:
            return 0, 0, item, -1
        item += 1
    if not known:
        return UNKNOWN, 0, begin, at + 1
    return begin, item - begin, item, at + 1


def _code(text: Any, at: int, end: int) -> tuple[int, int]:
    """The code of a number or short string, and its end; -1 when it is neither."""
    if text[at] == 34:
        code, first = 1, at + 1
        at = first
        while text[at] != 34 and at - first < _SHORT:
            code = code << 8 | int(text[at])
            at += 1
        return code << 1, (at + 1 if text[at] == 34 else -1)
    minus = text[at] == 45
    at += minus
    first, number = at, 0
    while at < end and 48 <= text[at] <= 57 and at - first < _DIGITS:
        number = number * 10 + (int(text[at]) - 48)
        at += 1
    return (-number if minus else number) << 1 | 1, (at if at > first else -1)


def name_of(code: int) -> Any:
    """What a code stands for."""
    if code & 1:
        return code >> 1
    string = code >> 1
    return string.to_bytes((string.bit_length() + 7) // 8, "big")[1:].decode()
