"""What rollout scenarios are made of: jobs whose tasks behave as told, and waiting for what regions report."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from harness.errors import Unsure
from harness.model.clock import NS_PER_S
from harness.model.rollout import BLOCKED, CANCELLED, EXPECT, FAILED, RUNNING, SUCCESSFUL, TERMINAL
from harness.scenarios import Answer, Stage
from harness.workloads._waiting import until_true

LIFE_S: Final = 240
"""A task ends by itself after so long, should nobody stop it."""
LIMIT_S: Final = 20.0
"""How long a scenario waits for what should come in a second or two."""
ANSWER_LIMIT_S: Final = 8.0
"""How long a read that changes nothing is tried."""
HOLD_S: Final = 1.0
"""How long a scenario watches that nothing happens."""

BEAT_S: Final = 0.5
_TASK: Final = r"""
case ",$1," in *",$NOMAD_REGION,"*) sleep "$2"; exit 1;; esac
env | sed -n 's/^\(NOMAD_[A-Za-z0-9_]*\)=/env \1 /p'
echo "pid $$"
left=$3
while [ "$left" -gt 0 ]; do echo "beat $left"; sleep "$4"; left=$((left - 1)); done
"""
"""The task of every job: fails in some regions; elsewhere it says its environment once, and twice a second that it
lives. A shell is on every machine and starts in no time, also where much runs."""

_STATUS: Final = re.compile(r"(refused|unsure): \d{3}: ")
"""How a client tells what was answered with a status; all else is silence."""

Json = dict[str, Any]


def seconds(value: float) -> int:
    """As Nomad writes durations: nanoseconds."""
    return round(value * NS_PER_S)


def group(
    name: str = "web", count: int | None = 1, *, fails_in: Iterable[str] = (), fails_after_s: float = 0.05,
    life_s: float = LIFE_S, meta: Mapping[str, str] | None = None, task_meta: Mapping[str, str] | None = None,
) -> Json:  # fmt: skip
    """A task group whose tasks live, except in the regions ``fails_in``."""
    beats = math.ceil(life_s / BEAT_S)
    argv = ["-c", _TASK, "task", ",".join(fails_in) or "-", str(fails_after_s), str(beats), str(BEAT_S)]
    task = {"Name": "main", "Driver": "raw_exec", "Config": {"command": "/bin/sh", "args": argv}}
    return {
        "Name": name,
        "Count": count,
        "Meta": dict(meta or {}),
        "Tasks": [{**task, "Meta": dict(task_meta or {})}],
        "RestartPolicy": {"Attempts": 0, "Mode": "fail"},
        "ReschedulePolicy": {"Attempts": 0, "Unlimited": False},
    }


def answered(answer: Answer) -> Answer:
    """The system's answer, be it a refusal. Raises Unsure when nobody answered: silence is no violation."""
    if answer.ok or _STATUS.match(answer.error):
        return answer
    raise Unsure(f"nobody answered: {answer.error}")


class Play:
    """One job and what becomes of it. ``regions`` are those of the topology that have nodes, in its order."""

    def __init__(self, stage: Stage, name: str = "job") -> None:
        self.stage = stage
        self.regions = [region for region in stage.topology.region_ids if stage.topology.nodes_in(region)]
        bits, _ = stage.rng.child(name).bits()
        self.id = f"{name}-{bits & 0xFFFFFF:06x}-{stage.now_ns() % 1_000_000:06d}"

    def job(
        self, *, regions: Sequence[str] | Sequence[Json] | None = None, max_parallel: int = 1, on_failure: str = "",
        groups: Sequence[Json] | None = None, healthy_s: float = 0.1, auto_revert: bool = False, canary: int = 0,
        auto_promote: bool = False, fails_in: Iterable[str] = (), mark: str = "", single: bool = False,
        kind: str = "service", deadline_s: float = 10.0, **more: Any,
    ) -> Json:  # fmt: skip
        """A job in Nomad's JSON. ``mark`` only makes its specification another one."""
        named = [{"Name": each} if isinstance(each, str) else each for each in (regions or self.regions)]
        update = {
            "MaxParallel": 1,
            "MinHealthyTime": seconds(healthy_s),
            "HealthyDeadline": seconds(deadline_s * 0.8),
            "ProgressDeadline": seconds(deadline_s),
            "AutoRevert": auto_revert,
            "AutoPromote": auto_promote,
            "Canary": canary,
        }
        job: Json = {
            "ID": self.id,
            "Name": self.id,
            "Type": kind,
            "Datacenters": ["*"],
            "Meta": {"mark": mark},
            "TaskGroups": list(groups or [group(fails_in=fails_in)]),
        }
        if kind != "batch":
            job["Update"] = update
        if not single:
            strategy = {"MaxParallel": max_parallel, "OnFailure": on_failure}
            job["Multiregion"] = {"Strategy": strategy, "Regions": named}
        return {**job, **more}

    # --- acting --------------------------------------------------------------------------------------

    async def register(self, job: Json, at: str = "", **value: Any) -> Answer:
        return await self.stage.do("register", job["ID"], at=at or self.regions[0], job=job, **value)

    async def act(self, verb: str, region: str, version: int | None = None, **value: Any) -> Answer:
        """An operator's verb on the region's deployment, given in that region."""
        found = self.latest(region, version)
        named = found["id"] if found else "none"
        return await self.stage.do(verb, self.id, at=region, region=region, deployment=named, **value)

    async def ask(self, what: str, region: str, **value: Any) -> Any:
        """A read in that region; its answer, None for what does not exist. Asks again for a while when nobody answers;
        raises Unsure when nobody does: what could not be seen is no violation."""
        key, deadline = value.pop("key", self.id), asyncio.get_running_loop().time() + ANSWER_LIMIT_S
        while True:
            answer = await self.stage.do(what, key, at=region, region=region, **value)
            if answer.ok:
                return answer.value
            if asyncio.get_running_loop().time() > deadline:
                raise Unsure(
                    f"{what} of {key} in {region} was not answered within {ANSWER_LIMIT_S:g} s: {answer.error}"
                )
            await asyncio.sleep(0.2)

    async def holders(self) -> list[str]:
        """The regions that have the job, be it stopped."""
        return [region for region in self.regions if await self.ask("job", region)]

    async def clean(self) -> None:
        """Stop the job everywhere, so that its tasks do not run through the next scenario."""
        for region in self.regions:
            if any(each["region"] == region and each["job"].startswith(self.id) for each in self.stage.watched):
                await self.stage.do("stop", self.id, at=region, region=region)

    def cut(self, region: str) -> AbstractAsyncContextManager[None]:
        """The region cut off from all others, politely."""
        return self.stage.fault("partition-region", region=region)

    # --- seeing --------------------------------------------------------------------------------------

    def changes(self, region: str, version: int | None = None) -> list[Json]:
        """The job's changes in a region as far as they were seen, in the order of the region."""
        found = [
            each
            for each in self.stage.watched
            if each["kind"] == "deployment" and each["region"] == region and each["job"] == self.id
            and (version is None or each["version"] == version)
        ]  # fmt: skip
        return sorted(found, key=lambda each: each["index"])

    def latest(self, region: str, version: int | None = None) -> Json | None:
        """The last change of the job's newest deployment in a region."""
        found = self.changes(region, version)
        return max(found, key=lambda each: (each["version"], each["index"])) if found else None

    def status(self, region: str, version: int | None = None) -> str:
        found = self.latest(region, version)
        return str(found["status"]) if found else ""

    def statuses(self, version: int | None = None, regions: Iterable[str] = ()) -> list[str]:
        return [self.status(region, version) for region in regions or self.regions]

    def was(self, region: str, *statuses: str, version: int | None = None) -> bool:
        """Whether the region was seen in one of ``statuses``."""
        return any(each["status"] in statuses for each in self.changes(region, version))

    async def reached(self, region: str, *statuses: str, version: int | None = None, limit_s: float = LIMIT_S) -> bool:
        return await self.stage.until(lambda: self.was(region, *statuses, version=version), limit_s)

    async def all_reach(
        self, *statuses: str, version: int | None = None, regions: Iterable[str] = (), limit_s: float = LIMIT_S
    ) -> bool:
        """Wait until every region's newest deployment is in one of ``statuses``."""
        named = list(regions) or self.regions
        return await self.stage.until(lambda: all(s in statuses for s in self.statuses(version, named)), limit_s)

    async def succeeds(self, version: int, regions: Iterable[str] = (), limit_s: float = LIMIT_S) -> bool:
        return await self.all_reach(SUCCESSFUL, version=version, regions=regions, limit_s=limit_s)

    async def ends(self, regions: Iterable[str] = (), limit_s: float = LIMIT_S) -> bool:
        """Wait until nothing goes on: every region ended, or waits for an operator after a failure."""

        def over() -> bool:
            found = self.statuses(regions=regions)
            given_up = FAILED in found or CANCELLED in found
            stuck = given_up and all(each in (*TERMINAL, BLOCKED) for each in found)
            return all(each in TERMINAL for each in found) or stuck

        return await self.stage.until(over, limit_s)

    async def hold(self, hold_s: float = HOLD_S) -> None:
        """Watch for a while."""
        await asyncio.sleep(hold_s)

    async def fails(self, region: str, version: int | None = None) -> bool:
        """Wait until the region's deployment failed. Raises Unsure when its tasks were taken for healthy before they
        ended, as a busy machine can make it: that is no failure, and what follows one cannot be asked."""
        over = await self.reached(region, FAILED, BLOCKED, SUCCESSFUL, version=version)
        if over and not self.was(region, FAILED, version=version):
            raise Unsure(f"the tasks in {region}, which were to fail, were taken for healthy before they did")
        return over

    async def runs(self, region: str, version: int | None = None) -> bool:
        return await self.reached(region, RUNNING, version=version)

    # --- judging -------------------------------------------------------------------------------------

    async def expect(self, row: str, says: str, wanted: Any, seen: Any, how: str = "is") -> None:
        """Say what a guarantee demands and what was seen; a checker compares."""
        value = {"row": row, "says": says, "wanted": wanted, "seen": seen, "how": how}
        await self.stage.note(EXPECT, row, value)

    async def until_true(self, look: Callable[[], Any], limit_s: float = LIMIT_S) -> bool:
        """Ask again and again until ``look`` answers true; it may be a coroutine function."""
        return await until_true(look, limit_s)
