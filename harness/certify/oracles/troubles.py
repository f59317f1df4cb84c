"""What a release must not do in trouble, looked up event by event; see ``rollouts``."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from harness.certify.oracles.releases import DONE, FOREVER, HAS, Event, Log


def halt_on_alarm(log: Log) -> bool:
    """Something new started while an alarm was on, whatever the clocks."""
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
    """A version started while a region stood failed with it."""
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
    """A failed region was not back, or over it, in time."""
    return any(_late(log, failure) == "late" for failure in log.events if failure["event"] == "failed")


def open_rollback(log: Log) -> bool:
    """The log ends while a failed region still has time."""
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
    """A region went back to what was not good there."""
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
    """A version started while a region lacked what it needs, or one went back below that."""
    return any(_lacking(log, start, floor) == "lacks" for start, floor in _needing(log)) or _under(log)


def open_floor(log: Log) -> bool:
    """The log does not say what a region had when a version started."""
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
    """A version was not everywhere in time, though nothing had stopped it by then."""
    return any(_unfinished(log, version) and log.end >= _due(log, version) for version in log.released())


def open_deadline(log: Log) -> bool:
    """The log ends while a version still has time."""
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
