"""``rift heal``: removes what killed runs left."""

from __future__ import annotations

from harness.commands._words import Json, tell


def command(json: Json = False) -> int:
    """Remove what killed runs left behind: processes, proxies, locks, containers. Touches nothing else."""
    import asyncio

    from harness.testbeds import healing

    return tell(asyncio.run(healing.heal()), lambda all_: "\n".join(all_) or "Nothing was left behind.", json)
