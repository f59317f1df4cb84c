"""Trouble below TCP in the network namespace of the link server, where every link has an address of its own.

``packets.py set JSON`` makes the packet filter say exactly what the JSON does, at once: a list of
``[address, behind, direction, kind, amount]``. ``address`` is where the link listens; ``behind`` is where the link
server thinks its node to be (see below), empty to leave that half of the path alone. Direction is ``upstream`` (to the
node) or ``downstream`` (from it). Kind is ``lose``, ``duplicate``, ``reorder`` or ``corrupt`` with the share of the
packets, from 0 to 1, as ``amount``; or ``police`` with a rate in KB/s.

``packets.py serve [ALIAS=ADDRESS ...]`` does what the filter cannot do by itself: it takes packets from the kernel's
queues, and gives them back late, changed or twice. While it does not run, packets pass untouched. Every alias becomes
another address of a node, one for every link: by it alone the filter can tell which link a connection to a node is of.

``packets.py spoiled`` prints how many segments with a wrong checksum have come so far.

Uses nothing but Python itself, ``ip`` and ``iptables``.
"""

import heapq
import json
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

QUEUES = {"duplicate": 1, "reorder": 2, "corrupt": 3}
HOLD_S = 0.03
"""A held packet is overtaken by all that come within this time."""
COPY_MARK = 0x52494654
"""On packets that we send ourselves, so that they are not queued again."""
_FRONT = {"upstream": ("INPUT", "-d"), "downstream": ("OUTPUT", "-s")}
_BEHIND = {"upstream": ("OUTPUT", "ORIGINAL"), "downstream": ("INPUT", "REPLY")}
Trouble = tuple[str, str, str, str, float]

_NETFILTER, _QUEUE_SUBSYSTEM = 12, 3
_PACKET, _VERDICT, _CONFIG = 0, 1, 2
_COMMAND, _PARAMETERS = 1, 2
_BIND, _COPY_WHOLE = 1, 2
_HEADER, _VERDICT_HEADER, _PAYLOAD = 1, 2, 10
_ACCEPT = 1


def rules(wanted: list[Trouble]) -> str:
    """The input of ``iptables-restore``: two chains of ours, emptied and filled in one step."""
    lines = ["*filter", ":RIFT-INPUT - [0:0]", ":RIFT-OUTPUT - [0:0]"]
    for address, behind, direction, kind, amount in wanted:
        hook, side = _FRONT[direction]
        lines.append(f"-A RIFT-{hook} {side} {address}/32{_what(address, direction, kind, amount)}")
        if behind:
            hook, way = _BEHIND[direction]
            match = f"-p tcp -m conntrack --ctorigdst {behind} --ctdir {way}"
            lines.append(f"-A RIFT-{hook} {match}{_what(behind, direction, kind, amount)}")
    return "\n".join([*lines, "COMMIT", ""])


def _what(address: str, direction: str, kind: str, amount: float) -> str:
    """Which of the packets, and what becomes of them."""
    if kind == "police":
        rate, name = max(1, round(amount)), f"rift-{address}-{direction[0]}"
        burst = max(64, rate)  # a second of it, as the filter demands; 64: a whole segment of a virtual device fits
        return f" -m hashlimit --hashlimit-above {rate}kb/s --hashlimit-burst {burst}kb --hashlimit-name {name} -j DROP"
    some = f" -m statistic --mode random --probability {amount:.6f}" if amount < 1 else ""
    if kind == "lose":
        return f"{some} -j DROP"
    return f" -m mark ! --mark {COPY_MARK:#x}{some} -j NFQUEUE --queue-num {QUEUES[kind]} --queue-bypass"


def set_rules(wanted: list[Trouble]) -> None:
    """Make the filter as wanted. Raises CalledProcessError."""
    command = ["iptables-restore", "--noflush", "--wait", "5"]
    subprocess.run(command, input=rules(wanted), text=True, check=True)
    for hook in ("INPUT", "OUTPUT"):
        jump = [hook, "-j", f"RIFT-{hook}"]
        if subprocess.run(["iptables", "-w", "5", "-C", *jump], capture_output=True, check=False).returncode:
            subprocess.run(["iptables", "-w", "5", "-I", *jump], check=True)


def make_aliases(address_of: dict[str, str]) -> None:
    """Make every alias lead to its address. Raises CalledProcessError."""
    lines = ["*nat", ":RIFT-ALIAS - [0:0]", ":RIFT-SOURCE - [0:0]"]
    lines += [f"-A RIFT-ALIAS -d {alias}/32 -j DNAT --to-destination {to}" for alias, to in address_of.items()]
    # Chosen for the way to the alias, the source address is that of another network than the node's.
    lines += [
        f"-A RIFT-SOURCE -m conntrack --ctorigdst {alias} -j MASQUERADE" for alias in address_of if not _loops(alias)
    ]
    jumps = ["-A OUTPUT -j RIFT-ALIAS", "-A POSTROUTING -j RIFT-SOURCE"]
    text = "\n".join([*lines, *jumps, "COMMIT", ""])
    subprocess.run(["iptables-restore", "--noflush", "--wait", "5"], input=text, text=True, check=True)
    for network in sorted({alias.rpartition(".")[0] for alias in address_of if not _loops(alias)}):
        # A connection needs a way out before the filter is asked; which one, the filter then decides.
        subprocess.run(["ip", "route", "replace", f"{network}.0/24", "dev", _some_device()], check=True)


def _loops(alias: str) -> bool:
    return alias.startswith("127.")


def _some_device() -> str:
    names = sorted(path.name for path in Path("/sys/class/net").iterdir())
    return next(name for name in names if name.startswith("eth"))


def spoiled() -> int:
    """How many segments with a wrong checksum this namespace has seen."""
    names, numbers = (line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line[:4] == "Tcp:")
    return int(numbers[names.index("InCsumErrors")])


class Queues:
    """The kernel's packet queues, over a netlink socket."""

    def __init__(self) -> None:
        self._line = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER)
        self._line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
        self._line.bind((0, 0))
        for queue in QUEUES.values():
            self._send(_CONFIG, queue, _attribute(_COMMAND, struct.pack(">BxH", _BIND, socket.AF_INET)))
            self._send(_CONFIG, queue, _attribute(_PARAMETERS, struct.pack(">IB", 0xFFFF, _COPY_WHOLE)))

    def fileno(self) -> int:
        return self._line.fileno()

    def take(self) -> Iterator[tuple[int, int, bytes]]:
        """Packets that wait: queue, number, content."""
        try:
            data = self._line.recv(1 << 17)
        except OSError:  # the kernel says that there were too many; those have passed
            return
        while len(data) >= 20:
            length, kind = struct.unpack_from("=IH", data)
            if kind == _QUEUE_SUBSYSTEM << 8 | _PACKET:
                (queue,) = struct.unpack_from(">H", data, 18)
                parts = dict(_attributes(data[20:length]))
                yield queue, struct.unpack_from(">I", parts[_HEADER])[0], parts[_PAYLOAD]
            data = data[(length + 3) & ~3 :]

    def let_go(self, queue: int, number: int, changed: bytes = b"") -> None:
        """Let a packet go on, with another content when one is given."""
        verdict = _attribute(_VERDICT_HEADER, struct.pack(">II", _ACCEPT, number))
        self._send(_VERDICT, queue, verdict + (_attribute(_PAYLOAD, changed) if changed else b""))

    def _send(self, kind: int, queue: int, attributes: bytes) -> None:
        body = struct.pack(">BBH", socket.AF_UNSPEC, 0, queue) + attributes
        head = struct.pack("=IHHII", 16 + len(body), _QUEUE_SUBSYSTEM << 8 | kind, 1, 0, 0)
        self._line.send(head + body)


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        yield kind & 0x3FFF, data[4:length]
        data = data[(length + 3) & ~3 :]


def corrupted(packet: bytes) -> bytes:
    """The packet with one bit of its last byte turned; checksums stay, so that TCP notices."""
    return packet[:-1] + bytes([packet[-1] ^ 1])


def serve() -> None:
    """Treat queued packets until the end of this process."""
    queues = Queues()
    copies = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    copies.setsockopt(socket.SOL_SOCKET, 36, COPY_MARK)  # SO_MARK, which Python has no name for
    held: list[tuple[float, int, int]] = []
    print("serving", flush=True)
    while True:
        wait_s = max(0.0, held[0][0] - time.monotonic()) if held else None
        readable, _, _ = select.select([queues], [], [], wait_s)
        for queue, number, packet in queues.take() if readable else ():
            if queue == QUEUES["reorder"]:
                heapq.heappush(held, (time.monotonic() + HOLD_S, queue, number))
            elif queue == QUEUES["corrupt"]:
                queues.let_go(queue, number, corrupted(packet))
            else:
                queues.let_go(queue, number)
                copies.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))
        while held and held[0][0] <= time.monotonic():
            _, queue, number = heapq.heappop(held)
            queues.let_go(queue, number)


def main(arguments: list[str]) -> None:
    """See the top of this file."""
    os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    if arguments[0] == "set":
        set_rules(json.loads(arguments[1]))
    elif arguments[0] == "serve":
        if arguments[1:]:
            make_aliases(dict(each.split("=", 1) for each in arguments[1:]))
        serve()
    else:
        print(spoiled())


if __name__ == "__main__":
    main(sys.argv[1:])
