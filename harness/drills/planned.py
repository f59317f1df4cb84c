"""What the user wants to be drilled, as the plan of one drill."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from harness import registry
from harness.errors import UsageError
from harness.model.claims import Objectives
from harness.model.plan import Drill, Plan
from harness.planning import plans

RATE_HZ: Final = 300.0
CLIENTS_PER_REGION: Final = 15
STEADY_S: Final = 5.0
"""Before the fault: what is normal."""
TAIL_S: Final = 11.0
FAILBACK_AFTER_S: Final = 1.5
"""After the failback began, or after the heal: until service is steady again."""


@dataclass(frozen=True)
class Asked:
    """What the user wants to be drilled. ``objectives`` are texts such as ``30s``, empty where the target's hold."""

    target: str
    options: dict[str, str] = field(default_factory=dict)
    fault: str = "kill-region"
    region: str = ""
    topology: str = plans.DEFAULT_TOPOLOGY
    profile: str | None = None
    testbed: str = "local"
    hold_s: float = 8.0
    failback: bool = True
    repeat: int = 1
    seed: int | None = None
    rate_hz: float | None = None
    clients: int | None = None
    op_timeout_s: float | None = None
    recovery_limit_s: float | None = None
    objectives: Mapping[str, str | None] = field(default_factory=dict)
    link_server: str | None = None
    said: Mapping[str, Any] = field(default_factory=dict)


def planned(asked: Asked) -> Plan:
    """One drill as a plan. Raises UsageError."""
    name = registry.pick("fault", asked.fault, registry.names("fault"))
    target = registry.target(asked.target, asked.options)
    where = plans.topology(asked.topology, asked.profile)
    if not asked.region and not hasattr(target, "leader"):
        raise UsageError(f"target {asked.target} does not say who leads: name the region to strike with --region")
    clients = asked.clients or CLIENTS_PER_REGION * len(where.regions)
    if 0 < clients < len(where.regions):
        raise UsageError(
            f"--clients {clients}: topology {where.name} has {len(where.regions)} regions; nobody would see whether "
            f"all of them are served: give {len(where.regions)} or more"
        )
    back = asked.failback and hasattr(target, "hand_over")
    steps = Drill(
        fault=name,
        region=asked.region,
        at_s=STEADY_S,
        hold_s=asked.hold_s,
        failback_after_s=FAILBACK_AFTER_S if back else 0.0,
    )
    slowest_ms = max((where.between(*pair).rtt_ms for pair in where.pairs), default=0.0)
    return plans.plan(
        target=asked.target,
        target_options=asked.options,
        topology_name=asked.topology,
        profile=asked.profile,
        testbed=asked.testbed,
        workload="failover",
        faults=name,
        seed=asked.seed,
        name="-".join([Path(asked.target).stem, *asked.options.values(), "drill", name]),
        numbers={
            "time_limit_s": STEADY_S + asked.hold_s + steps.failback_after_s + TAIL_S,
            "rate_hz": asked.rate_hz or RATE_HZ,
            "clients": clients,
            "op_timeout_s": asked.op_timeout_s or max(1.0, 8 * slowest_ms / 1000),
            "recovery_limit_s": asked.recovery_limit_s,
        },
        drill=steps,
        objectives=objectives(asked.objectives, target.claims.objectives),
        said=dict(asked.said),
    )


def objectives(said: Mapping[str, str | None], claimed: Objectives) -> Objectives:
    """The target's promises with what the user asks for instead. Raises UsageError."""
    wanted: dict[str, Any] = {}
    for name, (fieldname, pattern, scales, advice) in _OBJECTIVES.items():
        if (text := said.get(name)) is None:
            continue
        match = re.fullmatch(pattern, text.strip())
        if not match or (name == "availability" and float(match[1]) * scales[match[2]] > 1):
            raise UsageError(f"--{name} {text!r}: write {advice}")
        wanted[fieldname] = float(match[1]) * scales[match[2]]
    return msgspec.structs.replace(claimed, **wanted)


_TIME: Final = (r"(\d+(?:\.\d+)?)(ms|s|m)?", {"ms": 0.001, "s": 1.0, "m": 60.0, None: 1.0})
_OBJECTIVES: Final[dict[str, tuple[str, str, dict[str | None, float], str]]] = {
    "rto": ("rto_s", *_TIME, "a time, e.g. 30s"),
    "rpo": ("rpo_s", *_TIME, "a time, e.g. 5s; 0 when no acknowledged write may be lost"),
    "availability": ("availability", r"(\d+(?:\.\d+)?)(%)?", {"%": 0.01, None: 1.0}, "a share, e.g. 99% or 0.99"),
}
