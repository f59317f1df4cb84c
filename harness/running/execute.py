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
from harness.judging import runs
from harness.model.plan import Plan
from harness.model.run import Run
from harness.planning import parts
from harness.running import experiment
from harness.running.console import Console
from harness.store import RunFolder
from harness.testbeds import processes

ALWAYS: Final = ("html", "junit")
"""Reports that every run gets."""


def run(plan: Plan, root: Path, link_server_url: str | None = None, quiet: bool = False) -> Run:
    """Carry out ``plan``, judge it, write its reports.

    Ctrl-C (or SIGTERM) stops the clients, takes the testbed down and judges what there is; a second one skips what
    can be skipped, and still ends every process. Raises RiftError when harness or environment failed; the history
    that exists is kept.
    """
    plan = parts.complete(plan)
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
    finished = reported(runs.judged(folder))
    console.say(f"seed {plan.seed}   replay: {plan.replay}")
    return finished


def _keep_evidence(folder: RunFolder, console: Console) -> None:
    """Judge what a failed run left: a violation that clients saw stays one. Nothing here may hide the failure."""
    try:
        found = reported(runs.judged(folder))
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
