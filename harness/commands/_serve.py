"""``rift serve``: the store as a web site on the loopback address, so that runs can be found and looked at."""

from __future__ import annotations

import html
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec

from harness.errors import StoreError, UsageError
from harness.model.verdict import Valid, Verdict, overall

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "td,th{padding:.3rem .8rem;text-align:left}.true{color:#1a7f37}.false{color:#c0332b}.unknown{color:#9a6700}"
)


def serve(root: Path, port: int) -> int:
    """Serve the store until Ctrl-C. Raises StoreError when there is no store, UsageError when the port is taken."""
    if not root.is_dir():
        raise StoreError(f"{root}: no runs are kept here; run `rift run` first, or give --store")
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, directory=str(root)))
    except OSError as error:
        raise UsageError(f"--port {port}: {error.strerror}; choose another") from error
    print(f"http://127.0.0.1:{server.server_port}/  (Ctrl-C ends)", file=sys.stderr, flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
    return 0


class _Handler(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path != "/":
            return super().do_GET()
        page = index(Path(self.directory)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)
        return None

    def log_message(self, format: str, *args: object) -> None:
        pass  # a line per request says nothing that the person who clicked does not know


def index(root: Path) -> str:
    """A page of all runs under ``root``, newest first, each with its outcome and a link to its report."""
    rows = [_row(root, plan.parent) for plan in sorted(root.glob("*/*/plan.json"), key=lambda p: p.parent.name)[::-1]]
    body = "".join(row for row in rows) or "<tr><td>no run yet</td></tr>"
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Rift runs</title><style>{_STYLE}</style>"
        f"<h1>Runs</h1><table><tr><th>when (UTC)<th>test<th>outcome<th>files</tr>{body}</table>{_drills(root)}"
    )


def _drills(root: Path) -> str:
    """Links to the pages that sum drills up, newest first; nothing when there are none."""
    pages = sorted(root.glob("*/drills-*.html"), key=lambda page: page.name, reverse=True)
    links = (html.escape(str(page.relative_to(root).with_suffix(""))) for page in pages)
    items = "".join(f"<li><a href='{link}.html'>{link}</a>" for link in links)
    return f"<h1>Drills</h1><ul>{items}</ul>" if items else ""


def _row(root: Path, folder: Path) -> str:
    if folder.is_symlink() or folder.parent.is_symlink():
        return ""  # `latest` shows nothing new
    outcome = _outcome(folder)
    where = html.escape(str(folder.relative_to(root)))
    name = f"<a href='{where}/report.html'>{html.escape(folder.parent.name)}</a>"
    name = name if (folder / "report.html").exists() else html.escape(folder.parent.name)
    return (
        f"<tr><td>{html.escape(folder.name)}<td>{name}<td class={outcome.split()[0]}>{outcome}"
        f"<td><a href='{where}/'>all</a></tr>"
    )


def _outcome(folder: Path) -> str:
    try:
        verdicts = msgspec.json.decode((folder / "verdicts.json").read_bytes(), type=list[Verdict])
    except (OSError, msgspec.MsgspecError):
        return f"{Valid.UNKNOWN} (never judged)"
    return str(overall(verdicts))
