"""``rift list``: everything that can be named on the command line."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.commands._words import Json, tell


def command(
    kind: Annotated[
        str | None, typer.Argument(help="targets, workloads, faults, topologies, reports or models. [default: all]")
    ] = None,
    json: Json = False,
) -> int:
    """Show every target, workload, fault, topology, report format and model, or one kind of them."""
    from harness.commands import _list

    return tell(_list.everything(kind), _list.as_text, json)
