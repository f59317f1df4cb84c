"""Judges a deployment tool's events by a release plan, for ``rift check EVENTS --model rollout --spec PLAN``."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import msgspec

from harness.checkers.rollouts import waves
from harness.errors import UsageError
from harness.formats import _wave_log as wave_log
from harness.judging import recorded
from harness.judging.judges import ROLLOUT


def check_file(name: str, root: Path, model: str | None, spec: Path | None, meaningless: list[str]) -> recorded.Judged:
    """Judge the events in a file, or the rollouts of a run, by the plan ``spec``. ``meaningless`` are options that were
    given and say nothing here. Raises UsageError for those, without a plan, and for a wrong plan or event."""
    if model != ROLLOUT:
        raise UsageError(
            f"--spec {spec}: means nothing to the model {model!r}; write --model {ROLLOUT} or leave it out"
        )
    if spec is None:
        raise UsageError(f"the model {ROLLOUT!r} judges events by a release plan: give it, --spec PLAN.yaml")
    if meaningless:
        raise UsageError(f"{meaningless[0]}: means nothing to the model {ROLLOUT!r}; leave it out")
    asked = wave_log.load_plan(spec)
    began = perf_counter()
    if Path(name).is_file():
        log, format_ = wave_log.load_log(Path(name), asked), "events"
    else:
        log, format_ = wave_log.log_of(recorded.source(name, root).history, asked, name), "run"
    read_s, began = perf_counter() - began, perf_counter()
    verdict = msgspec.structs.replace(waves.check(log, asked.plan), seconds=perf_counter() - began)
    return recorded.Judged(ROLLOUT, format_, len(log), "", verdict, read_s=read_s, noun="event")
