"""Rules of a release plan, looked up event by event: for each start, every region is asked what it had said by then.

Events and plans are what a user writes (``docs/rollouts.md``), with times and durations in seconds. Nothing is sorted
into tables, no rule knows another one, and no code is shared with the checker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Final

Event = Mapping[str, Any]
FOREVER: Final = float("inf")
DONE: Final = ("succeeded", "blocked")
HAS: Final = ("started", "succeeded", "blocked", "rolled-back")
_NEXT: Final[dict[str, str]] = {
    "": "pending started failed cancelled",
    "pending": "started paused failed cancelled",
    "started": "succeeded blocked paused failed cancelled",
    "paused": "pending started blocked failed cancelled",
    "blocked": "unblocking succeeded paused failed cancelled",
    "unblocking": "succeeded failed cancelled",
    "succeeded": "pending started failed cancelled",
    "failed": "pending started cancelled",
    "cancelled": "pending started",
}


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


Rule = Callable[[Log], bool]
"""Whether it is broken; another function says whether the log ends too early."""


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


def legal_steps(log: Log) -> bool:
    return any(_wrong_step(log, region, version) for region in log.regions for version in log.released())


def _wrong_step(log: Log, region: str, version: str) -> bool:
    state, last = "", None
    for event in log.about(version, region):
        now = "cancelled" if event["event"] == "rolled-back" else event["event"]
        earlier = log.before(event)
        had = [each for each in earlier if each["event"] in HAS]
        there = bool(had) and had[-1]["event"] == "rolled-back" and had[-1]["version"] == event["version"]
        legal = now in _NEXT[state].split() or now == state
        since = [e for e in had if earlier.index(e) > (earlier.index(last) if last else -1)]
        elsewhere = bool(since) and since[-1]["version"] != event["version"]
        legal |= last is not None and elsewhere and now in _NEXT["cancelled"].split()
        legal |= there and (now in _NEXT["succeeded"].split() or now == "succeeded")
        if earlier and not legal:
            return True
        state, last = now, event
    return False


def wave_order(log: Log) -> bool:
    return any(any(not _there(log, start, stays) for stays in _waits(log, start)) for start in log.starts)


def bake_time(log: Log) -> bool:
    """A start that keeps the order of waves, and is too early for every time that one of the earlier ones was done."""
    bakes = log.plan.get("bake", 0)
    for start in log.starts:
        every = [_there(log, start, stays) for stays in _waits(log, start)]
        needed = bakes[_wave(log, start) - 1] if isinstance(bakes, list) else bakes
        if all(every) and any(all(start["time"] + log.skew < since + needed for since in there) for there in every):
            return True
    return False


def _waits(log: Log, start: Event) -> list[list[tuple[float, float]]]:
    """Of each region that a start has to wait for, the times that it stood done."""
    earlier = [region for wave in log.waves[: _wave(log, start)] for region in wave]
    return [log.stays(start["version"], region) for region in earlier] if start["version"] != log.initial else []


def _there(log: Log, start: Event, stays: list[tuple[float, float]]) -> list[float]:
    """Since when a region may have stood done at a start, by any clock."""
    return [since for since, until in stays if since <= start["time"] + log.skew and until >= start["time"] - log.skew]


def _wave(log: Log, event: Event) -> int:
    return next(i for i, wave in enumerate(log.waves) if event["region"] in wave)


def max_parallel(log: Log) -> bool:
    """At some moment more regions ran a version than may, whatever the clocks."""
    for version in log.released():
        spans = []
        for region in log.regions:
            for event in log.about(version, region):
                if event["event"] == "started":
                    later = log.after(event)
                    ends = [e["time"] for e in later if e in log.about(version, region) or e["event"] in HAS]
                    spans.append((event["time"] + log.skew, min(ends, default=FOREVER)))
        for moment in [begin for begin, end in spans if begin < end]:
            if sum(begin <= moment < end for begin, end in spans) > log.plan["max_parallel"]:
                return True
    return False


def version_skew(log: Log) -> bool:
    """At some moment two regions certainly had versions too far apart."""
    held: list[tuple[int, float, float]] = []
    for region in log.regions:
        has: dict[str, float] = {log.initial: -FOREVER} if log.initial else {}
        for event in log.of(region):
            if event["event"] in HAS and event["event"] != "started":
                for version in [each for each in has if each != event["version"]]:
                    held.append((log.rank(version), has.pop(version) + log.skew, event["time"]))
            if event["event"] in HAS:
                has.setdefault(event["version"], event["time"])
        held += [(log.rank(version), since + log.skew, FOREVER) for version, since in has.items()]
    for moment in [begin for _, begin, end in held if begin < end]:
        now = [rank for rank, begin, end in held if begin <= moment < end]
        if max(now) - min(now) > log.plan["max_version_skew"]:
            return True
    return False


def halt_on_alarm(log: Log) -> bool:
    spans = []
    for whose in {(alarm.get("service", ""), alarm.get("alarm", "")) for alarm in log.alarms}:
        since: float | None = None
        for alarm in [each for each in log.alarms if (each.get("service", ""), each.get("alarm", "")) == whose]:
            if alarm["event"] == "alarm":
                since = alarm["time"] if since is None else since
            elif since is not None:
                spans.append((since, alarm["time"]))
                since = None
        if since is not None:
            spans.append((since, FOREVER))
    early = log.plan.get("halt_within", 0) + log.skew
    return any(since + early <= start["time"] < until - log.skew for start in log.starts for since, until in spans)


def halt_on_failure(log: Log) -> bool:
    for start in log.starts:
        for failure in [event for event in log.events if event["event"] == "failed"]:
            if failure["version"] != start["version"]:
                continue
            again = [e["time"] for e in log.after(failure) if e["version"] == start["version"]
                     and e["event"] in ("started", *DONE)]  # fmt: skip
            if failure["time"] + log.skew < start["time"] < min(again, default=FOREVER) - log.skew:
                return True
    return False


def rollback_in_time(log: Log) -> bool:
    return any(_late(log, failure) == "late" for failure in log.events if failure["event"] == "failed")


def open_rollback(log: Log) -> bool:
    return any(_late(log, failure) == "open" for failure in log.events if failure["event"] == "failed")


def _late(log: Log, failure: Event) -> str:
    due = failure["time"] + log.plan["rollback"]["within"]
    said = [event["event"] for event in log.before(failure) if event in log.about(failure["version"], event["region"])]
    if said and said[0] == "pending" and not {"started", "paused", "blocked", "unblocking", "succeeded"} & set(said):
        return ""
    for event in log.after(failure):
        if log.back(event) or event["event"] in DONE:
            return "late" if event["time"] > due else ""
    return "late" if log.end >= due else "open"


def rollback_safety(log: Log) -> bool:
    return any(_unsafe(log, event) for event in log.events if log.back(event))


def _unsafe(log: Log, event: Event) -> bool:
    target, earlier = event["version"], log.before(event)
    good = [log.initial] if log.initial else []
    ever = set(good)
    for each in earlier:
        if each["event"] in (*DONE, "rolled-back"):
            good = [version for version in good if version != each["version"]] + [each["version"]]
            ever.add(each["version"])
        elif each["event"] == "failed":
            good = [version for version in good if version != each["version"]]
    if log.plan["rollback"].get("to", "last-good") == "last-good":
        last = [version for version in good if version != log.left(event)]
        return bool(last) and last[-1] != target
    new = any(e["event"] == "started" and e["version"] == target and not log.back(e) for e in log.of(event["region"]))
    return target not in ever and (bool(log.initial) or new)


def version_floor(log: Log) -> bool:
    return any(_lacking(log, start, floor) == "lacks" for start, floor in _needing(log)) or _under(log)


def open_floor(log: Log) -> bool:
    return any(_lacking(log, start, floor) == "open" for start, floor in _needing(log))


def _needing(log: Log) -> Iterable[tuple[Event, str]]:
    for version, floor in log.plan["rollback"]["never_below"].items():
        for event in log.events:
            if event["event"] == "started" and event["version"] == version:
                yield event, floor


def _lacking(log: Log, start: Event, floor: str) -> str:
    """Whether some region certainly lacks what a start needs, or the log does not say what one had."""
    found = ""
    for region in log.regions:
        here = [(-FOREVER, log.initial)] if log.initial else []
        here += [(e["time"], e["version"]) for e in log.of(region) if e["event"] in (*DONE, "rolled-back")]
        ready = [
            since <= start["time"] + log.skew and until >= start["time"] - log.skew
            for (since, version), (until, _) in pairwise([*here, (FOREVER, "")])
            if log.rank(version) >= log.rank(floor)
        ]
        words = [e["time"] for e in log.of(region) if e["event"] in HAS
                 and not (e["event"] == "started" and e["version"] == start["version"])]  # fmt: skip
        if log.initial or (words and min(words) < start["time"] - log.skew):
            if not any(ready):
                return "lacks"
        elif (not words or start["time"] < min(words)) and not any(
            version and time <= start["time"] and log.rank(version) >= log.rank(floor) for time, version in here
        ):
            found = "open"
    return found


def _under(log: Log) -> bool:
    for version, floor in log.plan["rollback"]["never_below"].items():
        began = [e["time"] for e in log.events if e["event"] == "started" and e["version"] == version]
        for event in log.events:
            old = log.rank(event["version"]) < log.rank(floor)
            if began and old and log.back(event) and event["time"] > min(began) + log.skew:
                return True
    return False


def deadline(log: Log) -> bool:
    return any(_unfinished(log, version) and log.end >= _due(log, version) for version in log.released())


def open_deadline(log: Log) -> bool:
    return any(_unfinished(log, version) and log.end < _due(log, version) for version in log.released())


def _due(log: Log, version: str) -> float:
    began = [start["time"] for start in log.starts if start["version"] == version]
    return float(min(began, default=FOREVER) + log.plan["deadline"] + log.skew)


def _unfinished(log: Log, version: str) -> bool:
    due = _due(log, version)
    if due == FOREVER:
        return False
    every = [(region, event) for region in log.regions for event in log.about(version, region)]
    stopped = any(e["event"] in ("failed", "cancelled", "rolled-back") and e["time"] <= due for _, e in every)
    newer = any(
        e["event"] == "started" and log.rank(e["version"]) > log.rank(version) and e["time"] <= due for e in log.events
    )
    done = {region for region, event in every if log.finishes(event) and event["time"] <= due}
    return not stopped and not newer and done != set(log.regions)


def accepted_first(log: Log) -> bool:
    for version in log.released():
        began = [start["time"] for start in log.starts if start["version"] == version]
        for region in log.regions if began else ():
            said = [e["time"] for e in log.about(version, region) if e["event"] not in _REFUSALS]
            if min(began) + log.skew < min(said, default=FOREVER):
                return True
    return False


_REFUSALS: Final = ("failed", "cancelled", "rolled-back")


def list_order(log: Log) -> bool:
    for version in log.released():
        first: dict[str, float] = {}
        for start in log.starts:
            if start["version"] == version:
                first.setdefault(start["region"], start["time"])
        for i, region in enumerate(log.regions):
            for earlier in log.regions[:i] if region in first else ():
                said = [e["time"] for e in log.about(version, earlier) if e["event"] not in ("pending", "paused")]
                if first[region] + log.skew < min(said, default=FOREVER):
                    return True
    return False


def waits_for_the_last(log: Log) -> bool:
    for version in log.released():
        final, done = [], []
        for region in log.regions:
            said = log.about(version, region)
            done.append(min((e["time"] for e in said if e["event"] not in _UNDONE), default=FOREVER))
            ends = [e for e in said if e["event"] in ("succeeded", "unblocking")]
            if ends and not _going_back(log, ends[0]):
                final.append(ends[0]["time"])
        if final and min(final) + log.skew < max(done):
            return True
    return False


_UNDONE: Final = ("pending", "started", "paused")


def _going_back(log: Log, event: Event) -> bool:
    """Whether the last thing that its region had started was going back to this version."""
    started = [each for each in log.before(event) if each["event"] == "started"]
    return bool(started) and log.back(started[-1]) and started[-1]["version"] == event["version"]


RULES: Final[dict[str, tuple[Rule, Rule | None]]] = {
    "legal steps": (legal_steps, None),
    "accepted first": (accepted_first, None),
    "wave order": (wave_order, None),
    "bake time": (bake_time, None),
    "list order": (list_order, None),
    "max_parallel": (max_parallel, None),
    "version skew": (version_skew, None),
    "halt on alarm": (halt_on_alarm, None),
    "halt on failure": (halt_on_failure, None),
    "waits for the last": (waits_for_the_last, None),
    "rollback in time": (rollback_in_time, open_rollback),
    "rollback safety": (rollback_safety, None),
    "version floor": (version_floor, open_floor),
    "deadline": (deadline, open_deadline),
}
"""Each rule: whether a log breaks it, and whether it ends too early, or says too little, to know."""
