"""The tables of the HTML report: verdicts, faults, network, harness, operations. Empty ones vanish."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.model.op import TYPES
from harness.model.verdict import Excerpt, Verdict

from ._facts import Facts, FaultFact, is_open
from ._lanes import bar_label
from ._markup import Child, Html, el, join
from ._story import SYMBOL, WORD, bite, heal, split_trace
from ._words import count, lasting, millis, moment, size

SHOWN_SIGHTS = 3
UNTESTED = "untested"
"""A guarantee's outcome in a run that does not concern it."""
UNSUPPORTED = "unsupported"
"""... and where the target cannot be judged by it."""
"""Probe findings per fault before the rest is folded away."""


def table(caption: str, heads: Sequence[str], body: Iterable[Sequence[Child]], numeric: frozenset[int]) -> Html:
    """A table with column heads; ``numeric`` columns are set to the right. The first column heads its row."""
    lines = list(body)
    if not lines:
        return Html()

    def cell(column: int, child: Child) -> Html:
        side = "n" if column in numeric else None
        return el("td", child, class_=side) if column else el("th", child, scope="row", class_=side)

    head = (el("th", name, scope="col", class_="n" if i in numeric else None) for i, name in enumerate(heads))
    return el(
        "div",
        el(
            "table",
            el("caption", caption),
            el("thead", el("tr", *head)),
            el("tbody", *(el("tr", *(cell(i, child) for i, child in enumerate(line))) for line in lines)),
        ),
        class_="scroll",
        tabindex="0",
        role="region",
        aria_label=caption,
    )


def fold(summary: str, *children: Child) -> Html:
    """Something that is there for who wants it."""
    return el("details", el("summary", summary), *children)


def verdict_table(facts: Facts) -> Html:
    """Every checker's finding."""

    def line(verdict: Verdict) -> Sequence[Child]:
        kind = verdict.valid.value if verdict.judged else "reported"
        badge = el("span", f"{SYMBOL[verdict.valid]} {WORD[verdict.valid]}", class_=f"badge {kind}")
        return (verdict.checker, badge, _finding(verdict), _judged(verdict), f"{verdict.seconds:.2f} s")

    heads = ("Checker", "Outcome", "Finding", "Counts", "Took")
    others = [verdict for verdict in facts.run.verdicts if "guarantee" not in verdict.details]
    return table("What each checker found", heads, map(line, others), frozenset({4}))


def guarantee_table(facts: Facts) -> Html:
    """Every numbered guarantee that was put to the test, with its outcome; the others by name."""

    def line(verdict: Verdict) -> Sequence[Child]:
        outcome = str(verdict.details.get("outcome", "unknown"))
        kind = {"pass": "true", "fail": "false", "unknown": "unknown"}.get(outcome, "reported")
        badge = el("span", f"{SYMBOL[verdict.valid]} {outcome}", class_=f"badge {kind}")
        return (verdict.checker, badge, str(verdict.details.get("promise", "")), _finding(verdict))

    tested = [verdict for verdict in facts.guarantees if verdict.details.get("outcome") != UNTESTED]
    rest = [verdict.checker for verdict in facts.guarantees if verdict not in tested]
    heads = ("Guarantee", "Outcome", "It promises", "Finding")
    found = table("What this run says of each guarantee", heads, map(line, tested), frozenset())
    return join(found, el("p", f"Not put to the test here: {', '.join(rest)}.", class_="quiet") if rest else None)


def _judged(verdict: Verdict) -> str:
    return "judged" if verdict.judged else "only reported: nobody claims it"


def _finding(verdict: Verdict) -> Html:
    cause, trace = split_trace(verdict.cause)
    told = cause and cause not in verdict.summary
    return join(
        verdict.summary,
        el("p", f"Cause: {cause}", class_="quiet") if told else None,
        fold("Traceback", el("pre", trace)) if trace else None,
    )


def fault_table(facts: Facts) -> Html:
    """Every fault: victim, time, and what probes saw of it."""

    def line(fault: FaultFact) -> Sequence[Child]:
        what = join(f"{fault.id} {fault.fault}", el("p", fault.why, class_="quiet") if fault.why else None)
        when = el("span", _when(fault), class_="together")
        return (what, fault.aim, when, _attested(fault), _sights(fault))

    heads = ("Fault", "Victim", "When", "Did it bite?", "What probes saw: before → during → after")
    return table("What was broken, and whether it really was", heads, map(line, facts.faults), frozenset())


def _when(fault: FaultFact) -> str:
    if fault.start_ns is None:
        return "never started"
    if fault.end_ns is None:
        return f"{moment(fault.start_ns)} to the end"
    return f"{moment(fault.start_ns)},\nfor {lasting(fault.end_ns - fault.start_ns)}"


def _attested(fault: FaultFact) -> Html:
    bit = {True: ("true", "✓"), False: ("unknown", "✗"), None: ("unknown", "?")}[fault.effective]
    well = {True: ("true", "✓"), False: ("false", "✗"), None: ("unknown", "?")}[fault.healed]
    return join(
        el("span", f"{bit[1]} {bite(fault)}", class_=f"badge {bit[0]}"),
        el("br"),
        el("span", f"{well[1]} {heal(fault)}", class_=f"badge {well[0]}"),
    )


def _sights(fault: FaultFact) -> Html:
    def line(thing: str, seen: Iterable[str]) -> Html:
        return el("li", el("b", thing), " " + " → ".join(word or "–" for word in seen))

    lines = [line(s.thing, (s.before, s.during, s.after)) for s in fault.sights]
    if not lines:
        return Html("no probe recorded")
    rest, bitten = lines[SHOWN_SIGHTS:], sum(sight.bitten for sight in fault.sights)
    more = fold(f"{len(rest)} more; {bitten} of {len(lines)} bitten", el("ul", *rest)) if rest else None
    return join(el("ul", *lines[:SHOWN_SIGHTS]), more)


def link_table(facts: Facts) -> Html:
    """Measured round trips of every ordered pair beside what the topology asks for."""

    def line(pair: str, seen: object) -> Sequence[Child]:
        values = seen if isinstance(seen, dict) else {}
        rtt, preset = values.get("rtt_ms"), values.get("preset_ms")
        off = "–"
        if isinstance(rtt, int | float) and isinstance(preset, int | float):
            off = f"{rtt - preset:+.1f} ms"
        return (pair.replace(">", " → "), _ms(rtt), _ms(preset), off)

    heads = ("From → to", "Measured", "Asked for", "Off by")
    lines = (line(str(pair), seen) for pair, seen in facts.measured("links").items())
    return table("Round trip between regions", heads, lines, frozenset({1, 2, 3}))


def _ms(value: object) -> str:
    return millis(value) if isinstance(value, int | float) and value != float("inf") else "no answer"


def traffic_table(facts: Facts) -> Html:
    """What crossed region borders, per link."""

    def line(link: str, seen: object) -> Sequence[Child]:
        values = seen if isinstance(seen, dict) else {}
        up, down = values.get("bytes_up", 0), values.get("bytes_down", 0)
        return (link.replace(">", " → "), count(int(values.get("connections", 0))), size(up), size(down))

    heads = ("From → node", "Connections", "Sent", "Received")
    lines = [line(str(link), seen) for link, seen in facts.measured("traffic").items()]
    return table("Traffic over links", heads, lines, frozenset({1, 2, 3}))


def harness_sentences(facts: Facts) -> list[str]:
    """Whether the harness itself kept up, and with what it worked."""
    lag, found = facts.measured("scheduler_lag_ms"), []
    p99 = lag.get("p99")
    if isinstance(p99, int | float):
        fine = "The harness itself kept up" if p99 < 50 else "The harness itself was late: read latencies with care"
        parts = [f"{millis(lag[name])} ({name})" for name in ("p50", "p99", "max") if name in lag]
        found.append(f"{fine}: operations began later than planned by {', '.join(parts)}.")
    startup = facts.run.measurements.get("startup_s")
    if isinstance(startup, int | float):
        found.append(f"The cluster was up and verified after {startup:.1f} s.")
    server = facts.run.measurements.get("link_server")
    if isinstance(server, dict):
        server = " ".join(str(server[name]) for name in ("kind", "version") if name in server)
    if server:
        found.append(f"Link server: {server}.")
    return found


def operation_table(facts: Facts) -> Html:
    """How many operations of each kind ended how, per region."""
    outcomes = TYPES[1:]
    kinds = sorted({f for f, _, _ in facts.tally})
    regions = sorted({r for _, _, r in facts.tally}, key=lambda r: (*facts.regions, r).index(r))

    def line(f: str, region: str) -> Sequence[Child]:
        return (f, region or "–", *(count(facts.tally[f, kind, region]) for kind in outcomes))

    lines = [line(f, region) for f in kinds for region in regions if any(facts.tally[f, k, region] for k in outcomes)]
    heads = ("Operation", "Region", "ok", "fail: did not happen", "info: nobody knows")
    return table("Operations by kind, region and outcome", heads, lines, frozenset({2, 3, 4}))


def excerpt_table(excerpt: Excerpt) -> Html:
    """The picture's operations as text."""
    lines: list[Sequence[Child]] = []
    for marked in sorted(excerpt.operations, key=lambda m: (m.operation.start_ns, m.operation.start_index)):
        op = marked.operation
        timed = op.start_ns >= 0
        took = "open" if is_open(op) else lasting(op.end_ns - op.start_ns) if timed else "–"
        begun = moment(op.start_ns) if timed else f"event {op.start_index + 1}"
        where = " · ".join(part for part in (op.region, op.node) if part)
        note = " ".join(part for part in (marked.note, op.error) if part)
        lines.append((begun, f"client {op.process}", where, bar_label(marked), op.type, took, note))
    heads = ("Start", "Client", "Where", "Operation", "Outcome", "Took", "Note")
    return table("Operations in the picture", heads, lines, frozenset({0, 5}))
