"""The reference orchestrator: its decisions as pure functions, its words for wrong jobs, and two real rollouts."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest

from harness import registry
from harness.errors import UsageError

SERVER = Path(__file__).resolve().parent.parent / "fixtures" / "servers" / "refrollout"
sys.path.insert(0, str(SERVER))
order: Any = importlib.import_module("order")
spec: Any = importlib.import_module("spec")
hcl: Any = importlib.import_module("hcl")
words: Any = importlib.import_module("words")
state: Any = importlib.import_module("state")
cron: Any = importlib.import_module("cron")
sys.path.remove(str(SERVER))
BUGS: dict[str, Any] = importlib.import_module("runpy").run_path(str(SERVER / "bugs.py"))["BUGS"]
OWN, PEER = "Failed due to unhealthy allocations", "Failed because of an error in peer region"


def views(text: str) -> dict[str, Any]:
    """``a:running b:pending c:?`` as what regions say; ``?`` says nothing, ``failed!`` failed by itself."""
    found: dict[str, Any] = {}
    for word in text.split():
        region, _, status = word.partition(":")
        own = status.endswith("!")
        status, _, was = status.rstrip("!").partition("<")
        found[region] = None if status == "?" else order.View(status, OWN if own else PEER, was)
    return found


@pytest.mark.parametrize(
    ("seen", "max_parallel", "policy", "start"),
    [
        ("a:pending b:pending c:pending", 1, "", "a"),
        ("a:pending b:pending c:pending", 2, "", "a b"),
        ("a:pending b:pending c:pending", 0, "", "a b c"),
        ("a:running b:pending c:pending", 1, "", ""),
        ("a:blocked b:pending c:pending", 1, "", "b"),
        ("a:blocked b:initializing c:pending", 1, "", ""),
        ("a:paused<running b:pending c:pending", 1, "", ""),
        ("a:paused<pending b:pending c:pending", 1, "", ""),
        ("a:? b:pending c:pending", 0, "", ""),
        ("a:failed! b:pending c:pending", 1, "", ""),
        ("a:failed! b:pending c:pending", 1, "fail_local", "b"),
    ],
)
def test_who_may_start(seen: str, max_parallel: int, policy: str, start: str) -> None:
    assert order.plan(views(seen), "a", max_parallel, policy).start == tuple(start.split())


@pytest.mark.parametrize(
    ("seen", "me", "policy", "fail"),
    [
        ("a:blocked b:failed! c:pending", "b", "", "c"),
        ("a:blocked b:failed! c:pending", "b", "fail_all", "a c"),
        ("a:blocked b:failed! c:pending", "b", "fail_local", ""),
        ("a:blocked b:failed! c:?", "b", "", "c"),
        ("a:successful b:failed! c:failed", "b", "fail_all", ""),
        ("a:blocked b:failed c:pending", "b", "fail_all", ""),
        ("a:blocked b:failed! c:pending", "a", "fail_all", ""),
    ],
)
def test_whom_a_failure_takes_with_it(seen: str, me: str, policy: str, fail: str) -> None:
    assert order.plan(views(seen), me, 1, policy).fail == tuple(fail.split())


@pytest.mark.parametrize(
    ("seen", "unblock"),
    [
        ("a:blocked b:blocked", True),
        ("a:successful b:unblocking", True),
        ("a:blocked b:running", False),
        ("a:blocked b:?", False),
        ("a:blocked b:failed!", False),
    ],
)
def test_all_are_let_go_when_all_are_done(seen: str, unblock: bool) -> None:
    assert order.plan(views(seen), "a", 1, "").unblock is unblock


@pytest.mark.parametrize("seed", range(30))
def test_whoever_decides_on_whatever_old_news_the_rules_hold(seed: int) -> None:
    """Regions decide on views that may be late. Whoever decides gives one order after the other; those may be
    late, too, and only a pending region obeys one."""
    rng = Random(seed)
    regions = [f"r{i}" for i in range(rng.randint(2, 6))]
    limit = rng.randint(1, len(regions))
    status = dict.fromkeys(regions, "pending")
    past = [dict(status)]
    orders: list[list[str]] = []
    began: list[str] = []
    for _ in range(400):
        what = rng.random()
        if what < 0.4:
            # A status only moves on, so old news of one region and fresh news of another can stand side by side.
            seen = {r: rng.choice(past[-4:])[r] if rng.random() < 0.9 else "?" for r in regions}
            plan = order.plan(views(" ".join(f"{r}:{s}" for r, s in seen.items())), rng.choice(regions), limit, "")
            orders += [list(plan.start)] if plan.start else []
        elif what < 0.7 and orders:
            given = rng.choice(orders)
            region = given.pop(0)
            orders = [each for each in orders if each]
            if status[region] == "pending":
                status[region] = "running"
                began.append(region)
        else:
            running = [r for r in regions if status[r] == "running"]
            if running:
                status[rng.choice(running)] = "blocked"
        past.append(dict(status))
        assert sum(s == "running" for s in status.values()) <= limit
        assert began == regions[: len(began)]
    assert began == regions, "it goes on to the end"


def test_a_regions_copy_has_its_own_count_places_and_meta() -> None:
    job = spec.canonical(
        {
            "ID": "web", "Datacenters": ["x"], "Meta": {"a": "job", "b": "job"},
            "Multiregion": {"Regions": [{"Name": "n", "Count": 5, "Datacenters": ["n-1"], "Meta": {"a": "region"}}]},
            "TaskGroups": [{"Name": "zero", "Count": 0}, {"Name": "own", "Count": 3}, {"Name": "none"}],
        }
    )  # fmt: skip
    copy = spec.regional(job, "n")
    assert [group["Count"] for group in copy["TaskGroups"]] == [5, 3, 1]
    assert (copy["Datacenters"], copy["Meta"]) == (["n-1"], {"a": "region", "b": "job"})


@pytest.mark.parametrize(
    ("query", "body", "job", "multi", "goes"),
    [
        ("", "", "", [], "own"),
        ("q", "", "j", [], "q"),
        ("q", "b", "j", [], "b"),
        ("", "", "j", [], "j"),
        ("", "", "global", [], "own"),
        ("q", "", "", ["m", "q"], "q"),
        ("x", "", "", ["m", "q"], "m"),
    ],
)
def test_where_a_registration_goes(query: str, body: str, job: str, multi: list[str], goes: str) -> None:
    given = {"Region": job, "Multiregion": {"Regions": [{"Name": name} for name in multi]} if multi else None}
    assert spec.region_for(given, body, query, "own") == goes


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('job "x" {', "end"),
        ('job "x" { group "g" { count = "two" } }', "count"),
        ('job "x" { multiregion { region "a" { size = 2 } } }', "size"),
        ('job "x" { update { min_healthy_time = "soon" } }', "soon"),
        ("", "unexpected end"),
    ],
)
def test_hcl_that_does_not_parse_says_where(text: str, says: str) -> None:
    with pytest.raises(words.Refusal, match=says):
        hcl.parse_job(text)


def test_a_refused_command_changes_nothing() -> None:
    found = state.State()
    job = spec.canonical({"ID": "web", "Datacenters": ["*"], "TaskGroups": [{"Name": "g", "Tasks": [{"Name": "t"}]}]})
    apply = found.apply
    assert apply(state.command("register", job=job, deployment_id="d0", now=1)) == {"version": 0, "index": 1}
    assert "error" in apply(state.command("register", job=job, deployment_id="d1", version=1, expect=5, now=2))
    assert set(found.deployments) == {"d0"}
    for status in ("blocked", "successful"):
        apply(state.command("set-status", id="d0", status=status, description="", now=3))
    told = apply(state.command("set-status", id="d0", status="running", description="", verb="resume", now=4))
    assert told == {"error": "can't resume terminal deployment"}
    assert (found.deployments["d0"]["Status"], found.versions["default/web"][0]["Stable"]) == ("successful", True)


@pytest.mark.parametrize(
    ("option", "value"), [("bug", "order-reverse"), ("profile", "beta"), ("edition", "x"), ("y", "")]
)
def test_a_wrong_option_is_wrong_usage(option: str, value: str) -> None:
    with pytest.raises(UsageError, match=value or option):
        registry.target("refrollout", {option: value})


def test_every_planted_bug_stands_in_the_file_that_its_table_names() -> None:
    for name, bug in BUGS.items():
        assert f'"{name}"' in (SERVER / bug.where).read_text(), f"{name} is not in {bug.where}"
    assert len(BUGS) >= 15


# --- real servers --------------------------------------------------------------------------------------------


ROLLOUT = registry.home("suites") / "rollout"
ORDER = f"{ROLLOUT / 'test_order.py'}::test_nom_09_regions_start_in_the_order_of_the_list[0]"


def suite(folder: Path, *arguments: str, limit_s: float = 110) -> subprocess.CompletedProcess[str]:
    """The rollout suites as a user runs them."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rs", *arguments]
    command += ["--target", "refrollout", "--seed", "7"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=limit_s, check=False)


@pytest.mark.servers
def test_a_good_rollout_passes_and_shows_its_picture(tmp_path: Path) -> None:
    done = suite(tmp_path, ORDER)
    assert done.returncode == 0, done.stdout
    pages = list((tmp_path / "store").glob("*/2*/report.html"))
    assert pages
    assert all("Rollout of " in page.read_text() and "NOM-9" in page.read_text() for page in pages)


@pytest.mark.servers
def test_a_planted_bug_fails_the_guarantee_that_it_breaks(tmp_path: Path) -> None:
    done = suite(tmp_path, ORDER, "--target-option", "bug=order-reversed")
    assert done.returncode == 1, done.stdout
    assert "✗ NOM-9" in done.stdout
    assert "--target-option=bug=order-reversed" in done.stdout


@pytest.mark.servers
def test_an_open_source_build_is_judged_by_its_refusal_and_the_rest_is_unsupported(tmp_path: Path) -> None:
    done = suite(tmp_path, str(ROLLOUT), "-k", "nom_36 or nom_37 or nom_06", "--target-option", "edition=oss")
    assert done.returncode == 0, done.stdout
    assert "3 passed, 5 skipped" in done.stdout
    said = {line.split()[0]: line.split(None, 1)[1] for line in done.stdout.splitlines() if line.startswith("NOM-")}
    assert said["NOM-36"].startswith("pass")
    assert said["NOM-6"].startswith("unsupported       this build has no multiregion deployments")


@pytest.mark.servers
def test_a_run_against_an_open_source_build_judges_the_refusal_and_names_the_rest(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "harness", "run", "--target", "refrollout", "-o", "edition=oss"]
    command += ["--workload", "rollout", "--topology", "four-regions"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    assert "✓ NOM-36" in done.stdout
    assert "unsupported, this build has no multiregion deployments" in done.stdout
    assert "✓ NOM-6 " not in done.stdout


def test_a_target_that_knows_no_jobs_is_unsupported_and_says_so(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", ORDER, "--target", "refstore"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    assert "target refstore does not speak observe, register, stop, which rollout needs" in done.stdout
    assert "1 skipped" in done.stdout
