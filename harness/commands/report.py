"""``rift report``: a stored run as a page, a line, or a file for other tools."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.commands._words import Store, store_root


def command(
    run: Annotated[str, typer.Argument(help="A run's folder, or its name in the store; `latest`.")] = "latest",
    format: Annotated[str, typer.Option("--format", "-f", help="html, terminal, json, junit or allure.")] = "html",
    store: Store = None,
) -> int:
    """Turn a stored run into a report; prints it, or where it lies."""
    from harness import registry
    from harness import store as runs

    print(registry.renderer(format).render(runs.load(runs.find(store_root(store), run))))
    return 0
