"""Images: those that are here, those that a registry has, and those that are built from a recipe without any.

A recipe is a folder ``compose/images/<name>`` with ``recipe.yaml`` (``image``: the name it makes, ``pull``: whether a
registry may have it, ``needs``: images that come first, ``inputs``: what else goes in) and ``build``, a program that
prepares a build context: it is called as ``build CONTEXT`` with this Python as ``PYTHON`` in its environment. The
context's Dockerfile is then built; with ``rootfs.tar`` instead, that is imported. What a recipe made carries the
recipe's hash, so that nothing is built twice, and everything again when the recipe changes.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

import harness
from harness.errors import TestbedError, UsageError
from harness.testbeds.containers import labels
from harness.testbeds.containers.engine import Engine, Gone

Say = Callable[[str], None]

PREPARE_LIMIT_S: Final = 900.0
PULL_LIMIT_S: Final = 300.0
_LAST_LINES: Final = 12


@dataclass(frozen=True)
class Recipe:
    """How one image is built here."""

    folder: Path
    image: str
    pull: bool
    needs: tuple[str, ...]
    inputs: tuple[Path, ...]

    @property
    def hash(self) -> str:
        """Changes whenever anything that goes in changes, but for the images that it ``needs``."""
        digest = hashlib.blake2b(platform.machine().encode(), digest_size=12)
        for root in (self.folder, *self.inputs):
            for path in [root] if root.is_file() else sorted(root.rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
        return digest.hexdigest()


def recipes(home: Path) -> dict[str, Recipe]:
    """Image name to recipe, for every folder of ``home`` that has one. Raises UsageError for a bad one."""
    found: dict[str, Recipe] = {}
    for path in sorted(home.glob("*/recipe.yaml")):
        data = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        unknown = sorted(set(data) - {"image", "pull", "needs", "inputs"})
        if unknown or not isinstance(data.get("image"), str):
            raise UsageError(f"{path}: {f'unknown field {unknown[0]!r}' if unknown else 'field image is missing'}")
        inputs = tuple(_input(path.parent, each) for each in data.get("inputs", ()))
        found[data["image"]] = Recipe(
            path.parent, data["image"], bool(data.get("pull")), tuple(data.get("needs", ())), inputs
        )
    return found


def _input(folder: Path, named: str) -> Path:
    """What a recipe's ``inputs`` name: beside the recipe, or ``harness/...`` for a part of the engine that runs now."""
    root = Path(harness.__file__).resolve().parent.parent if named.startswith("harness/") else folder
    return (root / named).resolve()


def have(engine: Engine, wanted: Iterable[str], home: Path, say: Say) -> None:
    """See to it that every image is on the engine: as it is there, from a registry, or built by its recipe.

    Raises TestbedError for one that cannot be had, with what was tried.
    """
    known = recipes(home)
    for image in wanted:
        _have(engine, image, known, say)


def _have(engine: Engine, image: str, known: dict[str, Recipe], say: Say) -> None:
    recipe = known.get(image)
    for needed in recipe.needs if recipe else ():
        _have(engine, needed, known, say)
    found = _found(engine, image)
    if found is not None and (recipe is None or _is_of(found, recipe)):
        return
    refused = "it is no image of a registry"
    if found is None and (recipe is None or recipe.pull):
        say(f"image {image}: asking its registry")
        if not (refused := _pulled(engine, image)):
            return
    if recipe is None:
        raise TestbedError(f"image {image} is not here, and its registry does not give it: {refused}; load or build it")
    began = time.monotonic()
    say(f"image {image}: building it from {recipe.folder} ({refused})")
    _build(engine, recipe)
    if found is not None:
        _drop(engine, str(found.id))
    say(f"image {image}: built in {time.monotonic() - began:.0f} s")


def _found(engine: Engine, image: str) -> Any:
    """The image of that name on the engine, else None."""
    try:
        return engine.call(engine.client.images.get, image)
    except Gone:
        return None


def _is_of(found: Any, recipe: Recipe) -> bool:
    """Whether this recipe made it, or somebody who is none of ours."""
    return bool((found.labels or {}).get(labels.RECIPE, recipe.hash) == recipe.hash)


def _drop(engine: Engine, old: str) -> None:
    """Remove what an older recipe made, which has no name any more; a container or an image may still need it."""
    with suppress(TestbedError):
        engine.call(engine.client.images.remove, old)


def _pulled(engine: Engine, image: str) -> str:
    """Empty when the registry gave the image, else why not."""
    name, _, tag = image.rpartition(":")
    try:
        engine.call(engine.client.images.pull, name, tag=tag)
    except TestbedError as error:
        return str(error).strip().splitlines()[0]
    return ""


def _build(engine: Engine, recipe: Recipe) -> None:
    with tempfile.TemporaryDirectory(prefix="rift-image-") as scratch:
        context = Path(scratch)
        _prepare(recipe, context)
        mark = {labels.RECIPE: recipe.hash}
        if (rootfs := context / "rootfs.tar").exists():
            name, _, tag = recipe.image.rpartition(":")
            changes = [f"LABEL {key}={value}" for key, value in mark.items()]
            with rootfs.open("rb") as data:
                engine.call(engine.client.api.import_image_from_data, data, repository=name, tag=tag, changes=changes)
            return
        engine.call(engine.client.images.build, path=scratch, tag=recipe.image, labels=mark, rm=True, forcerm=True)


def _prepare(recipe: Recipe, context: Path) -> None:
    root = str(Path(harness.__file__).resolve().parent.parent)
    paths = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHON": sys.executable, "PYTHONPATH": paths}
    try:
        done = subprocess.run(
            [str(recipe.folder / "build"), str(context)], capture_output=True, text=True, env=environment,
            stdin=subprocess.DEVNULL, timeout=PREPARE_LIMIT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TestbedError(f"image {recipe.image}: {recipe.folder / 'build'}: {error}") from error
    if done.returncode:
        lines = "\n".join(f"    {line}" for line in (done.stdout + done.stderr).strip().splitlines()[-_LAST_LINES:])
        raise TestbedError(f"image {recipe.image}: {recipe.folder / 'build'} ended with {done.returncode}:\n{lines}")


def listed(engine: Engine, home: Path) -> list[dict[str, str]]:
    """Every recipe's image and where it stands: ``here`` or ``missing`` or ``old``."""
    rows = []
    for image, recipe in recipes(home).items():
        found = _found(engine, image)
        rows.append(
            {"image": image, "state": "missing" if found is None else "here" if _is_of(found, recipe) else "old"}
        )
    return rows
