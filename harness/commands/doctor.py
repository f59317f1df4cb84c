"""``rift doctor``: what this machine offers, or what a compose file lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.commands._words import Json, tell


def command(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A compose file of yours: what is missing in it for a run?")
    ] = None,
    json: Json = False,
) -> int:
    """Show what this machine offers and what to install for the rest; with FILE, whether that can be run."""
    from harness.commands import _doctor

    if file is not None:
        found, text, ready = _doctor.compose_file(file)
        tell(found, lambda _: text, json)
        return 0 if ready else 4
    return tell(_doctor.machine(), _doctor.as_text, json)
