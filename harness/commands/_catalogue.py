"""Everything that can be named on the command line, with the first sentence of its own documentation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml

from harness import registry
from harness.contracts import Installed
from harness.errors import TestbedError, UsageError
from harness.judging import judges
from harness.model import labelled
from harness.planning import topologies
from harness.testbeds.powers import Power

KINDS: Final = {"targets": "target", "workloads": "workload", "faults": "fault", "reports": "renderer"}


def everything(kind: str | None = None) -> dict[str, dict[str, str]]:
    """Kind to name to one sentence, of every ``kind`` or one. A plugin that does not load raises PluginError, an
    unknown kind UsageError."""
    found: dict[str, Callable[[], dict[str, dict[str, str]]]] = {
        **{each: partial(_plugins, each, one) for each, one in KINDS.items()},
        "topologies": lambda: {"topologies": _topologies()},
        "models": _models,
    }
    wanted = [registry.pick("kind", kind, found)] if kind else found
    return {name: entries for each in wanted for name, entries in found[each]().items()}


def _plugins(kind: str, one: str) -> dict[str, dict[str, str]]:
    return {kind: {name: registry.sentence(one, name) for name in registry.names(one)}}


def _models() -> dict[str, dict[str, str]]:
    """The models of ``rift check``, each with the names of its options, and what the options mean."""
    models = {name: _model(judge) for name, judge in judges.MODELS.items()} | {judges.ROLLOUT: judges.ROLLOUT_SAYS}
    options = {f"-o {name}=": says for name, says in judges.OPTIONS.items()}
    return {"models": dict(sorted(models.items())), "model_options": options}


def _model(judge: judges.Judge) -> str:
    options = ", ".join(judges.options_of(judge))
    return f"{judge.says} (-o {options})" if options else judge.says


def servers() -> tuple[Power, ...]:
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


def as_text(found: dict[str, dict[str, str]]) -> str:
    """The same for people."""
    lines: list[str] = []
    for kind, entries in found.items():
        lines.append(f"{kind.replace('_', ' ')}:")
        lines += [f"  {name:<24} {sentence}" for name, sentence in entries.items()]
        lines.append("")
    return "\n".join(lines).rstrip()


def _topologies() -> dict[str, str]:
    folder = registry.home("fixtures") / "topologies"
    return {path.stem: topologies.load(path.stem, folder).description for path in sorted(folder.glob("*.yaml"))}
