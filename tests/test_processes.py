"""Processes are started so that they can be found, and ended so that nothing stays."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest

from harness.contracts import Address
from harness.errors import TestbedError
from harness.testbeds import hosts, procfs
from harness.testbeds.processes import MARK, RESOURCES, Process, Supervisor, marked, send

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
async def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Supervisor]:
    monkeypatch.setenv("RIFT_RUNTIME_DIR", str(tmp_path / "leases"))
    found = Supervisor(f"test-{os.getpid()}-{tmp_path.name}", tmp_path)
    yield found
    await found.close()


async def until(condition: Callable[[], object], limit_s: float = 20.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it never became true"
        await asyncio.sleep(0.01)


async def start_sh(supervisor: Supervisor, script: str, name: str = "n1") -> Process:
    """Start a shell script and wait until it has printed ``up``."""
    log = supervisor.folder / f"{name}.log"
    before = log.read_text().count("up\n") if log.exists() else 0
    process = await supervisor.start(name, ("/bin/sh", "-c", script), log)
    await until(lambda: log.read_text().count("up\n") > before)
    return process


def gone(pid: int) -> bool:
    found = procfs.stat(pid)
    return found is None or found.gone


async def test_a_process_gets_a_session_of_its_own_and_the_mark_of_its_run(supervisor: Supervisor) -> None:
    process = await start_sh(supervisor, "echo up; sleep 1000")

    found = procfs.stat(process.pid)
    assert found is not None
    assert (found.session, found.group) == (process.pid, process.pid)
    assert procfs.environment(process.pid)[MARK] == supervisor.run_id


async def test_nothing_of_the_users_environment_reaches_a_node(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ETCD_NAME", "from-the-users-shell")
    await supervisor.start("n1", ("/bin/sh", "-c", "env; echo up"), supervisor.folder / "log", {"MINE": "yes"})
    log = supervisor.folder / "log"
    await until(lambda: "up\n" in log.read_text())

    assert "from-the-users-shell" not in log.read_text()
    assert "MINE=yes" in log.read_text()


async def test_a_log_keeps_the_output_of_every_start(supervisor: Supervisor) -> None:
    for word in ("first", "second"):
        process = await start_sh(supervisor, f"echo {word}; echo oops >&2; echo up; sleep 1000")
        await supervisor.kill(process)

    assert (supervisor.folder / "n1.log").read_text().split() == ["first", "oops", "up", "second", "oops", "up"]


async def test_kill_ends_the_children_of_a_node_too(supervisor: Supervisor) -> None:
    process = await start_sh(supervisor, "sleep 1000 & sleep 1000 & echo up; wait")
    await until(lambda: len(process.members()) == 3)
    members = process.members()

    await supervisor.kill(process)

    assert process.state() == "dead"
    assert all(gone(member.pid) for member in members)


async def test_children_with_sessions_of_their_own_are_paused_and_killed_with_the_node(supervisor: Supervisor) -> None:
    """As PostgreSQL's are, which also overwrite their environment."""
    process = await start_sh(supervisor, "setsid env -i sleep 1000 & echo up; wait")
    await until(lambda: len({member.session for member in process.members()}) == 2)
    (child,) = [member for member in process.members() if member.session != process.pid]

    await supervisor.pause(process)
    paused = procfs.stat(child.pid)
    assert paused is not None
    assert paused.state in "Tt"

    await supervisor.kill(process)
    assert gone(child.pid)


async def test_kill_ends_children_that_outlived_the_node(supervisor: Supervisor) -> None:
    process = await start_sh(supervisor, "sleep 1000 & echo up; wait")
    await until(lambda: len(process.members()) == 2)
    os.kill(process.pid, signal.SIGKILL)
    await until(lambda: process.state() == "dead")
    (child,) = process.members()

    await supervisor.kill(process)

    assert gone(child.pid)


async def test_terminate_lets_a_node_say_goodbye(supervisor: Supervisor) -> None:
    process = await start_sh(supervisor, "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done")

    await supervisor.terminate(process)

    assert "bye" in (supervisor.folder / "n1.log").read_text()
    assert process.exit == "ended with exit code 0"


async def test_terminate_kills_a_node_that_does_not_listen(supervisor: Supervisor) -> None:
    process = await start_sh(supervisor, "trap '' TERM; echo up; while :; do sleep 0.05; done")

    await supervisor.terminate(process, limit_s=0.3)

    assert process.exit == "killed by SIGKILL"


async def test_terminate_reaches_a_paused_node(supervisor: Supervisor) -> None:
    process = await start_sh(supervisor, "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done")
    await supervisor.pause(process)

    await supervisor.terminate(process)

    assert "bye" in (supervisor.folder / "n1.log").read_text()


async def test_a_paused_node_does_nothing_until_it_is_resumed(supervisor: Supervisor) -> None:
    process = await start_sh(supervisor, "echo up; while :; do echo tick; sleep 0.01; done")
    log = supervisor.folder / "n1.log"

    await supervisor.pause(process)
    assert process.state() == "paused"
    ticks = log.stat().st_size
    await asyncio.sleep(0.1)  # time in which a running node would tick ten times
    assert log.stat().st_size == ticks

    await supervisor.resume(process)
    assert process.state() == "running"
    await until(lambda: log.stat().st_size > ticks)


async def test_a_paused_node_can_be_killed(supervisor: Supervisor) -> None:
    process = await start_sh(supervisor, "echo up; sleep 1000")
    await supervisor.pause(process)

    await supervisor.kill(process)

    assert process.state() == "dead"


async def test_a_node_that_was_killed_from_outside_is_seen_dead_and_reaped(supervisor: Supervisor) -> None:
    process = await start_sh(supervisor, "echo up; exec sleep 1000")

    os.kill(process.pid, signal.SIGKILL)
    await until(lambda: process.state() == "dead")

    assert procfs.stat(process.pid) is None, "a zombie stayed"
    assert process.exit == "killed by SIGKILL"


async def test_a_signal_never_hits_a_later_process_with_the_same_pid(supervisor: Supervisor) -> None:
    process = await start_sh(supervisor, "echo up; sleep 1000")
    found = procfs.stat(process.pid)
    assert found is not None

    send(found._replace(start_ticks=found.start_ticks - 1), signal.SIGKILL)
    await asyncio.sleep(0.1)
    assert process.state() == "running"

    send(found, signal.SIGKILL)
    await until(lambda: process.state() == "dead")


async def test_every_start_is_on_disk_before_and_after_it_happens(supervisor: Supervisor) -> None:
    process = await start_sh(supervisor, "echo up; sleep 1000")

    entries = [json.loads(line) for line in (supervisor.folder / RESOURCES).read_text().splitlines()]
    assert [entry["event"] for entry in entries] == ["starting", "started"]
    assert (entries[1]["pid"], entries[1]["start_ticks"]) == (process.pid, process.start_ticks)


async def test_a_missing_program_is_named(supervisor: Supervisor) -> None:
    def nothing_around(argv: tuple[str, ...]) -> tuple[str, ...]:
        return argv[-1:]

    with pytest.raises(TestbedError, match=r"n1: /no/such/server cannot be started .* is it installed"):
        await supervisor.start("n1", ("/no/such/server",), supervisor.folder / "log", wrap=nothing_around)


@pytest.mark.parametrize("alone", [False, True])
async def test_its_helpers_die_with_a_process_unless_it_stands_for_itself_alone(
    supervisor: Supervisor, alone: bool
) -> None:
    log = supervisor.folder / "log"
    process = await supervisor.start("n1", ("/bin/sh", "-c", "sleep 1000 & echo up $!; wait"), log, alone=alone)
    await until(lambda: "up " in log.read_text())
    helper = int(log.read_text().split()[1])

    await supervisor.pause(process)
    stat = procfs.stat(helper)
    assert stat is not None
    assert (stat.state in "Tt") is not alone
    await supervisor.kill(process)
    assert process.state() == "dead"
    assert gone(helper) is not alone
    await supervisor.close()
    assert gone(helper)


async def test_close_also_ends_what_left_its_session(supervisor: Supervisor) -> None:
    await start_sh(supervisor, "setsid sleep 1000 & echo up; wait")
    await until(lambda: any(one.name == "sleep" for one in marked(supervisor.run_id)))

    await supervisor.close()

    await until(lambda: not marked(supervisor.run_id))


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")
async def test_nodes_die_with_a_harness_that_is_killed(supervisor: Supervisor, tmp_path: Path) -> None:
    script = f"""
import asyncio
from pathlib import Path
from harness.testbeds.processes import Supervisor
async def main():
    process = await Supervisor("{supervisor.run_id}", Path({str(tmp_path)!r})).start(
        "n1", ("/bin/sleep", "1000"), Path({str(tmp_path / "log")!r}))
    print(process.pid, flush=True)
    await asyncio.sleep(1000)
asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    node = int(await parent.stdout.readline())
    assert not gone(node)

    parent.kill()
    await parent.wait()

    await until(lambda: gone(node))


@pytest.mark.skipif(bool(hosts.refused()), reason=f"no private /etc/hosts here: {hosts.refused()}")
async def test_a_name_resolves_only_inside_the_process_it_is_for(supervisor: Supervisor) -> None:
    name, log = hosts.name_of("n1"), supervisor.folder / "log"
    for address in ("127.240.1.1", "127.240.2.1"):
        hosts_file = supervisor.folder / f"hosts-{address}"
        hosts.write_hosts(hosts_file, {name: address})
        ask = f"getent hosts {name}; getent hosts localhost; echo up"
        await supervisor.start("n1", ("/bin/sh", "-c", ask), log, wrap=partial(hosts.inside, hosts_file))
        await until(lambda: log.read_text().endswith("up\n"))
        words = log.read_text().split()
        log.write_text("")
        assert words[:2] == [address, name]
        assert "localhost" in words, "the machine's own entries must stay"

    with pytest.raises(socket.gaierror):
        socket.gethostbyname(name)
    assert str(supervisor.folder) not in (procfs.PROC / "self/mountinfo").read_text(), "the mount leaked"


@pytest.mark.skipif(bool(hosts.refused()), reason=f"no private /etc/hosts here: {hosts.refused()}")
async def test_a_node_with_its_own_hosts_file_is_controlled_like_any_other(supervisor: Supervisor) -> None:
    hosts_file, log = supervisor.folder / "hosts", supervisor.folder / "log"
    hosts.write_hosts(hosts_file, {})
    argv = ("/bin/sh", "-c", "echo $$; echo up; exec sleep 1000")
    process = await supervisor.start("n1", argv, log, wrap=partial(hosts.inside, hosts_file))
    await until(lambda: "up" in log.read_text())

    assert log.read_text().split()[0] == str(process.pid)
    await supervisor.kill(process)
    assert gone(process.pid)


def test_the_holder_of_an_address_is_named() -> None:
    with socket.socket() as listener:
        listener.bind(("127.240.0.1", 0))
        listener.listen()
        held = Address("127.240.0.1", listener.getsockname()[1])

        assert procfs.listener_on(held).endswith(f"pid {os.getpid()}")
        assert procfs.listener_on(Address("127.240.0.2", held.port)) == ""
