"""The target ``nomad``: what it starts, what it says when it cannot, and what its client makes of Nomad's answers.

The answers have the shape that Nomad's own API documentation publishes (deployments, agent, events, error texts); no
Nomad is needed. A federation that runs elsewhere is the reference orchestrator, as an open-source build.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from harness import registry
from harness.contracts import Address, Place, Seat
from harness.errors import Refused, TestbedError, Unsure, UsageError
from harness.model.op import Op, invoke
from harness.model.topology import Topology
from harness.testbeds.local import LocalTestbed

TWO = Topology.model_validate(
    {
        "name": "two",
        "regions": [{"id": "north"}, {"id": "south"}],
        "links": [{"from": "north", "to": "south", "rtt_ms": 2}],
    }
)
DEPLOYMENT = {
    "ID": "7063-1", "JobID": "web", "JobVersion": 1, "JobModifyIndex": 17, "JobSpecModifyIndex": 17,
    "JobCreateIndex": 7, "IsMultiregion": True, "Status": "blocked", "CreateIndex": 19, "ModifyIndex": 23,
    "StatusDescription": "Deployment is complete but waiting for peer region",
    "TaskGroups": {"cache": {"Promoted": False, "DesiredCanaries": 1, "DesiredTotal": 3, "PlacedAllocs": 3,
                             "HealthyAllocs": 3, "UnhealthyAllocs": 0}},
}  # fmt: skip
MEMBERS = {
    "ServerName": "n1", "ServerRegion": "north", "ServerDC": "dc1",
    "Members": [{"Name": "n1.north", "Addr": "127.0.0.1", "Port": 4648, "Status": "alive",
                 "Tags": {"region": "north", "role": "nomad", "build": "1.6.10", "dc": "dc1", "port": "4647"}}],
}  # fmt: skip
EVENT = {"Topic": "Deployment", "Type": "DeploymentStatusUpdate", "Key": "7063-1", "Namespace": "default",
         "FilterKeys": ["web"], "Index": 23, "Payload": {"Deployment": DEPLOYMENT}}  # fmt: skip
UNLICENSED = "1 error occurred:\n\t* Multiregion jobs are unlicensed.\n\n"


class Recorded:
    """Answers every request as recorded; remembers what was asked."""

    def __init__(self, answers: dict[str, tuple[int, Any]]) -> None:
        self.answers, self.asked = answers, list[tuple[str, Any]]()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                method, target, _ = head.split(b"\r\n")[0].decode().split(" ", 2)
                length = next((int(h.split(b":")[1]) for h in head.split(b"\r\n") if h.startswith(b"Content-L")), 0)
                body = json.loads(await reader.readexactly(length)) if length else None
                self.asked.append((f"{method} {target}", body))
                status, answer = self.answers.get(f"{method} {target.partition('?')[0]}", (404, "not found"))
                if "/event/stream" in target:
                    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                    for line in answer:
                        writer.write(b"%x\r\n%s\n\r\n" % (len(line) + 1, line))
                    await writer.drain()
                    await asyncio.sleep(30)
                data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(data), data))
        except (OSError, EOFError, asyncio.CancelledError):
            writer.close()


@asynccontextmanager
async def replaying(answers: dict[str, tuple[int, Any]]) -> AsyncIterator[tuple[Any, Recorded]]:
    """A client of a server that answers as recorded."""
    recorded = Recorded(answers)
    server = await asyncio.start_server(recorded.serve, "127.0.0.1", 0)
    address = Address("127.0.0.1", server.sockets[0].getsockname()[1])
    target: Any = registry.target("nomad", {"url": f"north=http://{address}", "edition": "ent"})
    client = await target.connect(Seat("north", TWO.nodes[0], {"http": address}, TWO))
    try:
        yield client, recorded
    finally:
        await client.close()
        server.close()


def op(f: str, **value: Any) -> Op:
    return invoke(f, value, key="web")


async def test_members_and_deployments_are_read_as_nomad_writes_them() -> None:
    answers = {"GET /v1/agent/members": (200, MEMBERS), "GET /v1/job/web/deployments": (200, [DEPLOYMENT])}
    async with replaying(answers) as (client, recorded):
        assert await client.invoke(op("members")) == [
            {"name": "n1.north", "region": "north", "status": "alive", "host": "127.0.0.1"}
        ]
        assert await client.invoke(op("deployments", region="south")) == [DEPLOYMENT]
        assert recorded.asked[-1][0] == "GET /v1/job/web/deployments?region=south"


async def test_an_operators_verb_names_the_deployment_in_path_and_body() -> None:
    update = {"EvalID": "0d83", "EvalCreateIndex": 20, "DeploymentModifyIndex": 20, "Index": 20}
    async with replaying({"POST /v1/deployment/unblock/7063-1": (200, update)}) as (client, recorded):
        assert await client.invoke(op("unblock", deployment="7063-1", region="north")) == update
        asked = ("POST /v1/deployment/unblock/7063-1?region=north", {"DeploymentID": "7063-1"})
        assert recorded.asked == [asked]


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (500, UNLICENSED, Refused),
        (500, "can't unblock terminal deployment", Refused),
        (500, "No path to region", Refused),
        (400, "Job ID hasn't been provided", Refused),
        (500, "rpc error: EOF", Unsure),
        (504, "gateway timeout", Unsure),
    ],
)
async def test_only_a_refusal_that_comes_before_any_change_is_certain(status: int, text: str, kind: type) -> None:
    async with replaying({"POST /v1/jobs": (status, text)}) as (client, _):
        with pytest.raises(kind, match=f"{status}: "):
            await client.invoke(op("register", job={"ID": "web"}))


async def test_the_event_stream_becomes_changes_in_the_order_of_the_index() -> None:
    later = {**EVENT, "Index": 24, "Payload": {"Deployment": {**DEPLOYMENT, "Status": "successful", "ModifyIndex": 24}}}
    lines = [json.dumps({"Index": each["Index"], "Events": [each]}).encode() for each in (EVENT, later)]
    answers = {"GET /v1/deployments": (200, []), "GET /v1/event/stream": (200, [b"{}", *lines])}
    async with replaying(answers) as (client, recorded):
        found: list[dict[str, Any]] = []
        while len(found) < 2:
            found += await client.invoke(op("observe", wait_s=0.5))
        assert [(c["status"], c["index"], c["region"], c["version"]) for c in found] == [
            ("blocked", 23, "north", 1), ("successful", 24, "north", 1)
        ]  # fmt: skip
        assert (found[0]["healthy"], found[0]["desired"], found[0]["awaits_promotion"]) == (3, 3, True)
        assert not any("gap" in change for change in found)
        assert "index=1" in next(asked for asked, _ in recorded.asked if "stream" in asked)


async def test_a_deployment_that_was_there_before_the_first_look_has_an_unseen_past() -> None:
    later = {**EVENT, "Index": 24, "Payload": {"Deployment": {**DEPLOYMENT, "Status": "cancelled", "ModifyIndex": 24}}}
    again = {**EVENT, "Index": 25, "Payload": {"Deployment": {**DEPLOYMENT, "Status": "cancelled", "ModifyIndex": 25}}}
    lines = [json.dumps({"Index": each["Index"], "Events": [each]}).encode() for each in (later, again)]
    answers = {"GET /v1/deployments": (200, [DEPLOYMENT]), "GET /v1/event/stream": (200, lines)}
    async with replaying(answers) as (client, _):
        found: list[dict[str, Any]] = []
        while len(found) < 2:
            found += await client.invoke(op("observe", wait_s=0.5))
        assert [change.get("gap", False) for change in found] == [True, False]


async def test_what_a_broken_stream_cannot_repeat_is_one_change_with_a_gap() -> None:
    answers: dict[str, tuple[int, Any]] = {"GET /v1/deployments": (200, []), "GET /v1/event/stream": (500, "")}
    async with replaying(answers) as (client, recorded):
        answers["GET /v1/event/stream"] = (200, [b"{}"])
        await client.invoke(op("observe", wait_s=0.1))
        answers["GET /v1/deployments"] = (200, [DEPLOYMENT])
        client._feed._task.cancel()
        client._feed._task = asyncio.create_task(client._feed._run())
        found: list[dict[str, Any]] = []
        while not found:
            found = await client.invoke(op("observe", wait_s=0.5))
        assert [(change["status"], change["gap"]) for change in found] == [("blocked", True)]
        assert recorded.asked


# --- starting ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"binary": "/nowhere/nomad"}, "no nomad at /nowhere/nomad"),
        ({"url": "north"}, "write region=http://host:port"),
        ({"url": "north=ftp://x"}, "write region=http://host:port"),
        ({"edition": "free"}, "write oss or ent"),
        ({"bin": "x"}, "'bin' is unknown"),
        ({"url": "north=http://127.0.0.1:1"}, "does not answer"),
    ],
)
def test_a_wrong_option_says_what_to_write(options: dict[str, str], says: str) -> None:
    with pytest.raises((UsageError, TestbedError), match=says):
        _ = registry.target("nomad", options).traits  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("version", "edition"), [("Nomad v1.6.10", "oss"), ("Nomad v1.8.0+ent", "ent"), ("Nomad v1.8.0+ent.hsm", "ent")]
)
def test_the_binary_says_its_edition_and_starts_as_server_and_client(
    tmp_path: Path, version: str, edition: str
) -> None:
    binary = tmp_path / "nomad"
    binary.write_text(f"#!/bin/sh\necho '{version}'\n")
    binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
    target: Any = registry.target("nomad", {"binary": str(binary)})
    assert target.traits["edition"] == edition
    own, other = ({name: Address(f"127.0.0.{i}", port) for name, port in PORTS.items()} for i in (7, 8))
    one, two = TWO.nodes
    place = Place(one, TWO, tmp_path, own, {one.id: own, two.id: other}, {})
    argv = target.launch(place).argv
    assert argv[-3:] == (str(binary), "agent", f"-config={tmp_path / 'nomad.hcl'}")
    assert ("--mount" in argv) == (os.geteuid() == 0)
    text = (tmp_path / "nomad.hcl").read_text()
    for line in (
        'region = "north"',
        'bind_addr = "127.0.0.7"',
        'serf = "127.0.0.7"',
        "bootstrap_expect = 1",
        'retry_join = ["127.0.0.8:4648"]',
    ):
        assert line in text


PORTS = {"http": 4646, "rpc": 4647, "serf": 4648}


@pytest.mark.servers
@pytest.mark.skipif(shutil.which("nomad") is None, reason="no nomad on PATH; the adapter is tested on recorded answers")
def test_the_real_product_is_judged_by_its_federation(tmp_path: Path) -> None:
    names = "nom_02 or nom_36 or nom_28 and server"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", str(registry.home("suites") / "rollout")]
    command += ["-k", names, "--target", "nomad"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=115, check=False)
    assert done.returncode == 0, done.stdout
    said = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines() if line.startswith("NOM-")}
    assert (said["NOM-2"], said["NOM-28"]) == ("pass", "pass")
    assert said["NOM-36"] in ("pass", "unsupported"), "the enterprise build refuses nothing"
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()


async def test_a_federation_that_runs_elsewhere_is_reached_through_its_url(tmp_path: Path) -> None:
    reference = registry.target("refrollout", {"edition": "oss"})
    async with LocalTestbed(TWO, reference, tmp_path / "there", "rift-there", seed=1, exact_links=False) as there:
        reach = {node.region: there.seat(node.region, node.id).reach["http"] for node in TWO.nodes}
        url = ",".join(f"{region}=http://{address}" for region, address in reach.items())
        target: Any = registry.target("nomad", {"url": url})
        assert target.traits["edition"] == "oss"
        async with LocalTestbed(TWO, target, tmp_path / "here", "rift-here", seed=1, exact_links=False) as here:
            client = await target.connect(here.seat("south", TWO.nodes[1].id))
            assert await client.invoke(op("regions")) == ["north", "south"]
            job = {"ID": "web", "Datacenters": ["*"], "Multiregion": {"Regions": [{"Name": "north"}]}}
            refused = op("register", job={**job, "TaskGroups": [{"Name": "g", "Tasks": [{"Name": "t"}]}]})
            with pytest.raises(Refused, match="Multiregion jobs are unlicensed"):
                await client.invoke(refused)
            assert await client.invoke(op("job", region="north")) is None
            await client.close()
