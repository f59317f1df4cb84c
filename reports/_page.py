"""The frame of every page: one document without a network, in which only our own style and script act."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from ._markup import Child, Html, el

ASSETS = Path(__file__).parent / "assets"


def document(title: str, *children: Child) -> str:
    """A whole page with the given body."""
    style = (ASSETS / "report.css").read_text(encoding="utf-8")
    script = (ASSETS / "report.js").read_text(encoding="utf-8")
    # Only these two texts may style or run: whatever a system under test put into a value stays dead text.
    policy = f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}"
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=policy),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", title),
        el("style", Html(style)),
    )
    body = el("body", *children, el("script", Html(script)))
    return f"<!DOCTYPE html>\n{el('html', head, body, lang='en')}\n"


def section(title: str, *children: Child) -> Html:
    """A section under a heading; nothing when it has no content."""
    filled = [child for child in children if child]
    return el("section", el("h2", title), *filled) if filled else Html()


def fact_list(*pairs: tuple[str, str]) -> Html:
    """Names and values side by side; pairs without a value are left out."""
    return el("dl", *(el("div", el("dt", name), el("dd", value)) for name, value in pairs if value), class_="facts")


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
