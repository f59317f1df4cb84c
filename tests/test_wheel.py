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


def rift(wheel: Path, tmp_path: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], Path]:
    """The command, unpacked into a folder of its own, in an empty one; the libraries come from this environment."""
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    empty = tmp_path / "empty"
    empty.mkdir()
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r}); import harness; "
        f"assert harness.__file__.startswith({str(site)!r}); from harness.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=empty, env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(site)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done, empty


def test_the_wheel_certifies_its_checkers_without_recorded_histories(wheel: Path, tmp_path: Path) -> None:
    done, _ = rift(wheel, tmp_path, "certify", "bank", "--count", "200", "--jobs", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "name a folder with --histories" in done.stdout


@pytest.mark.servers
def test_a_run_works_from_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    done, empty = rift(wheel, tmp_path, "run", "--target", "refstore", "--time-limit", "5",
                       "--faults", "partition-region", "--seed", "7")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (empty / "store" / "latest" / "report.html").exists()
