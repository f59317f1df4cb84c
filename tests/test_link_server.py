"""The embedded link server and the real Toxiproxy do the same: one set of tests, both servers."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Iterator

import pytest

from tests.links_conformance import bed, conversation
from tests.links_conformance.bed import Link, Server

STREAMS = ("upstream", "downstream")


@pytest.fixture(scope="module", params=["embedded", "toxiproxy"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with bed.start(request.param) as running:
        yield running


@pytest.fixture
def link(server: Server) -> Iterator[Link]:
    link = Link(server)
    yield link
    link.close()
    # Some tests delete it themselves.
    server.ask("DELETE", "/proxies/link")


# --- the API ---


@pytest.mark.parametrize("kind", ["embedded", "toxiproxy"])
def test_every_answer_of_the_api_is_literally_the_recorded_one(kind: str) -> None:
    recorded = conversation.recorded()
    with bed.start(kind) as server:
        assert conversation.held(server, [request for request, _ in recorded]) == recorded


def test_the_version_is_told(server: Server) -> None:
    status, kind, text = server.ask("GET", "/version")
    assert (status, kind) == (200, "application/json;charset=utf-8")
    # A binary built by `go install` calls itself "git".
    assert json.loads(text)["version"] in ("2.12.0", "git")


def test_a_browser_page_is_turned_away(server: Server) -> None:
    with contextlib.closing(http_get(server, "/proxies", "Mozilla/5.0")) as answer:
        assert (answer.status, answer.read()) == (403, b"User agent not allowed\n")


def test_an_unknown_host_to_listen_at_is_an_error_that_names_it(server: Server) -> None:
    body = json.dumps({"name": "lost", "listen": "no.such.host.invalid:0", "upstream": "u:1"})
    status, _, text = server.ask("POST", "/proxies", body)
    assert status == 500
    assert json.loads(text)["error"].startswith("listen tcp: lookup no.such.host.invalid")


def test_metrics_count_bytes_by_direction_proxy_listener_and_upstream(link: Link) -> None:
    near, far = link.open()
    bed.exchange(near, far)
    near.close()
    far.close()
    labels = f'listener="{link.listen}",proxy="link",upstream="{link.upstream}"'
    for line in (
        f'toxiproxy_proxy_received_bytes_total{{direction="upstream",{labels}}} 2',
        f'toxiproxy_proxy_sent_bytes_total{{direction="upstream",{labels}}} 2',
        f'toxiproxy_proxy_received_bytes_total{{direction="downstream",{labels}}} 3',
        f'toxiproxy_proxy_sent_bytes_total{{direction="downstream",{labels}}} 3',
    ):
        bed.until(lambda line=line: line in link.server.ask("GET", "/metrics")[2].splitlines(), line)  # type: ignore[misc]


# --- proxies ---


def test_bytes_pass_both_ways_unchanged_and_so_does_the_end(link: Link) -> None:
    near, far = link.open()
    bed.exchange(near, far)
    near.close()
    assert far.recv(1) == b""


def test_an_unreachable_upstream_closes_the_client(link: Link) -> None:
    link.far_listener.close()
    near = link.dial()
    assert near.recv(1) == b""


def test_a_disabled_proxy_refuses_and_cuts_and_serves_again_at_the_same_address(link: Link) -> None:
    near, far = link.open()
    bed.exchange(near, far)
    link.server.call("PATCH", "/proxies/link", {"enabled": False})
    assert near.recv(1) == b""
    assert far.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        link.dial()
    assert link.server.call("PATCH", "/proxies/link", {"enabled": True})["listen"] == link.listen
    bed.exchange(*link.open())


def test_deleting_a_proxy_cuts_its_connections(link: Link) -> None:
    near, far = link.open()
    bed.exchange(near, far)
    assert link.server.ask("DELETE", "/proxies/link")[0] == 204
    assert near.recv(1) == b""
    assert far.recv(1) == b""


def test_another_upstream_cuts_connections_and_gets_the_new_ones(link: Link) -> None:
    near, far = link.open()
    bed.exchange(near, far)
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(bed.LIMIT_S)
        upstream = f"127.0.0.1:{other.getsockname()[1]}"
        assert link.server.call("PATCH", "/proxies/link", {"upstream": upstream})["listen"] == link.listen
        assert near.recv(1) == b""
        near = link.dial()
        far, _ = other.accept()
        with far:
            bed.exchange(near, far)


def test_populate_leaves_an_equal_proxy_and_its_connections_alone(link: Link) -> None:
    near, far = link.open()
    bed.exchange(near, far)
    link.server.toxic("latency", latency=1)
    same = [{"name": "link", "listen": link.listen, "upstream": link.upstream}]
    shown = link.server.call("POST", "/populate", same)["proxies"]
    assert [toxic["name"] for toxic in shown[0]["toxics"]] == ["latency_downstream"]
    bed.exchange(near, far)


def test_populate_replaces_a_proxy_with_other_addresses(link: Link) -> None:
    near, far = link.open()
    bed.exchange(near, far)
    link.server.toxic("latency", latency=1)
    other = [{"name": "link", "listen": link.listen, "upstream": "127.0.0.1:1"}]
    shown = link.server.call("POST", "/populate", other)["proxies"]
    assert (shown[0]["upstream"], shown[0]["toxics"]) == ("127.0.0.1:1", [])
    assert near.recv(1) == b""


def test_reset_removes_toxics_and_enables_proxies(link: Link) -> None:
    link.server.toxic("timeout", timeout=0)
    link.server.call("PATCH", "/proxies/link", {"enabled": False})
    assert link.server.ask("POST", "/reset")[0] == 204
    shown = link.server.call("GET", "/proxies/link")
    assert (shown["enabled"], shown["toxics"]) == (True, [])
    bed.exchange(*link.open())


# --- the toxics, in both directions, on new and on live connections ---


def sent(link: Link, stream: str, live: bool, type_: str, **attributes: int) -> tuple[socket.socket, socket.socket]:
    """Sender and receiver of a connection with the toxic, which comes before or after the connection."""
    if not live:
        link.server.toxic(type_, stream, **attributes)
    sender, receiver = link.open(stream)
    if live:
        bed.exchange(sender, receiver)
        link.server.toxic(type_, stream, **attributes)
    return sender, receiver


on_both_streams = pytest.mark.parametrize("stream", STREAMS)
new_and_live = pytest.mark.parametrize("live", [False, True], ids=["new", "live"])


@on_both_streams
@new_and_live
def test_latency_delays_one_direction_and_keeps_the_order(link: Link, stream: str, live: bool) -> None:
    sender, receiver = sent(link, stream, live, "latency", latency=150, jitter=50)
    start = time.monotonic()
    for letter in (b"a", b"b", b"c"):
        sender.sendall(letter)
    assert bed.receive(receiver, 3) == b"abc"
    assert time.monotonic() - start >= 0.099


@on_both_streams
@new_and_live
def test_bandwidth_limits_the_rate(link: Link, stream: str, live: bool) -> None:
    sender, receiver = sent(link, stream, live, "bandwidth", rate=100)
    start = time.monotonic()
    sender.sendall(b"x" * 40_000)
    assert bed.receive(receiver, 40_000) == b"x" * 40_000
    assert 0.38 <= time.monotonic() - start < 10


@on_both_streams
@new_and_live
def test_a_rate_of_zero_jams_until_the_toxic_goes_and_then_delivers(link: Link, stream: str, live: bool) -> None:
    sender, receiver = sent(link, stream, live, "bandwidth", rate=0)
    sender.sendall(b"jam")
    assert bed.silent(receiver)
    link.server.call("DELETE", f"/proxies/link/toxics/bandwidth_{stream}")
    assert bed.receive(receiver, 3) == b"jam"


@on_both_streams
@new_and_live
def test_slow_close_delays_the_end_but_not_the_data(link: Link, stream: str, live: bool) -> None:
    sender, receiver = sent(link, stream, live, "slow_close", delay=300)
    sender.sendall(b"data")
    assert bed.receive(receiver, 4) == b"data"
    start = time.monotonic()
    sender.close()
    assert receiver.recv(1) == b""
    assert time.monotonic() - start >= 0.29


@on_both_streams
@new_and_live
def test_timeout_swallows_data_and_closes_after_its_time(link: Link, stream: str, live: bool) -> None:
    sender, receiver = sent(link, stream, live, "timeout", timeout=300)
    sender.sendall(b"lost")
    assert receiver.recv(1) == b""
    assert sender.recv(1) == b""


@on_both_streams
@new_and_live
def test_timeout_of_zero_is_silent_and_closes_when_removed(link: Link, stream: str, live: bool) -> None:
    sender, receiver = sent(link, stream, live, "timeout", timeout=0)
    sender.sendall(b"lost")
    assert bed.silent(receiver)
    receiver.sendall(b"other way")
    assert bed.receive(sender, 9) == b"other way"
    link.server.call("DELETE", f"/proxies/link/toxics/timeout_{stream}")
    assert receiver.recv(1) == b""
    assert sender.recv(1) == b""


@on_both_streams
@new_and_live
def test_slicer_cuts_data_into_pieces(link: Link, stream: str, live: bool) -> None:
    sender, receiver = sent(link, stream, live, "slicer", average_size=10, size_variation=4, delay=20_000)
    sender.sendall(b"0123456789" * 10)
    pieces: list[bytes] = []
    while sum(map(len, pieces)) < 100:
        pieces.append(receiver.recv(100))
    assert b"".join(pieces) == b"0123456789" * 10
    assert len(pieces) > 3


@on_both_streams
@new_and_live
def test_limit_data_closes_after_its_bytes(link: Link, stream: str, live: bool) -> None:
    sender, receiver = sent(link, stream, live, "limit_data", bytes=100)
    sender.sendall(b"x" * 60)
    assert bed.receive(receiver, 60) == b"x" * 60
    sender.sendall(b"y" * 60)
    assert bed.receive(receiver, 60) == b"y" * 40
    assert receiver.recv(1) == b""


@on_both_streams
def test_reset_peer_resets_both_ends(link: Link, stream: str) -> None:
    sender, receiver = sent(link, stream, False, "reset_peer", timeout=100)
    sender.sendall(b"x")
    for end in (sender, receiver):
        with pytest.raises(ConnectionResetError):
            end.recv(1)


@on_both_streams
def test_toxicity_zero_spares_every_connection_and_one_none(link: Link, stream: str) -> None:
    link.server.toxic("timeout", stream, toxicity=0, timeout=0)
    bed.exchange(*link.open(stream))
    link.server.call("PATCH", f"/proxies/link/toxics/timeout_{stream}", {"toxicity": 1})
    sender, receiver = link.open(stream)
    sender.sendall(b"lost")
    assert bed.silent(receiver)


@on_both_streams
def test_an_update_acts_on_live_connections(link: Link, stream: str) -> None:
    link.server.toxic("latency", stream, latency=0)
    sender, receiver = link.open(stream)
    bed.exchange(sender, receiver)
    link.server.call("PATCH", f"/proxies/link/toxics/latency_{stream}", {"attributes": {"latency": 200}})
    start = time.monotonic()
    sender.sendall(b"later")
    assert bed.receive(receiver, 5) == b"later"
    assert time.monotonic() - start >= 0.199


def test_toxics_of_a_chain_add_up(link: Link) -> None:
    for name in ("one", "two"):
        toxic = {"name": name, "type": "latency", "stream": "upstream", "attributes": {"latency": 100}}
        link.server.call("POST", "/proxies/link/toxics", toxic)
    near, far = link.open()
    start = time.monotonic()
    near.sendall(b"x")
    assert bed.receive(far, 1) == b"x"
    assert time.monotonic() - start >= 0.199


@on_both_streams
def test_removing_latency_delivers_what_was_under_way(link: Link, stream: str) -> None:
    link.server.toxic("latency", stream, latency=60_000)
    sender, receiver = link.open(stream)
    sender.sendall(b"under way")
    assert bed.silent(receiver, 0.2)
    link.server.call("DELETE", f"/proxies/link/toxics/latency_{stream}")
    assert bed.receive(receiver, 9) == b"under way"
    bed.exchange(sender, receiver)


def http_get(server: Server, path: str, user_agent: str) -> http.client.HTTPResponse:
    """The answer to a GET from another kind of client."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=bed.LIMIT_S)
    connection.request("GET", path, headers={"User-Agent": user_agent})
    return connection.getresponse()
