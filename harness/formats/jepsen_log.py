"""Jepsen's log as histories were published before there were files of them.

    INFO  jepsen.util - 3	:invoke	:read	nil
    2014-12-11 15:06:21,000 INFO  jepsen.util - 3 :ok :cas [1 2]

Lines of other loggers are skipped. A failed compare-and-set that shows its two values is the server's answer, so it
says that the register did not hold the first of them; the models' option ``failed_cas`` makes use of that.
"""

from __future__ import annotations

import re
from typing import IO, Final

from harness.formats._edn import Reader
from harness.formats._tape import Malformed, Tape

NAME: Final = "jepsen-log"
_LOGGER: Final = re.compile(rb"jepsen\.util\s*+(?:-|:)\s++(?=\d|:nemesis\b)")
_EVENT: Final = re.compile(rb"(\d+|:nemesis)\s++:(\w+)\s++:(\S+)\s++")


def recognises(head: bytes) -> bool:
    """Whether one of the first lines is an operation logged by Jepsen."""
    return _LOGGER.search(head) is not None


def fill(source: IO[bytes], tape: Tape) -> None:
    """Put every logged operation on the ``tape``. Raises Malformed with line and column."""
    for number, line in enumerate(source, 1):
        logger = _LOGGER.search(line)
        if logger is None:
            continue
        try:
            _add(line, logger.end(), tape)
        except Malformed as error:
            error.line, error.column = number, error.offset + 1
            raise


def _add(line: bytes, start: int, tape: Tape) -> None:
    event = _EVENT.match(line, start)
    if event is None:
        raise Malformed("expected PROCESS :TYPE :OPERATION VALUE", start)
    try:
        process, type_, f = (group.decode() for group in event.groups())
    except UnicodeDecodeError as error:
        raise Malformed(f"expected text in UTF-8, found byte {error.object[error.start]:#x}", start) from None
    reader = Reader(line, position=event.end())
    value = reader.form()
    rest = line[reader.position :].strip()
    if rest:
        raise Malformed(f"expected the end of the line after the value, found {rest.decode(errors='replace')!r}", start)
    failed = type_ != "invoke" and isinstance(value, str) and line[event.end() : event.end() + 1] == b":"
    note = tape.notes.number(("", "", value if failed else ""))
    who = "nemesis" if process == ":nemesis" else int(process)
    try:
        tape.add(tape.row(type_, f, who, tape.code(None if failed else value), note=note))
    except Malformed as error:
        error.offset = start
        raise
