"""Rift inside pytest: ``pytest suites --target etcd --testbed local --seed 7``.

A suite is a file of test functions, one promise each, that use the fixture ``holds``. A violated promise fails the
test, and so does an unknown one, because no evidence is not a pass; a missing power skips it and says which one.
This is the only module that imports pytest.
"""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
import pytest

from harness.errors import MissingPower, UsageError
from harness.model.run import Run
from harness.model.seeds import fresh_seed
from harness.model.verdict import Valid

if TYPE_CHECKING:  # it brings the checkers, which a session without a target does not need
    from harness.judging.tally import Line

PLAYING: Final = pytest.StashKey[Any]()
FINISHED: Final = pytest.StashKey[list[Run]]()
SEED: Final = pytest.StashKey[int]()
SAID: Final = pytest.StashKey[list[Any]]()
"""What a test's run said of numbered guarantees."""


class Holds(Protocol):
    """Runs a workload against the target of the command line and fails the test unless its promise held."""

    def __call__(self, workload: str, **numbers: float) -> Run: ...


Scenario = Callable[[Any], Awaitable[None]]


class Rollout(Protocol):
    """Plays a scenario against the target of the command line and fails the test unless the guarantees ``rows`` held,
    and every other one that was put to the test."""

    def __call__(self, scenario: Scenario, *rows: str, topology: str = "four-regions") -> Run: ...


class Regions(Protocol):
    """Plays a scenario against the target of the command line, configured as ``asked``, and fails the test unless the
    guarantees ``rows`` held, and every other one that was put to the test."""

    def __call__(self, scenario: Scenario, *rows: str, topology: str = "near-regions", **asked: str) -> Run: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of ``rift run`` that make sense for a whole suite."""
    group = parser.getgroup("rift", "Rift: multi-region chaos and conformance")
    group.addoption("--target", default=None, help="the system under test: a name from `rift list`, or a file")
    group.addoption("--target-option", action="append", default=[], help="an option of the target, name=value")
    group.addoption("--testbed", default="local", help="where nodes live: local or compose")
    group.addoption("--topology", default=None, help="a preset's name or a YAML file [default: the suite's own]")
    group.addoption("--profile", default=None, help="latency: floor, typical or degraded")
    group.addoption("--faults", default="default", help="names with commas between, or: default, all, none")
    group.addoption("--seed", type=int, default=None, help="decides every choice of the harness")
    group.addoption("--time-limit", type=float, default=None, help="seconds that clients and faults go on, per test")
    group.addoption("--link-server", default=None, help="toxiproxy, embedded, or the URL of a Toxiproxy of yours")
    group.addoption("--store", type=Path, default=Path("store"), help="where runs are kept")


def pytest_configure(config: pytest.Config) -> None:
    """Draw the seed once; workers of ``pytest -n`` get it from their controller."""
    given = config.getoption("--seed", None)
    handed = getattr(config, "workerinput", {}).get("rift_seed")
    config.stash[SEED] = handed if handed is not None else given if given is not None else fresh_seed()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand the seed to a worker of ``pytest -n``."""
    node.workerinput["rift_seed"] = node.config.stash[SEED]


def pytest_report_header(config: pytest.Config) -> list[str]:
    """The seed, first."""
    return [f"rift: seed {config.stash[SEED]}"] if config.getoption("--target") else []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """What a test's run said of guarantees goes with its report, also from a worker of ``pytest -n``."""
    report = yield
    if call.when == "call":
        report.rift_said = [list(each) for each in item.stash.get(SAID, ())]
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """What the scenarios said of each guarantee, and the seed, last."""
    reports = [report for found in terminalreporter.stats.values() for report in found]
    said = [each for report in reports for each in getattr(report, "rift_said", ())]
    if said:
        _show_guarantees(terminalreporter, said)
    if config.getoption("--target"):
        terminalreporter.write_line(f"rift: replay with --seed {config.stash[SEED]}")


@pytest.fixture
def holds(request: pytest.FixtureRequest) -> Holds:
    """See ``Holds``. The run with its evidence is attached to Allure results, when Allure is there."""
    config = request.config
    name = config.getoption("--target")
    if not name:
        pytest.skip("no system under test: give --target, e.g. --target etcd")

    def run(workload: str, **numbers: float) -> Run:
        finished = _run(request, workload, numbers)
        request.node.user_properties += [("seed", finished.plan.seed), ("run", str(finished.folder))]
        _attach(finished)
        _demand(finished)
        return finished

    return run


def _run(request: pytest.FixtureRequest, workload: str, numbers: dict[str, float]) -> Run:
    from harness.planning import plans
    from harness.running import execute

    option = request.config.getoption
    said = {
        "target": option("--target"),
        "option": option("--target-option"),
        "topology": option("--topology") or plans.DEFAULT_TOPOLOGY,
    }
    said |= {name.removesuffix("_s").removesuffix("_hz"): value for name, value in numbers.items()}
    said |= {"profile": option("--profile"), "workload": workload, "faults": option("--faults")}
    said |= {"link_server": option("--link-server"), "testbed": option("--testbed")}
    if said["testbed"] == "local":
        del said["testbed"]
    if option("--time-limit"):
        said["time_limit"] = option("--time-limit")
    try:
        plan = plans.plan(
            target=option("--target"),
            target_options=plans.options(option("--target-option")),
            topology_name=option("--topology") or plans.DEFAULT_TOPOLOGY,
            profile=option("--profile"),
            testbed=option("--testbed"),
            workload=workload,
            faults=option("--faults"),
            seed=request.config.stash[SEED],
            name=f"{Path(option('--target')).stem}-{request.node.name}",
            numbers={**numbers, "time_limit_s": option("--time-limit") or numbers.get("time_limit_s")},
            said=said,
        )
        return execute.run(plan, option("--store"), option("--link-server"))
    except MissingPower as error:
        pytest.skip(str(error))
    except UsageError as error:
        raise pytest.UsageError(str(error)) from error


@pytest.fixture
def rollout(request: pytest.FixtureRequest) -> Rollout:
    """See ``Rollout``. Scenarios of one worker share a federation that is started once and healed after each."""
    config = request.config
    name = config.getoption("--target")
    if not name:
        pytest.skip("no system under test: give --target, e.g. --target refrollout")

    def run(scenario: Scenario, *rows: str, topology: str = "four-regions") -> Run:
        from harness.checkers.rollouts.multiregion import unsupported_by

        def reason(traits: Mapping[str, str]) -> str:
            return unsupported_by(traits, rows)

        return _played(request, "rollout", scenario, rows, topology, {}, reason)

    return run


@pytest.fixture
def regions(request: pytest.FixtureRequest) -> Regions:
    """See ``Regions``. A target that can be configured is configured as the test asks; another one is judged by the
    tests that ask for what it is."""
    if not request.config.getoption("--target"):
        pytest.skip("no system under test: give --target, e.g. --target refregion")

    def run(scenario: Scenario, *rows: str, topology: str = "near-regions", **asked: str) -> Run:
        from harness.checkers.regions.pattern import unsupported_by

        def reason(traits: Mapping[str, str]) -> str:
            return unsupported_by(traits, rows, asked)

        return _played(request, "regions", scenario, rows, topology, asked, reason)

    return run


def _show_guarantees(terminal: Any, said: list[list[Any]]) -> None:
    from harness.checkers.regions import pattern
    from harness.checkers.rollouts import multiregion
    from harness.judging.tally import Said, table

    found = [Said(*each) for each in said]
    families = (("multiregion deployments", multiregion.GUARANTEES), ("stores over regions", pattern.GUARANTEES))
    for title, promises in families:
        if any(each.row in promises for each in found):
            terminal.section(f"guarantees of {title}")
            _show_table(terminal, table(found, promises))


def _show_table(terminal: Any, lines: list[Line]) -> None:
    from harness.checkers.guarantees import ALLOWED, FAIL, PASS, UNTESTED

    for line in lines:
        if line.outcome != UNTESTED:
            colour = {PASS: "green", ALLOWED: "green", FAIL: "red"}.get(line.outcome, "yellow")
            terminal.write(f"{line.row:<14}")
            terminal.write(f"{line.outcome:<12}", **{colour: True})
            terminal.write_line(f"{line.judged or '':>4}  {line.why}")
    if rest := [line.row for line in lines if line.outcome == UNTESTED]:
        terminal.write_line(f"not put to the test by any scenario of this session: {', '.join(rest)}")


def _played(
    request: pytest.FixtureRequest, workload: str, scenario: Scenario, rows: tuple[str, ...], topology: str,
    asked: Mapping[str, str], reason: Callable[[Mapping[str, str]], str],
) -> Run:  # fmt: skip
    from harness.judging import tally

    stash = request.node.stash
    stash[SAID] = tally.unjudged(rows, "unknown", "its scenario did not come to an end")
    try:
        chosen = request.config.getoption("--topology") or topology
        finished = _play(request, workload, scenario, chosen, asked, reason)
    except pytest.skip.Exception as skipped:
        stash[SAID] = tally.unjudged(rows, "unsupported", str(skipped).removeprefix("unsupported: "))
        raise
    stash[SAID] = tally.said_by(finished, rows)
    request.node.user_properties += [("seed", finished.plan.seed), ("run", str(finished.folder))]
    request.node.user_properties += [("guarantee", row) for row in rows]
    _attach(finished)
    _demand_rows(finished, rows)
    return finished


def _play(
    request: pytest.FixtureRequest, workload: str, scenario: Scenario, topology: str, asked: Mapping[str, str],
    reason: Callable[[Mapping[str, str]], str],
) -> Run:  # fmt: skip
    from harness import registry
    from harness.planning import plans
    from harness.running.playing import Playing

    option = request.config.getoption
    if request.config.stash.get(PLAYING, None) is None:
        request.config.stash[PLAYING] = Playing(option("--store"), option("--link-server"))
    try:
        given = plans.options(option("--target-option"))
        able: frozenset[str] = getattr(registry.target(option("--target"), given), "configurable", frozenset())
        chosen = {**{name: value for name, value in asked.items() if name in able}, **given}
        plan = plans.plan(
            target=option("--target"),
            target_options=chosen,
            topology_name=topology,
            profile=option("--profile"),
            testbed=option("--testbed"),
            workload=workload,
            faults="none",
            seed=request.config.stash[SEED],
            name=f"{Path(option('--target')).stem}-{request.node.name}",
            said={"target": option("--target"), "topology": topology, "workload": workload},
        )
        told = [f"--target-option={each}" for each in option("--target-option")]
        again = shlex.join(["pytest", request.node.nodeid, "--target", plan.target, *told, "--seed", str(plan.seed)])
        playing = request.config.stash[PLAYING]
        if why := reason(playing.traits(plan)):
            pytest.skip(f"unsupported: {why}")
        played: Run = playing.play(msgspec.structs.replace(plan, replay=again), scenario)
        return played
    except MissingPower as error:
        pytest.skip(str(error))
    except UsageError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_unconfigure(config: pytest.Config) -> None:
    """Take down what scenarios shared."""
    playing = config.stash.get(PLAYING, None)
    if playing is not None:
        playing.close()


def _demand_rows(run: Run, rows: tuple[str, ...]) -> None:
    """Fail on any violation, and on a row of the test's own that was not decided; skip what is unsupported."""
    from harness import registry

    told = f"{registry.renderer('terminal').render(run)}\nreport: {run.folder / 'report.html'}"
    if run.valid is Valid.FALSE:
        pytest.fail(f"violated\n{told}", pytrace=False)
    found = {verdict.checker: verdict for verdict in run.verdicts}
    for row in rows:
        outcome = found[row].details.get("outcome") if row in found else None
        if outcome == "unsupported":
            pytest.skip(f"{row} unsupported: {found[row].summary}")
        if outcome not in ("pass", "allowed", "report"):
            pytest.fail(f"{row} is {outcome or 'not judged'}, which is not a pass\n{told}", pytrace=False)
    if run.valid is Valid.UNKNOWN and any(
        v.judged and v.checker in COMMON and v.valid is Valid.UNKNOWN for v in run.verdicts
    ):
        pytest.fail(f"unknown, which is not a pass\n{told}", pytrace=False)


def _demand(run: Run) -> None:
    """Pass on true, fail on false and unknown, skip what nobody claimed."""
    from harness import registry

    told = f"{registry.renderer('terminal').render(run)}\nreport: {run.folder / 'report.html'}"
    if run.valid is Valid.FALSE:
        pytest.fail(f"violated\n{told}", pytrace=False)
    if run.verdicts and all(v.checker in COMMON for v in run.verdicts if v.judged):
        pytest.skip(f"{run.plan.target} does not claim what {run.plan.workload} judges; reported only: {run.folder}")
    if run.valid is Valid.UNKNOWN:
        pytest.fail(f"unknown, which is not a pass\n{told}", pytrace=False)


COMMON: Final = frozenset({"stats", "attested", "recovery", "died", "errors", "availability", "harness"})
"""Checkers that every run gets, whatever it promises."""


def _attach(run: Run) -> None:
    try:
        import allure
    except ImportError:
        return
    from harness import registry

    story = str(registry.renderer("terminal").render(run))
    for fault in run.history.faults:
        with allure.step(f"{fault.fault}: {fault.aim} ({fault.start_ns / 1e9:.1f} to {fault.end_ns / 1e9:.1f} s)"):
            pass
    for verdict in run.verdicts:
        with allure.step(f"{verdict.checker}: {verdict.valid}: {verdict.cause or verdict.summary}"):
            pass
    allure.attach(story, "explanation", allure.attachment_type.TEXT)
    report = run.folder / "report.html"
    if report.exists():
        allure.attach(report.read_text(encoding="utf-8"), "report", allure.attachment_type.HTML)
