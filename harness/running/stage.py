"""The stage: carries out what a scenario says, watches every region meanwhile, and journals all of it.

The runner follows a generator that knows nothing of the answers; a scenario reads them and waits for what it watches.
Both write the same kind of history. Every node has an observer, a client process that only asks what changed, placed
in the node's own region, so that no cut between regions hides anything from all observers.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Final, Protocol

from harness import registry
from harness.contracts import Aim, Client, Fault, Lab, Searches, Seat, Target
from harness.errors import MissingPower
from harness.journal import Journal
from harness.ledger import Ledger
from harness.model.clock import Clock
from harness.model.op import INFO, INVOKE, OK, Op
from harness.model.rollout import OBSERVE
from harness.model.seeds import Rng
from harness.model.topology import Node
from harness.nemesis import Nemesis
from harness.runner import attempt
from harness.scenarios import Answer

WAIT_S: Final = 0.3
"""How long an observer waits for news before it asks again."""
FLUSH_EVERY_S: Final = 0.25
OP_LIMIT_S: Final = 12.0


class Faults(dict[str, Fault]):
    """Faults by name, loaded when a scenario asks for them."""

    def __missing__(self, name: str) -> Fault:
        self[name] = found = registry.fault(name)
        return found


class _Seated:
    """One client process: where it sits, its number, and its connection once there is one."""

    def __init__(self, number: int, seat: Seat) -> None:
        self.number, self.seat = number, seat
        self.client: Client | None = None


class Players(Lab, Protocol):
    """A lab that also says what it can do and where clients sit."""

    @property
    def powers(self) -> frozenset[str]: ...

    def seat(self, region: str, node_id: str) -> Seat: ...


class LiveStage:
    """See ``scenarios.Stage``. ``async with`` starts the observers and ends them."""

    def __init__(
        self, lab: Players, target: Target, journal: Journal, ledger: Ledger, clock: Clock, rng: Rng,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.topology = lab.topology
        self.rng = rng
        self.traits: Mapping[str, str] = dict(getattr(target, "traits", {}))
        self.powers = lab.powers
        self.watched: list[dict[str, Any]] = []
        self.counts = {OK: 0, "fail": 0, INFO: 0}
        self.nemesis = Nemesis(lab, Faults(), ledger, clock, say)
        self._lab, self._target, self._journal, self._clock, self._say = lab, target, journal, clock, say
        self._numbers, self._faults = count(), count(1)
        self._idle: dict[str, list[_Seated]] = {}
        self._all: list[_Seated] = []
        self._news = asyncio.Condition()
        self._wall_zero_ns = time.time_ns() - clock.now_ns()
        self._watching: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> LiveStage:
        began = [asyncio.Event() for _ in self.topology.nodes]
        for node, event in zip(self.topology.nodes, began, strict=True):
            self._watching.append(asyncio.create_task(self._observe(node, event)))
        self._watching.append(asyncio.create_task(self._flush()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5.0):
                await asyncio.gather(*(event.wait() for event in began))
        return self

    async def __aexit__(self, *error: object) -> None:
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        clients = [seated.client for seated in self._all if seated.client is not None]
        await asyncio.gather(*(client.close() for client in clients), return_exceptions=True)
        self._journal.flush()

    # --- what scenarios use --------------------------------------------------------------------------

    async def do(self, f: str, key: Any = None, at: str = "", **value: Any) -> Answer:
        region = at or self.topology.regions[0].id
        seated = self._take(self._node_in(region))
        answer = await self._perform(seated, Op(type=INVOKE, f=f, key=key, value=value, process=seated.number))
        if answer.type == INFO:
            await self._retire(seated)
        else:
            self._idle.setdefault(seated.seat.node.id, []).append(seated)
        return answer

    @asynccontextmanager
    async def fault(
        self, name: str, *, region: str = "", regions: Iterable[str] = (), nodes: Iterable[str] = ()
    ) -> AsyncIterator[None]:
        aim = self._aim(name, tuple(regions) or (region,), tuple(nodes))
        id_ = f"f{next(self._faults)}"
        says = {"id": id_, "aim": aim.says, "regions": list(aim.regions), "nodes": list(aim.nodes)}
        await self._strike(Op(type=INVOKE, f="start", key=name, value=says))
        try:
            yield
        finally:
            await self._strike(Op(type=INVOKE, f="stop", key=name, value=says))

    async def until(self, condition: Callable[[], Any], limit_s: float) -> bool:
        try:
            async with asyncio.timeout(limit_s), self._news:
                await self._news.wait_for(condition)
        except TimeoutError:
            return bool(condition())
        return True

    async def note(self, f: str | Op, key: Any = None, value: Any = None) -> None:
        op = f if isinstance(f, Op) else Op(type=INVOKE, f=f, key=key, value=value)
        self._append(op)
        self._append(op, type_=INFO)

    async def rtt_ms(self, source: str, target: str) -> float:
        return await self._lab.links.rtt_ms(source, target)

    async def traffic(self, live: bool = False) -> dict[str, dict[str, int]]:
        found = await self._lab.links.traffic()
        if live and not any("connections" in counts for counts in found.values()):
            raise MissingPower(
                "this link server counts bytes only when a connection ends, as Toxiproxy does; the embedded one counts "
                "them as they go"
            )
        return found

    async def search(self, needle: str) -> list[str]:
        nodes = self._lab.nodes
        if not isinstance(nodes, Searches):
            raise MissingPower("this testbed's nodes cannot be searched for what they keep; use --testbed local")
        return [
            f"{node.region}: {path}" for node in self.topology.nodes for path in await nodes.search(node.id, needle)
        ]

    def now_ns(self) -> int:
        return self._clock.now_ns()

    # --- operations ----------------------------------------------------------------------------------

    def _node_in(self, region: str) -> Node:
        nodes = self.topology.nodes_in(region)
        running = [node for node in nodes if self._lab.nodes.state(node.id) == "running"]
        return (running or list(nodes))[0]

    def _take(self, node: Node) -> _Seated:
        idle = self._idle.setdefault(node.id, [])
        return idle.pop() if idle else self._seat(node)

    def _seat(self, node: Node) -> _Seated:
        seated = _Seated(next(self._numbers), self._lab.seat(node.region, node.id))
        self._all.append(seated)
        return seated

    async def _retire(self, seated: _Seated) -> None:
        """A process whose operation nobody knows the end of does nothing any more."""
        client, seated.client = seated.client, None
        if client is not None:
            await client.close()

    async def _perform(self, seated: _Seated, op: Op) -> Answer:
        async def connected() -> Client:
            if seated.client is None:
                seated.client = await self._target.connect(seated.seat)
            return seated.client

        self._append(op, seat=seated.seat)
        answer = await attempt(connected, op, OP_LIMIT_S)
        value = self._timed(answer.value) if op.f == OBSERVE and answer.ok else answer.value
        self._append(op, type_=answer.type, value=value, error=answer.error, seat=seated.seat)
        self.counts[answer.type] += 1
        return Answer(answer.type, value, answer.error)

    def _append(
        self, op: Op, *, type_: str = INVOKE, value: Any = None, error: str = "", seat: Seat | None = None
    ) -> None:
        place = {} if seat is None else {"region": seat.region, "node": seat.node.id}
        told = op.value if value is None else value
        self._journal.append(
            Op(index=self._journal.count, time_ns=self._clock.now_ns(), type=type_, f=op.f, process=op.process,
               key=op.key, value=told, error=error, **place)
        )  # fmt: skip

    # --- observing -----------------------------------------------------------------------------------

    async def _observe(self, node: Node, began: asyncio.Event) -> None:
        seated = self._seat(node)
        while True:
            op = Op(type=INVOKE, f=OBSERVE, value={"wait_s": WAIT_S}, process=seated.number)
            answer = await self._perform(seated, op)
            began.set()
            if not answer.ok:
                await self._retire(seated)
                seated = self._seat(node)
                await asyncio.sleep(WAIT_S)
            elif answer.value:
                async with self._news:
                    self.watched += answer.value
                    self._news.notify_all()

    def _timed(self, changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The regions' own clocks as times of the run."""
        return [{**change, "time_ns": change["wall_ns"] - self._wall_zero_ns} for change in changes]

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_EVERY_S)
            self._journal.flush()

    # --- faults --------------------------------------------------------------------------------------

    def _aim(self, name: str, regions: tuple[str, ...], nodes: tuple[str, ...]) -> Aim:
        """The fault's own aim at those regions or nodes. Raises MissingPower when it has none."""
        reason = self.traits.get("nodes" if nodes else "links", "")
        if reason:
            raise MissingPower(f"fault {name} cannot be injected here: {reason}")
        for aim in registry.fault(name).aims(self.topology):
            if (nodes and set(aim.nodes) == set(nodes)) or (not nodes and set(aim.regions) == set(regions)):
                return aim
        raise MissingPower(
            f"fault {name} finds no victim like {', '.join(nodes or regions)} in topology {self.topology.name}"
        )

    async def _strike(self, op: Op) -> None:
        self._append(op)
        value = await self.nemesis.invoke(op)
        self._append(op, type_=INFO, value=value)
        self._journal.flush()
