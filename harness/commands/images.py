"""``rift images``: what composed runs are made of."""

from __future__ import annotations

import sys
from functools import partial
from typing import Annotated

import typer

from harness.commands._words import Json, tell


def command(
    names: Annotated[list[str] | None, typer.Argument(help="Recipes in compose/images. [default: all]")] = None,
    show: Annotated[bool, typer.Option("--list", help="Only show which are here.")] = False,
    json: Json = False,
) -> int:
    """Build or fetch every image that --testbed compose needs; no registry has to be reachable. What is here stays."""
    from harness import registry
    from harness.testbeds import opening

    say = partial(print, file=sys.stderr)
    found = opening.images(registry.home("compose"), say, build=not show, names=names or ())
    return tell(found, lambda rows: "\n".join(f"{row['state']:<8} {row['image']}" for row in rows), json)
