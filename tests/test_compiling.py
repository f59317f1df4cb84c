"""Compiled kernels work wherever the package is installed, also where nothing can be kept."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CODE = "from harness.kernels.compiling import fast; from harness.kernels.linear.supply import only_looks; "
CODE += "import harness; print(harness.__file__); print(fast(only_looks)(3, 3), fast(only_looks)(3, 4))"


def sealed_package(site: Path) -> Path:
    """A copy of the package that cannot keep compiled code beside itself, not even for root: a file is in the way."""
    shutil.copytree(ROOT / "harness", site / "harness", ignore=shutil.ignore_patterns("__pycache__", "_carried"))
    (site / "harness" / "kernels" / "linear" / "__pycache__").write_text("in the way", encoding="utf-8")
    return site


def compiled_in(site: Path, cache: str) -> None:
    """Compile and call a kernel of the package in ``site``; the user's cache folder is ``cache``."""
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(site), "XDG_CACHE_HOME": cache, "HOME": cache}
    done = subprocess.run([sys.executable, "-c", CODE], cwd=site, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(site / "harness" / "__init__.py"), "True", "False"]


def test_a_read_only_package_keeps_compiled_code_in_the_users_cache(tmp_path: Path) -> None:
    compiled_in(sealed_package(tmp_path / "site"), str(tmp_path / "cache"))
    assert list((tmp_path / "cache").rglob("supply.only_looks*.nbi"))
    assert not list((tmp_path / "site").rglob("*.nbi"))


def test_without_any_folder_to_write_to_kernels_still_run(tmp_path: Path) -> None:
    site = sealed_package(tmp_path / "site")
    compiled_in(site, str(site / "harness" / "kernels" / "linear" / "__pycache__" / "no-folder"))
