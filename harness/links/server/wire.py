"""The JSON of the API, read and written as the original does, down to its error texts.

Clients match on error bodies, so these must be alike: reading is lenient in the same ways (keys in any case,
null leaves a default, bytes after the value are ignored) and complains in the same words. Writing escapes
``<``, ``>`` and ``&``, and shows a toxicity as the shortest text of a 32-bit float.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NoReturn

_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER_PARTS = (
    (re.compile(r"-?"), re.compile(r"0|[1-9][0-9]*"), "in numeric literal"),
    (re.compile(r"\.?"), re.compile(r"[0-9]+"), "after decimal point in numeric literal"),
    (re.compile(r"([eE][+-]?)?"), re.compile(r"[0-9]+"), "in exponent of numeric literal"),
)
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_LITERALS = {"t": ("true", True), "f": ("false", False), "n": ("null", None)}
_CHARACTER_NAMES = {"'": r"\'", "\a": r"\a", "\b": r"\b", "\f": r"\f", "\v": r"\v"}


class WireError(Exception):
    """A body that cannot be used; the text goes behind ``bad request body: ``."""


class Number(str):
    """A number as it was written, so that errors can show it."""

    __slots__ = ()


def read(body: bytes) -> Any:
    """The first JSON value in ``body``: dict, list, str, bool, None or :class:`Number`."""
    reader = _Reader(body.decode("latin-1"))
    try:
        return reader.value()
    except RecursionError:
        raise WireError("exceeded max depth") from None


def fields(value: Any, types: Mapping[str, str], struct_name: str, whole: str, path: str = "") -> dict[str, Any]:
    """The fields of object ``value`` that ``types`` (name to wire type) knows; null and unknown ones are left out.

    ``struct_name`` and ``path`` say in errors where a wrong field is, ``whole`` what should have been an object.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        refuse(value, whole)
    found: dict[str, Any] = {}
    for key, item in value.items():
        name = key if key in types else next((n for n in types if n.lower() == key.lower()), None)
        if name is not None and item is not None:
            found[name] = _typed(item, types[name], f"Go struct field {struct_name}.{path}{name}")
    return found


def refuse(value: Any, whole: str) -> NoReturn:
    """Complain that ``value`` is not the ``whole`` that it should be."""
    raise WireError(f"json: cannot unmarshal {_kind(value)} into {whole}")


def write(value: Any) -> bytes:
    """Compact JSON text of dicts, lists, texts, numbers, booleans and None; floats are shown as 32-bit ones."""
    return _text(value).encode("utf-8", "replace")


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{_text(key)}:{_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    if isinstance(value, float):
        return _shortest_float32(value)
    text = json.dumps(value, ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _shortest_float32(value: float) -> str:
    """The fewest digits that name the same 32-bit float, with an exponent only for very large and small ones."""
    if value == 0 or 1e-6 <= abs(value) < 1e21:
        digits = next(d for d in range(1, 18) if as_float32(float(f"{value:.{d}g}")) == value)
        return f"{Decimal(f'{value:.{digits}g}'):f}"
    digits = next(d for d in range(17) if as_float32(float(f"{value:.{d}e}")) == value)
    return re.sub(r"e([+-])0+", r"e\1", f"{value:.{digits}e}")


def _finite(value: float) -> float:
    if math.isinf(value):
        raise OverflowError("too large")
    return value


def as_float32(value: float) -> float:
    """``value`` rounded to a 32-bit float; OverflowError when it is too large for one."""
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def _kind(value: Any) -> str:
    names = {bool: "bool", Number: "number", str: "string", list: "array", dict: "object"}
    return names[type(value)]


def _typed(item: Any, wanted: str, where: str) -> Any:
    """``item`` as a value of the wire type ``wanted``; ``any`` and names of structs leave it as it is."""
    kind = _kind(item)
    if wanted == "any":
        return item
    accepted = {"string": "string", "bool": "bool", "int64": "number", "int": "number", "float32": "number"}
    if kind != accepted.get(wanted, "object"):
        raise WireError(f"json: cannot unmarshal {kind} into {where} of type {wanted}")
    if kind != "number":
        return item
    try:
        if wanted == "float32":
            return as_float32(_finite(float(item)))
        number = int(item)
        struct.pack("q", number)
    except (ValueError, OverflowError, struct.error):
        raise WireError(f"json: cannot unmarshal number {item} into {where} of type {wanted}") from None
    return number


class _Reader:
    """A JSON parser over bytes seen as Latin-1 characters, so that errors can name the byte."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def value(self) -> Any:
        self._skip(_SPACE)
        if self._at == len(self._text) and not self._text.strip():
            raise WireError("EOF")
        first = self._peek()
        if first == "{":
            return self._object()
        if first == "[":
            return self._array()
        if first == '"':
            return self._string()
        if first in _LITERALS:
            return self._literal(*_LITERALS[first])
        if first == "-" or first.isdigit():
            return self._number()
        self._fail("looking for beginning of value")

    def _peek(self) -> str:
        if self._at >= len(self._text):
            raise WireError("unexpected EOF")
        return self._text[self._at]

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            return ""
        self._at = match.end()
        return match.group()

    def _fail(self, where: str) -> NoReturn:
        character = self._peek()
        shown = _CHARACTER_NAMES.get(character) or json.dumps(character, ensure_ascii=False)[1:-1]
        if character == '"':
            shown = '"'
        elif "\\u00" in shown or character == "\x7f" or "\x80" <= character < "\xa0":
            shown = f"\\x{ord(character):02x}" if character <= "\x7f" else f"\\u{ord(character):04x}"
        raise WireError(f"invalid character '{shown}' {where}")

    def _take(self, wanted: str, where: str) -> str:
        """One of the characters ``wanted``, after white space."""
        self._skip(_SPACE)
        character = self._peek()
        if character not in wanted:
            self._fail(where)
        self._at += 1
        return character

    def _object(self) -> dict[str, Any]:
        self._at += 1
        self._skip(_SPACE)
        found: dict[str, Any] = {}
        if self._peek() == "}":
            self._at += 1
            return found
        while True:
            self._take('"', "looking for beginning of object key string")
            self._at -= 1
            key = self._string()
            self._take(":", "after object key")
            self._skip(_SPACE)
            self._peek()
            found.pop(key, None)
            found[key] = self.value()
            if self._take(",}", "after object key:value pair") == "}":
                return found

    def _array(self) -> list[Any]:
        self._at += 1
        self._skip(_SPACE)
        found: list[Any] = []
        if self._peek() == "]":
            self._at += 1
            return found
        while True:
            self._skip(_SPACE)
            self._peek()
            found.append(self.value())
            if self._take(",]", "after array element") == "]":
                return found

    def _literal(self, word: str, value: bool | None) -> bool | None:
        for character in word:
            if self._peek() != character:
                self._fail(f"in literal {word} (expecting '{character}')")
            self._at += 1
        return value

    def _number(self) -> Number:
        start = self._at
        for prefix, digits, where in _NUMBER_PARTS:
            optional = where != "in numeric literal"
            if not self._skip(prefix) and optional:
                continue
            if not self._skip(digits):
                self._fail(where)
        return Number(self._text[start : self._at])

    def _string(self) -> str:
        self._at += 1
        parts: list[str] = []
        while True:
            parts.append(self._skip(_PLAIN).encode("latin-1").decode("utf-8", "replace"))
            character = self._peek()
            if character == '"':
                self._at += 1
                # Pairs of \u escapes are joined here; a lone half is no character.
                return "".join(parts).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            if character != "\\":
                self._fail("in string literal")
            self._at += 1
            parts.append(self._escape())

    def _escape(self) -> str:
        character = self._peek()
        if character != "u":
            if character not in _ESCAPES:
                self._fail("in string escape code")
            self._at += 1
            return _ESCAPES[character]
        self._at += 1
        start = self._at
        for _ in range(4):
            if self._peek() not in "0123456789abcdefABCDEF":
                self._fail("in \\u hexadecimal character escape")
            self._at += 1
        return chr(int(self._text[start : self._at], 16))
