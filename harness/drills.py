"""Failover drills: the same exercise again and again, every one a run in the store, and the distribution of what it
measured.

A drill with seed ``s`` that is repeated has the seeds ``s``, ``s + 1`` ...: each can be done again alone.
"""

from __future__ import annotations

import math
import re
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from harness import execute, planning, registry
from harness.errors import RiftError, UsageError
from harness.model.claims import Objectives
from harness.model.plan import Drill, Plan
from harness.model.run import Run
from harness.model.seeds import fresh_seed
from harness.model.verdict import Valid, worst

SCHEMA: Final = 1
RATE_HZ: Final = 300.0
CLIENTS_PER_REGION: Final = 15
STEADY_S: Final = 5.0
"""Before the fault: what is normal."""
TAIL_S: Final = 11.0
FAILBACK_AFTER_S: Final = 1.5
"""After the failback began, or after the heal: until service is steady again."""
PHASES: Final = ("detected_s", "first_success_s", "steady_s")


@dataclass(frozen=True)
class Asked:
    """What the user wants to be drilled. ``objectives`` are texts such as ``30s``, empty where the target's hold."""

    target: str
    options: dict[str, str] = field(default_factory=dict)
    fault: str = "kill-region"
    region: str = ""
    topology: str = planning.DEFAULT_TOPOLOGY
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


@dataclass(frozen=True)
class Drilled:
    """One drill's outcome: ``valid`` and its run's folder, or the ``problem`` that ended it; ``measured`` is flat."""

    seed: int
    valid: Valid
    folder: str
    replay: str
    measured: dict[str, Any]
    problem: str = ""


@dataclass(frozen=True)
class Drills:
    """All of them."""

    asked: Asked
    drills: tuple[Drilled, ...]

    @property
    def exit_code(self) -> int:
        valid = worst(drilled.valid for drilled in self.drills)
        if valid is not Valid.FALSE and any(drilled.problem for drilled in self.drills):
            return RiftError.exit_code
        return valid.exit_code

    def as_data(self) -> dict[str, Any]:
        """For machines; fields are only ever added."""
        outcome = {Valid.TRUE: True, Valid.FALSE: False, Valid.UNKNOWN: "unknown"}
        return {
            "schema": SCHEMA,
            "valid": outcome[worst(drilled.valid for drilled in self.drills)],
            "target": self.asked.target,
            "options": self.asked.options,
            "fault": self.asked.fault,
            "drills": [
                {
                    "seed": drilled.seed,
                    "valid": outcome[drilled.valid],
                    "folder": drilled.folder,
                    "replay": drilled.replay,
                    "problem": drilled.problem,
                    **drilled.measured,
                }
                for drilled in self.drills
            ],
            "distribution": distribution([drilled.measured for drilled in self.drills]),
        }


def drill(asked: Asked, root: Path) -> Drills:
    """Carry out every drill and tell each as it ends. One that fails is told, and the next one begins; Ctrl-C ends all.

    Raises UsageError for what cannot be drilled.
    """
    if asked.repeat < 1:
        raise UsageError(f"--repeat {asked.repeat}: write 1 or more")
    first = fresh_seed() if asked.seed is None else asked.seed
    plans = [planned(replace(asked, seed=first + i)) for i in range(asked.repeat)]
    done: list[Drilled] = []
    for number, plan in enumerate(plans, 1):
        done.append(_one(plan, root, asked))
        print(f"drill {number}/{asked.repeat}: {line(done[-1])}", file=sys.stderr, flush=True)
        if done[-1].problem == "interrupted":
            break
    return Drills(replace(asked, seed=first), tuple(done))


def _one(plan: Plan, root: Path, asked: Asked) -> Drilled:
    try:
        run = execute.run(plan, root, asked.link_server)
    except RiftError as error:
        return Drilled(plan.seed, Valid.UNKNOWN, "", plan.replay, {}, str(error))
    problem = run.state if run.state == "interrupted" else ""
    return Drilled(plan.seed, run.valid, str(run.folder), plan.replay, measured(run), problem)


def planned(asked: Asked) -> Plan:
    """One drill as a plan. Raises UsageError."""
    name = registry.pick("fault", asked.fault, registry.names("fault"))
    target = registry.target(asked.target, asked.options)
    where = planning.topology(asked.topology, asked.profile)
    if not asked.region and not hasattr(target, "leader"):
        raise UsageError(f"target {asked.target} does not say who leads: name the region to strike with --region")
    back = asked.failback and hasattr(target, "hand_over")
    steps = Drill(
        fault=name,
        region=asked.region,
        at_s=STEADY_S,
        hold_s=asked.hold_s,
        failback_after_s=FAILBACK_AFTER_S if back else 0.0,
    )
    slowest_ms = max((where.between(*pair).rtt_ms for pair in where.pairs), default=0.0)
    return planning.plan(
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
            "clients": asked.clients or CLIENTS_PER_REGION * len(where.regions),
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


# --- what a drill measured -------------------------------------------------------------------------


def measured(run: Run) -> dict[str, Any]:
    """The numbers of one drill. Phases are those of the slowest region that the fault does not itself cut off."""
    details = {verdict.checker: verdict.details for verdict in run.verdicts}
    rto, rpo, split = (details.get(name, {}) for name in ("rto", "rpo", "split-brain"))
    outage: dict[str, Any] = next(iter(rto.get("outages", ())), {})
    told: dict[str, Any] = {"manner": outage.get("manner", ""), "rto": {}}
    groups: dict[str, dict[str, dict[str, Any]]] = {}
    for region, kinds in outage.get("regions", {}).items():
        for f, seen in kinds.items():
            groups.setdefault(f, {})[region] = seen
    for f, regions in groups.items():
        told["rto"][f] = {"slowest": _slowest(regions), "regions": regions}
    told |= {name: rpo.get(name) for name in ("acknowledged", "lost", "loss_s", "after_fault", "divided")}
    told["split_brain_s"] = split.get("window_s")
    told["promotion_s"] = _promotion_s(run)
    told["failback_s"] = _failback_s(rto)
    told["verdicts"] = {
        verdict.checker: {"valid": str(verdict.valid), "judged": verdict.judged} for verdict in run.verdicts
    }
    return told


def _slowest(regions: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    hit = {name: seen for name, seen in regions.items() if seen["interrupted"] and not seen["cut_off"]}
    if not hit:
        return None
    name = max(hit, key=lambda each: hit[each]["steady_s"] if hit[each]["steady_s"] is not None else math.inf)
    return {"region": name, **{phase: hit[name][phase] for phase in (*PHASES, "resolution_s", "steady_before_heal")}}


def _promotion_s(run: Run) -> float | None:
    """From the fault's start until a node of another region said that it leads; to about a tenth of a second."""
    if not run.history.faults:
        return None
    fault = run.history.faults[0]
    said = [op for op in run.history if op.is_nemesis and op.f == "leader" and op.time_ns > fault.start_ns and op.key]
    elsewhere = [op for op in said if isinstance(op.value, dict) and op.value.get("region") not in fault.regions]
    return round((elsewhere[0].time_ns - fault.start_ns) / 1e9, 3) if elsewhere else None


def _failback_s(rto: Mapping[str, Any]) -> float | None:
    """The longest interruption of a planned move; 0 when it interrupted nobody, None when there was none."""
    for moved in rto.get("failbacks", ()):
        if moved["done"]:
            seen = [kind for region in moved["regions"].values() for kind in region.values() if kind["interrupted"]]
            times = [kind["steady_s"] for kind in seen]
            return None if None in times else max(times, default=0.0)
    return None


def distribution(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """``min``, ``median``, ``p95`` (nearest rank) and ``max`` of every number over the drills that have it (``n``)."""
    found: dict[str, Any] = {}
    for f in sorted({f for row in rows for f in row.get("rto", {})}):
        slowest = [row["rto"][f]["slowest"] for row in rows if row.get("rto", {}).get(f, {}).get("slowest")]
        found[f] = {phase: spread([each[phase] for each in slowest]) for phase in PHASES}
    for name in ("promotion_s", "failback_s", "lost", "loss_s", "split_brain_s"):
        found[name] = spread([row.get(name) for row in rows])
    return found


def spread(values: Sequence[float | None]) -> dict[str, float | int | None]:
    """The distribution of the values that are there."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return {"n": 0, "min": None, "median": None, "p95": None, "max": None}
    p95 = known[math.ceil(0.95 * len(known)) - 1]
    return {"n": len(known), "min": known[0], "median": statistics.median(known), "p95": p95, "max": known[-1]}


# --- telling -----------------------------------------------------------------------------------------


def line(drilled: Drilled) -> str:
    """One drill in one line."""
    if not drilled.measured:
        return f"seed {drilled.seed}  failed: {drilled.problem}"
    told = drilled.measured
    parts = []
    for f, seen in told["rto"].items():
        slowest = seen["slowest"]
        if slowest is None:
            parts.append(f"{f} not interrupted")
            continue
        times = " / ".join("never" if slowest[phase] is None else f"{slowest[phase]:.2f}" for phase in PHASES)
        parts.append(f"{f} {times} s in {slowest['region']}")
    lost = f"{told['lost']} of {told['acknowledged']} acknowledged writes lost"
    lost += f" (the last {told['loss_s']:.2f} s)" if told["lost"] else ""
    lost += f"; regions disagree about {told['divided']} at the end" if told["divided"] else ""
    split = f"; two primaries for {told['split_brain_s']:.1f} s" if told["split_brain_s"] else ""
    word = {Valid.TRUE: "held", Valid.FALSE: "VIOLATED", Valid.UNKNOWN: "unknown"}[drilled.valid]
    return f"seed {drilled.seed}  {word}  {'; '.join(parts)}; {lost}{split}"


def as_text(found: Drills) -> str:
    """The distribution as a table for people."""
    data = found.as_data()
    asked = found.asked
    options = " ".join(f"{name}={value}" for name, value in asked.options.items())
    rows: list[tuple[str, ...]] = [("seconds since the fault", "n", "min", "median", "p95", "max")]
    told = data["distribution"]
    for f in [f for f in told if isinstance(told[f], dict) and "detected_s" in told[f]]:
        names = {"detected_s": "first error", "first_success_s": "first success", "steady_s": "steady service"}
        rows += [(f"{f}: {names[phase]}", *_cells(told[f][phase])) for phase in PHASES]
    names = {
        "promotion_s": "another region leads",
        "failback_s": "failback: steady service after",
        "split_brain_s": "two primaries at once, s",
        "lost": "acknowledged writes lost",
        "loss_s": "of the last ... s",
    }
    rows += [(text, *_cells(told[name])) for name, text in names.items()]
    widths = [max(len(row[i]) for row in rows) for i in range(6)]
    table = [row[0].ljust(widths[0]) + "".join(cell.rjust(w + 2) for cell, w in zip(row[1:], widths[1:], strict=True))
             for row in rows]  # fmt: skip
    valid = [drilled.valid for drilled in found.drills]
    outcome = ", ".join(f"{valid.count(v)} {word}" for v, word in _WORDS.items() if v in valid)
    head = f"{asked.target} {options} {asked.fault}, {len(found.drills)} drills from seed {asked.seed}: {outcome}"
    problems = [f"seed {drilled.seed} failed: {drilled.problem}" for drilled in found.drills if drilled.problem]
    again = [f"  {drilled.replay}" for drilled in found.drills[:1]]
    return "\n".join([" ".join(head.split()), "", *table, "", *problems, "Again:", *again])


_WORDS: Final = {Valid.TRUE: "held", Valid.FALSE: "violated", Valid.UNKNOWN: "unknown"}


def _cells(found: Mapping[str, float | int | None]) -> tuple[str, ...]:
    def cell(value: float | int | None) -> str:
        return "-" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)

    return (str(found["n"]), *(cell(found[name]) for name in ("min", "median", "p95", "max")))
