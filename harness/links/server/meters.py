"""What the links counted, while connections live: Prometheus text for ``/metrics``, a table for ``/links``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from harness.links.server.pipe import Tally


@dataclass
class Meter:
    """Counts of one proxy name at one listener and upstream; ``opened`` and ``live`` count connections."""

    opened: int = 0
    live: int = 0
    tallies: dict[str, Tally] = field(default_factory=lambda: {"downstream": Tally(), "upstream": Tally()})


class Meters:
    """One meter per (proxy, listener, upstream). Counters never go back, also when a proxy is deleted."""

    def __init__(self) -> None:
        self._meters: dict[tuple[str, str, str], Meter] = {}

    def of(self, proxy: str, listener: str, upstream: str) -> Meter:
        """The meter with these labels; made when new."""
        return self._meters.setdefault((proxy, listener, upstream), Meter())

    def table(self, proxy: str) -> dict[str, Any]:
        """Connections opened and live, and bytes each way, of all meters with this proxy's name."""
        meters = [meter for labels, meter in self._meters.items() if labels[0] == proxy]
        row: dict[str, Any] = {
            "opened": sum(meter.opened for meter in meters),
            "live": sum(meter.live for meter in meters),
        }
        for direction in ("upstream", "downstream"):
            tallies = [meter.tallies[direction] for meter in meters]
            row[direction] = {
                "received_bytes": sum(tally.received_bytes for tally in tallies),
                "sent_bytes": sum(tally.sent_bytes for tally in tallies),
            }
        return row

    def prometheus(self) -> str:
        """The counters in the Prometheus text format, with the metric and label names of Toxiproxy."""
        return "".join(line + "\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        meters = sorted(self._meters.items())
        for name, kind in (
            ("toxiproxy_proxy_connections_total", "counter"),
            ("toxiproxy_proxy_live_connections", "gauge"),
        ):
            yield from _head(name, kind)
            for labels, meter in meters:
                yield f"{name}{{{_labels(labels)}}} {meter.opened if kind == 'counter' else meter.live}"
        for name in ("received_bytes", "sent_bytes"):
            metric = f"toxiproxy_proxy_{name}_total"
            yield from _head(metric, "counter")
            for direction in ("downstream", "upstream"):
                for labels, meter in meters:
                    count: int = getattr(meter.tallies[direction], name)
                    yield f'{metric}{{direction="{direction}",{_labels(labels)}}} {count}'


def _head(name: str, kind: str) -> tuple[str, str]:
    return f"# HELP {name} ", f"# TYPE {name} {kind}"


def _labels(labels: tuple[str, str, str]) -> str:
    proxy, listener, upstream = (text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for text in labels)
    return f'listener="{listener}",proxy="{proxy}",upstream="{upstream}"'
