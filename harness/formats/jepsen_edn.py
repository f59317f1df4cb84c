"""Jepsen's histories in EDN: one vector or list of maps, or maps without anything around them, one per line or not.

Most events are flat maps of known keys. In a large file, compiled code takes them one after the other (``_scan``). In
others one regular expression takes a megabyte of them apart at once, and every different value text is parsed once.
What is not of this form is read event by event, with the full reader for the unusual ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final

from harness.errors import UsageError
from harness.formats._edn import SPACE, Incomplete, Reader, as_packed, keyword, parse, written
from harness.formats._scan import scan_edn
from harness.formats._scanner import LARGE_BYTES, MOST_WORDS, Scanner
from harness.formats._tape import TYPES, Malformed, Row, Tape
from harness.model.op import NEMESIS, Op
from harness.model.packed import NOTHING, code_of

NAME: Final = "jepsen-edn"
FIRST_BYTES: Final = 1 << 14
CHUNK_BYTES: Final = 1 << 20
REMEMBERED: Final = 1 << 17
"""So many value texts are remembered at a time; beyond, the memory is cleared."""
_PATIENCE, _PATIENCE_BYTES = 8, 1 << 11
"""So many unusual events are read one by one in a text of some bytes, before the compiled scan gives up on it."""
_STRING = rb'"[^"\\]*+(?>(?:\\.[^"\\]*+)*)"'
_ATOM = rb'[^\s,\[\](){}"\\;#^]++'


def _collection(depth: int) -> bytes:
    """Brackets of any kind, up to ``depth`` more inside; that they match is left to the value's reader."""
    plain = rb'[^\[\](){}"\\;]*+'
    inner = _collection(depth - 1) + rb"|" if depth else b""
    return rb"[\[({]" + plain + rb"(?>(?:(?:" + inner + _STRING + rb")" + plain + rb")*)[\])}]"


# A vector without commas inside reaches to the next comma or brace, however deep it is: one step for the machine.
_SMOOTH = rb'\[[^,"#;{}()\\]*+(?<=\])(?=, :|\})'
_VALUE: Final = rb"(?:" + _ATOM + rb"|" + _SMOOTH + rb"|" + _STRING + rb"|#?" + _collection(3) + rb")"
# (?(1)(?!)) says: not where group 1 was met before. A key that stands twice is left to the reader, as is a third one
# that is unknown.
_EVENT: Final = re.compile(
    rb"(?:#jepsen\.history\.Op ?)?\{\s*+(?>(?::(?:"
    rb"type (?(1)(?!)):(ok|fail|info|invoke)"
    rb"|f (?(2)(?!))(:[A-Za-z][\w-]*+)"
    rb"|value (?(3)(?!))(" + _VALUE + rb")"
    rb"|process (?(4)(?!))(0|[1-9]\d{0,8}+|:nemesis)"
    rb"|time (?(5)(?!))(0|[1-9]\d{0,17}+)"
    rb"|key (?(6)(?!))(" + _VALUE + rb")"
    rb"|error (?(7)(?!))(" + _VALUE + rb")"
    rb"|index(?(8)(?!))() (?:0|[1-9]\d*+)"
    rb"|(?!(?:type|f|value|process|time|key|error|index)[\s,:\"\[({#;])"
    rb"(?:(?(9)(?!))([A-Za-z][\w-]*+)|(?(10)(?!))(?!\9 )([A-Za-z][\w-]*+)) "
    rb"(?:0|[1-9]\d*+|:[A-Za-z][\w-]*+|nil|true|false|\"[ !#-\[\]-~]*+\"))"
    rb"(?:, |[\s,]++|(?=\})))+)\}",
    re.S,
)
_STEP: Final = _EVENT.groups + 1
_FIELDS: Final = 7
_BEGIN: Final = re.compile(rb"[\[(]")
_START: Final = re.compile(
    rb"(?>(?:[\s,]|;[^\n]*+\n)*)(?:[\[(](?>(?:[\s,]|;[^\n]*+\n)*))?(?:\{[\s,]*+(?:[:#;}]|\Z)|[\])#]|;[^\n]*+\Z|\Z)"
)


def recognises(head: bytes) -> bool:
    """Whether a file that begins with ``head`` holds a map with keywords, or a collection that may hold such."""
    return _START.match(head) is not None


class _Memo(dict[bytes | None, int]):
    """Numbers of texts that were met before; ``absent`` is that of none."""

    def __init__(self, number: Callable[[Any], int], absent: int = 0) -> None:
        super().__init__({None: absent})
        self._number, self._absent = number, absent

    def __missing__(self, text: bytes) -> int:
        self.learn({text: self._number(parse(text))})
        return self[text]

    def learn(self, found: Mapping[bytes, int]) -> None:
        if len(self) > REMEMBERED:
            self.clear()
            self[None] = self._absent
        self.update(found.items())


class _Filler:
    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.types = {name.encode(): code for code, name in enumerate(TYPES)}
        self.process = _Memo(lambda value: NEMESIS if value == "nemesis" else value)
        self.fs = _Memo(tape.fs.number)
        self.values = _Memo(tape.code, NOTHING)
        self.notes = _Memo(self.note)
        self.scanner = Scanner(tape, scan_edn) if tape.size_bytes >= LARGE_BYTES else None
        self.inside = False
        self.closer = b""

    def note(self, error: Any) -> int:
        """The number of an event's error."""
        text = error if isinstance(error, str) else "" if error is None else written(error)
        return self.tape.notes.number(("", "", text))

    def through(self, text: bytes, final: bool) -> int:
        """Read events until ``text`` ends; how far it got, for more text to follow unless it is ``final``."""
        position = 0
        if self.inside and self.closer != b"closed":
            position = self.scanned(text, final) if self.scanner else self.many(text)
        return self.one_by_one(text, position, final)

    def scanned(self, text: bytes, final: bool) -> int:
        """The same in large files, as long as most events are usual."""
        assert self.scanner is not None
        position = 0
        for _ in range(_PATIENCE + len(text) // _PATIENCE_BYTES):
            position = self.scanner.through(text, position)
            after = self.step(text, position, final)
            if after == position:
                return position
            position = after
            for error, number in islice(self.notes.items(), 1, MOST_WORDS):
                self.scanner.learn_note(error or b"", number)
        return position + self.many(text[position:])

    def many(self, text: bytes) -> int:
        """Read events from the beginning of ``text``; how far it got, 0 when anything unusual stands there."""
        parts = _EVENT.split(text)
        columns = [parts[group::_STEP] for group in range(1, _FIELDS + 1)]
        types, fs, values, processes, times, keys, errors = columns
        plain = not b"".join(parts[:-1:_STEP]).strip(b" \t\r\n,")
        if not types or not plain or None in types or None in fs or None in processes or len(types) > self.tape.room:
            return 0
        try:
            self.learn({*values, *keys}.difference(self.values))
            self.tape.extend(
                list(map(self.process.__getitem__, processes)),
                list(map(self.types.__getitem__, types)),
                list(map(self.fs.__getitem__, fs)),
                list(map(self.values.__getitem__, keys)),
                list(map(self.values.__getitem__, values)),
                [-1 if time is None else int(time) for time in times],
                list(map(self.notes.__getitem__, errors)),
            )
        except Malformed:
            return 0
        return len(text) - len(parts[-1])

    def learn(self, texts: Iterable[bytes]) -> None:
        """Find the codes of new values, of many at once."""
        found: dict[bytes, int] = {}
        others = []
        for text in texts:
            if text.isdigit() and text[:1] != b"0" and len(text) <= 18:
                found[text] = code_of(int(text))
            else:
                others.append(text)
        packed = as_packed(others)
        for text in others:
            known = packed.get(text)
            found[text] = self.tape.code(parse(text)) if known is None else self.tape.texts.add(known)
        self.values.learn(found)

    def one_by_one(self, text: bytes, position: int, final: bool) -> int:
        """Read on from ``position`` until ``text`` ends; where it stopped."""
        while (after := self.step(text, position, final)) != position:
            position = after
        return position

    def step(self, text: bytes, position: int, final: bool) -> int:
        """Read an event, or what stands around one; the same position when there is no more, or more text is needed."""
        space = SPACE.match(text, position)
        assert space is not None
        at = space.end()
        event = _EVENT.match(text, at) if self.inside and self.closer != b"closed" else None
        try:
            row = self.taken(event.groups()[:_FIELDS]) if event else None
            if row is not None and event is not None:
                self.tape.add(row)
                return event.end()
            after = self.unusual(text, at, final)
            return position if after == at else after
        except Incomplete:
            return position
        except Malformed as error:
            error.offset = max(error.offset, at)
            raise

    def taken(self, groups: tuple[bytes | None, ...]) -> Row | None:
        """An event of the usual form; None when only the reader can say what is wrong with it."""
        type_, f, value, process, time, key, error = groups
        if type_ is None or f is None or process is None:
            return None
        try:
            numbers = self.process[process], self.types[type_], self.fs[f], self.values[key], self.values[value]
            return *numbers, -1 if time is None else int(time), self.notes[error]
        except Malformed:
            return None

    def unusual(self, text: bytes, position: int, final: bool) -> int:
        """Read whatever stands at ``position``: a bracket, an unusual event, something to skip, or the end."""
        here = text[position : position + 1]
        if not here or (here == b";" and not final):
            self.at_end(position, final)
            return position
        if here == b";":  # a comment without a line's end
            return len(text)
        if not self.inside and _BEGIN.match(text, position):
            self.inside, self.closer = True, b"]" if here == b"[" else b")"
            return position + 1
        if here == self.closer:
            self.closer = b"closed"
            return position + 1
        if text[position : position + 2] == b"#_":
            reader = Reader(text, final, position + 2)
            reader.form()
            return reader.position
        if self.closer == b"closed":
            raise Malformed("expected nothing after the end of the collection", position)
        if not self.inside and here == b"#" and _tagged_collection(text, position, final):
            return text.index(b"[", position)
        self.inside = True
        reader = Reader(text, final, position)
        self.tape.add(self.read(reader.form(), position))
        return reader.position

    def at_end(self, position: int, final: bool) -> None:
        if final and self.closer not in (b"", b"closed"):
            raise Malformed(f"expected {self.closer.decode()!r} before the end of the file: it is cut off", position)

    def read(self, event: Any, position: int) -> Row:
        """Any event, as the reader gave it."""
        if not isinstance(event, dict):
            raise Malformed("expected a map like {:process 0, :type :invoke, :f :read, :value nil}", position)
        value, key, tape = event.get("value"), event.get("key"), self.tape
        try:
            return tape.row(
                event.get("type"),
                event.get("f"),
                event.get("process"),
                tape.code(value),
                tape.code(key),
                event.get("time"),
                self.note(event.get("error")),
            )
        except Malformed as error:
            error.offset = position
            raise


def _tagged_collection(text: bytes, position: int, final: bool) -> bool:
    match = re.compile(rb"#[A-Za-z][^\s,\[\](){}\";]*+\s*+(\[)?").match(text, position)
    if match is not None and match.end() == len(text) and not final:
        raise Incomplete
    return bool(match and match[1])


def fill(source: IO[bytes], tape: Tape) -> None:
    """Put every event of ``source`` on the ``tape``. Raises Malformed with line and column."""
    filler = _Filler(tape)
    text, line, column, final = b"", 1, 1, False
    while not final:
        # The beginning is read event by event, to learn what stands around the events.
        chunk = source.read(CHUNK_BYTES if filler.inside else FIRST_BYTES)
        final = not chunk
        text += chunk
        try:
            position = filler.through(text, final)
        except Malformed as error:
            error.line = line + text.count(b"\n", 0, error.offset)
            error.column = error.offset - text.rfind(b"\n", 0, error.offset) - 1 + (column if error.line == line else 1)
            raise
        newline = text.rfind(b"\n", 0, position)
        column = position - newline if newline >= 0 else column + position
        line += text.count(b"\n", 0, position)
        text = text[position:]


def value(text: str) -> Any:
    """The value that ``text`` stands for. Raises UsageError when it is none."""
    try:
        return parse(text.encode())
    except Malformed as error:
        raise UsageError(f"{text!r} is no value: {error}; write it in JSON or EDN") from None


def write(history: Iterable[Op], path: Path) -> None:
    """Write one map per line; text values become strings, which is how they are read back."""
    with open(path, "w", encoding="utf-8") as out:
        for index, op in enumerate(history):
            process = ":nemesis" if op.is_nemesis else str(op.process)
            fields = [f":index {index}", f":process {process}", f":type :{op.type}", f":f {keyword(op.f)}"]
            fields += [f":key {written(op.key)}"] * (op.key is not None)
            fields += [f":value {written(op.value)}"]
            fields += [f":time {op.time_ns}"] * (op.time_ns >= 0)
            fields += [f":error {written(op.error)}"] * bool(op.error)
            out.write("{" + ", ".join(fields) + "}\n")
