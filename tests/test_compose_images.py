"""Images built by their recipes, on a real engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.errors import TestbedError, UsageError
from harness.testbeds.containers import images, labels
from tests.docker_lab import engine_for_tests

pytestmark = pytest.mark.docker

IMAGE = "rift/tests-of-recipes:1"
DOCKERFILE = "FROM scratch\nCOPY file /file\n"


@pytest.fixture
def engine() -> Iterator[Any]:
    with engine_for_tests() as found:
        yield found
        for image in found.call(found.client.images.list, filters={"reference": "rift/tests-of-recipes"}):
            found.call(found.client.images.remove, image.id, force=True)


def a_recipe(home: Path, content: str, build: str | None = None) -> Path:
    """A home of one recipe, whose image holds one file of that content."""
    folder = home / "tests-of-recipes"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(f"image: {IMAGE}\n")
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "build").write_text(
        build or f'#!/bin/sh\nset -e\ncp "$(dirname "$0")/Dockerfile" "$1"\nprintf %s "{content}" >"$1/file"\n'
    )
    (folder / "build").chmod(0o755)
    return home


def had(engine: Any, home: Path) -> list[str]:
    """What was said while the image was seen to."""
    said: list[str] = []
    images.have(engine, [IMAGE], home, said.append)
    return said


def image_id(engine: Any) -> str:
    return str(engine.call(engine.client.images.get, IMAGE).id)


def of_recipes(engine: Any) -> set[str]:
    found = engine.call(engine.client.images.list, all=True, filters={"label": labels.RECIPE})
    return {str(image.id) for image in found}


def test_an_image_is_built_once_and_again_when_its_recipe_changes(engine: Any, tmp_path: Path) -> None:
    home = a_recipe(tmp_path, "one")
    assert any("building it" in line for line in had(engine, home))
    first = image_id(engine)
    assert had(engine, home) == []
    assert [row["state"] for row in images.listed(engine, home)] == ["here"]
    a_recipe(tmp_path, "two")
    assert [row["state"] for row in images.listed(engine, home)] == ["old"]
    had(engine, home)
    assert image_id(engine) != first


def test_what_an_older_recipe_made_is_removed(engine: Any, tmp_path: Path) -> None:
    had(engine, a_recipe(tmp_path, "one"))
    first = image_id(engine)
    had(engine, a_recipe(tmp_path, "two"))
    assert first not in of_recipes(engine)
    assert image_id(engine) in of_recipes(engine)


def test_what_an_older_recipe_made_stays_while_a_container_uses_it(engine: Any, tmp_path: Path) -> None:
    had(engine, a_recipe(tmp_path, "one"))
    first = image_id(engine)
    user = engine.call(engine.client.containers.create, first, "/file")
    try:
        had(engine, a_recipe(tmp_path, "two"))
        assert first in of_recipes(engine)
    finally:
        engine.call(user.remove)
        engine.call(engine.client.images.remove, first)


def test_a_build_that_fails_names_the_program_and_its_last_words(engine: Any, tmp_path: Path) -> None:
    home = a_recipe(tmp_path, "", build="#!/bin/sh\necho no such mirror >&2\nexit 4\n")
    with pytest.raises(TestbedError, match=r"tests-of-recipes/build ended with 4:\s+no such mirror"):
        had(engine, home)
    assert [row["state"] for row in images.listed(engine, home)] == ["missing"]


def test_an_image_that_nobody_has_is_an_error_that_names_it(engine: Any, tmp_path: Path) -> None:
    with pytest.raises(TestbedError, match=r"127\.0\.0\.1:1/nowhere:1 is not here, and its registry does not"):
        images.have(engine, ["127.0.0.1:1/nowhere:1"], tmp_path, print)


def test_an_unknown_field_of_a_recipe_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "recipe.yaml").write_text("image: x:1\npul: true\n")
    with pytest.raises(UsageError, match=r"x/recipe.yaml: unknown field 'pul'"):
        images.recipes(tmp_path)
