"""One JSON object per line: our own journal, and what other programs can write without effort.

    {"process": 0, "type": "invoke", "f": "write", "value": 1}
    {"process": 0, "type": "ok",     "f": "write", "value": 1}

``type`` is ``invoke``, ``ok``, ``fail`` or ``info``. ``key`` names the object where there are several, ``time_ns`` (or
``time``) is the time in nanoseconds, ``region``, ``node`` and ``error`` are texts for the explanation; other names are
ignored. Without a ``process``, or with ``"nemesis"``, it is not a client's operation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from harness.formats._tape import NO_KEY, Malformed, Tape
from harness.model.op import NEMESIS, Op

NAME: Final = "json-lines"
REMEMBERED: Final = 1 << 17
_OBJECT: Final = re.compile(rb"\s*\{\s*(\"|\}\s*\n)")
_NULL: Final = msgspec.Raw(b"null")
_BYTE: Final = re.compile(r"\(byte (\d+)\)")


class _Line(msgspec.Struct):
    type: Any = None
    f: Any = None
    process: Any = NEMESIS
    key: msgspec.Raw = _NULL
    value: msgspec.Raw = _NULL
    time_ns: Any = None
    time: Any = None
    region: str = ""
    node: str = ""
    error: Any = ""


_decode: Final = msgspec.json.Decoder(_Line).decode
_value: Final = msgspec.json.Decoder().decode


def recognises(head: bytes) -> bool:
    """Whether the first line begins like a JSON object."""
    return _OBJECT.match(head) is not None


class _Texts(dict[bytes, int]):
    """Numbers of the JSON texts that were met before."""

    def __init__(self, tape: Tape) -> None:
        super().__init__()
        self._tape = tape

    def __missing__(self, text: bytes) -> int:
        if len(self) > REMEMBERED:
            self.clear()
        self[text] = found = self._tape.values.number(_tuples(_value(text)))
        return found


def _tuples(value: Any) -> Any:
    """Lists as tuples, all the way down."""
    if isinstance(value, list):
        return tuple(map(_tuples, value))
    return {key: _tuples(item) for key, item in value.items()} if isinstance(value, dict) else value


def fill(source: IO[bytes], tape: Tape) -> None:
    """Put every line's event on the ``tape``. Raises Malformed with line and column."""
    texts = _Texts(tape)
    for number, line in enumerate(source, 1):
        if line.isspace():
            continue
        try:
            _add(_decode(line), texts, tape)
        except msgspec.MsgspecError as error:
            raise Malformed(_wanted(error), line=number, column=_column(error, line)) from None
        except Malformed as error:
            error.line = number
            raise


def _add(event: _Line, texts: _Texts, tape: Tape) -> None:
    value, key = texts[bytes(event.value)], texts[bytes(event.key)]
    time_ns = event.time if event.time_ns is None else event.time_ns
    key_number = tape.keys.number(tape.values.values[key]) if key else NO_KEY
    error = event.error if isinstance(event.error, str) else msgspec.json.encode(event.error).decode()
    note = tape.notes.number((event.region, event.node, error))
    tape.add(tape.row(event.type, event.f, event.process, value, key_number, time_ns, note))


def _wanted(error: msgspec.MsgspecError) -> str:
    return f'expected an event like {{"process": 0, "type": "invoke", "f": "read"}}: {error}'


def _column(error: msgspec.MsgspecError, line: bytes) -> int:
    byte = _BYTE.search(str(error))
    return int(byte[1]) + 1 if byte else len(line.rstrip()) + 1 if "truncated" in str(error) else 1


def write(history: Iterable[Op], path: Path) -> None:
    """Write the form of our own journal, one event per line."""
    encode = msgspec.json.Encoder().encode
    with open(path, "wb") as out:
        for op in history:
            out.write(encode(op) + b"\n")
