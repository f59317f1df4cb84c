"""Judges a run: its workload's checkers, and those that every run gets, over the history in its folder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from harness import store
from harness.checkers.every_run.assumptions import Assumptions
from harness.checkers.every_run.attested import Attested
from harness.checkers.every_run.availability import Availability
from harness.checkers.every_run.died import Died
from harness.checkers.every_run.errors import Errors
from harness.checkers.every_run.recovery import Recovery
from harness.checkers.every_run.stats import Stats
from harness.checkers.judge import LIMIT_S, judge, judge_together
from harness.failovers import Measures
from harness.model.claims import Objectives
from harness.model.run import Run
from harness.model.verdict import Valid, Verdict
from harness.planning.parts import Parts
from harness.scenarios import Drives
from harness.store import RunFolder

LATE_MS: Final = 50.0
"""A dispatch this late at the 99th percentile is no longer noise beside cross-region latencies."""


def judge_run(run: Run, limit_s: float = LIMIT_S) -> tuple[Verdict, ...]:
    """What the checkers say about a run's history, each within ``limit_s`` seconds; starts nothing.

    A finding about a promise that the target does not make is reported and changes no outcome, and what is measured is
    judged where somebody promised a number; when it was the only promise, nothing is called true, because nothing was
    judged. When the history itself is unsound nothing is decided, and when the run did not finish nothing is called
    true.
    """
    parts = Parts(run.plan)
    claims = parts.target.claims.consistency if run.plan.claims is None else run.plan.claims
    objectives = parts.target.claims.objectives if run.plan.objectives is None else run.plan.objectives
    claimed = parts.workload.promise in claims
    driven = isinstance(parts.workload, Drives)
    checkers = [_against(objectives, checker) for checker in parts.workload.checkers()]
    verdicts = [
        verdict if claimed or isinstance(checker, Measures) else msgspec.structs.replace(verdict, judged=False)
        for checker, verdict in zip(
            checkers, (judge_together if driven else judge)(run.history, checkers, limit_s), strict=True
        )
    ]
    watching = _for_scenarios() if driven else [_against(objectives, each) for each in _common(run.plan.faults)]
    common = judge(run.history, watching, limit_s)
    if not (claimed or any(verdict.judged for verdict in verdicts)):
        common = [msgspec.structs.replace(v, judged=False) if v.valid is Valid.TRUE else v for v in common]
    verdicts += common if driven else [*common, kept_up(run.measurements)]
    sanity = Assumptions().check(run.history)
    if sanity.valid is not Valid.TRUE:
        return (sanity, *(_unknown(verdict, sanity.cause or sanity.summary) for verdict in verdicts))
    if run.state != "finished":
        why = f"the run did not finish ({run.state}{': ' + run.problem if run.problem else ''})"
        return tuple(_unknown(verdict, why) if verdict.valid is Valid.TRUE else verdict for verdict in verdicts)
    return tuple(verdicts)


def _against(objectives: Objectives, checker: Any) -> Any:
    return checker.against(objectives) if isinstance(checker, Measures) else checker


def kept_up(measurements: dict[str, Any]) -> Verdict:
    """Whether the harness itself was fast enough; a finding about us, so it is only reported.

    Late dispatch makes latencies and availability look worse than they are. Consistency verdicts do not suffer.
    """
    lag = measurements.get("scheduler_lag_ms") or {}
    told = f"operations were sent {lag['p99']:g} ms late at p99, {lag['max']:g} ms at most" if lag else ""
    late = bool(lag) and lag["p99"] > LATE_MS
    return Verdict(
        checker="harness",
        valid=Valid.UNKNOWN if late or not lag else Valid.TRUE,
        summary=f"the harness {'did not keep' if late else 'kept'} up: {told}" if lag else "scheduler lag unmeasured",
        cause=f"the machine was overloaded: {told}; latencies are partly ours" if late else "" if lag else "no figures",
        judged=False,
        details=dict(lag),
    )


def _common(planned: tuple[str, ...]) -> Sequence[Any]:
    return (Stats(), Attested(planned=bool(planned), named=planned), Recovery(), Died(), Errors(), Availability())


def _for_scenarios() -> Sequence[Any]:
    """A scenario's operations are meant to be refused now and then, and it waits for recovery by itself."""
    return (Attested(planned=False), Died(), Errors())


def _unknown(verdict: Verdict, why: str) -> Verdict:
    return msgspec.structs.replace(verdict, valid=Valid.UNKNOWN, cause=f"{why}; up to there: {verdict.summary}")


def judged(folder: RunFolder, limit_s: float = LIMIT_S) -> Run:
    """Load the run in ``folder``, judge it, save the verdicts, and return it with them; ``limit_s`` is for each
    checker."""
    run = store.load(folder, with_verdicts=False)
    verdicts = judge_run(run, limit_s)
    store.save_verdicts(folder, verdicts)
    return msgspec.structs.replace(run, verdicts=verdicts)
