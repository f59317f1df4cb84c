"""Which engine is used and how its networks are reached; engines that are no good: each message says what to do."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

pytest.importorskip("docker")

from harness.contracts import Address
from harness.errors import TestbedError, UsageError
from harness.testbeds.containers import doors
from harness.testbeds.containers.engine import Engine, engine_url, same_engine
from harness.testbeds.inside import doors as inside

ROOT = Path(__file__).resolve().parent.parent


# --- engines that are no good --------------------------------------------------------------------


def test_where_no_engine_is_the_run_says_so_and_ends_with_3(tmp_path: Path) -> None:
    environment = os.environ | {"DOCKER_HOST": f"unix://{tmp_path}/none.sock", "RIFT_RUNTIME_DIR": str(tmp_path / "l")}
    words = [sys.executable, "-m", "harness", "run", "--testbed", "compose", "--target", "refstore", "--store", "s"]
    done = subprocess.run(
        words, cwd=tmp_path, env=environment | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3, done.stderr
    assert f"no Docker engine answers at unix://{tmp_path}/none.sock; start it" in done.stderr


def test_a_socket_that_others_may_use_names_the_group_to_join(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = tmp_path / "docker.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{at}")
    with socket.socket(socket.AF_UNIX) as line:
        line.bind(str(at))
        line.listen()
        at.chmod(0o000)
        tmp_path.chmod(0o755)
        with nobody(), pytest.raises(TestbedError, match=r"no permission for the Docker engine at .* join its group"):
            Engine.open()


@contextmanager
def nobody() -> Iterator[None]:
    """Without root's rights, which no permission stops."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_an_engine_that_is_too_old_is_refused_with_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine is made up: it answers what Docker 18.09 says of itself."""
    with made_up_engine({"Version": "18.09.1", "ApiVersion": "1.39", "MinAPIVersion": "1.12", "Arch": "amd64"}) as url:
        monkeypatch.setenv("DOCKER_HOST", url)
        with pytest.raises(TestbedError, match=r"engine at tcp://.* is 18\.09\.1; install 20\.10 or newer"):
            Engine.open()


@contextmanager
def made_up_engine(version: dict[str, str]) -> Iterator[str]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(version).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"tcp://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def test_an_engine_by_ssh_is_told_how_to_get_a_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://me@far.example")
    with pytest.raises(TestbedError, match=r"make a tunnel with `ssh .*DOCKER_HOST=unix:///tmp/far\.sock, and RIFT_"):
        Engine.open()


# --- which one -----------------------------------------------------------------------------------


@pytest.fixture
def contexts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two contexts as the docker command writes them; the one called ``far`` is current."""
    for name, host in (("far", "tcp://192.0.2.1:2375"), ("near", "unix:///somewhere.sock")):
        import hashlib

        folder = tmp_path / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
        folder.mkdir(parents=True)
        meta = {"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}}}
        (folder / "meta.json").write_text(json.dumps(meta))
    (tmp_path / "config.json").write_text(json.dumps({"currentContext": "far"}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)


@pytest.mark.usefixtures("contexts")
def test_the_engine_is_the_one_that_the_docker_command_would_use(monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine_url() == "tcp://192.0.2.1:2375"
    monkeypatch.setenv("DOCKER_CONTEXT", "near")
    assert engine_url() == "unix:///somewhere.sock"
    assert same_engine() == {"DOCKER_HOST": "unix:///somewhere.sock"}, "compose v1 knows no DOCKER_CONTEXT"
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.2:2375")
    assert engine_url() == "tcp://192.0.2.2:2375"


@pytest.mark.usefixtures("contexts")
def test_a_context_that_is_not_there_is_no_reason_to_take_another_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "nowhere")
    with pytest.raises(UsageError, match="DOCKER_CONTEXT='nowhere' is no context here"):
        engine_url()


# --- doors ---------------------------------------------------------------------------------------

OWN, LINK = Address("198.18.0.250", 8474), Address("198.18.1.2", 2379)


class At:
    """An engine's address is all that doors need of it."""

    def __init__(self, where: str) -> None:
        self.where = where


def test_a_network_whose_bridge_is_a_device_here_needs_no_doors(tmp_path: Path) -> None:
    (tmp_path / "br-0123456789ab").mkdir()
    assert not doors.needed("0123456789abcdef", tmp_path)
    assert doors.needed("ba9876543210fedc", tmp_path)


@pytest.mark.parametrize(
    ("where", "said", "bind", "host"),
    [
        ("unix:///var/run/docker.sock", "", "127.0.0.1", "127.0.0.1"),
        ("tcp://192.0.2.1:2375", "", "192.0.2.1", "192.0.2.1"),
        ("tcp://192.0.2.1:2375", "192.0.2.9", "192.0.2.9", "192.0.2.9"),
        ("tcp://192.0.2.1:2375", "0.0.0.0", "0.0.0.0", "192.0.2.1"),
    ],
)
def test_ports_are_published_where_the_engine_is_reached_or_where_the_user_says(
    where: str, said: str, bind: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(doors.VARIABLE, said)
    found = doors.through(At(where), [OWN], [LINK])  # type: ignore[arg-type]
    assert found.published() == [f"{bind}::8474", f"{bind}::20001"]
    ports = {"8474/tcp": [{"HostPort": "33001"}], "20001/tcp": [{"HostPort": "33002"}]}
    found.learn({"NetworkSettings": {"Ports": ports}})
    assert [found.reach(address) for address in (OWN, LINK)] == [Address(host, 33001), Address(host, 33002)]


def test_a_port_that_the_engine_did_not_publish_is_named() -> None:
    found = doors.through(At("unix:///var/run/docker.sock"), [OWN], [LINK])  # type: ignore[arg-type]
    with pytest.raises(TestbedError, match="did not publish port 20001"):
        found.learn({"NetworkSettings": {"Ports": {"8474/tcp": [{"HostPort": "33001"}], "20001/tcp": None}}})


def test_without_doors_addresses_are_used_as_they_are() -> None:
    assert not doors.Doors()
    assert doors.Doors().reach(LINK) == LINK


def test_what_is_no_address_to_publish_at_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(doors.VARIABLE, "yes")
    with pytest.raises(UsageError, match="RIFT_PUBLISH='yes' is no IPv4 address"):
        doors.through(At("unix:///var/run/docker.sock"), [OWN], [LINK])  # type: ignore[arg-type]
    monkeypatch.setenv(doors.VARIABLE, "")
    with pytest.raises(TestbedError, match=r"nowhere\.invalid has no address .* RIFT_PUBLISH=ADDRESS"):
        doors.through(At("tcp://nowhere.invalid:2375"), [OWN], [LINK])  # type: ignore[arg-type]


@pytest.mark.parametrize(("said", "wanted"), [("", None), ("no", False), ("127.0.0.1", True)])
def test_the_user_may_decide(said: str, wanted: bool | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(doors.VARIABLE, said)
    assert doors.wanted() is wanted


def test_each_single_address_is_reached_from_its_networks_own() -> None:
    listed = (
        "1: lo    inet 127.0.0.1/8 scope host lo\n"
        "7: eth1    inet 198.18.1.250/24 brd 198.18.1.255 scope global eth1\n"
        "7: eth1    inet 198.18.1.2/32 scope global eth1\n"
    )
    (order,) = inside.routes(listed)
    assert order == "route replace local 198.18.1.2 dev eth1 table local proto kernel scope host src 198.18.1.250"
