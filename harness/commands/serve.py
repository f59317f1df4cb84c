"""``rift serve``: the store in a browser."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.commands._words import Store, store_root


def command(
    port: Annotated[int, typer.Option(help="Port on the loopback address.")] = 8420,
    store: Store = None,
) -> int:
    """Browse the store at http://127.0.0.1:8420; ends with Ctrl-C."""
    from harness.commands import _serve

    return _serve.serve(store_root(store), port)
