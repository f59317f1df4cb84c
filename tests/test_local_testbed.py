"""The local testbed: everything comes up, can be hurt, and is gone afterwards, however the run ends."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.errors import NotReady, TestbedError
from harness.links.api import ProxyState
from harness.links.choose import LinkServer, open_server
from harness.model.topology import Between, Region, Topology
from harness.testbeds import hosts, leftovers, procfs
from harness.testbeds.addresses import take_addresses
from harness.testbeds.leases import Lease, runtime_folder
from harness.testbeds.local import LocalTestbed
from harness.testbeds.powers import powers
from harness.testbeds.processes import RESOURCES, Process, Supervisor, marked
from tests.toy import Toy, ask

ROOT = Path(__file__).resolve().parent.parent
NEAR = Topology(
    name="near",
    regions=(Region(id="east", nodes=2), Region(id="west"), Region(id="edge", nodes=0)),
    links=tuple(
        Between.model_validate({"from": one, "to": other, "rtt_ms": rtt_ms})
        for one, other, rtt_ms in (("east", "west", 40), ("east", "edge", 60), ("west", "edge", 20))
    ),
)


@pytest.fixture(autouse=True)
def _leases_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other runs on this machine neither see nor sweep what these tests leave on purpose."""
    monkeypatch.setenv("RIFT_RUNTIME_DIR", str(tmp_path / "leases"))


def new_id() -> str:
    return f"test-{secrets.token_hex(4)}"


def lab_in(folder: Path, toy: Toy | None = None, **options: Any) -> LocalTestbed:
    run_id = options.pop("run_id", "") or new_id()
    return LocalTestbed(NEAR, toy or Toy(), folder / run_id, run_id, seed=7, **options)


async def until(condition: Callable[[], object], limit_s: float = 30.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it never became true"
        await asyncio.sleep(0.02)


def nothing_is_left(lab: LocalTestbed) -> bool:
    """No process, no lease, no listener of that run."""
    leases = list(runtime_folder().iterdir())
    return not marked(lab.run_id) and not leases and not leftovers.find()


# --- up ------------------------------------------------------------------------------------------


async def test_every_node_comes_up_and_is_reached_from_every_region(tmp_path: Path) -> None:
    async with lab_in(tmp_path) as lab:
        for region in NEAR.region_ids:
            for seat in lab.seats(region):
                assert await ask(seat.reach["main"]) == (seat.node.id, 1)
                for node_id, reach in seat.everyone.items():
                    assert await ask(reach["main"]) == (node_id, 1)
        assert len(lab.links.all) == 6
        assert await lab.leader() == "n3"

    assert nothing_is_left(lab)


async def test_a_border_costs_its_round_trip_and_home_does_not(tmp_path: Path) -> None:
    async with lab_in(tmp_path) as lab:
        assert (await lab.links.probe(lab.links.all[0])).state == "open"
        assert await _answer_ms(lab, "east", "n3") >= 38
        assert await _answer_ms(lab, "edge", "n3") >= 18
        assert lab.measurements["startup_s"] > 0
        assert lab.measurements["links"]["east>west"]["preset_ms"] == 40


async def _answer_ms(lab: LocalTestbed, region: str, node_id: str) -> float:
    """One answer's time on an open connection."""
    address = lab.seat(region, node_id).reach["main"]
    reader, writer = await asyncio.open_connection(address.host, address.port)
    began = time.perf_counter()
    writer.write(b"who?\n")
    await reader.readline()
    took_ms = (time.perf_counter() - began) * 1000
    writer.close()
    return took_ms


async def test_clients_sit_in_every_region_and_take_the_nearest_node_first(tmp_path: Path) -> None:
    async with lab_in(tmp_path) as lab:
        seats = [lab.seat_for_client(i) for i in range(12)]

    assert [seat.region for seat in seats[:4]] == ["east", "west", "edge", "east"]
    assert [seat.node.id for seat in seats[0::3]] == ["n1", "n2", "n3", "n1"], "east"
    assert [seat.node.id for seat in seats[1::3]] == ["n3", "n1", "n2", "n3"], "west"
    assert [seat.node.id for seat in seats[2::3]] == ["n3", "n1", "n2", "n3"], "an edge has no node of its own"


async def test_a_node_finds_its_own_region_directly_and_others_over_links(tmp_path: Path) -> None:
    toy = Toy()
    async with lab_in(tmp_path, toy):
        place = toy.places["n1"]

    assert place.reach["n2"] == toy.places["n2"].listen
    assert place.reach["n1"] == place.listen
    assert place.reach["n3"] != toy.places["n3"].listen
    assert place.reach["n3"]["main"].port == place.listen["main"].port, "a link keeps the port number"


@pytest.mark.skipif(bool(hosts.refused()), reason=f"no private /etc/hosts here: {hosts.refused()}")
async def test_a_name_means_a_link_to_a_remote_node(tmp_path: Path) -> None:
    toy = Toy(needs_names=True, trouble={"n3": "resolves"})
    async with lab_in(tmp_path, toy) as lab:
        link = lab.seat("west", "n1").reach["main"].host
        assert f"peer is {link}\n" in lab.logs["n3"].read_text()


async def test_two_labs_stand_side_by_side(tmp_path: Path) -> None:
    async with lab_in(tmp_path) as one, lab_in(tmp_path) as other:
        first, second = one.seat("east", "n1").reach["main"], other.seat("east", "n1").reach["main"]
        assert first.host != second.host
        await one.nodes.kill("n1")
        assert await ask(second) == ("n1", 1)


# --- power over nodes ----------------------------------------------------------------------------


async def test_a_node_is_killed_started_again_with_its_data_and_wiped(tmp_path: Path) -> None:
    async with lab_in(tmp_path) as lab:
        home = lab.seat("west", "n3").reach["main"]
        await lab.nodes.kill("n3")
        assert lab.nodes.state("n3") == "dead"
        with pytest.raises(ConnectionRefusedError):
            await ask(home)

        await lab.nodes.start("n3")
        assert (lab.nodes.state("n3"), lab.nodes.incarnation("n3")) == ("running", 2)
        assert await ask(home) == ("n3", 2), "its data was lost"

        await lab.nodes.stop("n3")
        await lab.nodes.wipe("n3")
        await lab.nodes.start("n3")
        assert await ask(home) == ("n3", 1), "its data was kept"
        assert lab.logs["n3"].read_text().count("n3 warms up") == 3


async def test_a_paused_node_keeps_silent_until_it_is_resumed(tmp_path: Path) -> None:
    async with lab_in(tmp_path) as lab:
        home = lab.seat("west", "n3").reach["main"]
        await lab.nodes.pause("n3")
        assert lab.nodes.state("n3") == "paused"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask(home), 0.3)

        await lab.nodes.resume("n3")
        assert lab.nodes.state("n3") == "running"
        assert await ask(home) == ("n3", 1)


async def test_power_over_nodes_has_its_limits(tmp_path: Path) -> None:
    async with lab_in(tmp_path) as lab:
        with pytest.raises(TestbedError, match=r"n1 is running: .* kill or stop it first"):
            await lab.nodes.wipe("n1")
        with pytest.raises(KeyError):
            await lab.nodes.kill("n9")
        await lab.nodes.start("n1")
        assert lab.nodes.incarnation("n1") == 1, "a running node was started again"


# --- trouble on the way up -----------------------------------------------------------------------


async def test_a_node_that_dies_at_once_is_reported_at_once_with_its_last_words(tmp_path: Path) -> None:
    lab = lab_in(tmp_path, Toy(trouble={"n2": "dies"}))
    began = time.monotonic()
    with pytest.raises(NotReady, match=r"node n2 in east ended with exit code 1 before it was ready") as caught:
        await lab.__aenter__()

    assert "boom: n2 does not like its disk" in str(caught.value)
    assert time.monotonic() - began < 20, "the time limit was waited for"
    assert nothing_is_left(lab)


async def test_a_node_that_never_gets_ready_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    lab = lab_in(tmp_path, Toy(trouble={"n3": "hangs"}), ready_limit_s=2.0)
    with pytest.raises(NotReady, match=r"node n3 in west was not ready within 2 s \(.*Connect call failed") as caught:
        await lab.__aenter__()

    assert "n3 warms up" in str(caught.value)
    assert nothing_is_left(lab)


async def test_an_address_in_use_names_its_holder() -> None:
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(TestbedError, match=rf"127\.\d+\.0\.1:{port} is in use by .*, pid {os.getpid()}"):
            take_addresses(NEAR, Toy(port).ports)


async def test_a_slot_in_which_somebody_listens_is_passed_over() -> None:
    plan = take_addresses(NEAR, Toy().ports)
    plan.slot.release()
    with socket.socket() as listener:
        listener.bind((plan.slot.host(0, 1), 0))
        listener.listen()
        other = take_addresses(NEAR, Toy(listener.getsockname()[1]).ports)
        other.slot.release()

    assert other.slot.number != plan.slot.number


async def test_an_id_that_a_living_run_has_is_not_given_twice(tmp_path: Path) -> None:
    async with lab_in(tmp_path) as lab:
        with pytest.raises(TestbedError, match=f"run {lab.run_id} is alive"):
            await lab_in(tmp_path, run_id=lab.run_id).__aenter__()
        assert lab.nodes.state("n1") == "running"


# --- down ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["starting 3 nodes", "up after"])
async def test_a_cancelled_run_leaves_nothing(tmp_path: Path, when: str) -> None:
    reached = asyncio.Event()
    lab = lab_in(tmp_path, Toy(trouble={"n1": "forks"}), say=lambda line: reached.set() if when in line else None)

    async def run() -> None:
        async with lab:
            await asyncio.sleep(1000)

    task = asyncio.create_task(run())
    await reached.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()  # Ctrl-C twice
    with pytest.raises(asyncio.CancelledError):
        await task

    assert nothing_is_left(lab)


async def test_a_dead_link_server_does_not_stop_the_cleaning(tmp_path: Path) -> None:
    async with lab_in(tmp_path) as lab:
        (server,) = [one for one in marked(lab.run_id) if one.pid == _pid_of(lab, "link-server")]
        os.kill(server.pid, signal.SIGKILL)

    assert nothing_is_left(lab)


async def test_a_failing_step_is_noted_on_the_error_and_does_not_stop_the_others(tmp_path: Path) -> None:
    async def broken() -> None:
        raise TestbedError("this step is broken")

    lab = lab_in(tmp_path)
    with pytest.raises(ZeroDivisionError) as caught:  # noqa: PT012 - leaving the context is the act
        async with lab:
            lab._undo.push_async_callback(broken)
            raise ZeroDivisionError

    assert "this step is broken" in caught.value.__notes__[0]
    assert nothing_is_left(lab)


async def test_logs_stay_and_data_goes_unless_it_is_wanted(tmp_path: Path) -> None:
    for keep in (False, True):
        async with lab_in(tmp_path, keep_data=keep) as lab:
            pass
        assert "n1 warms up" in lab.logs["n1"].read_text()
        assert (lab.folder / "nodes/n1/data/starts").exists() is keep


def _pid_of(lab: LocalTestbed, name: str) -> int:
    entries = [json.loads(line) for line in (lab.folder / RESOURCES).read_text().splitlines()]
    return next(int(entry["pid"]) for entry in entries if entry["event"] == "started" and entry["name"] == name)


# --- what a killed harness leaves ----------------------------------------------------------------


@asynccontextmanager
async def harness_of_its_own(
    run_id: str, folder: Path, url: str | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Another process that runs a lab whose node n1 has a child; up when this context is entered."""
    script = (
        "import asyncio\nfrom pathlib import Path\nfrom tests.test_local_testbed import *\n"
        "async def main():\n"
        "    toy = Toy(trouble={'n1': 'forks'})\n"
        f"    lab = lab_in(Path({str(folder)!r}), toy, run_id={run_id!r}, link_server_url={url!r})\n"
        "    async with lab:\n        print('up', flush=True)\n        await asyncio.sleep(1000)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"up\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def of_run(run_id: str) -> list[leftovers.Leftover]:
    return [found for found in leftovers.find() if found.run_id == run_id]


async def test_what_a_killed_harness_left_is_found_and_ended(tmp_path: Path) -> None:
    run_id = new_id()
    async with harness_of_its_own(run_id, tmp_path) as harness:
        assert of_run(run_id) == [], "a living run was taken for a dead one"
        harness.kill()
        await harness.wait()

    (found,) = of_run(run_id)
    assert "sleep" in {process.name for process in found.processes}, "the orphan of n1 was not seen"

    await leftovers.remove([found])

    assert not marked(run_id)
    assert of_run(run_id) == []
    assert not list(runtime_folder().iterdir())
    assert not (tmp_path / run_id / "nodes/n1/data").exists()


async def test_without_a_lease_the_marks_tell_the_living_from_the_dead(tmp_path: Path) -> None:
    run_id = new_id()
    async with harness_of_its_own(run_id, tmp_path) as harness:
        for lease in runtime_folder().iterdir():
            lease.unlink()  # as a cleaner of temporary files does
        assert of_run(run_id) == [], "a living run was taken for a dead one"
        harness.kill()
        await harness.wait()

    (found,) = of_run(run_id)
    assert "sleep" in {process.name for process in found.processes}
    await leftovers.remove([found])
    assert not marked(run_id)


async def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    run_id = new_id()
    async with harness_of_its_own(run_id, tmp_path) as harness:
        harness.send_signal(signal.SIGINT)
        await harness.wait()

    assert not marked(run_id)
    assert not list(runtime_folder().iterdir())


async def test_ctrl_c_twice_leaves_nothing_that_is_not_found(tmp_path: Path) -> None:
    run_id = new_id()
    async with harness_of_its_own(run_id, tmp_path) as harness:
        harness.send_signal(signal.SIGINT)
        await until(lambda: len(marked(run_id)) < 5)  # it has begun to clean up
        harness.send_signal(signal.SIGINT)
        await harness.wait()

    await leftovers.remove(of_run(run_id))

    assert not marked(run_id)
    assert of_run(run_id) == []


async def test_a_start_removes_what_dead_runs_left_and_says_so(tmp_path: Path) -> None:
    run_id = new_id()
    async with harness_of_its_own(run_id, tmp_path) as harness:
        harness.kill()
        await harness.wait()
    said: list[str] = []

    async with lab_in(tmp_path, say=said.append):
        assert not marked(run_id)

    assert f"removing what a dead run left: run {run_id}: process" in said[0]


async def test_removing_leaves_living_runs_and_strangers_alone(tmp_path: Path) -> None:
    stranger = await asyncio.create_subprocess_exec("/bin/sleep", "1000")
    run_id = new_id()
    async with lab_in(tmp_path) as mine, harness_of_its_own(run_id, tmp_path):
        await leftovers.remove(leftovers.find())

        assert all(mine.nodes.state(node.id) == "running" for node in NEAR.nodes)
        assert len(marked(run_id)) >= 4
        assert stranger.returncode is None
    await leftovers.remove(of_run(run_id))
    stranger.kill()
    await stranger.wait()


async def test_a_process_that_hides_its_environment_is_found_by_the_record(tmp_path: Path) -> None:
    run_id = new_id()
    folder = tmp_path / run_id
    supervisor = Supervisor(run_id, folder)
    # env -i stands for servers that overwrite their environment with a title
    process = await supervisor.start("n1", ("/usr/bin/env", "-i", "/bin/sleep", "1000"), folder / "log")
    await until(lambda: not marked(run_id))
    try:
        lease = Lease(run_id, folder)
        assert of_run(run_id) == []
        lease._file.close()  # as the kernel does for a harness that dies

        (found,) = of_run(run_id)
        assert [one.pid for one in found.processes] == [process.pid]
        await leftovers.remove([found])
        assert process.state() == "dead"
    finally:
        await supervisor.close()


async def test_proxies_on_somebody_elses_link_server_are_swept_and_others_kept(tmp_path: Path) -> None:
    run_id = new_id()
    async with link_server(tmp_path) as server:
        theirs = ProxyState(name="theirs", listen="127.0.0.1:0", upstream="127.0.0.1:9")
        await server.api.run(server.api.populate, [theirs])
        async with harness_of_its_own(run_id, tmp_path, server.url) as harness:
            assert len(await server.api.run(server.api.proxies)) == 1 + 6 + 6
            harness.kill()
            await harness.wait()

        await leftovers.remove(of_run(run_id))

        assert list(await server.api.run(server.api.proxies)) == ["theirs"]
        assert not marked(run_id)


async def test_a_link_server_that_is_gone_does_not_keep_the_rest_from_being_removed(tmp_path: Path) -> None:
    run_id = new_id()
    async with link_server(tmp_path) as server, harness_of_its_own(run_id, tmp_path, server.url) as harness:
        harness.kill()
        await harness.wait()

    with pytest.raises(TestbedError, match=f"proxies rift-{run_id}"):
        await leftovers.remove(of_run(run_id))

    assert not marked(run_id)


@asynccontextmanager
async def link_server(folder: Path) -> AsyncIterator[LinkServer]:
    """A link server that outlives the runs that use it."""
    supervisor = Supervisor(new_id(), folder / "link-server")

    class Helper:
        def __init__(self, process: Process) -> None:
            self.pid, self._process = process.pid, process

        def alive(self) -> bool:
            return self._process.state() != "dead"

        async def terminate(self) -> None:
            await supervisor.terminate(self._process)

    async def spawn(name: str, argv: Any, log: Path) -> Helper:
        return Helper(await supervisor.start(name, argv, log))

    server = await open_server(None, spawn, folder / "link-server", seed=7)
    try:
        yield server
    finally:
        await server.close()
        await supervisor.close()


def test_the_doctor_is_told_what_this_machine_offers() -> None:
    found = {power.name: power for power in powers()}

    assert found["system"].present
    assert found["names"].present is not bool(hosts.refused())
    assert all(power.says for power in found.values())
    assert all(power.present or power.advice for power in found.values()), "a lack without advice"
    assert procfs.boot_id()
