"""Runs beside the link server, in its network namespace: gives it an address per link, and every link a name of its own
for the node behind it; serves the packet queues and the beacons.

``wires.py ADDRESS ... -- ALIAS=ADDRESS ... -- HOST PORT ...``: every address is added to the device of its own /24,
``packets.py`` beside this file gets the aliases, then ``echo.py`` listens at each host and port. Uses nothing but
Python, ``ip`` and ``iptables``.
"""

import os
import re
import subprocess
import sys
from pathlib import Path


def main(arguments: list[str]) -> None:
    """Add the addresses, then become the beacons."""
    first = arguments.index("--")
    second = arguments.index("--", first + 1)
    listed = subprocess.run(["ip", "-o", "-4", "address"], capture_output=True, text=True, check=True).stdout
    device_of = {net: device for device, net in re.findall(r"^\d+: (\S+) .*inet (\d+\.\d+\.\d+)\.\d+/24", listed, re.M)}
    orders = [f"address replace {each}/32 dev {device_of[each.rpartition('.')[0]]}" for each in arguments[:first]]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(orders), text=True, check=True)
    here = Path(__file__).parent
    packets = [sys.executable, "-u", str(here / "packets.py"), "serve", *arguments[first + 1 : second]]
    serving = subprocess.Popen(packets, stdout=subprocess.PIPE)
    if not (serving.stdout and serving.stdout.readline()):
        sys.exit(f"packets.py ended with {serving.wait()}")
    os.execv(sys.executable, [sys.executable, "-u", str(here / "echo.py"), *arguments[second + 1 :]])


if __name__ == "__main__":
    main(sys.argv[1:])
