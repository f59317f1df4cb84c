"""Options that several subcommands share, and how every one of them answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

TargetOptions = Annotated[list[str] | None, typer.Option("--option", "-o", help="An option of the target, name=value.")]
TargetName = Annotated[str, typer.Option(help="The system under test: a name from `rift list`, or a file of yours.")]
TopologyName = Annotated[str, typer.Option(help="A preset's name or a YAML file.")]
ProfileName = Annotated[str | None, typer.Option(help="Latency: floor, typical or degraded.")]
TestbedName = Annotated[
    str, typer.Option(help="Where nodes live: local (processes on this machine) or compose (Docker).")
]
OpTimeout = Annotated[float | None, typer.Option(help="Seconds until an operation counts as unknown.")]
RecoveryLimit = Annotated[float | None, typer.Option(help="Seconds that recovery may take after the heal.")]
LinkServer = Annotated[str | None, typer.Option(help="toxiproxy, embedded, or the URL of a Toxiproxy of yours.")]
Store = Annotated[Path | None, typer.Option("--store", help="Where runs are kept. [default: ./store]")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]


def store_root(store: Path | None) -> Path:
    """Where runs are kept: ``store``, else ``./store``."""
    return store if store is not None else Path("store")


def tell(data: Any, as_text: Callable[[Any], str], json: bool) -> int:
    """Print ``data`` for machines, or for people ``as_text``; 0."""
    import msgspec

    print(msgspec.json.encode(data).decode() if json else as_text(data))
    return 0
