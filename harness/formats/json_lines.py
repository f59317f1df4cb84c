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

from harness.formats._scan import scan_json
from harness.formats._scanner import LARGE_BYTES, Scanner
from harness.formats._tape import Malformed, Row, Tape
from harness.model.op import NEMESIS, Op
from harness.model.packed import PACKED, tuples

NAME: Final = "json-lines"
CHUNK_BYTES: Final = 1 << 20
REMEMBERED: Final = 1 << 17
_PATIENCE, _PATIENCE_BYTES = 8, 1 << 11
"""So many unusual lines are read one by one in a text of some bytes, before the compiled scan gives up on it."""
_OBJECT: Final = re.compile(rb"\s*\{\s*(\"|\}\s*\n)")
_NULL: Final = msgspec.Raw(b"null")
WRONG_JSON: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_BYTE: Final = re.compile(r"\(byte (\d+)\)")


class _Line(msgspec.Struct):
    type: Any = None
    f: Any = None
    process: Any = NEMESIS
    key: msgspec.Raw = _NULL
    value: msgspec.Raw = _NULL
    time_ns: Any = None
    time: Any = None
    region: str | None = None
    node: str | None = None
    error: Any = None


_decode: Final = msgspec.json.Decoder(_Line).decode
_decode_lines: Final = msgspec.json.Decoder(_Line).decode_lines
_value: Final = msgspec.json.Decoder().decode


def recognises(head: bytes) -> bool:
    """Whether the first line begins like a JSON object."""
    return _OBJECT.match(head) is not None


class _Codes(dict[bytes, int]):
    """Codes of the JSON texts that were met before."""

    def __init__(self, tape: Tape) -> None:
        super().__init__()
        self._tape = tape

    def __missing__(self, text: bytes) -> int:
        if len(self) > REMEMBERED:
            self.clear()
        self[text] = found = code(text, self._tape)
        return found


def code(text: bytes, tape: Tape) -> int:
    """The code of the value that the JSON ``text`` stands for."""
    if text[:1] in b'["' and PACKED.fullmatch(text):
        return tape.texts.add(text)
    return tape.code(tuples(_value(text)))


class _Filler:
    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.codes = _Codes(tape)
        self.scanner = Scanner(tape, scan_json) if tape.size_bytes >= LARGE_BYTES else None

    def through(self, text: bytes, line: int) -> None:
        """Read all lines of ``text``, of which the first is number ``line`` in the file."""
        position = 0
        for _ in range(_PATIENCE + len(text) // _PATIENCE_BYTES if self.scanner else 0):
            position = self.scanner.through(text, position) if self.scanner else position
            if position == len(text):
                return
            position = self.one(text, position, line)
        if not self.many(text[position:]):
            while position < len(text):
                position = self.one(text, position, line)

    def many(self, text: bytes) -> bool:
        """Read all lines at once; False when a line is wrong, and none was taken."""
        try:
            rows = [self.row(event) for event in _decode_lines(text)]
        except (*WRONG_JSON, Malformed):
            return False
        if not rows or len(rows) > self.tape.room:
            return False
        self.tape.extend(*zip(*rows, strict=True))
        return True

    def one(self, text: bytes, position: int, line: int) -> int:
        """Read the line at ``position``; where the next one begins."""
        end = text.find(b"\n", position) + 1 or len(text)
        event = text[position:end]
        try:
            if not event.isspace():
                self.tape.add(self.row(_decode(event)))
        except WRONG_JSON as error:
            number = line + text.count(b"\n", 0, position)
            raise Malformed(_wanted(error, event), line=number, column=_column(error, event)) from None
        except Malformed as error:
            error.line = line + text.count(b"\n", 0, position)
            raise
        return end

    def row(self, event: _Line) -> Row:
        """An event as numbers."""
        value, key = self.codes[bytes(event.value)], self.codes[bytes(event.key)]
        time_ns = event.time if event.time_ns is None else event.time_ns
        region, node, error = event.region or "", event.node or "", event.error
        if not isinstance(error, str):
            error = "" if error is None else msgspec.json.encode(error).decode()
        note = self.tape.notes.number((region, node, error))
        if self.scanner:
            self.scanner.learn_note("\0".join((error, region, node)).encode(), note)
        return self.tape.row(event.type, event.f, event.process, value, key, time_ns, note)


def fill(source: IO[bytes], tape: Tape) -> None:
    """Put every line's event on the ``tape``. Raises Malformed with line and column."""
    filler = _Filler(tape)
    text, line, chunk = b"", 1, b"first"
    while chunk:
        chunk = source.read(CHUNK_BYTES)
        text += chunk
        end = text.rfind(b"\n") + 1 if chunk else len(text)
        filler.through(text[:end], line)
        line += text.count(b"\n", 0, end)
        text = text[end:]


def _wanted(error: Exception, line: bytes) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"expected text in UTF-8, found byte {line[_column(error, line) - 1]:#x}"
    if isinstance(error, RecursionError):
        return "expected at most some hundred lists inside each other"
    return f'expected an event like {{"process": 0, "type": "invoke", "f": "read"}}: {error}'


def _column(error: Exception, line: bytes) -> int:
    if isinstance(error, UnicodeDecodeError):  # it knows the place in some part of the line
        return _wrong_byte(line) + 1
    byte = _BYTE.search(str(error))
    return int(byte[1]) + 1 if byte else len(line.rstrip()) + 1 if "truncated" in str(error) else 1


def _wrong_byte(line: bytes) -> int:
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return error.start
    return 0


def write(history: Iterable[Op], path: Path) -> None:
    """Write the form of our own journal, one event per line."""
    encode = msgspec.json.Encoder().encode
    with open(path, "wb") as out:
        for op in history:
            out.write(encode(op) + b"\n")
