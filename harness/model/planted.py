"""Bugs that are planted into a reference system by name."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

from harness.errors import UsageError


def bugs_named(target: str, text: str, known: Collection[str]) -> tuple[str, ...]:
    """The names in ``text``, separated by commas, each once. Raises UsageError for one that is not ``known``, with the
    nearest."""
    bugs = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for bug in bugs:
        if bug not in known:
            near = get_close_matches(bug, known, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise UsageError(f"target {target}: unknown bug {bug!r}; {hint}Write some of {', '.join(known)}")
    return bugs
