"""What scenarios on a regional store are made of: reading and writing somewhere, load in the background, failovers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from itertools import count
from random import Random
from typing import Any, Final

from harness.errors import Unsure
from harness.model.history import FINAL
from harness.model.op import INFO
from harness.model.regions import JUDGE, MARKED, PROMOTED, ROUTED, SUBJECT
from harness.model.rollout import EXPECT
from harness.model.topology import Role
from harness.scenarios import Answer, Stage
from harness.workloads._waiting import until_true

LIMIT_S: Final = 20.0
"""How long a scenario waits for what should come in a second or two."""
PAUSE_S: Final = 0.03
"""Between two operations of a client."""
EDGE: Final = "edge"
"""The pattern in which regions with the role of an edge only cache."""
MANY_WRITERS: Final = ("active-active", "hub-spoke", "geo-partitioned")
"""Patterns in which no region is primary for writing."""
READERS: Final = 12
"""Clients that read everything in the end."""
REST_S: Final = 0.15
"""After a refusal."""

Json = dict[str, Any]
Step = Callable[[Random], Awaitable[Answer]]


class Play:
    """A scenario's keys, all with one prefix, and what it does with them. ``regions`` keep data, ``caches`` copies.
    ``interval_s`` is the time between two health checks, ``threshold`` how many must fail."""

    def __init__(self, stage: Stage, name: str) -> None:
        self.stage = stage
        caches = {r.id for r in stage.topology.regions if r.role is Role.EDGE and stage.traits.get("pattern") == EDGE}
        every = [region for region in stage.topology.region_ids if stage.topology.nodes_in(region)]
        self.regions = [region for region in every if region not in caches]
        self.caches = [region for region in every if region in caches]
        bits, _ = stage.rng.child(name).bits()
        self.id = f"{name}-{bits & 0xFFFFFF:06x}-{stage.now_ns() % 1_000_000:06d}"
        self.interval_s, self.threshold, self.lag_s = 30.0, 3, 5.0
        self._values = count(1)

    async def begin(self) -> Json:
        """Learn how the store is configured and note it; its status. All regions are healthy and agree before."""
        await self.calm()
        status = await self.ask("status", self.regions[0])
        self.interval_s, self.threshold = float(status["interval_s"]), int(status["threshold"])
        self.lag_s = float(status["lag_threshold_s"])
        told = {"interval_s": self.interval_s, "threshold": self.threshold, **self.stage.traits}
        await self.stage.note(SUBJECT, None, told)
        return dict(status)

    def key(self, name: object = "x") -> str:
        return f"{self.id}-{name}"

    def value(self) -> int:
        """A number that no other write of this scenario has."""
        return next(self._values)

    def node(self, region: str) -> str:
        return self.stage.topology.nodes_in(region)[0].id

    # --- acting --------------------------------------------------------------------------------------

    async def write(self, key: str, value: Any, at: str, **more: Any) -> Answer:
        return await self.stage.do("write", key, at=at, value=value, **more)

    async def read(self, key: str, at: str, **more: Any) -> Answer:
        return await self.stage.do("read", key, at=at, **more)

    async def must_write(self, key: str, value: Any, at: str, **more: Any) -> Json:
        """Write until it is acknowledged; the answer."""
        told: Json = await self.insist(lambda: self.write(key, value, at, **more))
        return told

    async def insist(self, act: Callable[[], Awaitable[Answer]], limit_s: float = LIMIT_S) -> Any:
        """Do it until it is answered; raises Unsure when nobody does: what could not be seen is no violation."""
        deadline = asyncio.get_running_loop().time() + limit_s
        while True:
            answer = await act()
            if answer.ok:
                return answer.value
            if asyncio.get_running_loop().time() > deadline:
                raise Unsure(f"not answered within {limit_s:g} s: {answer.error}")
            await asyncio.sleep(REST_S)

    async def ask(self, what: str, at: str, key: str = "", **given: Any) -> Any:
        """A question to one region; raises Unsure when it does not answer in time."""
        return await self.insist(lambda: self.stage.do(what, key or None, at=at, **given), 8.0)

    async def ask_key(self, key: str, at: str, f: str = "read", **more: Any) -> Json:
        """Read until it is answered."""
        told: Json = await self.insist(lambda: self.stage.do(f, key, at=at, **more))
        return told

    async def switch(self, to: str) -> bool:
        """An operator makes ``to`` primary; whether it became so."""

        async def is_primary() -> bool:
            told = await self.stage.do("status", None, at=to)
            return told.ok and to == told.value["primary"] == told.value["routed"] and bool(told.value["lease"])

        for region in self.regions:  # whoever coordinates
            if (await self.stage.do("switch", None, at=region, region=to)).ok:
                break
        return await self.until_true(is_primary)

    def cut(self, region: str) -> AbstractAsyncContextManager[None]:
        """The region cut off from all others, politely."""
        return self.stage.fault("partition-region", region=region)

    def cut_pair(self, one: str, other: str) -> AbstractAsyncContextManager[None]:
        return self.stage.fault("partition-pair", regions=(one, other))

    def kill(self, region: str) -> AbstractAsyncContextManager[None]:
        return self.stage.fault("kill-node", nodes=[self.node(region)])

    # --- load ----------------------------------------------------------------------------------------

    @asynccontextmanager
    async def load(self, *steps: Step, pause_s: float = PAUSE_S) -> AsyncIterator[None]:
        """Clients that go on until the end of the block, one for each step."""
        over = asyncio.Event()

        async def client(number: int, step: Step) -> None:
            random = Random(self.stage.rng.child(f"{self.id}/{number}").seed)
            while not over.is_set():
                answer = await step(random)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s if answer.ok else REST_S):
                        await over.wait()

        tasks = [asyncio.create_task(client(number, step)) for number, step in enumerate(steps)]
        try:
            yield
        finally:
            over.set()
            await asyncio.gather(*tasks)

    def writer(self, at: str, **more: Any) -> Step:
        """Writes a new key every time, so that nothing covers up a loss."""

        async def step(random: Random) -> Answer:
            value = self.value()
            return await self.write(self.key(f"w{value}"), value, at, **more)

        return step

    def client(self, at: str | Sequence[str], keys: Sequence[str], session: str = "", cas: bool = False) -> Step:
        """Reads and writes a few keys; with several regions it asks now here, now there."""
        places = [at] if isinstance(at, str) else list(at)
        more = {"session": f"{self.id}-{session}"} if session else {}

        async def step(random: Random) -> Answer:
            place, key, what = random.choice(places), random.choice(list(keys)), random.random()
            if what < 0.5:
                return await self.read(key, place, **more)
            if cas and what > 0.85:
                return await self.stage.do("cas", key, at=place, value=[random.randint(1, 40), self.value()], **more)
            return await self.write(key, self.value(), place, **more)

        return step

    def reader(self, at: str | Sequence[str], keys: Sequence[str], session: str = "") -> Step:
        """Only reads."""
        places = [at] if isinstance(at, str) else list(at)
        more = {"session": f"{self.id}-{session}"} if session else {}

        async def step(random: Random) -> Answer:
            return await self.read(random.choice(list(keys)), random.choice(places), **more)

        return step

    def series(self, at: str, key: str, session: str) -> Step:
        """Writes one key again and again."""

        async def step(random: Random) -> Answer:
            return await self.write(key, self.value(), at, session=f"{self.id}-{session}")

        return step

    def counting(self, key: str, at: str) -> Step:
        """Adds to a counter, sometimes a negative number."""

        async def step(random: Random) -> Answer:
            return await self.stage.do("add", key, at=at, kind="counter", value=random.choice((1, 2, 5, -1)))

        return step

    def adding(self, key: str, at: str) -> Step:
        """Adds elements of its own to a set, and now and then removes one of them again."""
        mine: list[int] = []

        async def step(random: Random) -> Answer:
            if mine and random.random() < 0.3:
                gone = mine.pop(random.randrange(len(mine)))
                return await self.stage.do("remove", key, at=at, kind="set", value=gone)
            element = self.value()
            answer = await self.stage.do("add", key, at=at, kind="set", value=element)
            mine.extend([element] if answer.ok else [])
            return answer

        return step

    async def sees(self, key: str, value: Any, at: str, **more: Any) -> bool:
        """Whether a read there gives that value."""
        answer = await self.read(key, at, **more)
        return bool(answer.ok and answer.value["value"] == value)

    async def final_reads(self, keys: Iterable[str], f: str = "read", **more: Any) -> None:
        """Read every key in every region until it is answered."""
        await self._read_all([(key, region) for key in keys for region in self.regions], f, **more)

    async def final_reads_anywhere(self, keys: Iterable[str]) -> None:
        """Read every key in one region, now this one, now that."""
        await self._read_all([(key, self.regions[i % len(self.regions)]) for i, key in enumerate(keys)], "read")

    async def _read_all(self, every: list[tuple[str, str]], f: str, **more: Any) -> None:
        left = iter(every)
        await self.stage.note(FINAL)

        async def reader() -> None:
            for key, region in left:
                await self.insist(partial(self.stage.do, f, key, at=region, **more))

        await asyncio.gather(*(reader() for _ in range(READERS)))

    async def written(self) -> list[str]:
        """The keys that this scenario's writers have used."""
        return [self.key(f"w{value}") for value in range(1, self.value())]

    # --- seeing --------------------------------------------------------------------------------------

    def events(self, kind: str, region: str = "", since_ns: int = 0) -> list[Json]:
        """Events of a kind since then, as far as they were seen."""
        return [
            each
            for each in self.stage.watched
            if each["kind"] == kind and each["time_ns"] >= since_ns and region in ("", each.get("region"))
        ]

    async def marked(self, region: str, since_ns: int, limit_s: float = LIMIT_S) -> bool:
        return await self.stage.until(lambda: self.events(MARKED, region, since_ns), limit_s)

    async def failed_over(self, since_ns: int, limit_s: float = LIMIT_S) -> str:
        """Wait until requests are led to a new primary; which one, empty when none came."""
        await self.stage.until(lambda: self.events(ROUTED, since_ns=since_ns), limit_s)
        promoted = self.events(PROMOTED, since_ns=since_ns)
        return str(promoted[-1]["region"]) if promoted and self.events(ROUTED, since_ns=since_ns) else ""

    async def calm(self, limit_s: float = LIMIT_S) -> None:
        """Wait until every region is healthy in everybody's eyes, all name the same primary, and all have the same."""

        async def is_calm() -> bool:
            told = [await self.stage.do("status", None, at=region) for region in self.regions]
            if not all(each.ok for each in told):
                return False
            roles = [each.value["roles"] for each in told]
            vectors = [{s: p for s, p in each.value["vector"].items() if "/" not in s} for each in told]
            well = all("unhealthy" not in each.values() for each in roles)
            leased = any(each.value["lease"] for each in told) or self.stage.traits.get("pattern") in MANY_WRITERS
            return (
                well
                and leased
                and all(each == roles[0] for each in roles)
                and all(each == vectors[0] for each in vectors)
            )

        await self.until_true(is_calm, limit_s)

    async def until_true(self, look: Callable[[], Any], limit_s: float = LIMIT_S) -> bool:
        """Ask again and again until ``look`` answers true; it may be a coroutine function."""
        return await until_true(look, limit_s)

    async def hold(self, hold_s: float) -> None:
        """Watch for a while."""
        await asyncio.sleep(hold_s)

    # --- judging -------------------------------------------------------------------------------------

    async def expect(self, row: str, says: str, wanted: Any, seen: Any, how: str = "is") -> None:
        """Say what a guarantee demands and what was seen; a checker compares."""
        await self.stage.note(EXPECT, row, {"row": row, "says": says, "wanted": wanted, "seen": seen, "how": how})

    async def report(self, row: str, says: str, seen: Any) -> None:
        """A number without a contract."""
        await self.expect(row, says, None, seen, "report")

    async def judge(self, row: str, by: str, prefix: str = "", sessions: bool = False, **options: Any) -> None:
        """Ask for a judgement of the data (``harness.checkers.regions.judges``)."""
        value = {"by": by, "prefix": prefix or self.id, "sessions": sessions, "options": options}
        await self.stage.note(JUDGE, row, value)


def refused(answer: Answer) -> bool:
    """Whether an operation certainly did not happen."""
    return answer.type not in ("ok", INFO)
