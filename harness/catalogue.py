"""Everything that can be named on the command line, with the first sentence of its own documentation."""

from __future__ import annotations

from typing import Final

from harness import registry, topologies
from harness.contracts import Installed
from harness.errors import TestbedError
from harness.testbeds.powers import Power

KINDS: Final = {"targets": "target", "workloads": "workload", "faults": "fault", "reports": "renderer"}


def everything() -> dict[str, dict[str, str]]:
    """Kind to name to one sentence; topologies included. A plugin that does not load raises PluginError."""
    found = {kind: {name: registry.sentence(one, name) for name in registry.names(one)} for kind, one in KINDS.items()}
    found["topologies"] = _topologies()
    return found


def servers() -> tuple[Power, ...]:
    """For each target that needs an installed server, whether it is here."""
    found: list[Power] = []
    for name in registry.names("target"):
        target = registry.target(name)
        if not isinstance(target, Installed):
            continue
        try:
            found.append(Power(name, True, target.server()))
        except TestbedError as error:
            found.append(Power(name, False, str(error)))
    return tuple(found)


def as_text(found: dict[str, dict[str, str]]) -> str:
    """The same for people."""
    lines: list[str] = []
    for kind, entries in found.items():
        lines.append(f"{kind}:")
        lines += [f"  {name:<24} {sentence}" for name, sentence in entries.items()]
        lines.append("")
    return "\n".join(lines).rstrip()


def _topologies() -> dict[str, str]:
    folder = registry.home("fixtures") / "topologies"
    return {path.stem: topologies.load(path.stem, folder).description for path in sorted(folder.glob("*.yaml"))}
