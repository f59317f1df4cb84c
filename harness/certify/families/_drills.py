"""Small histories of failovers: appends and reads in two regions, a fault, and what is there at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any, Final

import msgspec

from harness.certify import laws
from harness.certify.contract import Change
from harness.certify.plants import mixed
from harness.certify.tape import Asked, Did, restamped, scattered, settled, told
from harness.model.history import FINAL, History
from harness.model.op import INFO, INVOKE, NEMESIS, Op

REGIONS: Final = ("us", "eu")


def placed(history: Iterable[Op]) -> History:
    """Every client sits in the region that its number says."""
    return History(
        op if op.is_nemesis else msgspec.structs.replace(op, region=REGIONS[op.process % 2]) for op in history
    )


def struck(history: Sequence[Op], at: Sequence[int], healed: bool, id_: str = "f1") -> History:
    """The history with a fault from one place to another."""
    says = {"id": id_, "aim": "us", "regions": ["us"], "nodes": []}
    begin, end = sorted(at)
    events = list(history)
    for place, f, more in ((end, "stop", {"healed": healed}), (begin, "start", {"effective": True})):
        common: dict[str, Any] = {"f": f, "process": NEMESIS, "key": "kill-region"}
        pair = [Op(type=INVOKE, value=says, **common), Op(type=INFO, value={**says, **more}, **common)]
        events[place:place] = pair
    return restamped(events)


def moved(history: Sequence[Op], at: int) -> History:
    """The history with a planned move of the leadership."""
    common: dict[str, Any] = {"f": "failback", "process": NEMESIS, "key": "failback"}
    events = list(history)
    events[at:at] = [Op(type=INVOKE, **common), Op(type=INFO, **common)]
    return restamped(events)


def unready(history: Sequence[Op], at: int) -> History:
    """The history with a node that did not recover."""
    common: dict[str, Any] = {"f": "unready", "process": NEMESIS, "key": "n3", "value": {"node": "n3", "why": "slow"}}
    events = list(history)
    events[at:at] = [Op(type=INVOKE, **common), Op(type=INFO, **common)]
    return restamped(events)


class Ends:
    """What reads show: values in the order of their beginnings, some of them lost everywhere or in one region, and
    seldom something that must not be."""

    def __init__(self, random: Random, odd: float) -> None:
        self._odd = odd if random.random() < 0.4 else 0.0
        self._losing, self._dividing = random.choice((0.0, 0.25)), random.choice((0.0, 0.0, 0.15))
        self._gone: dict[object, set[str]] = {}

    def answer(self, random: Random, op: Op, events: Sequence[Op]) -> object:
        """The answer to an operation after these events."""
        if op.f == "append":
            return op.value
        region = REGIONS[op.process % 2]
        failed = {(e.key, e.value) for e in events if e.type == "fail" and e.f == "append"}
        tried = [e.value for e in events if e.type == INVOKE and e.f == "append" and e.key == op.key]
        shown = [value for value in tried if region not in self._lost(random, value)]
        shown = [value for value in shown if (op.key, value) not in failed or self._chance(random)]
        if shown and self._chance(random):
            shown.insert(random.randrange(len(shown) + 1), random.choice([*shown, 99]))
        if self._chance(random):
            random.shuffle(shown)
        return shown

    def _chance(self, random: Random) -> bool:
        return random.random() < self._odd

    def _lost(self, random: Random, value: object) -> set[str]:
        if value not in self._gone:
            everywhere = set(REGIONS) if random.random() < self._losing else set()
            self._gone[value] = everywhere or {region for region in REGIONS if random.random() < self._dividing}
        gone = self._gone[value]
        return gone ^ set(REGIONS) if self._chance(random) else gone


def drawn(random: Random, keys: str, most: int, odd: float, choose: Callable[[Random, int], Asked]) -> History:
    """A few appends and reads, then the final reads, and perhaps a fault."""
    ends = Ends(random, odd)
    early = scattered(random, choose, ends.answer, most, clients=3, unsure=0.08)
    asked = [Asked("entries", None, key) for key in keys for _ in REGIONS]
    late = settled(early, asked if random.random() < 0.95 else asked[:-1], ends.answer, random)
    if random.random() < 0.5:
        end = len(early) if random.random() < 0.8 else len(late)
        late = struck(late, [random.randint(0, end) for _ in range(2)], random.random() < 0.9)
    if random.random() < 0.1:
        late = unready(late, random.randint(0, len(late)))
    return placed(late)


def spoken(*did: Did, key: str, late: int) -> Change:
    """These operations happen to a list that nobody else uses, mixed with the others'; the last ``late`` of them, which
    are its final reads, when everything else is over."""

    def play(history: History, random: Random) -> History:
        mine = [msgspec.structs.replace(op, key=key) for op in told(did)]
        early, final = mine[: len(mine) - 2 * late], mine[len(mine) - 2 * late :]
        end = next((at for at, op in enumerate(history) if op.is_nemesis and op.f == FINAL), len(history))
        whole = [*mixed(history[:end], early, random), *history[end:]]
        return placed(
            restamped([*whole, *(msgspec.structs.replace(op, process=op.process + 6_000_000) for op in final)])
        )

    return play


def of_clients(law: Change) -> Change:
    """The law, for what clients do; what the nemesis did stays what it was, at its new time."""

    def changed(history: History, random: Random) -> History | None:
        twin = law(history, random)
        if twin is None:
            return None
        begun = iter([op for op in history if op.is_nemesis])
        same = (
            msgspec.structs.replace(next(begun), time_ns=op.time_ns, index=op.index) if op.is_nemesis else op
            for op in twin
        )
        return History(same)

    return changed


def other_regions(history: History, _: Random) -> History:
    """Regions get other names."""
    return laws.changed(history, region=lambda region: f"region {region}")


LAWS: Final = {
    **{name: of_clients(law) for name, law in laws.NAMES.items()},
    "other values": of_clients(laws.other_values),
    "repeated reads": of_clients(laws.echoed("entries")),
}
"""What matters to no drill."""
