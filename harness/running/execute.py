"""One command's worth of work: run a plan with signals handled, judge it, write its reports, tell the outcome."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from itertools import count
from pathlib import Path
from typing import Any, Final

import msgspec
import uvloop

from harness import registry, store
from harness.checkers.judge import LIMIT_S
from harness.model.plan import Plan
from harness.model.run import Run
from harness.model.verdict import Valid
from harness.planning import plans
from harness.running import experiment
from harness.running.console import Console
from harness.store import RunFolder
from harness.testbeds import leases, processes

ALWAYS: Final = ("html", "junit")
"""Reports that every run gets."""


def run(plan: Plan, root: Path, link_server_url: str | None = None, quiet: bool = False) -> Run:
    """Carry out ``plan``, judge it, write its reports.

    Ctrl-C (or SIGTERM) stops the clients, takes the testbed down and judges what there is; a second one skips what
    can be skipped, and still ends every process. Raises RiftError when harness or environment failed; the history
    that exists is kept.
    """
    plan = experiment.complete(plan)
    console = Console(plan.time_limit_s, quiet)
    folder = store.create(root, plan)
    console.say(f"seed {plan.seed}   replay: {plan.replay}")
    console.say(f"schedule {plan.schedule_hash}   run {folder.path}")
    try:
        _until_done(experiment.carry_out(plan, folder, console, link_server_url))
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.say("stopped by you; judging what there is")
    except Exception as error:
        console.say(f"FAILED: {error or type(error).__name__}")
        _keep_evidence(folder, console)
        console.say(f"seed {plan.seed}   replay: {plan.replay}")
        raise
    console.say("judging")
    finished = reported(experiment.judged(folder))
    console.say(f"seed {plan.seed}   replay: {plan.replay}")
    return finished


def _keep_evidence(folder: RunFolder, console: Console) -> None:
    """Judge what a failed run left: a violation that clients saw stays one. Nothing here may hide the failure."""
    try:
        found = reported(experiment.judged(folder))
    except Exception as error:  # e.g. the full disk that the run failed of
        console.say(f"not judged: {type(error).__name__}: {error}")
        return
    console.say(f"what there is was judged {found.valid}: {folder.path}")


def _until_done(work: Coroutine[Any, Any, None]) -> None:
    """Run ``work`` on a fresh event loop; however it ends, no process that it started goes on."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_stoppable(work))
    finally:
        processes.end_mine()


async def _stoppable(work: Coroutine[Any, Any, None]) -> None:
    """Do ``work``. The first signal cancels it, and it cleans up; a second one kills what there is to clean up."""
    task, heard = asyncio.current_task(), count(1)

    def stop() -> None:
        assert task is not None
        task.cancel()
        if next(heard) > 1:
            processes.end_mine()

    # Handlers of the loop's own: a KeyboardInterrupt would tear whichever callback happens to run.
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    await work


def reported(run: Run) -> Run:
    """Write the reports that every run gets. A renderer that fails is told and costs no verdict."""
    for name in ALWAYS:
        try:
            registry.renderer(name).render(run)
        except Exception as error:  # whatever a picture breaks on, the verdicts must come out
            print(f"rift: no {name} report: {type(error).__name__}: {error}", file=sys.stderr)
    return run


def show(run: Run, json: bool) -> int:
    """Print the outcome, for machines or for people, and return the exit code."""
    try:
        print(str(registry.renderer("json" if json else "terminal").render(run)).rstrip("\n"), flush=True)
    except BrokenPipeError:  # nobody reads on, but the exit code still tells the outcome
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:  # the outcome comes out, whatever a picture breaks on
        print(f"rift: cannot be shown: {type(error).__name__}: {error}", file=sys.stderr)
        print(msgspec.json.encode({"valid": run.valid, "folder": str(run.folder)}).decode())
    return run.valid.exit_code


def check(folder: RunFolder, json: bool, limit_s: float | None = None) -> int:
    """Judge a stored run again, write its reports, print the outcome and return the exit code. One that still goes on
    is left alone: its verdicts are its own to write."""
    if leases.is_running(folder.path):
        cause = f"the run {folder.path} is still going on; it is judged when it ends"
        told = {"valid": Valid.UNKNOWN, "cause": cause, "folder": str(folder.path)}
        print(
            msgspec.json.encode(told).decode()
            if json
            else f"UNKNOWN\n{cause}. Its history so far, by a model:\n  rift check {folder.path} --model NAME"
        )
        return Valid.UNKNOWN.exit_code
    return show(reported(experiment.judged(folder, limit_s or LIMIT_S)), json)


def demo(root: Path) -> int:
    """A healthy etcd, then a store with a planted bug. 0 when the one held and the other was caught."""
    print("1 of 2: a real etcd over three regions, while links and nodes fail. It should hold.\n", file=sys.stderr)
    healthy = run(_demo_plan("etcd", {}, "default"), root)
    show(healthy, json=False)
    print("\n2 of 2: our reference store with a planted bug (stale-reads). Rift should catch it.\n", file=sys.stderr)
    planted = run(_demo_plan("refstore", {"bug": "stale-reads"}, "default"), root)
    show(planted, json=False)
    held, caught = healthy.valid is Valid.TRUE, planted.valid is Valid.FALSE
    print(f"\netcd: {'held' if held else f'NOT proven ({healthy.valid})'}   {healthy.folder / 'report.html'}")
    print(f"planted bug: {'caught' if caught else f'MISSED ({planted.valid})'}   {planted.folder / 'report.html'}")
    return 0 if held and caught else max(healthy.valid.exit_code, 2 if not caught else 0)


def _demo_plan(target: str, options: dict[str, str], faults: str) -> Plan:
    said = {"target": target, "option": [f"{name}={value}" for name, value in options.items()], "faults": faults}
    return plans.plan(target=target, target_options=options, faults=faults, seed=DEMO_SEED, said=said)


DEMO_SEED: Final = 7
