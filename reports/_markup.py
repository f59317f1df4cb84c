"""HTML and SVG written as calls. Text is escaped unless it is already markup, so nothing can slip through."""

from __future__ import annotations

from html import escape
from typing import Final

from ._words import clean

_EMPTY: Final = frozenset({"meta", "br", "rect", "line", "path", "circle", "polygon"})


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


Attribute = str | float | bool | None
Child = str | None


def el(name: str, /, *children: Child, **attributes: Attribute) -> Html:
    """An element. A trailing underscore in an attribute's name is dropped, others become dashes; attributes that
    are None or False are left out. Children that are not :class:`Html` are escaped."""
    head = name + "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _EMPTY:
        return Html(f"<{head}/>")
    return Html(f"<{head}>{join(*children)}</{name}>")


def join(*children: Child) -> Html:
    """Children one after the other, escaped where they are plain text."""
    return Html("".join(child if isinstance(child, Html) else text(child) for child in children if child is not None))


def text(plain: object) -> Html:
    """Plain text made safe."""
    return Html(escape(clean(plain)))


def number(value: float) -> str:
    """A coordinate with one decimal at most."""
    return f"{value:.1f}".removesuffix(".0")


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    plain = number(value) if isinstance(value, float) else clean(value)
    return f' {name}="{escape(plain)}"'
