"""Reads histories that others recorded. A file in this folder is a format; a history's content tells which one it is.

A format has a ``NAME``, ``recognises(head)`` for the first bytes of a file, and ``fill(source, tape)``, which puts
every event on a :class:`~harness.formats._tape.Tape`; one that can be written has ``write(history, path)`` as well.
"""

from __future__ import annotations

import gc
import importlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from time import perf_counter
from typing import IO, Any, Final, Protocol

from harness.errors import UsageError
from harness.formats._opened import UNREADABLE, is_packed, opened
from harness.formats._tape import Malformed, Reached, Tape, Trouble
from harness.model.columns import Columns
from harness.model.history import History

HEAD_BYTES: Final = 1 << 16
_PACKED: Final = 8
"""About so many times smaller is a compressed history."""
_ASK: Final = "nothing was judged; correct the file, or leave the event out"


class Format(Protocol):
    """What a file in this folder defines."""

    NAME: str

    def recognises(self, head: bytes) -> bool: ...

    def fill(self, source: IO[bytes], tape: Tape) -> None: ...


@cache
def every() -> dict[str, Format]:
    """All formats by name."""
    folder = Path(__file__).parent
    modules: Iterable[Any] = (
        importlib.import_module(f"{__name__}.{path.stem}") for path in sorted(folder.glob("[!_]*.py"))
    )
    return {module.NAME: module for module in modules}


@dataclass(frozen=True)
class Recording:
    """A history file, read once. ``keyed`` says that values have the form ``[key value]``; ``read_s`` is how many
    seconds reading took."""

    path: Path
    format: str
    tape: Tape
    keyed: bool = False
    read_s: float = 0.0

    @cached_property
    def history(self) -> History:
        """Its events. Raises UsageError when they contradict each other."""
        with self._placing():
            return self.tape.history(self.keyed)

    @cached_property
    def columns(self) -> Columns:
        """Its clients' operations as columns. Raises UsageError when events contradict each other."""
        with self._placing():
            return self.tape.columns(self.keyed)

    @cached_property
    def note(self) -> str:
        """What a reader of the verdict should know about the file; mostly empty."""
        count, first = self.tape.backwards()
        if not count:
            return ""
        times = "time runs" if count == 1 else f"times run {count} times"
        return f"{times} backwards between clients, first at event {first + 1}; the order of the events counts"

    @property
    def placed(self) -> bool:
        """Whether events say in which region or on which node they happened."""
        return any(region or node for region, node, _ in self.tape.notes.values)

    @contextmanager
    def _placing(self) -> Iterator[None]:
        try:
            yield
        except Trouble as trouble:
            raise UsageError(
                f"{_place(self.path, self.format, trouble.index, self.tape.size_bytes)}: {trouble}; {_ASK}"
            ) from None


def load(path: Path, keyed: bool = False) -> Recording:
    """Read ``path`` in whatever format it is. Raises UsageError that names file, line, column and what was expected."""
    began = perf_counter()
    try:
        tape = Tape(size_bytes=path.stat().st_size * (_PACKED if is_packed(path) else 1))
        with opened(path) as source:
            name = _recognised(path, source.read(HEAD_BYTES))
        with opened(path) as source, _no_collections():
            every()[name].fill(source, tape)
    except Malformed as error:
        raise UsageError(f"{path}:{error.line}:{error.column}: {error}; nothing was judged") from None
    except UNREADABLE as error:
        says = getattr(error, "strerror", None) or error
        raise UsageError(f"{path}: cannot be read: {says}; name a file with a history") from None
    return Recording(path, name, tape, keyed, perf_counter() - began)


@contextmanager
def _no_collections() -> Iterator[None]:
    """Reading makes millions of values and no circles of them: looking for circles would take most of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def read(path: Path, keyed: bool = False) -> History:
    """The events of the file ``path``. Raises UsageError that says where the file is wrong."""
    return load(path, keyed).history


def read_columns(path: Path, keyed: bool = False) -> Columns:
    """The clients' operations of the file ``path``, for large ones. Raises UsageError that says where it is wrong."""
    return load(path, keyed).columns


def _recognised(path: Path, head: bytes) -> str:
    if not head.strip():
        return "json-lines"  # an empty history is one in any format
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UsageError(f"{path}: is text in UTF-16; write it in UTF-8")
    for name, format_ in every().items():
        if format_.recognises(head):
            return name
    known = ", ".join(sorted(every()))
    raise UsageError(f"{path}: is in no known format; it begins with {head[:24]!r}. Known: {known}")


def _place(path: Path, format_: str, index: int, size_bytes: int) -> str:
    """Where event number ``index`` stands, as ``file:line:column``; reads the file again up to there."""
    try:
        with opened(path) as source:
            every()[format_].fill(source, Tape(stop_at=index, size_bytes=size_bytes))
    except Reached as found:
        return f"{path}:{found.line}:{found.column}"
    except (Malformed, *UNREADABLE):
        pass
    return f"{path}: event {index + 1}"
