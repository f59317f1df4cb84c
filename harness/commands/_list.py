"""What ``rift list`` shows: everything that can be named, with the first sentence of its own documentation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from harness import registry
from harness.judging import judges
from harness.planning import topologies

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
