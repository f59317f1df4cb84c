"""Driving compose: ``docker compose`` (v2) when there is one, else ``docker-compose`` (v1)."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from harness.errors import MissingPower, TestbedError
from harness.testbeds.containers.engine import same_engine
from harness.testbeds.processes import dying_with_parent

CREATE_LIMIT_S: Final = 120.0
_LAST_LINES: Final = 8


class Overlap(TestbedError):
    """Another network of the engine has a subnet that was asked for."""


@cache
def command() -> tuple[str, ...]:
    """How compose is called here. Raises MissingPower when it is not installed."""
    for words in (("docker", "compose"), ("docker-compose",)):
        if shutil.which(words[0]) is None:
            continue
        asked = (*words, "version")
        if (
            subprocess.run(asked, capture_output=True, timeout=30, stdin=subprocess.DEVNULL, check=False).returncode
            == 0
        ):
            return words
    raise MissingPower(
        "neither `docker compose` nor `docker-compose` works here; install the compose plugin (on Debian 12: "
        "apt-get install docker-compose)"
    )


def write(path: Path, data: dict[str, Any]) -> None:
    """Write a compose file. Compose takes ``$`` for a variable, which nothing of ours means."""
    path.write_text(yaml.safe_dump(_escaped(data), sort_keys=False), encoding="utf-8")


async def up(file: Path, project: str, *words: str) -> None:
    """``compose up`` with ``words``. What exists and is as the file says stays, what differs is made anew.

    Raises Overlap when a subnet is taken, TestbedError with compose's last lines for anything else.
    """
    argv = (*command(), "-p", project, "-f", str(file), "up", *words)
    process = await asyncio.create_subprocess_exec(
        *dying_with_parent(), *argv,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"COMPOSE_HTTP_TIMEOUT": "120"} | same_engine(),
    )  # fmt: skip
    try:
        async with asyncio.timeout(CREATE_LIMIT_S):
            output, _ = await process.communicate()
    except TimeoutError:
        raise TestbedError(f"`{' '.join(argv)}` did not end within {CREATE_LIMIT_S:g} s; see `docker ps -a`") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        said = output.decode(errors="replace")
        kind = Overlap if re.search(r"overlaps with other one|invalid pool request", said, re.I) else TestbedError
        lines = "\n".join(f"    {line}" for line in said.strip().splitlines()[-_LAST_LINES:])
        raise kind(f"compose could not create the containers of {file}:\n{lines}")


def _escaped(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _escaped(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_escaped(value) for value in data]
    return data.replace("$", "$$") if isinstance(data, str) else data
