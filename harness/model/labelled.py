"""Somebody's own compose file, told apart by labels: which service is which node, and what of it a run can carry over.

rift.region: eu-west-1            the region that the service's node is in; with it the service is a node
rift.node: n2                     which node of the topology it is
rift.port.client: "2379"          a port, by name; the first one is probed
rift.ping: "PING\\r\\n"             what to send to the first port so that the server answers (see ``Port.ping``)
rift.ready: http:/health          ready when that path answers 200 on the first port; or ``tcp``: when it accepts
rift.data: /var/lib/x             what outlives a restart; else the first named volume
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from harness.errors import UsageError

_TAKEN_OVER: Final = frozenset(
    (
        *("build", "cap_add", "cap_drop", "command", "cpus", "devices", "entrypoint", "env_file", "environment"),
        *("healthcheck", "hostname", "image", "init", "ipc", "labels", "mem_limit", "memswap_limit", "pids_limit"),
        *("privileged", "read_only", "security_opt", "shm_size", "stop_grace_period", "stop_signal", "sysctls"),
        *("tmpfs", "tty", "ulimits", "user", "volumes", "working_dir"),
    )
)
_REPLACED: Final = frozenset(
    (
        *("container_name", "depends_on", "deploy", "dns", "expose", "extra_hosts", "links", "logging"),
        *("network_mode", "networks", "ports", "restart"),
    )
)
"""What a run decides itself: who reaches whom, and when which node starts and ends."""


@dataclass(frozen=True)
class Member:
    """One service that is a node. ``udp`` names those of its ``ports`` that speak UDP; ``body`` is the rest of it, as
    the file has it."""

    service: str
    region: str
    node: str
    ports: Mapping[str, int]
    udp: frozenset[str]
    ping: bytes
    ready: str
    data: str
    body: Mapping[str, Any] = field(hash=False)


@dataclass(frozen=True)
class Labelled:
    """What a file says. ``problems`` keep it from being run, ``remarks`` do not."""

    members: tuple[Member, ...]
    problems: tuple[str, ...]
    remarks: tuple[str, ...]

    def demanded(self, where: str) -> Labelled:
        """The same. Raises UsageError, with everything at once, when there are problems."""
        if self.problems:
            raise UsageError("\n".join((f"{where} cannot be run yet:", *(f"  {problem}" for problem in self.problems))))
        return self


def read(data: Any) -> Labelled:
    """The members of a compose file that was loaded as ``data``."""
    services = data.get("services") if isinstance(data, dict) else None
    if not isinstance(services, dict) or not services:
        return Labelled((), ("it has no services; is it a compose file?",), ())
    problems: list[str] = []
    remarks: list[str] = []
    members: list[Member] = []
    for name, service in services.items():
        labels = _labels(service)
        if not any(label.startswith("rift.") for label in labels):
            remarks.append(f"service {name}: no label rift.region, so it is left out")
            continue
        found = _problems(name, service, labels)
        problems += found
        remarks += _remarks(name, service)
        if not found:
            members.append(_member(name, service, labels))
    return Labelled(tuple(members), (*problems, *_together(members)), tuple(remarks))


def _labels(service: Any) -> dict[str, str]:
    labels = (service.get("labels") if isinstance(service, dict) else None) or {}
    pairs = labels.items() if isinstance(labels, dict) else (each.partition("=")[::2] for each in labels)
    return {str(key): str(value) for key, value in pairs}


def _problems(name: str, service: Mapping[str, Any], labels: Mapping[str, str]) -> list[str]:
    found = [
        f"service {name}: label {label} is missing" for label in ("rift.region", "rift.node") if label not in labels
    ]
    if not (service.get("image") or service.get("build")):
        found.append(f"service {name}: has neither image nor build")
    ports = {label: text for label, text in labels.items() if label.startswith("rift.port.")}
    if not ports:
        found.append(f'service {name}: no label rift.port.<name>, e.g. rift.port.client: "5432"')
    for label, text in ports.items():
        number, _, protocol = text.partition("/")
        if not number.isdigit() or not 0 < int(number) <= 0xFFFF or protocol not in ("", "tcp", "udp"):
            found.append(f"service {name}: label {label} is {text!r}; write a port, 1 to 65535, /udp behind it for UDP")
    if ports and next(iter(ports.values())).endswith("/udp"):
        found.append(f"service {name}: label {next(iter(ports))} is first and speaks UDP; links are probed over TCP")
    ready = labels.get("rift.ready", "tcp")
    if ready != "tcp" and not ready.startswith("http:/"):
        found.append(f"service {name}: label rift.ready is {ready!r}; write tcp or http:/path")
    known = {"rift.region", "rift.node", "rift.ready", "rift.ping", "rift.data", *ports}
    found += [
        f"service {name}: unknown label {label}" for label in labels if label.startswith("rift.") and label not in known
    ]
    return found


def _remarks(name: str, service: Mapping[str, Any]) -> list[str]:
    unknown = sorted(set(service) - _TAKEN_OVER - _REPLACED)
    found = [f"service {name}: {key} is not carried over" for key in unknown]
    replaced = sorted({"networks", "ports", "depends_on", "restart", "network_mode"} & set(service))
    return found + ([f"service {name}: {', '.join(replaced)}: decided by the run"] if replaced else [])


def _member(name: str, service: Mapping[str, Any], labels: Mapping[str, str]) -> Member:
    texts = {label.removeprefix("rift.port."): text for label, text in labels.items() if "rift.port." in label}
    ports = {port: int(text.partition("/")[0]) for port, text in texts.items()}
    udp = frozenset(port for port, text in texts.items() if text.endswith("/udp"))
    ping = labels.get("rift.ping", "").encode().decode("unicode_escape").encode("latin-1")
    ready = labels.get("rift.ready", "tcp")
    if not ping and ready.startswith("http:"):
        ping = f"GET {ready.removeprefix('http:')} HTTP/1.1\r\nHost: rift\r\n\r\n".encode()
    body = {key: value for key, value in service.items() if key in _TAKEN_OVER - {"labels"}}
    data = labels.get("rift.data") or next(iter(named_volumes(service).values()), "")
    return Member(name, labels["rift.region"], labels["rift.node"], ports, udp, ping, ready, data, body)


def named_volumes(service: Mapping[str, Any]) -> dict[str, str]:
    """Named volumes of a service and where they are mounted; paths of the machine are none."""
    found: dict[str, str] = {}
    for each in service.get("volumes") or ():
        source, target = (each.get("source", ""), each.get("target", "")) if isinstance(each, dict) else _parts(each)
        if source and source[0] not in "./~$":
            found[source] = target
    return found


def _parts(volume: str) -> tuple[str, str]:
    source, _, target = volume.partition(":")
    return (source, target.partition(":")[0]) if target else ("", source)


def _together(members: list[Member]) -> list[str]:
    """What is wrong between services that are well each for itself."""
    if not members:
        return ["no service has the labels rift.region and rift.node, so there is no node"]
    found = []
    taken: dict[str, str] = {}
    for member in members:
        if member.node in taken:
            found.append(f"services {taken[member.node]} and {member.service} both say rift.node: {member.node}")
        taken.setdefault(member.node, member.service)
        if (member.ports, member.udp) != (members[0].ports, members[0].udp):
            found.append(f"service {member.service} has other ports than {members[0].service}; give all the same names")
    return found
