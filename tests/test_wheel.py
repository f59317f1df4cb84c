"""An installed wheel carries everything: it works in an empty directory, far from any checkout."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (found,) = folder.glob("*.whl")
    return found


def test_the_wheel_carries_all_five_folders(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for folder in (
        "suites/consistency/",
        "fixtures/etcd.py",
        "fixtures/servers/refstore/",
        "compose/",
        "reports/html.py",
    ):
        assert any(name.startswith(f"harness/_carried/{folder}") for name in names), folder
    assert "harness/cli.py" in names
    assert not any(name.startswith(("tests/", "fixtures/", "bench/")) for name in names)


@pytest.mark.servers
def test_a_run_works_from_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    """Unpacked into a folder of its own; the libraries come from this environment."""
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    empty = tmp_path / "empty"
    empty.mkdir()
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r}); import harness; "
        f"assert harness.__file__.startswith({str(site)!r}); from harness.cli import main; main()"
    )
    command = [sys.executable, "-c", code, "run", "--target", "refstore", "--time-limit", "5"]
    done = subprocess.run(
        [*command, "--faults", "partition-region", "--seed", "7"],
        cwd=empty, env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(site)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (empty / "store" / "latest" / "report.html").exists()
