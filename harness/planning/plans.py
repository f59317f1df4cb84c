"""From what the user asked for to a plan: presets, default faults, and the command that runs it again."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from harness import registry
from harness.errors import UsageError
from harness.model.claims import Objectives
from harness.model.plan import Drill, Plan
from harness.model.seeds import fresh_seed
from harness.model.topology import Profile, Topology
from harness.planning import topologies
from harness.planning.traits import traits
from harness.testbeds import opening

DEFAULT_FAULTS: Final = ("partition-region", "blackhole-leader", "kill-leader", "pause-leader")
"""A polite cut, a silent one, a crash and a stall: the four that break most systems. Those that a topology or target
offers no victim for are left out."""
DEFAULT_TOPOLOGY: Final = "three-regions"
TESTBEDS: Final = ("local", "compose")
CLIENTS_PER_REGION: Final = 6


def topology(name_or_path: str, profile: str | None = None) -> Topology:
    """A preset or a file, under another latency profile if one is named. Raises UsageError."""
    found = topologies.load(name_or_path, registry.home("fixtures") / "topologies")
    if profile is None:
        return found
    return found.with_profile(registry.pick("profile", profile, [each.value for each in Profile]))


def fault_list(text: str, where: Topology, offered: frozenset[str]) -> tuple[str, ...]:
    """The faults that ``text`` names: ``none``, ``default``, ``all``, or names with commas between.

    ``default`` and ``all`` leave out what finds no victim, or needs a power that is not ``offered``; a fault that was
    named is an error later.
    """
    if text == "none":
        return ()
    if text not in ("default", "all"):
        return tuple(registry.pick("fault", name.strip(), registry.names("fault")) for name in text.split(","))
    names = DEFAULT_FAULTS if text == "default" else [name for name in registry.names("fault") if name != "nothing"]
    found = [registry.fault(name) for name in names]
    return tuple(fault.name for fault in found if fault.aims(where) and fault.needs <= offered)


def needs(plan: Plan) -> frozenset[str]:
    """Everything that the plan's faults need, of testbed and target."""
    return frozenset().union(*(registry.fault(name).needs for name in plan.faults))


def options(pairs: Sequence[str]) -> dict[str, str]:
    """``["bug=stale-reads"]`` as a dict. Raises UsageError for one without ``=``."""
    parsed: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"--option {pair!r}: write it as name=value, e.g. --option bug=stale-reads")
        parsed[name] = value
    return parsed


def replay_command(plan: Plan, arguments: Mapping[str, Any], command: str = "run") -> str:
    """The ``rift run`` (or other ``command``) that carries out the same schedule again. ``arguments`` are the options
    as the user gave them: option name to value; lists are repeated, None and False are left out."""
    words = ["rift", command]
    for name, value in {**arguments, "seed": plan.seed}.items():
        flag = f"--{name.replace('_', '-')}"
        for each in value if isinstance(value, list | tuple) else [value]:
            if each is True:
                words.append(flag)
            elif each is not None and each is not False:
                words += [flag, f"{each:g}" if isinstance(each, float) else str(each)]
    return shlex.join(words)


def plan(
    *,
    target: str,
    target_options: dict[str, str] | None = None,
    topology_name: str = DEFAULT_TOPOLOGY,
    profile: str | None = None,
    testbed: str = "local",
    workload: str = "register",
    faults: str = "default",
    seed: int | None = None,
    name: str | None = None,
    numbers: Mapping[str, float | int | None] | None = None,
    drill: Drill | None = None,
    objectives: Objectives | None = None,
    said: Mapping[str, Any] | None = None,
) -> Plan:
    """The plan for what was asked. ``numbers`` are fields of the plan, None for the default; ``said`` are the options
    as the user gave them, for the replay command. Raises UsageError for a name or number that makes no sense."""
    registry.pick("testbed", testbed, TESTBEDS)
    where = topology(topology_name, profile)
    system = registry.target(target, target_options)
    stem = Path(target).stem
    chosen = Plan(
        test=_folder_name(name or "-".join([stem, *(target_options or {}).values(), workload])),
        target=target,
        target_options=target_options or {},
        topology=where.as_data(),
        testbed=testbed,
        workload=registry.pick("workload", workload, registry.names("workload")),
        faults=fault_list(faults, where, opening.offers(testbed) | traits(system)),
        seed=fresh_seed() if seed is None else seed,
        clients=CLIENTS_PER_REGION * len(where.regions),
        claims=tuple(sorted(system.claims.consistency)),
        objectives=system.claims.objectives if objectives is None else objectives,
        drill=drill,
        op_timeout_s=_patience_s(where),
    )
    chosen = _with_numbers(chosen, numbers or {})
    return msgspec.structs.replace(chosen, replay=replay_command(chosen, said or {}, "drill" if drill else "run"))


def _patience_s(where: Topology) -> float:
    """How long an operation may take: several round trips over the slowest link, for requests that are forwarded,
    replicated and confirmed."""
    slowest_ms = max((where.between(*pair).rtt_ms for pair in where.pairs), default=0.0)
    return max(2.0, 6 * slowest_ms / 1000)


def _folder_name(test: str) -> str:
    """``test`` as the name of one folder: an option may hold a path, and a run must not leave its store."""
    return re.sub(r"[^\w.+\[\]-]+", "_", test.replace(",", "+")).strip("._") or "run"


def _with_numbers(chosen: Plan, numbers: Mapping[str, float | int | None]) -> Plan:
    given = {name: value for name, value in numbers.items() if value is not None}
    for name, value in given.items():
        if not math.isfinite(value) or value < 0 or (value == 0 and name not in ("rate_hz", "keys")):
            flag = name.removesuffix("_s").removesuffix("_hz").replace("_", "-")
            raise UsageError(f"--{flag} {value:g}: must be more than 0")
    return msgspec.structs.replace(chosen, **given)
