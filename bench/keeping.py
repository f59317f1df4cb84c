"""Results in a file of JSON lines, so that what takes hours goes on where it was stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Result = dict[str, Any]


def kept(file: Path | None, is_it: Callable[[Result], bool], measure: Callable[[], Result]) -> Result:
    """The first result in ``file`` that ``is_it``; else what ``measure`` finds, which is added to the file, if any."""
    if file is not None and file.exists():
        for line in file.read_text(encoding="utf-8").splitlines():
            told: Result = json.loads(line)
            if is_it(told):
                return told
    told = measure()
    if file is not None:
        with file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(told) + "\n")
    return told
