"""A release over regions against its plan: every rule that a plan can ask for, by itself and together."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final

from harness.certify.contract import Change, Expected, Family, Oracle, Question, System
from harness.certify.oracles import releases, rollouts
from harness.certify.systems.releases import PLAN, REGIONS, Deployer, Event, recorded, released
from harness.checkers.guarantees import remembering
from harness.checkers.rollouts import waves
from harness.formats import _wave_log as wave_log
from harness.model.history import History
from harness.model.verdict import Valid, Verdict

Read = tuple[dict[str, Any] | None, list[releases.Log]]
KINDS: Final = (
    "accepted", "started", "started", "started", "succeeded", "succeeded", "blocked", "failed", "cancelled", "paused",
    "rolled-back", "unblocking",
)  # fmt: skip


def parts(history: History) -> tuple[dict[str, Any] | None, list[Event]]:
    """The plan of a history, None when it has none, and the events of its log."""
    plan = next((op.value for op in history if op.f == "plan"), None)
    return plan, [op.value for op in history if op.f == "event"]


def check(history: History) -> Verdict:
    """The verdict of ``rift check --model rollout`` on the log and its plan."""
    plan, events = parts(history)
    asked = wave_log.plan_of(plan or PLAN)
    return waves.check(wave_log.told(events if plan else [], asked), asked.plan)


# --- what is drawn -----------------------------------------------------------------------------------------


def draw(random: Random) -> History:
    """A release with a few mistakes, or regions that do as they like; some of a plan."""
    versions, trouble = random.randint(1, 3), random.choice((0.0, 0.3))
    if random.random() < 0.6:
        careless = random.choice(("", "", "bake", "alarm", "failure", "failure", "order"))
        events = Deployer(random, careless).release(versions, trouble)
        for _ in range(random.choice((0, 1, 1, 2, 4))):
            events = _spoiled(random, events)
    else:
        events = _at_will(random)
    if random.random() < 0.2:
        events = [event | {"service": random.choice("xy")} for event in events]
    if random.random() < 0.3:
        events = events[random.randrange(len(events)) :]
    return recorded(_plan(random), events)


def _plan(random: Random) -> dict[str, Any]:
    plan: dict[str, Any] = {
        "waves": random.choice(([["a", "b"], "c"], ["a", "b", "c"], [["a", "b", "c"]], ["a", ["b", "c"]])),
        "versions": PLAN["versions"],
    }
    wanted = {
        "initial": random.choice(("v1", "v2")), "max_parallel": random.randint(1, 2),
        "clock_skew": random.choice((0.5, 1)),
        "max_version_skew": random.randint(0, 1), "halt_on_alarm": True, "halt_within": 1, "in_order": True,
        "on_failure": random.choice(("halt", "halt", "continue")), "deadline": random.choice((5, 20)),
        "accept_first": True, "wait_for_last": True, "bake": random.choice((0.5, 2, 3)),
    }  # fmt: skip
    rollback: dict[str, Any] = {"to": random.choice(("last-good", "any-good", "anything"))}
    rollback |= {"within": random.choice((0.5, 1, 5))} if random.random() < 0.7 else {}
    rollback |= {"never_below": {"v3": "v2"}} if random.random() < 0.7 else {}
    plan |= {name: value for name, value in wanted.items() if random.random() < 0.5}
    return plan | ({"rollback": rollback} if random.random() < 0.6 else {})


def _spoiled(random: Random, events: list[Event]) -> list[Event]:
    """The events with a mistake: one comes at another time, is missing, comes twice, or is another one."""
    at = random.randrange(len(events))
    event = dict(events[at])
    match random.randrange(6):
        case 0 | 1:
            event["time"] = max(0.0, event["time"] + random.choice((-3, -1, -0.5, 0.5, 1, 3)))
        case 2:
            return [*events[:at], *events[at + 1 :]] or events
        case 3:
            return [*events, event | {"time": event["time"] + random.choice((0.0, 0.5))}]
        case 4 if "region" in event:
            event |= {"event": random.choice(KINDS)}
        case _ if "region" in event:
            event |= random.choice(({"region": random.choice(REGIONS)}, {"version": random.choice(PLAN["versions"])}))
    return [*events[:at], event, *events[at + 1 :]]


def _at_will(random: Random) -> list[Event]:
    events, now = [], 0.0
    for _ in range(random.randint(2, 14)):
        now += random.choice((0.0, 0.5, 0.5, 1.0, 2.0))
        if random.random() < 0.1:
            events.append(
                {"time": now, "event": random.choice(("alarm", "alarm-cleared")), "alarm": random.choice("mn")}
            )
            continue
        version = random.choice(("v1", "v2", "v2", "v3"))
        event = {"time": now, "event": random.choice(KINDS), "region": random.choice(REGIONS), "version": version}
        if event["event"] == "rolled-back" and random.random() < 0.3:
            event["from"] = random.choice(PLAN["versions"])
        events.append(event)
    return events


# --- what is asked -----------------------------------------------------------------------------------------


def _asked(plan: dict[str, Any]) -> list[str]:
    """The rules that a plan asks for."""
    rollback = plan.get("rollback") or {}
    wanted = {
        "legal steps": True, "accepted first": plan.get("accept_first"), "wave order": len(plan["waves"]) > 1,
        "bake time": plan.get("bake") and len(plan["waves"]) > 1, "list order": plan.get("in_order"),
        "max_parallel": plan.get("max_parallel"), "version skew": "max_version_skew" in plan,
        "halt on alarm": plan.get("halt_on_alarm"), "halt on failure": plan.get("on_failure") == "halt",
        "waits for the last": plan.get("wait_for_last"), "rollback in time": "within" in rollback,
        "rollback safety": rollback and rollback.get("to") != "anything", "version floor": "never_below" in rollback,
        "deadline": "deadline" in plan,
    }  # fmt: skip
    return [rule for rule, asked in wanted.items() if asked]


def judge(rule: str) -> Oracle:
    """What the oracle says of one rule; None for a history whose plan does not ask for it."""
    broken, undecided = rollouts.RULES[rule]

    def answer(history: History) -> Expected | None:
        plan, every = _logs(history)
        if plan is None or rule not in _asked(plan):
            return None
        if not every:
            return None
        if any(broken(log) for log in every):
            return Expected.BROKEN
        return Expected.OPEN if undecided and any(undecided(log) for log in every) else Expected.HOLDS

    return answer


def _read(history: History) -> Read:
    plan, events = parts(history)
    told = [event | {"event": _WORDS.get(event["event"], event["event"])} for event in events]
    return plan, releases.logs(told, plan) if plan else []


_logs: Final = remembering(_read)
_WORDS: Final = {"accepted": "pending"}


def said_of(rule: str) -> Callable[[Verdict], Valid]:
    """What the verdict says of one rule."""
    outcomes = {"fail": Valid.FALSE, "unknown": Valid.UNKNOWN}

    def answer(verdict: Verdict) -> Valid:
        told = verdict.details.get("rules", {}).get(rule)
        return outcomes.get(told["outcome"], Valid.TRUE) if told else Valid.UNKNOWN

    return answer


def judge_all(history: History) -> Expected | None:
    """Is any rule broken, or undecided?"""
    answers = [answer for rule in rollouts.RULES if (answer := judge(rule)(history))]
    if not answers:
        return None
    order = (Expected.BROKEN, Expected.OPEN, Expected.HOLDS)
    return next(each for each in order if each in answers)


# --- what is planted ---------------------------------------------------------------------------------------


def planted(text: str) -> Change:
    """A service of its own has these events: ``<seconds> <region> <event> <version> [<from>]``, where 2 is v2."""

    def plant(history: History, random: Random) -> History | None:
        plan, events = parts(history)
        if plan is None:
            return None
        begin = random.choice((0.0, 3.0, 50.0))
        return recorded(plan, [*events, *(_event(words.split(), begin) for words in text.split(","))])

    return plant


def _event(words: list[str], begin: float) -> Event:
    at, region, event, version, *left = words
    found: Event = {"time": begin + float(at), "event": event, "service": "planted"}
    found |= {"alarm": "planted"} if region == "-" else {"region": region, "version": f"v{version}"}
    return found | ({"from": f"v{left[0]}"} if left else {})


ALL: Final = "0 a accepted 2,0 b accepted 2,0 c accepted 2,"
AB: Final = f"{ALL}1 a started 2,2 a blocked 2,2 b started 2,3 b blocked 2,"
ABC: Final = f"{AB}5 c started 2,6 c blocked 2,6 a succeeded 2,6 b succeeded 2,6 c succeeded 2,"
BACK: Final = f"{AB}4 c failed 2,5 a rolled-back 1,5 b rolled-back 1,"
PLANTS: Final[dict[str, str]] = {
    "legal steps": f"{ABC}9 a blocked 2",
    "accepted first": "0 a accepted 2,0 b accepted 2,1 a started 2,2 c accepted 2",
    "accepted first, refused": "0 a accepted 2,0 b accepted 2,0 c failed 2,1 a started 2",
    "wave order": f"{ALL}1 a started 2,2 a blocked 2,2 b started 2,2.5 c started 2,3 b blocked 2",
    "wave order, after going back": f"{BACK}8 c started 2",
    "bake time": f"{AB}4 c started 2",
    "bake time, after going back": f"{BACK}7 a started 2,8 a blocked 2,9 b started 2,10 b blocked 2,11 c started 2",
    "list order": f"{ALL}1 b started 2,2 b blocked 2,2 a started 2",
    "max_parallel": f"{ALL}1 a started 2,1.5 b started 2,2 a blocked 2,3 b blocked 2",
    "version skew": f"{ALL}1 a started 4",
    "version skew, going back by a start": f"{ABC}7 a started 4,8 a succeeded 4,9 b started 1",
    "halt on alarm": f"{ALL}0.5 - alarm -,1 a started 2",
    "halt on alarm, after going back": f"{ALL}1 a started 3,2 a failed 3,3 a rolled-back 1,4 - alarm -,5 a started 2",
    "halt on failure": f"{ALL}1 a started 2,2 a failed 2,2.5 b started 2",
    "waits for the last": f"{AB}4 a succeeded 2",
    "rollback in time": f"{ALL}1 a started 2,2 a failed 2,8 a rolled-back 1",
    "rollback safety": f"{ABC}8 a started 3,9 a failed 3,10 a rolled-back 1",
    "rollback safety, found bad": f"{ABC}8 a failed 2,9 a started 3,10 a failed 3,11 a rolled-back 2",
    "version floor": f"{AB}4 a accepted 4,4 b accepted 4,4 c accepted 4,5 a started 4",
    "version floor, left again": f"{ABC}7 b rolled-back 1,8 a started 4",
    "version floor, below": f"{ABC}7 a started 4,8 a succeeded 4,9 b rolled-back 1",
    "deadline": f"{AB}150 a succeeded 2",
    "deadline, given up too late": f"{AB}150 c cancelled 2",
}


# --- what must not matter ----------------------------------------------------------------------------------


def retold(change: Callable[[Event], Event], plan: Callable[[dict[str, Any]], dict[str, Any]] = dict) -> Change:
    """Every event is told in another way, and the plan with it."""

    def tell(history: History, _: Random) -> History | None:
        asked, events = parts(history)
        return recorded(plan(asked), [change(event) for event in events]) if asked else None

    return tell


def other_lines(history: History, random: Random) -> History | None:
    """The lines of the file come in another order; those of one moment keep theirs."""
    plan, events = parts(history)
    if plan is None:
        return None
    place = {time: random.random() for time in {event["time"] for event in events}}
    return recorded(plan, sorted(events, key=lambda event: place[event["time"]]))


def another_service(history: History, random: Random) -> History | None:
    """Something else is released as it should be, long before."""
    plan, events = parts(history)
    if plan is None or not events:
        return None
    begin = 1000.0
    steps = [("accepted", 0.0), ("started", 1.0), ("blocked", 1.5)]
    regions = [(region, i) for i, wave in enumerate(plan["waves"]) for region in wave]
    mine = [
        {"time": 4.0 * place * bool(at) + at, "event": event, "region": region, "version": "v4"}
        for place, (region, _) in enumerate(regions)
        for event, at in steps
    ]
    end = max(event["time"] for event in mine)
    mine += [{"time": end + 1, "event": "succeeded", "region": region, "version": "v4"} for region, _ in regions]
    ends = [event | {"time": event["time"] + begin} for event in events]
    return recorded(plan, [*(event | {"service": "calm"} for event in mine), *ends]) if "deadline" not in plan else None


def _renamed(event: Event) -> Event:
    names = {name: f"{event[name]} of old" for name in ("service", "alarm") if event.get(name)}
    return event | names | ({"region": f"region {event['region']}"} if "region" in event else {})


def _renamed_plan(plan: dict[str, Any]) -> dict[str, Any]:
    return plan | {"waves": [[f"region {region}" for region in wave] for wave in plan["waves"]]}


FAMILY: Final = Family(
    name="rollout",
    draw=draw,
    questions=(
        Question("the plan", check, judge_all, unknown_share=0.1),
        *(Question(rule, check, judge(rule), answer=said_of(rule)) for rule in rollouts.RULES),
    ),
    sound=lambda random: released(random),
    plants={name: planted(text) for name, text in PLANTS.items()},
    laws={
        "other names": retold(_renamed, _renamed_plan),
        "other times": retold(lambda event: event | {"time": event["time"] + 4711.0}),
        "other lines": other_lines,
    },
    systems=(
        System("careful", lambda random: released(random), True, check),
        System("does not bake", lambda random: released(random, "bake"), False, check, share=0.8),
        System("deaf to alarms", lambda random: released(random, "alarm", 0.5), False, check, share=0.9),
        System("goes on after a failure", lambda random: released(random, "failure", 0.5), False, check, share=0.8),
        System("out of order", lambda random: released(random, "order"), False, check, share=0.95),
    ),
)
