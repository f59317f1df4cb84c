"""One JSON object for machines. Fields are only ever added; ``schema`` grows when one changes its meaning."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import msgspec

from harness.model.run import Run
from harness.model.verdict import Valid

from ._facts import Facts
from ._story import caveats, headline, replay_command
from ._words import clean

SCHEMA: Final = 1


class JsonReport:
    """Returns one JSON object as text."""

    name = "json"
    help = "one JSON object: outcome, verdicts, faults, counts, seed and replay command"

    def render(self, run: Run) -> str:
        return msgspec.json.encode(harmless(summary(run))).decode()


def summary(run: Run) -> dict[str, Any]:
    """The object. Times of faults are seconds since the run began; ``valid`` is true, false or ``"unknown"``."""
    facts = Facts(run)
    return {
        "schema": SCHEMA,
        "valid": outcome(run.valid),
        "headline": str(headline(facts)),
        "state": run.state,
        "problem": run.problem,
        "caveats": caveats(facts),
        "test": run.plan.test,
        "target": run.plan.target,
        "workload": run.plan.workload,
        "testbed": run.plan.testbed,
        "seed": run.plan.seed,
        "schedule_hash": run.plan.schedule_hash,
        "replay": replay_command(run),
        "folder": str(run.folder),
        "verdicts": [_verdict(verdict) for verdict in run.verdicts],
        "faults": [_fault(fault) for fault in facts.faults],
        "counts": _counts(facts),
        "measurements": run.measurements,
    }


def outcome(valid: Valid) -> bool | str:
    """True, False or ``"unknown"``."""
    return {Valid.TRUE: True, Valid.FALSE: False}.get(valid, "unknown")


def harmless(data: Any) -> Any:
    """The same data with text that JSON in UTF-8 can carry."""
    if isinstance(data, str):
        return clean(data)
    if isinstance(data, dict):
        return {clean(key): harmless(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [harmless(item) for item in data]
    return data


def _verdict(verdict: Any) -> dict[str, Any]:
    return {
        "checker": verdict.checker,
        "valid": outcome(verdict.valid),
        "judged": verdict.judged,
        "summary": verdict.summary,
        "cause": verdict.cause,
        "seconds": verdict.seconds,
        "details": verdict.details,
        "excerpts": [{"title": each.title, "steps": list(each.steps)} for each in verdict.excerpts],
    }


def _fault(fault: Any) -> dict[str, Any]:
    return {
        "id": fault.id,
        "fault": fault.fault,
        "aim": fault.aim,
        "regions": list(fault.regions),
        "nodes": list(fault.nodes),
        "start_s": None if fault.start_ns is None else fault.start_ns / 1e9,
        "end_s": None if fault.end_ns is None else fault.end_ns / 1e9,
        "effective": fault.effective,
        "healed": fault.healed,
        "why": fault.why,
    }


def _counts(facts: Facts) -> dict[str, Any]:
    by_type: Counter[str] = Counter()
    by_f: dict[str, Counter[str]] = {}
    by_region: dict[str, Counter[str]] = {}
    for (f, type_, region), n in facts.tally.items():
        by_type[type_] += n
        by_f.setdefault(f, Counter())[type_] += n
        by_region.setdefault(region, Counter())[type_] += n
    return {
        "operations": len(facts.operations),
        "clients": facts.run.plan.clients,
        "regions": len(facts.regions),
        "faults": len(facts.faults),
        "faults_effective": facts.bitten,
        "by_type": by_type,
        "by_f": by_f,
        "by_region": by_region,
    }


RENDERER = JsonReport()
