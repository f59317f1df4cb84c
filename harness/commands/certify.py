"""``rift certify``: the evidence that the checkers are right, gathered on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.commands._words import Json, tell


def command(
    families: Annotated[
        list[str] | None, typer.Argument(metavar="[FAMILY]...", help="Checkers, by their model. [default: all]")
    ] = None,
    count: Annotated[
        int | None, typer.Option(help="Small random histories per family, and other evidence in proportion.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A hundredth of it: 1000 histories per family.")] = False,
    seed: Annotated[int, typer.Option(help="Decides every history.")] = 1,
    kind: Annotated[
        list[str] | None, typer.Option(help="oracle, mutation, laws, simulated or recorded. [default: all]")
    ] = None,
    histories: Annotated[
        Path | None, typer.Option(help="A folder of recorded histories with their verdicts in expected.json.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(help="Processes. [default: one per core]")] = None,
    json: Json = False,
) -> int:
    """Show that the checkers are right: against slow judges, planted anomalies, laws, and simulated systems.

    By default 100000 histories per family, which takes the better part of an hour on two cores; --quick a minute or
    two. Every mistake is printed as small as it can be made, to be judged again with `rift check`.

    Ends with 0 when no checker was ever wrong, 1 when one was, 2 when the evidence is not enough.
    """
    from harness.certify import command as certifying
    from harness.certify import table

    size = certifying.size(count, quick)
    found = certifying.run(families or [], kind or [], size, seed, histories, jobs)
    tell(table.as_data(found), lambda _: table.as_text(found), json)
    return found.exit_code
