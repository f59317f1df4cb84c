"""The page about repeated drills: all their times on one scale, the distributions, and a line for each drill.

It shows what ``rift drill --json`` tells, nothing else; see ``harness.drills.figures`` for what each number means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from harness.model.verdict import Valid

from ._axis import Linear
from ._markup import Child, Html, el, join
from ._page import document, fact_list, section
from ._story import SYMBOL, WORD
from ._tables import fold, table
from ._words import count, short

Told = Mapping[str, Any]

WIDTH, LEFT, RIGHT, BOTTOM = 1040.0, 280.0, 30.0, 26.0
LANE, ROW = 46.0, 13.0
PHASES: Final = (
    ("detected_s", "first error", "m-4.5-4h9l-4.5 8z"),
    ("first_success_s", "first success", "m-4.5 4l4.5-8l4.5 8z"),
    ("steady_s", "steady service", "m0-5l5 5l-5 5l-5-5z"),
)
"""Each with its sign, drawn around a point."""
SHOWN, LONGEST = 4, 180
"""So many findings of a drill are in sight, each with so many characters."""
SPREAD: Final = ("min", "median", "p95", "max")
WRITES: Final = (
    ("lost", "lost"),
    ("loss_s", "... of the last so many seconds"),
    ("divided", "in some regions only, at the end"),
    ("left_over", "histories left over"),
    ("split_brain_s", "seconds with two primaries, at least"),
)
_VALID: Final = {True: Valid.TRUE, False: Valid.FALSE, "unknown": Valid.UNKNOWN}


def summary_page(told: Told) -> str:
    """The whole document."""
    drills = told["drills"]
    title = f"{told['target']}, {told['fault']}: {_sentence(told)}"
    body = (
        _top(told),
        section("Every drill", _list(drills)),
        section("Until clients were served again", *_recovery(told)),
        section("Acknowledged writes", _writes(told["distribution"])),
        section("Availability", _availability(told["distribution"].get("availability", {}))),
        section("Run it again", *_again(drills)),
    )
    return document(title, el("main", *body), el("footer", "p95 is the 95th percentile by nearest rank."))


def _top(told: Told) -> Html:
    valid, drills = _VALID[told["valid"]], told["drills"]
    options = " ".join(f"{name}={value}" for name, value in told["options"].items())
    seeds = [drill["seed"] for drill in drills]
    pairs = (
        ("Target", f"{told['target']} {options}".strip()),
        ("Fault", told["fault"]),
        ("Topology", told["topology"]),
        ("Testbed", told["testbed"]),
        ("Drills", count(len(drills)) + (f" of {told['asked']}" if len(drills) < told["asked"] else "")),
        ("Seeds", f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else "".join(map(str, seeds))),
        ("Promised", _promised(told["objectives"])),
    )
    return el(
        "header",
        el("p", "Rift · failover drills", class_="brand"),
        el(
            "div",
            el("span", SYMBOL[valid], class_="symbol", aria_hidden="true"),
            el("h1", el("strong", f"{WORD[valid]}: "), _sentence(told)),
            class_=f"verdict {valid.value}",
        ),
        fact_list(*pairs),
    )


def _sentence(told: Told) -> str:
    """``2 of 3 drills held, 1 is unknown``"""
    outcomes = [_VALID[drill["valid"]] for drill in told["drills"]]
    words = {Valid.FALSE: "violated a promise", Valid.TRUE: "held", Valid.UNKNOWN: "unknown"}
    counted = [f"{outcomes.count(valid)} {word}" for valid, word in words.items() if valid in outcomes]
    return f"{count(len(outcomes), 'drill')}: {', '.join(counted)}"


def _promised(objectives: Told) -> str:
    shown = (
        ("rto_s", lambda value: f"RTO {value:g} s"),
        ("rpo_s", lambda value: f"RPO {value:g} s"),
        ("availability", lambda value: f"availability {value:.4g}"),
        ("one_primary", lambda value: "one primary" if value else ""),
    )
    words = [tell(objectives[name]) for name, tell in shown if objectives.get(name) is not None]
    return ", ".join(filter(None, words)) or "nothing"


# --- recovery ------------------------------------------------------------------------------------


def _recovery(told: Told) -> Iterator[Html]:
    groups = told["distribution"].get("rto", ())
    if not groups:
        yield el("p", "No drill measured an outage.", class_="quiet")
        return
    says = "Each sign is one drill: seconds from the fault until clients of that region saw it"
    healed = any(group["after_heal"] for group in groups)
    yield el("p", says + ("; of what only the heal interrupted, seconds from the heal." if healed else "."))
    yield el("p", *(el("span", _sign(phase, shape), name) for phase, name, shape in PHASES), class_="legend")
    for manner, found in groupby(groups, key=lambda group: group["manner"]):
        rows = list(found)
        figure = el("div", _picture(told, manner, rows), class_="scroll")
        yield el("figure", el("h3", manner.capitalize()), figure)
        heads = ("Clients", "Moment", "Drills", *SPREAD, "Note")
        caption = f"Seconds since the fault ({manner})"
        yield table(caption, heads, _spreads(rows), frozenset({2, 3, 4, 5, 6}))


def _sign(phase: str, shape: str) -> Html:
    return el("svg", el("path", d=f"M6 6{shape}", class_=f"p-{phase}"), class_="sign", viewBox="0 0 12 12")


def _name(group: Told) -> str:
    notes = [note for name, note in (("cut_off", "cut off"), ("after_heal", "from the heal on")) if group[name]]
    return f"{group['f']} in {group['region']}" + (f" ({', '.join(notes)})" if notes else "")


def _spreads(groups: Sequence[Told]) -> Iterator[Sequence[Child]]:
    for group in groups:
        for phase, name, _ in PHASES if group["interrupted"] else PHASES[:1]:
            seen, first = group[phase], phase == PHASES[0][0]
            where, note = (_name(group), _calm(group)) if first else ("", "")
            if (absent := group["interrupted"] - seen["n"]) > 0:
                note = ", ".join(filter(None, (note, f"{'no error' if first else 'never'} in {absent}")))
            yield where, name, str(seen["n"]), *(_seconds(seen[each]) for each in SPREAD), note


def _calm(group: Told) -> str:
    """In how many drills there was nothing to measure."""
    calm = group["drills"] - group["interrupted"] - group["unmeasured"]
    notes = [f"not interrupted in {calm}"] if calm else []
    return ", ".join([*notes, f"not measured in {group['unmeasured']}"] if group["unmeasured"] else notes)


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _picture(told: Told, manner: str, groups: Sequence[Told]) -> Html:
    promised = told["objectives"].get("rto_s")
    longest = max((group[phase]["max"] or 0.0 for group in groups for phase, _, _ in PHASES), default=0.0)
    shows = promised is not None and promised <= 2 * longest
    seconds = Linear(0.0, max(longest, promised if shows else 0.0, 0.1) * 1.04, LEFT, WIDTH - RIGHT)
    height = LANE * len(groups)
    parts: list[Html] = []
    for tick in seconds.ticks(10):
        parts.append(el("line", x1=seconds(tick), x2=seconds(tick), y1=0.0, y2=height, class_="grid"))
        parts.append(el("text", f"{tick:g} s", x=seconds(tick), y=height + 18, class_="tick middle"))
    for number, group in enumerate(groups):
        parts += _lane(told["drills"], manner, group, seconds, LANE * number)
    if shows:
        x = seconds(promised)
        parts.append(el("line", el("title", "promised"), x1=x, x2=x, y1=0.0, y2=height, class_="moment"))
    spoken = f"Times of every drill, {manner}; the table has the numbers"
    return el(
        "svg", el("title", spoken), *parts, viewBox=f"0 0 {WIDTH:.0f} {height + BOTTOM:.0f}", class_="drill",
        role="img", aria_label=spoken,
    )  # fmt: skip


def _lane(drills: Sequence[Told], manner: str, group: Told, seconds: Linear, top: float) -> Iterator[Html]:
    yield el("text", _name(group), x=LEFT - 12, y=top + LANE / 2 + 4, class_="tick end")
    yield el("line", x1=LEFT, x2=WIDTH - RIGHT, y1=top, y2=top, class_="axis")
    for number, (phase, name, shape) in enumerate(PHASES):
        y = top + 10 + ROW * number
        for drill in drills:
            seen = drill.get("rto", {}).get(group["f"], {}).get("regions", {}).get(group["region"], {})
            at_s = seen.get(phase)
            same = all(seen.get(name) == group[name] for name in ("cut_off", "after_heal"))
            if drill.get("manner") == manner and same and at_s is not None:
                tip = f"seed {drill['seed']}: {name} after {at_s:.3f} s ({_name(group)})"
                sign = f"M{seconds(at_s):.1f} {y:.1f}{shape}"
                yield el("path", el("title", tip), d=sign, class_=f"p-{phase} hit", data_tip=tip)


# --- writes, availability, drills ------------------------------------------------------------------


def _writes(found: Told) -> Html:
    rows = [(name, found[key]) for key, name in WRITES if key in found]
    rows += [(kind, seen) for kind, seen in found.get("anomalies", {}).items()]
    body = ((name, str(seen["n"]), *(_number(seen[each]) for each in SPREAD)) for name, seen in rows if seen["n"])
    return table("Writes whose clients were told that they are safe, per drill", ("", "Drills", *SPREAD), body,
                 frozenset({1, 2, 3, 4, 5}))  # fmt: skip


def _number(value: float | None) -> str:
    return "–" if value is None else count(value) if isinstance(value, int) else f"{value:.2f}".removesuffix(".00")


def _availability(found: Told) -> Html:
    def line(region: str, seen: Told) -> Sequence[str]:
        return region or "–", str(seen["n"]), *(f"{seen[each]:.2%}" for each in ("min", "median", "max"))

    body = (line(region, seen) for region, seen in found.items() if seen["n"])
    heads = ("Region", "Drills", "Worst", "Median", "Best")
    return table("Share of operations that succeeded, over the whole drill", heads, body, frozenset({1, 2, 3, 4}))


def _list(drills: Sequence[Told]) -> Html:
    kinds = sorted({f for drill in drills for f in drill.get("rto", {})})

    def line(drill: Told) -> Sequence[Child]:
        valid, seed = _VALID[drill["valid"]], f"seed {drill['seed']}"
        link = el("a", seed, href=drill["report"]) if drill.get("report") else seed
        badge = el("span", f"{SYMBOL[valid]} {WORD[valid]}", class_=f"badge {valid.value}")
        times = [_slowest(drill.get("rto", {}).get(f)) for f in kinds]
        return (link, badge, *times, _of(drill), _notes(drill))

    heads = ("Drill", "Outcome", *(f"Slowest {f}" for f in kinds), "Lost", "Findings")
    caption = "First error / first success / steady service, in the slowest region that was not cut off itself"
    return table(caption, heads, map(line, drills), frozenset({2 + len(kinds)}))


def _slowest(seen: Told | None) -> Child:
    if seen is None:
        return "–"
    slowest = seen["slowest"]
    if slowest is None:
        return "not interrupted"
    times = " / ".join("never" if slowest[phase] is None else f"{slowest[phase]:.2f}" for phase, _, _ in PHASES)
    return join(el("span", f"{times} s", class_="together"), el("p", slowest["region"], class_="quiet"))


def _of(drill: Told) -> str:
    lost, total = drill.get("lost"), drill.get("acknowledged")
    if lost is None:
        return f"? of {count(total)}" if total else "–"
    return f"{count(lost)} of {count(total or 0)}"


def _notes(drill: Told) -> Html:
    """What was found, each in short; the drill's report has it in full."""
    found = [short(text, LONGEST) for text in _found(drill)]
    more = fold(count(len(found) - SHOWN, "more finding"), *(el("p", each) for each in found[SHOWN:]))
    return join(*(el("p", each) for each in found[:SHOWN]), more if len(found) > SHOWN else None)


def _found(drill: Told) -> Iterator[str]:
    if drill.get("problem"):
        yield drill["problem"]
    unready = drill.get("unready", {})
    yield from (f"{node} did not recover: {why}" for node, why in unready.items())
    yield from (f"{said['node']} at {said['at_s']:.1f} s: {said['why']}" for said in drill.get("trouble", ()))
    yield from (f"{number} {kind}" for kind, number in drill.get("anomalies", {}).items() if number)
    if drill.get("divided"):
        lacks = ", ".join(f"{region or 'one read'} lacks {n:,}" for region, n in drill["lacking"].items())
        lists = ", ".join(drill["divided_by_key"])
        yield f"regions disagree about {count(drill['divided'], 'write')}: {lacks} (lists {lists})"
    if drill.get("lost") is None and drill.get("unread"):
        yield f"what became of {count(drill['unread'], 'acknowledged write')} is unknown"
    if drill.get("split_brain_s"):
        yield f"two primaries for {drill['split_brain_s']:.2f} s at least"
    if drill.get("left_over"):
        yield "two histories are left over"
    yield from (why for why in drill.get("why", ()) if not (unready and why.startswith("recovery: ")))


def _again(drills: Sequence[Told]) -> Iterator[Html]:
    yield el("p", "Any drill by itself, with the same schedule:")
    yield el("pre", "\n".join(str(drill["replay"]) for drill in drills))
