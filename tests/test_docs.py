"""What the documents show works as shown."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness import registry

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "docs" / "examples"


@pytest.mark.servers
def test_the_example_target_runs_as_its_page_says(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "add-a-target.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^rift (run .*my_target\.py.*)$", page, re.MULTILINE)
    arguments = [str(ROOT / word) if word.startswith("docs/") else word for word in line.split()]
    done = subprocess.run(
        [sys.executable, "-m", "harness", *arguments, "--time-limit", "8", "--seed", "7"],
        cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "my_target stayed linearizable" in done.stdout


@pytest.mark.servers
def test_the_toy_forgets_when_it_is_killed_and_is_caught(tmp_path: Path) -> None:
    """The page says that a kill loses everything; Rift must see that."""
    done = subprocess.run(
        [
            sys.executable, "-m", "harness", "run", "--target", str(EXAMPLES / "my_target.py"),
            "--topology", str(EXAMPLES / "one-primary.yaml"), "--faults", "kill-node",
            "--time-limit", "10", "--fault-for", "1", "--seed", "7",
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr


def test_the_readme_names_only_what_exists() -> None:
    """Targets, faults and workloads on its command lines are known."""
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    for kind, flag in (("target", "--target"), ("workload", "--workload")):
        for name in re.findall(rf"{flag} ([a-z-]+)\b(?!\.)", page):
            assert name in [*registry.names(kind), "my"] or f"{name}_" in page
    for command in re.findall(r"^make ([a-z-]+)", page, re.MULTILINE):
        assert re.search(rf"^{command}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE), command
