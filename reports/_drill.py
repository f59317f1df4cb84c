"""The picture of a failover drill: every region's service over time, the drill's moments, lost and divided writes.

A lane is one kind of operation in one region, cut into short stretches that are coloured by the share of successes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from harness.model.clock import NS_PER_S
from harness.model.history import NEVER_NS, Operation
from harness.model.op import INVOKE, OK

from ._axis import Linear, rows
from ._facts import Facts
from ._markup import Child, Html, el, join
from ._tables import fold, table
from ._words import count, moment

WIDTH, LEFT, RIGHT = 1040.0, 190.0, 14.0
LANE, BAR, LABEL_ROW, BOTTOM = 24.0, 14.0, 15.0, 26.0
CHARACTER_PX: Final = 6.2
STRETCH_NS: Final = 100_000_000
LISTED: Final = 20
LISTED_BY_CHECKER: Final = 1000
PHASES: Final = (("detected_s", "first error"), ("first_success_s", "first success"), ("steady_s", "steady service"))


class Moment(msgspec.Struct, frozen=True):
    """Something that happened to the whole system: fault, promotion, heal, failback."""

    at_ns: int
    label: str


def drill(facts: Facts) -> Iterator[Html]:
    """The section's content; nothing when the run measured no outage."""
    told = {verdict.checker: verdict.details for verdict in facts.run.verdicts}
    outages = told.get("rto", {}).get("outages") or ()
    if not outages:
        return
    yield el("p", "When each region was served, as its clients saw it, and what the drill did meanwhile.")
    yield el("figure", _legend(), el("div", _picture(facts, outages, told.get("rpo", {})), class_="scroll"))
    yield _phases(outages)
    if stalls := facts.run.history.stalls:
        whole_s = sum(end_ns - begin_ns for begin_ns, end_ns in stalls) / NS_PER_S
        often = count(len(stalls), "time")
        yield el("p", f"Rift itself stood still {often}, {whole_s:.2f} s in all: that is counted against nobody.")
    yield from _losses(told.get("rpo", {}), told.get("split-brain", {}))
    yield _complaints(facts, told.get("recovery", {}))


# --- the picture ---------------------------------------------------------------------------------


def _picture(facts: Facts, outages: Sequence[Mapping[str, Any]], rpo: Mapping[str, Any]) -> Html:
    lanes = _lanes(facts)
    end_ns = max(_end_ns(facts), 1)
    time = Linear(0, end_ns, LEFT, WIDTH - RIGHT)
    moments = _moments(facts)
    labels = [(time(each.at_ns), time(each.at_ns) + len(each.label) * CHARACTER_PX + 10) for each in moments]
    placed = rows(labels)
    top = LABEL_ROW * (max(placed, default=0) + 1) + 10
    bottom = top + LANE * len(lanes)
    parts: list[Html] = [_bands(facts, time, top, bottom)]
    for number, ((region, f), operations) in enumerate(lanes.items()):
        y = top + LANE * number + (LANE - BAR) / 2
        parts.append(el("text", f"{region} {f}", x=LEFT - 8, y=y + BAR - 3, class_="tick end"))
        parts.append(_service(operations, time, y))
        parts += [_phase_marks(outage, region, f, time, y) for outage in outages]
        if f == "append":
            for fate in ("lost", "divided"):
                rows_here = [row for row in rpo.get(f"{fate}_writes") or () if row.get("region") == region]
                parts.append(_fate_marks(fate, rows_here, time, y))
    for each, row in zip(moments, placed, strict=True):
        parts.append(_moment(each, time, 12 + row * LABEL_ROW, bottom))
    parts.append(_ticks(time, bottom))
    spoken = "; ".join(f"{each.label} at {moment(each.at_ns)}" for each in moments)
    return el(
        "svg", el("title", f"The drill: {spoken}"), *parts, viewBox=f"0 0 {WIDTH:.0f} {bottom + BOTTOM:.0f}",
        class_="drill", role="img", tabindex="0", aria_label=f"The drill: {spoken}",
    )  # fmt: skip


def _lanes(facts: Facts) -> dict[tuple[str, str], list[Operation]]:
    """The operations of the main phase by region, in the topology's order, and kind."""
    end_ns = _end_ns(facts)
    found: dict[tuple[str, str], list[Operation]] = {}
    for region in facts.regions:
        for op in facts.operations:
            if op.region == region and op.start_ns < end_ns:
                found.setdefault((region, op.f), []).append(op)
    return found


def _end_ns(facts: Facts) -> int:
    return min((at_ns for _, at_ns in facts.run.history.finals), default=facts.end_ns)


def _moments(facts: Facts) -> list[Moment]:
    found = []
    for fault in facts.faults:
        if fault.start_ns is not None:
            found.append(Moment(fault.start_ns, f"{fault.fault}: {fault.aim}"))
        if fault.end_ns is not None:
            found.append(Moment(fault.end_ns, "healed"))
    first = True
    for op in facts.run.history:
        if not op.is_nemesis:
            continue
        if op.f == "leader" and op.type == INVOKE:
            if op.key and not first:
                found.append(Moment(op.time_ns, f"{op.key} leads"))
            first = False
        elif op.f == "failback":
            done = isinstance(op.value, dict) and op.value.get("done")
            if op.type == INVOKE or not done:
                found.append(Moment(op.time_ns, "failback" if op.type == INVOKE else "failback failed"))
    return sorted(found, key=lambda each: each.at_ns)


def _service(operations: Sequence[Operation], time: Linear, y: float) -> Html:
    """A lane's stretches: how many attempts that ended then succeeded."""
    cells: dict[int, list[int]] = {}
    for op in operations:
        seen_ns = op.start_ns if op.seen_end_ns == NEVER_NS else op.seen_end_ns
        cell = cells.setdefault(seen_ns // STRETCH_NS, [0, 0])
        cell[op.type != OK] += 1
    width = time(STRETCH_NS) - time(0)
    marks = []
    for at, (good, bad) in cells.items():
        kind = "ok" if not bad else "none" if not good else "some"
        tip = f"{moment(at * STRETCH_NS)}: {good} answered, {bad} not"
        x = time(at * STRETCH_NS)
        marks.append(el("rect", x=x, y=y, width=width, height=BAR, class_=f"d-{kind} hit", data_tip=tip))
    return join(*marks)


def _bands(facts: Facts, time: Linear, top: float, bottom: float) -> Html:
    marks = []
    for fault in facts.faults:
        if fault.start_ns is not None:
            x0, x1 = time(fault.start_ns), time(min(fault.end_ns or facts.end_ns, time.high))
            band = el("rect", x=x0, y=top - 4, width=max(x1 - x0, 1.5), height=bottom - top + 8, class_="fault touch")
            marks.append(band)
    return join(*marks)


def _phase_marks(outage: Mapping[str, Any], region: str, f: str, time: Linear, y: float) -> Html:
    """First error, first success and steady service of one lane, as small pointers."""
    seen = outage["regions"].get(region, {}).get(f, {})
    marks = []
    for (phase, label), shape in zip(PHASES, ("m-4-7h8l-4 7z", "m-4 0l4-7l4 7z", "m0-8l4 4l-4 4l-4-4z"), strict=True):
        if seen.get(phase) is not None:
            at_ns = (outage["heal_s" if seen.get("after_heal") else "start_s"] + seen[phase]) * 1e9
            place = f"M{time(at_ns):.1f} {y + (0 if phase == 'detected_s' else BAR + 6):.1f}"
            since = "heal" if seen.get("after_heal") else "fault"
            tip = f"{label}: {seen[phase]:.3f} s after the {since} ({f} in {region})"
            marks.append(el("path", el("title", tip), d=place + shape, class_="phase hit", data_tip=tip))
    return join(*marks)


def _fate_marks(fate: str, writes: Sequence[Mapping[str, Any]], time: Linear, y: float) -> Html:
    """When the writes were acknowledged that are not everywhere in the end."""
    parts = (f"M{time(row['acked_s'] * 1e9):.1f} {y:.1f}v{BAR:.0f}" for row in writes)
    return el("path", d="".join(parts), class_=fate) if writes else Html()


def _moment(each: Moment, time: Linear, y: float, bottom: float) -> Html:
    x = time(each.at_ns)
    wide = len(each.label) * CHARACTER_PX
    return join(
        el("line", x1=x, x2=x, y1=y - 9, y2=bottom, class_="moment"),
        el("text", each.label, x=min(x + 3, WIDTH - wide), y=y, class_="fault-name touch"),
    )


def _ticks(time: Linear, bottom: float) -> Html:
    seconds = Linear(0, time.high / 1e9, LEFT, WIDTH - RIGHT)
    marks = ((min(seconds(tick), WIDTH - 16), f"{tick:g} s") for tick in seconds.ticks(12))
    return join(*(el("text", label, x=x, y=bottom + 18, class_="tick middle") for x, label in marks))


def _legend() -> Html:
    keys = (("ok", "all answered"), ("some", "some answered"), ("none", "none answered"))
    named = [el("span", el("i", class_=f"key d-{kind}"), label) for kind, label in keys]
    signs = el("span", "▼ first error   ▲ first success   ◆ steady service")
    lost = el("span", el("i", class_="key d-lost"), "acknowledged here, lost later")
    divided = el("span", el("i", class_="key d-divided"), "... in some regions only at the end")
    return el("figcaption", *named, signs, lost, divided, class_="legend")


# --- the numbers ---------------------------------------------------------------------------------


def _phases(outages: Sequence[Mapping[str, Any]]) -> Html:
    def line(outage: Mapping[str, Any], region: str, f: str, seen: Mapping[str, Any]) -> Sequence[Child]:
        where = f"{f} in {region}" + (" (cut off)" if seen.get("cut_off") else "")
        if seen.get("cause"):
            return where, "", "", "", "", str(seen["cause"])
        if not seen.get("interrupted"):
            return where, "", "", "", str(seen.get("errors", 0)), "not interrupted"
        times = ["never" if seen.get(phase) is None else f"{seen[phase]:.3f} s" for phase, _ in PHASES]
        exact = "" if seen.get("resolution_s") is None else f"first success known to {seen['resolution_s']:.3f} s"
        late = "" if seen.get("steady_before_heal") else "; steady only after the heal"
        late = "; only the heal interrupted it: counted from there" if seen.get("after_heal") else late
        return where, *times, str(seen.get("errors", 0)), exact + late

    heads = ("Clients", "First error", "First success", "Steady service", "Errors", "Note")
    body = [
        line(outage, region, f, seen)
        for outage in outages
        for region, kinds in outage["regions"].items()
        for f, seen in sorted(kinds.items())
    ]
    manner = ", ".join(sorted({str(outage.get("manner")) for outage in outages}))
    return table(f"Seconds since the fault ({manner}) until clients saw it", heads, body, frozenset({1, 2, 3, 4}))


def _losses(rpo: Mapping[str, Any], split: Mapping[str, Any]) -> Iterator[Html]:
    if not rpo:
        return
    total, number = rpo.get("acknowledged", 0), rpo.get("lost", 0)
    said = f"{count(number)} of {count(total, 'acknowledged write')} lost"
    if rpo.get("unread") and not number:
        said = f"Of {count(total, 'acknowledged write')} nobody knows how many are lost"
    if number:
        said += f", of the last {rpo.get('loss_s', 0):.2f} s; {count(rpo.get('after_fault', 0))} of them acknowledged "
        said += "after the fault had struck"
    if rpo.get("unread"):
        said += f". What became of {count(rpo['unread'])} could not be read in the end"
    if split.get("window_s"):
        said += f". Two sides acknowledged writes at the same time for {split['window_s']:.2f} s at least"
    yield el("p", el("strong", said + "."), class_="apart")
    yield from _listed("Acknowledged and lost, the oldest first", "further lost write", rpo.get("lost_writes") or ())
    if divided := rpo.get("divided_writes"):
        lacks = ", ".join(f"{region or 'one read'} lacks {count(n)}" for region, n in rpo["lacking"].items())
        told = f"Regions disagree at the end about {count(rpo['divided'], 'acknowledged write')}: {lacks}. "
        yield el("p", el("strong", told), "Nobody knows whose copy will count.", class_="apart")
        caption = "Acknowledged, and in some regions only, the oldest first"
        yield from _listed(caption, "further divided write", divided)


def _listed(caption: str, noun: str, writes: Sequence[Mapping[str, Any]]) -> Iterator[Html]:
    """A table of acknowledged writes; most of a long list is folded away."""
    heads = ["Value", "List", "Client", "Region", "Acknowledged"]
    heads += ["Shown in", "Missing in"] if any("shown_in" in row for row in writes) else []
    body = [
        [
            *(str(row[name]) for name in ("value", "key", "client", "region")),
            f"{row['acked_s']:.3f} s",
            *(", ".join(row[name]) for name in ("shown_in", "missing_in") if name in row),
        ]
        for row in writes
    ]
    numeric = frozenset({4})
    if len(writes) == LISTED_BY_CHECKER:
        caption += f"; only the first {count(len(writes))} are listed and drawn"
    yield table(caption, heads, body[:LISTED], numeric)
    if len(body) > LISTED:
        yield fold(count(len(body) - LISTED, noun), table("Further ones", heads, body[LISTED:], numeric))


def _complaints(facts: Facts, recovery: Mapping[str, Any]) -> Html:
    """What nodes said of themselves while the drill went on, and which do not serve at its end."""
    said = [(moment(op.time_ns), str(op.key), str(op.value["why"])) for op in facts.run.history
            if op.is_nemesis and op.f == "trouble" and op.type == INVOKE and isinstance(op.value, dict)]  # fmt: skip
    said += [("at the end", node, f"does not serve: {why}") for node, why in recovery.get("unready", {}).items()]
    found = table("Trouble that nodes told of themselves", ("When", "Node", "What it said"), said, frozenset())
    return el("div", found, class_="apart") if found else found
