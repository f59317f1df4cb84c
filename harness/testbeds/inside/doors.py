"""What a harness needs in the network namespace of the link server when it is not on the engine's machine.

``doors.py HOST LOOKOUT PORT=ADDRESS:PORT ...``: who connects to a port of the address ``HOST`` gets the address behind
the equals sign, which is one of this namespace. The filter does it, so that nothing stands between a client and its
link. Then a lookout (``harness.links.lookout``, laid beside this file) is started at ``HOST``, port ``LOOKOUT``; what
it sends to a link goes out from the link server's own address in that region, so that the filter takes it for a
client's.
Uses nothing but Python, ``ip`` and ``iptables``.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


def rules(host: str, doors: dict[str, str]) -> str:
    """The input of ``iptables-restore``."""
    lines = ["*nat", ":RIFT-DOORS - [0:0]"]
    lines += [f"-A RIFT-DOORS -p tcp --dport {port} -j DNAT --to-destination {to}" for port, to in doors.items()]
    return "\n".join([*lines, f"-A PREROUTING -d {host}/32 -j RIFT-DOORS", "COMMIT", ""])


def routes(listed: str) -> Iterator[str]:
    """From ``ip -o -4 address`` to orders for ``ip -batch``: each single address is reached from its network's own."""
    found = re.findall(r"^\d+: (\S+) .*inet (\d+\.\d+\.\d+)\.(\d+)/(\d+)", listed, re.M)
    own = {net: f"{net}.{host}" for _, net, host, length in found if length == "24"}
    for device, net, host, length in found:
        if length == "32" and net in own:
            local = f"local {net}.{host} dev {device} table local proto kernel scope host"
            yield f"route replace {local} src {own[net]}"


def look(host: str, port: str) -> None:
    """Start the lookout, and return when it listens."""
    here = Path(__file__).parent
    with (here / "lookout.log").open("ab") as log:
        argv = [sys.executable, "-m", "harness.links.lookout", host, port]
        started = subprocess.Popen(
            argv, cwd=here, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True
        )
    if not (started.stdout and started.stdout.readline()):
        sys.exit(f"the lookout ended with {started.wait()}: {(here / 'lookout.log').read_text()[-500:]}")


def main(arguments: list[str]) -> None:
    """See the top of this file."""
    os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    host, port, *doors = arguments
    text = rules(host, dict(each.split("=", 1) for each in doors))
    subprocess.run(["iptables-restore", "--noflush", "--wait", "5"], input=text, text=True, check=True)
    listed = subprocess.run(["ip", "-o", "-4", "address"], capture_output=True, text=True, check=True).stdout
    subprocess.run(["ip", "-batch", "-"], input="\n".join(routes(listed)), text=True, check=True)
    look(host, port)


if __name__ == "__main__":
    main(sys.argv[1:])
