"""Failover drills: the same exercise again and again, every one a run in the store, and a page that sums them up.

A drill with seed ``s`` that is repeated has the seeds ``s``, ``s + 1`` ...: each can be done again alone. The summary,
``drills-<utc>.html`` and ``.json``, lies beside the runs and is written anew after every drill.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from harness import registry, store
from harness.drills.figures import ANOMALIES, PHASES, distribution, measured
from harness.errors import RiftError, StoreError, UsageError
from harness.failovers import SumsUp
from harness.model.claims import Objectives
from harness.model.plan import Drill, Plan
from harness.model.seeds import fresh_seed
from harness.model.verdict import Valid, worst
from harness.planning import plans
from harness.running import execute

SCHEMA: Final = 1
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


@dataclass(frozen=True)
class Drilled:
    """One drill's outcome: ``valid`` and its run's folder, and the ``problem`` that ended it early; ``measured`` is
    flat."""

    seed: int
    valid: Valid
    folder: str
    replay: str
    measured: dict[str, Any]
    problem: str = ""


@dataclass(frozen=True)
class Drills:
    """All of them. ``page`` is where they are summed up, ``objectives`` what they were judged by."""

    asked: Asked
    drills: tuple[Drilled, ...]
    page: Path | None = None
    objectives: Objectives = field(default_factory=Objectives)

    @property
    def exit_code(self) -> int:
        valid = worst(drilled.valid for drilled in self.drills)
        if valid is not Valid.FALSE and any(drilled.problem for drilled in self.drills):
            return RiftError.exit_code
        return valid.exit_code

    def as_data(self) -> dict[str, Any]:
        """For machines; fields are only ever added."""
        return {
            "schema": SCHEMA,
            "valid": _OUTCOME[worst(drilled.valid for drilled in self.drills)],
            "target": self.asked.target,
            "options": self.asked.options,
            "fault": self.asked.fault,
            "topology": self.asked.topology,
            "testbed": self.asked.testbed,
            "asked": self.asked.repeat,
            "objectives": msgspec.to_builtins(self.objectives),
            "page": str(self.page) if self.page else None,
            "drills": [self._row(drilled) for drilled in self.drills],
            "distribution": distribution([drilled.measured for drilled in self.drills]),
        }

    def _row(self, drilled: Drilled) -> dict[str, Any]:
        report = None
        if drilled.folder and self.page:
            report = os.path.relpath(Path(drilled.folder) / "report.html", self.page.parent)
        return {
            "seed": drilled.seed,
            "valid": _OUTCOME[drilled.valid],
            "folder": drilled.folder,
            "report": report,
            "replay": drilled.replay,
            "problem": drilled.problem,
            **drilled.measured,
        }


_OUTCOME: Final = {Valid.TRUE: True, Valid.FALSE: False, Valid.UNKNOWN: "unknown"}


def drill(asked: Asked, root: Path) -> Drills:
    """Carry out every drill, tell each as it ends, and sum up. One that fails is told, and the next one begins; Ctrl-C
    ends all.

    Raises UsageError for what cannot be drilled.
    """
    if asked.repeat < 1:
        raise UsageError(f"--repeat {asked.repeat}: write 1 or more")
    first = fresh_seed() if asked.seed is None else asked.seed
    plans = [planned(replace(asked, seed=first + i)) for i in range(asked.repeat)]
    page = (root / plans[0].test / f"drills-{datetime.now(UTC):%Y%m%dT%H%M%S}Z-{os.getpid()}.html").resolve()
    done = Drills(replace(asked, seed=first), (), page, plans[0].objectives or Objectives())
    for number, plan in enumerate(plans, 1):
        last = _one(plan, root, asked)
        done = replace(done, drills=(*done.drills, last))
        print(f"drill {number}/{asked.repeat}: {line(last)}", file=sys.stderr, flush=True)
        done = _summed_up(done)
        if last.problem == "interrupted":
            break
    return done


def _one(plan: Plan, root: Path, asked: Asked) -> Drilled:
    before = _newest(root, plan)
    try:
        run = execute.run(plan, root, asked.link_server)
    except RiftError as error:
        failed = Drilled(plan.seed, Valid.UNKNOWN, "", plan.replay, {}, str(error))
        folder = _newest(root, plan)
        return failed if folder is None or folder == before else _with_evidence(failed, folder)
    problem = run.state if run.state == "interrupted" else ""
    return Drilled(plan.seed, run.valid, str(run.folder), plan.replay, measured(run), problem)


def _newest(root: Path, plan: Plan) -> Path | None:
    """The newest run of this drill."""
    try:
        return store.find(root, plan.test).path
    except StoreError:
        return None


def _with_evidence(failed: Drilled, folder: Path) -> Drilled:
    """A failed drill with what its run left: a violation that clients saw stays one."""
    try:
        run = store.load(store.RunFolder(folder))
    except RiftError:  # e.g. the full disk that it failed of
        return replace(failed, folder=str(folder))
    if not (run.verdicts and run.history.operations):  # it failed before anything was measured
        return replace(failed, folder=str(folder))
    return replace(failed, valid=run.valid, folder=str(folder), measured=measured(run))


def _summed_up(done: Drills) -> Drills:
    """Write the summary. A disk or a picture that refuses costs no verdict: then there is no page."""
    renderer = registry.renderer("html")
    if not isinstance(renderer, SumsUp) or done.page is None:
        return done
    try:
        data = done.as_data()
        done.page.parent.mkdir(parents=True, exist_ok=True)
        done.page.with_suffix(".json").write_bytes(msgspec.json.format(msgspec.json.encode(data), indent=1))
        done.page.write_text(renderer.sum_up(data), encoding="utf-8")
    except Exception as error:  # whatever a picture breaks on, the outcome must come out
        print(f"rift: no summary page: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return replace(done, page=None)
    return done


def planned(asked: Asked) -> Plan:
    """One drill as a plan. Raises UsageError."""
    name = registry.pick("fault", asked.fault, registry.names("fault"))
    target = registry.target(asked.target, asked.options)
    where = plans.topology(asked.topology, asked.profile)
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


# --- telling -----------------------------------------------------------------------------------------


TOLD: Final = 2
"""So many troubles of nodes stand in a drill's line; its page has all."""


def line(drilled: Drilled) -> str:
    """One drill in one line."""
    told = drilled.measured
    if not told:
        return f"seed {drilled.seed}  failed: {drilled.problem}"
    parts = [_times(f, seen["slowest"]) for f, seen in told["rto"].items()]
    if told["lost"] is not None:
        lost = f"{told['lost']} of {told['acknowledged']} acknowledged writes lost"
        parts.append(lost + (f" (the last {told['loss_s']:.2f} s)" if told["lost"] else ""))
    elif told["unread"]:
        parts.append(f"what became of {told['unread']} of {told['acknowledged']} acknowledged writes is unknown")
    parts += [f"{number} {kind}" for kind, number in told["anomalies"].items() if number]
    if told["divided"]:
        parts.append(f"regions disagree about {told['divided']} at the end: {disagreement(told)}")
    if told["split_brain_s"]:
        parts.append(f"two primaries for {told['split_brain_s']:.1f} s")
    if told["left_over"]:
        parts.append("two histories are left over")
    parts += [f"{said['node']} at {said['at_s']:.1f} s: {said['why']}" for said in told["trouble"][:TOLD]]
    parts += [f"{len(told['trouble']) - TOLD} more troubles"] if len(told["trouble"]) > TOLD else []
    parts += [f"{node} did not recover: {why}" for node, why in told["unready"].items()]
    if drilled.problem:
        parts.append(f"failed: {drilled.problem}")
    return f"seed {drilled.seed}  {_WORDS[drilled.valid]}  {'; '.join(parts)}"


def _times(f: str, slowest: Mapping[str, Any] | None) -> str:
    if slowest is None:
        return f"{f} not interrupted"
    times = " / ".join("never" if slowest[phase] is None else f"{slowest[phase]:.2f}" for phase in PHASES)
    return f"{f} {times} s in {slowest['region']}"


def disagreement(told: Mapping[str, Any], shown: int = 6) -> str:
    """Which regions lack what others have, and in which lists."""
    lacks = ", ".join(f"{region or 'one read'} lacks {number}" for region, number in told["lacking"].items())
    keys = list(told["divided_by_key"])
    more = f" and {len(keys) - shown} more" if len(keys) > shown else ""
    return f"{lacks} (list{'s' * (len(keys) > 1)} {', '.join(keys[:shown])}{more})"


_PHASE_NAMES: Final = dict(zip(PHASES, ("first error", "first success", "steady service"), strict=True))
_TOTAL_NAMES: Final = {
    "promotion_s": "another region leads",
    "failback_s": "failback: steady service after",
    "split_brain_s": "two primaries at once, s",
    "lost": "acknowledged writes lost",
    "loss_s": "of the last ... s",
    "divided": "writes regions disagree about",
}


def as_text(found: Drills) -> str:
    """The distribution as a table for people."""
    asked, told = found.asked, distribution([drilled.measured for drilled in found.drills])
    options = " ".join(f"{name}={value}" for name, value in asked.options.items())
    rows: list[tuple[str, ...]] = [("seconds since the fault", "n", "min", "median", "p95", "max")]
    for f in sorted({f for drilled in found.drills for f in drilled.measured.get("rto", {})}):
        rows += [(f"{f}: {name}", *_cells(told[f][phase])) for phase, name in _PHASE_NAMES.items()]
    rows += [(text, *_cells(told[name])) for name, text in _TOTAL_NAMES.items()]
    odd = told["anomalies"]
    rows += [(f"writes {kind}", *_cells(odd[kind])) for kind in ANOMALIES if odd[kind]["max"]]
    valid = [drilled.valid for drilled in found.drills]
    outcome = ", ".join(f"{valid.count(v)} {word.lower()}" for v, word in _WORDS.items() if v in valid)
    head = f"{asked.target} {options} {asked.fault}, {len(found.drills)} drills from seed {asked.seed}: {outcome}"
    problems = [f"seed {drilled.seed} failed: {drilled.problem}" for drilled in found.drills if drilled.problem]
    again = [f"  {drilled.replay}" for drilled in found.drills[:1]]
    page = [f"Page: {found.page}"] if found.page else []
    return "\n".join([" ".join(head.split()), "", *_aligned(rows), "", *problems, *page, "Again:", *again])


_WORDS: Final = {Valid.TRUE: "held", Valid.FALSE: "VIOLATED", Valid.UNKNOWN: "unknown"}


def _aligned(rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = list(rows)
    widths = [max(len(row[i]) for row in lines) for i in range(6)]
    return [
        row[0].ljust(widths[0]) + "".join(cell.rjust(w + 2) for cell, w in zip(row[1:], widths[1:], strict=True))
        for row in lines
    ]


def _cells(found: Mapping[str, float | int | None]) -> tuple[str, ...]:
    def cell(value: float | int | None) -> str:
        return "-" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)

    return (str(found["n"]), *(cell(found[name]) for name in ("min", "median", "p95", "max")))
