"""Rules of a release plan, looked up event by event: for each start, every region is asked what it had said by then.

Times are in seconds. No rule knows another one, and no code is shared with the checker.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from harness.certify.oracles import troubles
from harness.certify.oracles.releases import FOREVER, HAS, Event, Log

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

Rule = Callable[[Log], bool]
"""Whether it is broken; another function says whether the log ends too early."""


def legal_steps(log: Log) -> bool:
    """Some region took a step that nothing allows."""
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
    """Something new started before a region of an earlier wave stood done with it."""
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


def accepted_first(log: Log) -> bool:
    """A region started what another had not accepted."""
    for version in log.released():
        began = [start["time"] for start in log.starts if start["version"] == version]
        for region in log.regions if began else ():
            said = [e["time"] for e in log.about(version, region) if e["event"] not in _REFUSALS]
            if min(began) + log.skew < min(said, default=FOREVER):
                return True
    return False


_REFUSALS: Final = ("failed", "cancelled", "rolled-back")


def list_order(log: Log) -> bool:
    """A region started before one that comes earlier in the plan."""
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
    """A region was final before another one was done."""
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
    "halt on alarm": (troubles.halt_on_alarm, None),
    "halt on failure": (troubles.halt_on_failure, None),
    "waits for the last": (waits_for_the_last, None),
    "rollback in time": (troubles.rollback_in_time, troubles.open_rollback),
    "rollback safety": (troubles.rollback_safety, None),
    "version floor": (troubles.version_floor, troubles.open_floor),
    "deadline": (troubles.deadline, troubles.open_deadline),
}
"""Each rule: whether a log breaks it, and whether it ends too early, or says too little, to know."""
