"""Carries out drills: the same exercise again and again, every one a run in the store, and a page that sums them up.

A drill with seed ``s`` that is repeated has the seeds ``s``, ``s + 1`` ...: each can be done again alone. The summary,
``drills-<utc>.html`` and ``.json``, lies beside the runs and is written anew after every drill.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from harness import registry, store
from harness.drills.figures import measured
from harness.drills.outcomes import Drilled, Drills
from harness.drills.planned import Asked, planned
from harness.drills.told import line
from harness.errors import RiftError, StoreError, UsageError
from harness.failovers import SumsUp
from harness.model.claims import Objectives
from harness.model.plan import Plan
from harness.model.seeds import fresh_seed
from harness.model.verdict import Valid
from harness.running import execute


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
