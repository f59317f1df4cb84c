"""Opens a history file: unpacked when it is compressed, and behind the mark that some editors put first."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final
from zlib import error as ZlibError

UNREADABLE: Final = (OSError, EOFError, ZlibError)
"""What a file that cannot be read raises; a compressed one that is cut off among it."""
_MARK: Final = b"\xef\xbb\xbf"


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of the history in ``path``. Raises one of UNREADABLE."""
    with open(path, "rb") as file:
        source = _unpacked(file)
        if source.peek(len(_MARK)).startswith(_MARK):
            source.read(len(_MARK))
        yield source


def is_packed(path: Path) -> bool:
    """Whether the file is compressed."""
    with open(path, "rb") as file:
        return file.peek(4).startswith(tuple(_UNPACK))


def _gzip(file: Any) -> Any:
    import gzip  # only who needs it loads it

    return gzip.GzipFile(fileobj=file)


def _zstd(file: Any) -> Any:
    import pyarrow as pa  # a third of a second to load

    return pa.CompressedInputStream(file, "zstd")


_UNPACK: Final = {b"\x1f\x8b": _gzip, b"\x28\xb5\x2f\xfd": _zstd}


def _unpacked(file: io.BufferedReader) -> io.BufferedReader:
    head = file.peek(4)
    for magic, unpack in _UNPACK.items():
        if head.startswith(magic):
            return io.BufferedReader(unpack(file), 1 << 20)
    return file
