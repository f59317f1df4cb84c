"""A deployment tool in memory that releases versions region by region, and ones that disregard what they were asked."""

from __future__ import annotations

from random import Random
from typing import Any, Final

from harness.model.history import History
from harness.model.op import INFO, Op

Event = dict[str, Any]
REGIONS: Final = ("a", "b", "c")
PLAN: Final[dict[str, Any]] = {
    "waves": [["a", "b"], ["c"]], "versions": ["v1", "v2", "v3", "v4"], "initial": "v1", "bake": 2, "max_parallel": 1,
    "max_version_skew": 2, "halt_on_alarm": True, "on_failure": "halt", "deadline": 100, "in_order": True,
    "accept_first": True, "wait_for_last": True,
    "rollback": {"to": "last-good", "within": 5, "never_below": {"v4": "v2"}},
}  # fmt: skip
"""Everything that a plan can ask for."""


def recorded(plan: dict[str, Any], events: list[Event]) -> History:
    """A plan and the events of a log, in the order of its lines, as one history."""
    ops = [("plan", plan), *(("event", event) for event in events)]
    return History(Op(type=INFO, f=f, value=value, time_ns=at, index=at) for at, (f, value) in enumerate(ops))


class Deployer:
    """Releases one version after the other. ``careless`` names what it does not care for: ``bake``, ``alarm``,
    ``failure``, ``order``."""

    def __init__(self, random: Random, careless: str = "") -> None:
        self.random, self.careless = random, careless
        self.events: list[Event] = []
        self.now = random.choice((0.0, 5.0, 100.0))
        self._alarm_ends = 0.0

    def release(self, versions: int, trouble: float) -> list[Event]:
        """So many versions after the first; trouble comes this often. One that failed is not tried again."""
        good = "v1"
        for version in PLAN["versions"][1 : versions + 1]:
            if version == "v4" and good == "v1":
                break
            good = version if self._roll_out(version, good, trouble) else good
            self.now += 1
        return self.events

    def say(self, region: str, event: str, version: str, **more: str) -> None:
        """Something happens now."""
        self.events.append({"time": self.now, "event": event, "region": region, "version": version, **more})

    def _roll_out(self, version: str, good: str, trouble: float) -> bool:
        begun: list[str] = []
        for region in REGIONS:
            self.say(region, "accepted", version)
        order = ("b", "a", "c") if self.careless == "order" else REGIONS
        for region in order:
            if region == "c":
                self.now += 0.5 if self.careless == "bake" else 2.0
            self._alarm(trouble)
            self.say(region, "started", version)
            begun.append(region)
            self.now += self.random.choice((0.5, 1.0, 1.5))
            if self.random.random() < trouble:
                self.say(region, "failed", version)
                if self.careless == "failure":
                    self.now += 0.5
                    continue
                self._go_back(begun, version, good)
                return False
            self.say(region, "blocked", version)
            self.now += self.random.choice((0.0, 0.5))
        for region in REGIONS:
            self.say(region, "succeeded", version)
        self.now += self.random.choice((1.0, 3.0))
        return True

    def _alarm(self, trouble: float) -> None:
        if self.random.random() < trouble:
            self.events.append({"time": self.now, "event": "alarm", "alarm": "errors"})
            off = self.now + 3.0
            if self.careless != "alarm":
                self.now = off
                self.events.append({"time": self.now, "event": "alarm-cleared", "alarm": "errors"})
            else:
                self.now += 0.5
        self.now += 0.5

    def _go_back(self, begun: list[str], version: str, good: str) -> None:
        self.now += self.random.choice((0.5, 2.0))
        for region in begun:
            if self.random.random() < 0.5:
                self.say(region, "rolled-back", good, **{"from": version})
            else:
                self.say(region, "started", good)
                self.now += 0.5
                self.say(region, "succeeded", good)
        for region in REGIONS:
            if region not in begun:
                self.say(region, "cancelled", version)


def released(random: Random, careless: str = "", trouble: float = 0.15) -> History:
    """A release of up to three versions as everything is asked for."""
    return recorded(PLAN, Deployer(random, careless).release(random.randint(1, 3), trouble))
