"""The events of a release, as the slow judge of rollouts looks them up: one service, one region, one event at a time.

Events and plans are what a user writes (``docs/rollouts.md``), with times and durations in seconds. Nothing is sorted
into tables, no rule knows another one, and no code is shared with the checker.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

Event = Mapping[str, Any]
FOREVER: Final = float("inf")
DONE: Final = ("succeeded", "blocked")
HAS: Final = ("started", "succeeded", "blocked", "rolled-back")


@dataclass(frozen=True)
class Log:
    """One service's events, those of its alarms, and what is asked of it."""

    events: Sequence[Event]
    alarms: Sequence[Event]
    plan: Mapping[str, Any]
    end: float

    @cached_property
    def waves(self) -> list[list[str]]:
        return [[wave] if isinstance(wave, str) else list(wave) for wave in self.plan["waves"]]

    @cached_property
    def regions(self) -> list[str]:
        return [region for wave in self.waves for region in wave]

    @property
    def skew(self) -> float:
        return float(self.plan.get("clock_skew", 0))

    @property
    def initial(self) -> str:
        return str(self.plan.get("initial", ""))

    def rank(self, version: str) -> int:
        return list(self.plan["versions"]).index(version)

    def of(self, region: str) -> list[Event]:
        """A region's events, in its order."""
        return [event for event in self.events if event["region"] == region]

    def before(self, event: Event) -> list[Event]:
        """What its region said before it."""
        mine = self.of(event["region"])
        return mine[: next(i for i, each in enumerate(mine) if each is event)]

    def after(self, event: Event) -> list[Event]:
        """What its region said after it."""
        mine = self.of(event["region"])
        return mine[next(i for i, each in enumerate(mine) if each is event) + 1 :]

    def other(self, event: Event) -> str:
        """The last other version that the region had before; what ran everywhere first; or nobody knows."""
        had = [each["version"] for each in self.before(event) if each["event"] in HAS]
        others = [version for version in [self.initial, *had] if version != event["version"]]
        return others[-1] if others else ""

    def left(self, event: Event) -> str:
        """The version that is left by going back."""
        return str(event.get("from") or self.other(event))

    def back(self, event: Event) -> bool:
        """Whether an event is going back."""
        older = self.other(event)
        return event["event"] == "rolled-back" or (
            event["event"] == "started" and older != "" and self.rank(event["version"]) < self.rank(older)
        )

    @cached_property
    def starts(self) -> list[Event]:
        """Starts of something new."""
        return [event for event in self.events if event["event"] == "started" and self._new(event)]

    def _new(self, event: Event) -> bool:
        earlier = [each for each in self.before(event) if each["event"] not in ("pending", "initializing")]
        same = bool(earlier) and earlier[-1]["event"] == "started" and earlier[-1]["version"] == event["version"]
        return not same and not self.back(event)

    def about(self, version: str, region: str) -> list[Event]:
        """What a region said of a version; going back is about what is left."""
        return [
            event
            for event in self.of(region)
            if (self.left(event) if event["event"] == "rolled-back" else event["version"]) == version
        ]

    def finishes(self, event: Event) -> bool:
        """Whether a region is done with what an event is about."""
        over = ("failed", "cancelled", "rolled-back") if self.plan.get("on_failure") == "continue" else ()
        return event["event"] in DONE or event["event"] in over

    def released(self) -> list[str]:
        """The versions whose rollout is in the log."""
        return [version for version in self.plan["versions"] if version != self.initial]

    def stays(self, version: str, region: str) -> list[tuple[float, float]]:
        """From when until when a region stood done with a version, by its own clock."""
        found: list[tuple[float, float]] = []
        for event in self.of(region):
            leaves = self.back(event) and self.left(event) == version and self.plan.get("on_failure") != "continue"
            about = self.left(event) if event["event"] == "rolled-back" else event["version"]
            if leaves and found and found[-1][1] == FOREVER:
                found[-1] = (found[-1][0], event["time"])
            elif about == version and self.finishes(event) and not (found and found[-1][1] == FOREVER):
                found.append((event["time"], FOREVER))
        return found


def logs(events: Iterable[Event], plan: Mapping[str, Any]) -> list[Log]:
    """The events of each service, in order of time and, in it, of the file."""
    ordered = sorted(events, key=lambda event: float(event["time"]))
    end = max((float(event["time"]) for event in ordered), default=0.0)
    alarms = [event for event in ordered if event["event"].startswith("alarm")]
    others = [event for event in ordered if not event["event"].startswith("alarm")]
    found = []
    for service in dict.fromkeys(event.get("service", "") for event in others):
        mine = [event for event in others if event.get("service", "") == service]
        heard = [event for event in alarms if event.get("service", "") in ("", service)]
        found.append(Log(mine, heard, plan, end))
    return found
