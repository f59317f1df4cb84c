"""What ``rift doctor`` finds out, about this machine and about a compose file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from harness import registry
from harness.contracts import Installed
from harness.errors import TestbedError, UsageError
from harness.model import labelled
from harness.testbeds import powers
from harness.testbeds.powers import Power


def machine() -> list[Power]:
    """What testbeds find here, and each target's server."""
    return [*powers.powers(), *_servers()]


def _servers() -> tuple[Power, ...]:
    """For each target that needs an installed server, whether it is here."""
    found: list[Power] = []
    for name in registry.names("target"):
        try:
            target = registry.target(name)
        except UsageError:  # it cannot be made without options, which say where its servers are
            continue
        if not isinstance(target, Installed):
            continue
        try:
            found.append(Power(name, True, target.server()))
        except TestbedError as error:
            found.append(Power(name, False, str(error)))
    return tuple(found)


def compose_file(path: Path) -> tuple[dict[str, Any], str, bool]:
    """What a labelled compose file says, as data, in words, and whether it can be run. Raises UsageError."""
    try:
        found = labelled.read(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{path}: {error}") from error
    nodes = [{"node": m.node, "region": m.region, "service": m.service, "ports": dict(m.ports)} for m in found.members]
    lines = [f"yes  {m.node:<6} {m.region:<16} service {m.service}, {m.ready}" for m in found.members]
    lines += [f"no   {problem}" for problem in found.problems] + [f"     {remark}" for remark in found.remarks]
    for member in found.members:
        if not member.ping:
            lines.append(f"     service {member.service}: without rift.ping nobody can attest that data flows or not")
        if not member.data:
            lines.append(
                f"     service {member.service}: no named volume and no rift.data: nothing outlives a new image"
            )
    data = {"nodes": nodes, "problems": list(found.problems), "remarks": list(found.remarks)}
    return data, "\n".join(lines), not found.problems


def as_text(found: Iterable[Power]) -> str:
    """What the machine offers, and lacks, for people."""
    return "\n".join(
        f"{'yes' if power.present else 'no ':<4} {power.name:<22} {power.says}"
        + (f"\n{'':<28}{power.advice}" if power.advice else "")
        for power in found
    )
