"""Putting files into containers, which works for a remote engine as well as for one on this machine."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from typing import Any

from harness.testbeds.containers.engine import Engine


def put(engine: Engine, container: Any, files: Mapping[str, bytes]) -> None:
    """Write ``files`` (absolute path to content) into a container, running or not. Raises TestbedError."""
    if files:
        engine.call(container.put_archive, "/", archive(files))


def archive(files: Mapping[str, bytes]) -> bytes:
    """The files as a tar archive, readable for everybody."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
