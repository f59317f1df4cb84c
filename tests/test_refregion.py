"""The reference regional store: its decisions as pure functions, its words for wrong configurations, real suites."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from contextlib import suppress
from itertools import permutations
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from harness import registry
from harness.errors import UsageError
from harness.planning import plans

SERVERS = Path(__file__).resolve().parent.parent / "fixtures" / "servers"
SERVER = SERVERS / "refregion"
NAMES = ("words", "bugs", "template", "items", "settings", "journal", "replica", "decision", "state", "feed",
         "configuring", "calls", "monitor")  # fmt: skip


def modules() -> dict[str, Any]:
    """The server's modules, apart from those of other servers that have the same names."""
    kept = {name: sys.modules.pop(name) for name in NAMES if name in sys.modules}
    paths = [str(SERVERS / folder) for folder in ("refregion", "refrollout", "refstore")]  # as the server has them
    sys.path[:0] = paths
    try:
        return {name: importlib.import_module(name) for name in NAMES}
    finally:
        del sys.path[: len(paths)]
        for name in NAMES:
            sys.modules.pop(name, None)
        sys.modules.update(kept)


SERVER_MODULES = modules()
items, template, decision = (SERVER_MODULES[name] for name in ("items", "template", "decision"))
replica, state, words, monitor = (SERVER_MODULES[name] for name in ("replica", "state", "words", "monitor"))
BUGS: dict[str, Any] = SERVER_MODULES["bugs"].BUGS
TEMPLATE = (SERVER / "template.yaml").read_text()


# --- the configuration -----------------------------------------------------------------------------------


def test_the_patterns_own_template_is_read_as_it_stands() -> None:
    plan = template.read(TEMPLATE)
    assert plan.regions == ("us-east-1", "eu-west-1", "ap-southeast-1")
    assert (plan.primary, plan.interval_s, plan.threshold, plan.lag_threshold_s) == ("us-east-1", 30.0, 3, 5.0)
    assert plan.residency == {"user_pii": ("eu-west-1",), "financial": ("us-east-1",)}
    assert (plan.budget_bytes, plan.auto_scale, plan.idle_shutdown) == (1e13, True, True)
    assert plan.services["eu-west-1"] == ("api", "database-replica", "cache")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("primary: true", "primary: false", "exactly one has `primary: true`, here none"),
        ("primary: false", "primary: true", "here us-east-1, eu-west-1"),
        ("failover_threshold: 3", "failover_threshold: 0", "failover_threshold: 0"),
        ("failover_threshold: 3", "failover_threshold: yes", "failover_threshold: True"),
        ("strategy: async", "strategy: later", "write one of async, sync, semi-sync"),
        ("lag_threshold: 5s", "lag_threshold: 5", "like 5s or 200ms"),
        ("allowed_regions: [us-east-1]", "allowed_regions: []", "at least one region"),
        ("multi_region:", "single_region:", "multi_region"),
        ("regions:", "places:", "places"),
    ],
)
def test_a_wrong_configuration_is_refused_by_field_and_value(old: str, new: str, says: str) -> None:
    with pytest.raises(ValueError, match=says.replace("[", r"\[").replace("(", r"\(")):
        template.read(TEMPLATE.replace(old, new, 1))


@pytest.mark.parametrize(
    "text", ["", "multi_region", "multi_region: 3", "multi_region:\n  regions: 3", "multi_region: {regions: [3]}",
             "a: [", "multi_region: {regions: [{name: a, primary: true}], routing: {failover_threshold: [3]}}",
             "multi_region: {regions: [{name: a, primary: true}], data_governance: {data_residency: 5}}",
             "multi_region: {regions: [{name: a, primary: true}], routing: {weights: [1]}}",
             "multi_region: {regions: [{name: a, primary: true, services: 7}]}",
             "multi_region: {regions: [{name: a, primary: true}], routing: {geo: [1]}}"],
)  # fmt: skip
def test_nonsense_is_refused_and_never_crashes(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        template.read(text)


@pytest.mark.parametrize("options", [{"consistency": "strong"}, {"routing": "weighted", "weights": "eu-west-1=2"}, {}])
def test_what_the_target_writes_is_a_configuration_that_the_server_reads(options: dict[str, str]) -> None:
    target: Any = registry.target("refregion", options)
    for name in ("near-regions", "four-regions", "lone-region"):
        plan = template.read(target.template(plans.topology(name))) if not options.get("weights") else None
        assert plan is None or plan.interval_s == pytest.approx(0.6)
    assert template.read(target.template(plans.topology("near-regions"))).primary == "us-east-1"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("bug", "pii-in-cash"),
        ("consistency", "perfect"),
        ("scale", "0"),
        ("scale", "fast"),
        ("weights", "a"),
        ("x", ""),
    ],
)
def test_a_wrong_option_is_wrong_usage(option: str, value: str) -> None:
    with pytest.raises(UsageError, match=value or option):
        registry.target("refregion", {option: value})


def test_every_planted_bug_stands_in_the_file_that_its_table_names() -> None:
    for name, bug in BUGS.items():
        assert f'"{name}"' in (SERVER / bug.where).read_text(), f"{name} is not in {bug.where}"
    assert len(BUGS) >= 20


# --- merging ---------------------------------------------------------------------------------------------


class Place:
    """A region's copy of one key: streams arrive in their order, each update once."""

    def __init__(self, rule: str) -> None:
        self.item = items.Item("k", rule, (), lambda key, values: None)
        self.has: dict[str, int] = {}

    def take(self, made: list[Any], stream: str) -> None:
        for update in made:
            if update.stream == stream and update.position > self.has.get(stream, 0):
                self.has[stream] = update.position
                self.item.apply(update)


def updates(seed: int, rule: str) -> list[Any]:
    """Updates of three regions to one key, each made where some of the others' were known."""
    rng, streams = Random(seed), ("a", "b", "c")
    places = {stream: Place(rule) for stream in streams}
    made: list[Any] = []
    for number in range(8):
        at = rng.choice(streams)
        item = places[at].item
        verb = rng.choice(("write", "count", "add", "remove"))
        value = rng.randint(1, 3) if verb in ("add", "remove") else number + 1
        dots = item.observed(value) if verb == "remove" else []
        mine = 1 + sum(each.stream == at for each in made)
        made.append(items.Update(at, mine, rng.randint(1, 5), verb, "k", value, "", dict(item.known), {}, dots))
        places[at].take(made, at)
        for other in streams:
            if other != at and rng.random() < 0.4:
                places[other].take(made, at)
    return made


@pytest.mark.parametrize("rule", ["last_write_wins", "custom"])
@pytest.mark.parametrize("seed", range(25))
def test_regions_agree_in_whatever_order_streams_arrive(rule: str, seed: int) -> None:
    made, found = updates(seed, rule), set()
    for order in permutations("abc"):
        place = Place(rule)
        for stream in order:
            place.take(made, stream)
        elements = tuple(sorted(map(str, place.item.elements())))
        found.add((str(place.item.read()["value"]), place.item.count(), elements))
    assert len(found) == 1
    assert next(iter(found))[1] == sum(each.value for each in made if each.verb == "count")


def test_what_a_deposed_primary_never_passed_on_is_cut_off_and_the_rest_is_not() -> None:
    first, second, later = ((1 << 32) + 1, (1 << 32) + 2, (3 << 32) + 1)

    def cut(position: int) -> bool:
        return bool(replica.is_cut(items.Update("us", position, 0, "write", "k"), [(2, first)]))

    assert [cut(position) for position in (first, second, later)] == [False, True, False]


def test_a_promotion_for_an_old_epoch_changes_nothing() -> None:
    found = state.State()
    found.begin("a", ("a", "b", "c"), ())
    apply = found.apply
    apply(state.command("mark", region="a", misses=3, by="b", now=1))
    assert apply(state.command("promote", region="b", epoch=2, cut=7, now=2)) == {}
    assert "error" in apply(state.command("promote", region="c", epoch=2, cut=9, now=3))
    assert (found.primary, found.epoch, found.cuts) == ("b", 2, {"a": [(2, 7)]})
    assert (found.role("a"), found.role("b"), found.role("c")) == ("unhealthy", "primary", "secondary")
    apply(state.command("join", region="a", now=4))
    assert [event["kind"] for event in found.events] == ["marked", "promoted", "joined"]
    assert found.events[-1]["role"] == "secondary"


@pytest.mark.parametrize("unheard", ["", "promote", "wake", "route"])
async def test_a_failover_is_finished_by_whoever_leads_next(unheard: str) -> None:
    """A command that takes effect although its proposer gives up on it, as in a group that is slow to agree."""
    agreed = state.State()
    agreed.begin("a", ("a", "b"), ("b",))
    left = [unheard]

    async def propose(op: str, **fields: Any) -> Any:
        told = agreed.apply(state.command(op, **fields, now=1))
        if op in left:
            left.remove(op)
            raise words.Refusal(503, "nobody agreed in time")
        return told

    plan = SimpleNamespace(interval_s=0.01, threshold=3, regions=("a", "b"), idle_shutdown=False)
    settings = SimpleNamespace(http={"a": None, "b": None}, pattern="pilot-light")
    copy = SimpleNamespace(vector={"a": 7})
    region = SimpleNamespace(
        name="b", plan=plan, settings=settings, bugs=(), state=agreed, replica=copy, propose=propose
    )
    for _ in range(4):
        watch = monitor.Monitor(region)  # the next leader knows only what was agreed on, and that a is gone
        watch.misses, watch._vectors = {"a": 3}, vectors
        with suppress(words.Refusal):
            await watch._act()
    assert (agreed.primary, agreed.routed, agreed.awake["b"]) == ("b", "b", True)
    told = [event["kind"] for event in agreed.events]
    assert [kind for at, kind in enumerate(told) if kind not in told[:at]] == ["marked", "promoted", "awake", "routed"]


async def vectors() -> dict[str, dict[str, int]]:
    """How far the only region is that is left."""
    return {"b": {"a": 7}}


def test_the_decision_asks_only_what_it_needs_and_refuses_what_is_no_answer() -> None:
    answers = dict.fromkeys(decision.QUESTIONS, True)
    assert decision.architecture({**answers, "data_regulations": False}) == "multi-master-crdt"
    assert decision.architecture({**answers, "several_regions": False}) == "single-region"
    with pytest.raises(words.Refusal, match="need_dr"):
        decision.architecture({**answers, "need_dr": None})


# --- real servers ----------------------------------------------------------------------------------------

SUITES = registry.home("suites")


def play(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The suites as a user runs them."""
    command = [sys.executable, "-m", "pytest", *words, "-q", "-p", "no:cacheprovider", "--store", str(tmp_path)]
    command += ["--target", "refregion", "--seed", "7"]
    return subprocess.run(command, cwd=SUITES.parent, capture_output=True, text=True, check=False, timeout=110)


def judged(root: Path) -> dict[str, list[dict[str, Any]]]:
    """The verdicts of each test's run."""
    found = [path for path in root.glob("*/*/verdicts.json") if not path.parent.is_symlink()]
    return {path.parent.parent.name: json.loads(path.read_text()) for path in found}


@pytest.mark.servers
def test_a_good_failover_passes_and_ends_with_a_table_of_guarantees(tmp_path: Path) -> None:
    done = play(tmp_path, str(SUITES / "failover/test_promotion_order.py"), "-k", "killed")
    assert done.returncode == 0, done.stdout
    assert re.search(r"^MRA-6 +pass ", done.stdout, re.MULTILINE)
    assert re.search(r"^MRA-7 +pass ", done.stdout, re.MULTILINE)


@pytest.mark.servers
@pytest.mark.parametrize(
    ("bug", "row", "suite", "only"),
    [
        ("routes-before-promotion", "MRA-6", "failover/test_promotion_order.py", "cut"),
        ("pii-in-log", "MRA-25", "residency/test_places.py", "stays and user_pii"),
        pytest.param(
            "source-invented", "MRA-37", "routing/test_edges.py", "kill-ap-northeast-1", marks=pytest.mark.slow
        ),
        pytest.param(
            "auth-home-only", "MRA-36", "failover/test_global_services.py", "two and kill", marks=pytest.mark.slow
        ),
    ],
)
def test_a_planted_bug_is_found_by_the_guarantee_that_it_breaks(
    tmp_path: Path, bug: str, row: str, suite: str, only: str
) -> None:
    done = play(tmp_path, str(SUITES / suite), "-k", only, "--target-option", f"bug={bug}")
    assert done.returncode == 1, done.stdout
    verdicts = next(iter(judged(tmp_path).values()))
    assert [each["checker"] for each in verdicts if each["valid"] == "false"] == [row]


SLEEPER = """
import time
import pytest

@pytest.mark.parametrize("asleep_s", [0.0, 1.2])
def test_a_scenario(regions, asleep_s):
    async def scenario(stage):
        time.sleep(asleep_s)
        expected = {"row": "MRA-3", "says": "answered", "wanted": 1, "seen": 0, "how": "is"}
        await stage.note("expect", "MRA-3", expected)

    regions(scenario, "MRA-3")
"""


@pytest.mark.servers
def test_what_a_scenario_missed_while_the_harness_stood_still_is_unknown(tmp_path: Path) -> None:
    """A scenario that keeps everybody waiting stands for a machine that sleeps; one that does not is believed."""
    (tmp_path / "test_sleeper.py").write_text(SLEEPER)
    play(tmp_path / "store", str(tmp_path / "test_sleeper.py"))
    found = {}
    for test, verdicts in judged(tmp_path / "store").items():
        (found["1.2" in test],) = [each for each in verdicts if each["checker"] == "MRA-3"]
    assert found[False]["valid"] == "false"
    assert found[True]["valid"] == "unknown"
    assert "stood still" in found[True]["cause"]
