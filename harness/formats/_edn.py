"""Extensible Data Notation (github.com/edn-format/edn), read from bytes and written as text.

As Python values: nil is None; lists, vectors and sets (sorted) are tuples; maps are dicts; keywords, symbols,
characters and strings are all plain strings; decimals (1.5M) and ratios keep their text, for rounding could make two
of them equal. A tagged value is the value alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import msgspec

from harness.formats._tape import Malformed
from harness.model.packed import PACKED

# Only single characters are repeated possessively: of groups, Python before 3.11.5 loses its place (its issue 106052).
SPACE: Final = re.compile(rb"(?>(?:[\s,]++|;[^\n]*+\n)*)")
_TOKEN: Final = re.compile(
    rb"""(?>(?:[\s,]++|;[^\n]*+)*)(?:
      (?P<open>[\[({]|\#\{)
    | (?P<close>[\])}])
    | (?P<string>"[^"\\]*+(?>(?:\\.[^"\\]*+)*)")
    | (?P<drop>\#_)
    | (?P<meta>\^)
    | (?P<named>\#\#[A-Za-z]++)
    | (?P<tag>\#[A-Za-z][^\s,\[\](){}"\\;]*+)
    | (?P<char>\\(?:[A-Za-z0-9]++|[^\x00-\x7f]++|.))
    | (?P<atom>[^\s,\[\](){}"\\;\#^][^\s,\[\](){}"\\;]*+)
    )?""",
    re.X | re.S,
)
_CLOSES: Final = {b"[": b"]", b"(": b")", b"{": b"}", b"#{": b"}"}
_WORDS: Final[dict[bytes, Any]] = {b"nil": None, b"true": True, b"false": False}
_NAMED: Final = {b"##Inf": float("inf"), b"##-Inf": float("-inf"), b"##NaN": float("nan")}
_CHARS: Final = {b"newline": "\n", b"return": "\r", b"space": " ", b"tab": "\t", b"formfeed": "\f", b"backspace": "\b"}
_INT: Final = re.compile(rb"[+-]?(?:0|[1-9]\d*+)N?\Z")
_FLOAT: Final = re.compile(rb"[+-]?\d++(?:\.\d*+)?(?:[eE][+-]?\d++)?\Z")
_EXACT: Final = re.compile(rb"[+-]?\d++(?:(?:\.\d*+)?(?:[eE][+-]?\d++)?M|/\d++)\Z")
_SYMBOL: Final = re.compile(rb"(?:[^\d+\-.:]|[+\-.](?!\d)).*+\Z|[+\-.]\Z", re.S)
_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|[0-7]{1,3}|.)", re.S)
_HALF: Final = re.compile("[\ud800-\udfff]")
_ESCAPED: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "\\": "\\"}


class Incomplete(Exception):
    """The text ends inside a form; more of it may follow."""


class _Close(Exception):
    def __init__(self, bracket: bytes, offset: int) -> None:
        self.bracket, self.offset = bracket, offset


class Reader:
    """Reads forms from ``text``, one at a time, from ``position`` on.

    ``final`` says that no more text follows. Raises Malformed where no form can be, and Incomplete where more
    text is needed.
    """

    def __init__(self, text: bytes, final: bool = True, position: int = 0) -> None:
        self.text, self.final, self.position = text, final, position

    def form(self) -> Any:
        """The next form. Raises Malformed also at a closing bracket and at the end of the text."""
        try:
            return self._form()
        except _Close as close:
            raise Malformed(f"expected a value, found {close.bracket.decode()!r}", close.offset) from None
        except RecursionError:
            raise Malformed("expected at most some hundred collections inside each other", self.position) from None

    def _form(self) -> Any:
        match = _TOKEN.match(self.text, self.position)
        assert match is not None
        kind, end = match.lastgroup, match.end()
        if kind is None:
            self._no_token(end)
        start = match.start(kind or 0)
        token = self.text[start:end]
        if end == len(self.text) and not self.final and kind not in ("string", "close"):
            raise Incomplete
        self.position = end
        if kind == "open":
            return self._collection(token, start)
        if kind == "close":
            raise _Close(token, start)
        if kind == "drop":
            self._needed(token)
            return self._form()
        if kind == "meta":
            self._needed(token)
        if kind in ("meta", "tag"):
            return self._needed(token)
        return scalar(token, kind or "", start)

    def _needed(self, token: bytes) -> Any:
        """The form that must follow ``token``."""
        try:
            return self._form()
        except _Close as close:
            found = f"expected a value after {token.decode(errors='replace')}, found {close.bracket.decode()!r}"
            raise Malformed(found, close.offset) from None

    def _no_token(self, at: int) -> None:
        rest = self.text[at : at + 12]
        if not self.final and (not rest or rest[:1] in (b'"', b"#", b"\\")):
            raise Incomplete
        if rest[:1] == b'"':
            raise Malformed('expected a closing " for the string that begins here', at)
        found = repr(rest.decode("utf-8", "replace")) if rest else "the end of the file"
        raise Malformed(f"expected a value, found {found}", at)

    def _collection(self, opener: bytes, start: int) -> Any:
        items: list[Any] = []
        starts: list[int] = []
        while True:
            try:
                starts.append(self.position)
                items.append(self._form())
            except _Close as close:
                if close.bracket != _CLOSES[opener]:
                    wanted = f"expected {_CLOSES[opener].decode()!r} to close {opener.decode()!r}"
                    raise Malformed(f"{wanted}, found {close.bracket.decode()!r}", close.offset) from None
                break
            except Malformed as error:
                if error.offset < len(self.text) or "end of the file" not in str(error):
                    raise
                closing = _CLOSES[opener].decode()
                raise Malformed(f"expected {closing!r} before the end of the file, to close this", start) from None
        if opener == b"{":
            return _map(items, start)
        return _set(items, start) if opener == b"#{" else tuple(items)


def _map(items: list[Any], start: int) -> dict[Any, Any]:
    if len(items) % 2:
        raise Malformed(f"expected pairs in this map, found {len(items)} values", start)
    keys = [written(key) if isinstance(key, tuple | dict) else key for key in items[::2]]
    found = dict(zip(keys, items[1::2], strict=True))
    if len(found) < len(items) // 2:
        raise Malformed("expected every key once in this map, found one twice", start)
    return found


def _set(items: list[Any], start: int) -> tuple[Any, ...]:
    ordered = sorted(items, key=lambda item: (type(item).__name__, item if type(item) in (int, str) else repr(item)))
    if any(type(a) is type(b) and a == b for a, b in pairwise(ordered)):
        raise Malformed("expected every element once in this set, found one twice", start)
    return tuple(ordered)


def scalar(token: bytes, kind: str, start: int = 0) -> Any:
    """The value of one token of the given kind: ``atom``, ``string``, ``char`` or ``named``."""
    try:
        if kind == "string":
            return _string(token, start)
        if kind == "char":
            return _char(token, start)
        if kind == "named":
            return _NAMED[token]
        return _atom(token, start)
    except UnicodeDecodeError as error:
        at = error.start + len(token) - len(error.object) - (kind == "string")
        raise Malformed(f"expected text in UTF-8, found byte {token[at]:#x}", start + at) from None
    except ValueError:
        found = token[:20].decode() + "..." * (len(token) > 20)
        raise Malformed(f"expected a number of at most 4300 digits, or a character, found {found}", start) from None
    except KeyError:
        raise Malformed(f"expected ##Inf, ##-Inf or ##NaN, found {token.decode()}", start) from None


def _atom(token: bytes, start: int) -> Any:
    if token.isdigit() and (len(token) == 1 or token[0] != 48):
        return int(token)
    if token in _WORDS:
        return _WORDS[token]
    if token[0] == 58 and len(token) > 1:  # a keyword
        return token[1:].decode()
    if _INT.match(token):
        return int(token.rstrip(b"N"))
    if _FLOAT.match(token) and not token.lstrip(b"+-").isdigit():
        return float(token)
    if _EXACT.match(token) or _SYMBOL.match(token):
        return token.decode()
    raise Malformed(f"expected a value, found {token.decode('utf-8', 'replace')!r}", start)


def _string(token: bytes, start: int) -> str:
    text = token[1:-1].decode()
    return _whole(_ESCAPE.sub(lambda match: _unescaped(match[1], start), text), start) if "\\" in text else text


def _whole(text: str, start: int) -> str:
    """``text`` with characters that were escaped in two halves put together."""
    if not _HALF.search(text):
        return text
    try:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        raise Malformed("expected a whole character, found one half of it", start) from None


def _unescaped(escape: str, start: int) -> str:
    if escape in _ESCAPED:
        return _ESCAPED[escape]
    if escape[0] == "u" and len(escape) == 5:
        return chr(int(escape[1:], 16))
    if escape.isdigit():
        return chr(int(escape, 8))
    raise Malformed(f"expected a known escape in this string, found \\{escape}", start)


def _char(token: bytes, start: int) -> str:
    name = token[1:]
    text = name.decode()
    if name in _CHARS:
        return _CHARS[name]
    if len(text) == 5 and text[0] == "u":
        return _whole(chr(int(text[1:], 16)), start)
    if len(text) != 1:
        raise Malformed(f"expected a character, found {token.decode()}", start)
    return text


# --- many at once ----------------------------------------------------------------------------------

_check: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_COMMAS: Final = bytes.maketrans(b" ", b",")
_BEYOND_JSON: Final = b'"#{}()\\;/\n\r\t'
_UNUSUAL: Final = re.compile(rb"\d(?:[.eE]|\d{18})")
_NULL: Final = re.compile(rb"(?<!:)\bnull")
"""A symbol that would be something else in JSON."""
_KEYWORD: Final = re.compile(rb":([A-Za-z_][\w.*+!?$%&=<>-]*+)(?=[ \]\n])")


def as_packed(texts: Sequence[bytes]) -> dict[bytes, bytes]:
    """The packed texts of those that are keywords, or vectors of such and of whole numbers, as transactions are.

    Each text must be meant as one form. They differ from JSON by a few bytes, and are changed all at once; when one of
    them is no such form after all, the answer is empty.
    """
    if _has(b"".join(texts), _BEYOND_JSON):
        texts = [text for text in texts if not _has(text, _BEYOND_JSON)]
    text = b"\n".join((b"", *texts, b""))
    if b"null" in text:
        texts = [text for text in texts if not _NULL.search(text)]
        text = b"\n".join((b"", *texts, b""))
    # "nil" first, while every keyword still begins with a colon and cannot be mistaken for it.
    text = text.replace(b", ", b" ").replace(b" nil", b" null").replace(b"[nil", b"[null").replace(b"\nnil", b"\nnull")
    text = text.replace(b"[:append ", b'["append" ').replace(b"[:r ", b'["r" ').replace(b"[:w ", b'["w" ')
    if b":" in text:
        text = _KEYWORD.sub(rb'"\1"', text)
    text = text.translate(_COMMAS)
    try:
        if len(_check(b"[" + text[1:-1].replace(b"\n", b",") + b"]")) != len(texts):
            return {}
    except msgspec.MsgspecError:
        return {}
    found = zip(texts, text.split(b"\n")[1:-1], strict=True)
    if b"-0" in text or _UNUSUAL.search(text):
        return {text: json for text, json in found if json[:1] in (b"[", b'"') and PACKED.fullmatch(json)}
    return {text: json for text, json in found if json[:1] in (b"[", b'"')}


def parse(text: bytes) -> Any:
    """The value of ``text``. Raises Malformed when it is not exactly one form."""
    reader = Reader(text)
    value = reader.form()
    if len(text) > reader.position and text[reader.position :].strip(b" \t\r\n,"):
        raise Malformed("expected one value, found more", reader.position)
    return value


def _has(text: bytes, any_of: bytes) -> bool:
    return len(text.translate(None, any_of)) < len(text)


# --- writing ---------------------------------------------------------------------------------------

_PLAIN: Final = re.compile(r"[A-Za-z*!_?$%&=<>][\w*!?$%&=<>.+-]*\Z")
_MICRO_OPS: Final = ("append", "r", "w", "read", "write")


def keyword(name: str) -> str:
    """``name`` as a keyword, or as a string where no keyword can be called so."""
    return f":{name}" if _PLAIN.match(name) else written(name)


def written(value: Any) -> str:
    """``value`` as EDN. The first word of a transaction's step becomes a keyword."""
    if value is None or isinstance(value, bool):
        return {None: "nil", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return msgspec.json.encode(value).decode()
    if isinstance(value, list | tuple):
        step = len(value) in (2, 3) and isinstance(value[0], str) and value[0] in _MICRO_OPS
        items = [f":{value[0]}", *map(written, value[1:])] if step else map(written, value)
        return f"[{' '.join(items)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} {written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, float) and value - value != 0:
        return "##NaN" if value != value else "##Inf" if value > 0 else "##-Inf"
    return str(value)


def _key(key: Any) -> str:
    return keyword(key) if isinstance(key, str) else written(key)
