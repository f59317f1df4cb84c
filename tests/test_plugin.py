"""Rift inside pytest: suites, skips with reasons, unknown is no pass, JUnit, Allure, two clusters side by side."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from harness import registry

pytestmark = pytest.mark.servers

SUITES = str(registry.home("suites"))
SHORT = ("--time-limit", "6", "--faults", "partition-region", "--seed", "7")


def suites(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``pytest suites`` as a user runs it, in a folder of its own."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip


def test_the_suites_pass_on_a_good_system_two_at_a_time_with_junit_and_allure(tmp_path: Path) -> None:
    done = suites(
        tmp_path, f"{SUITES}/consistency", "--target", "refstore", *SHORT,
        "-n", "2", "--junitxml", "junit.xml", "--alluredir", "allure",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "replay with --seed 7" in done.stdout
    cases = ElementTree.parse(tmp_path / "junit.xml").getroot().findall(".//testcase")
    assert len(cases) >= 2
    assert all(case.find("properties/property[@name='run']") is not None for case in cases)
    results = [json.loads(path.read_text()) for path in (tmp_path / "allure").glob("*-result.json")]
    assert {result["status"] for result in results} == {"passed"}
    steps = [step["name"] for result in results for step in result["steps"]]
    assert any(step.startswith("partition-region") for step in steps)
    assert any(attachment["name"] == "report" for result in results for attachment in result["attachments"])


def test_a_planted_bug_fails_the_suite_with_the_explanation(tmp_path: Path) -> None:
    done = suites(
        tmp_path, f"{SUITES}/consistency", "-k", "register", "--target", "refstore",
        "--target-option", "bug=stale-reads", "--faults", "partition-region", "--time-limit", "12", "--seed", "7",
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    assert "violated" in done.stdout
    told = " ".join(line.removeprefix("E").strip() for line in done.stdout.splitlines())  # whose lines are wrapped
    stale = r"client \d+ in \S+ read \S+ of key \d+, \S+ \w+ after client .{1,40} (was acknowledged|had read the newer)"
    assert re.search(stale, told), done.stdout


def test_unknown_is_not_a_pass(tmp_path: Path) -> None:
    """When nothing is ever answered in time there is no evidence."""
    (tmp_path / "test_deaf.py").write_text("def test_deaf(holds):\n    holds('register', op_timeout_s=0.0001)\n")
    done = suites(tmp_path, "test_deaf.py", "--target", "refstore", "--faults", "none", "--time-limit", "1")
    assert done.returncode == 1, done.stdout
    assert "unknown, which is not a pass" in done.stdout


def test_a_missing_power_is_a_skip_that_names_it(tmp_path: Path) -> None:
    done = suites(
        tmp_path, f"{SUITES}/consistency", "-k", "register", "-rs", "--target", "refstore",
        "--topology", "single-region", "--faults", "partition-region",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "1 skipped" in done.stdout
    assert "partition-region finds no victim in topology single-region" in done.stdout


def test_without_a_target_suites_are_skipped_and_say_what_to_give(tmp_path: Path) -> None:
    done = suites(tmp_path, SUITES, "-rs")
    assert "give --target" in done.stdout
    assert "passed" not in done.stdout


def test_a_wrong_name_is_wrong_usage(tmp_path: Path) -> None:
    done = suites(tmp_path, SUITES, "-k", "register", "--target", "etdc")
    assert "did you mean 'etcd'" in done.stdout + done.stderr
    assert done.returncode != 0
