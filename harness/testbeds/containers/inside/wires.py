"""Runs beside the link server, in its network namespace: gives it an address per link, then serves the beacons.

``wires.py ADDRESS ... -- HOST PORT ...``: every address is added to the device of its own /24, then ``echo.py`` beside
this file listens at each host and port. Uses nothing but Python and ``ip``.
"""

import os
import re
import subprocess
import sys
from pathlib import Path


def main(arguments: list[str]) -> None:
    """Add the addresses, then become the beacons."""
    split = arguments.index("--")
    listed = subprocess.run(["ip", "-o", "-4", "address"], capture_output=True, text=True, check=True).stdout
    device_of = {net: device for device, net in re.findall(r"^\d+: (\S+) .*inet (\d+\.\d+\.\d+)\.\d+/24", listed, re.M)}
    orders = [f"address replace {each}/32 dev {device_of[each.rpartition('.')[0]]}" for each in arguments[:split]]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(orders), text=True, check=True)
    echo = str(Path(__file__).with_name("echo.py"))
    os.execv(sys.executable, [sys.executable, "-u", echo, *arguments[split + 1 :]])


if __name__ == "__main__":
    main(sys.argv[1:])
