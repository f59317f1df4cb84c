"""``rift convert``: a recorded history in another format."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.commands._words import Store, store_root


def command(
    history: Annotated[str, typer.Argument(metavar="FILE|RUN", help="A history in any known format, or a run.")],
    out: Annotated[Path, typer.Argument(help="The file to write.")],
    to: Annotated[str, typer.Option(help="edn, jsonl or arrow. [default: as OUT's name ends]")] = "",
    store: Store = None,
) -> int:
    """Write a recorded history in another format."""
    from harness.judging import recorded

    recorded.place(out, history)
    events = recorded.convert(recorded.source(history, store_root(store)), out, to)
    print(f"{events:,} events in {out}", file=sys.stderr)
    return 0
