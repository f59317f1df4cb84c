"""Scenarios one after the other on a federation that stays up: starting one takes longer than most scenarios do.

Every scenario has a run of its own in the store. After one that failed, or left a region that does not serve, the next
one gets a fresh federation.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import uvloop

from harness import registry, store
from harness.contracts import Target, Testbed
from harness.judging import runs
from harness.model.plan import Plan
from harness.model.run import Run
from harness.model.topology import Topology
from harness.model.verdict import Valid
from harness.planning import parts
from harness.running import execute, experiment
from harness.scenarios import Stage
from harness.testbeds import processes
from harness.testbeds.local import LocalTestbed
from harness.testbeds.opening import open_testbed

SCENARIOS_AT_MOST: Final = 40
"""After so many the federation is replaced: what its servers remember makes them slower."""


class _Scenario:
    """A function as a workload that drives itself."""

    def __init__(self, act: Callable[[Stage], Awaitable[None]]) -> None:
        self._act = act

    async def drive(self, stage: Stage) -> None:
        await self._act(stage)


class Playing:
    """Keeps one federation and plays scenarios on it. ``close`` takes it down."""

    def __init__(self, root: Path, link_server_url: str | None = None) -> None:
        self._root, self._link_server_url = root, link_server_url
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._lab: Testbed | None = None
        self._made_for: Any = None
        self._played = 0

    def traits(self, plan: Plan) -> dict[str, str]:
        """What the plan's target says of itself before it is started."""
        return dict(getattr(registry.target(plan.target, plan.target_options), "traits", {}))

    def play(self, plan: Plan, scenario: Callable[[Stage], Awaitable[None]]) -> Run:
        """Carry out ``scenario`` and judge it. Raises RiftError when harness or environment failed."""
        plan = parts.complete(plan)
        lab = self._federation(plan)
        folder = store.create(self._root, plan)

        def say(line: str) -> None:
            folder.note(line)

        try:
            self._runner.run(experiment.play(plan, folder, lab, _Scenario(scenario), say))
        except BaseException:
            self._drop()
            raise
        run = execute.reported(runs.judged(folder))
        self._played += 1
        if run.valid is Valid.FALSE or self._played >= SCENARIOS_AT_MOST:
            self._drop()
        return run

    def close(self) -> None:
        """Take the federation down."""
        try:
            self._drop()
        finally:
            self._runner.close()
            processes.end_mine()

    def _federation(self, plan: Plan) -> Testbed:
        wanted = msgspec.json.encode([plan.target, plan.target_options, plan.topology])
        if self._lab is None or self._made_for != wanted:
            self._drop()
            topology = Topology.model_validate(plan.topology)
            target = registry.target(plan.target, plan.target_options)
            folder = self._root / f"federation-{secrets.token_hex(3)}"
            lab = self._testbed(plan, topology, target, folder)
            self._runner.run(lab.__aenter__())
            self._lab, self._made_for, self._played = lab, wanted, 0
        return self._lab

    def _testbed(self, plan: Plan, topology: Topology, target: Target, folder: Path) -> Testbed:
        """Not yet up. On this machine, latencies need not be exact: no guarantee here is judged by them."""
        run_id, url = secrets.token_hex(4), self._link_server_url
        if plan.testbed == "local" and (url is None or "://" in url):
            return LocalTestbed(topology, target, folder, run_id, plan.seed, url, exact_links=False)
        home = registry.home("compose")
        return open_testbed(plan.testbed, topology, target, folder, run_id, plan.seed, url, home, print)

    def _drop(self) -> None:
        lab, self._lab = self._lab, None
        if lab is None:
            return
        try:
            self._runner.run(lab.__aexit__(None, None, None))
        except Exception as error:  # what a scenario found out must not be lost with it
            print(f"rift: the federation was not taken down: {error}; run `rift heal`", file=sys.stderr)
