"""Text as evidence: what a database can keep of it."""

import math
import re
from decimal import Decimal
from typing import Any

REPLACEMENT = "\ufffd"
TOO_DEEP = "[too deep]"
IN_ITSELF = "[contains itself]"
MAX_DEPTH = 100
# PostgreSQL keeps no numbers in JSON beyond this, and Python writes no whole ones this long.
LONGEST_NUMBER = 4000

UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# Two halves that belong together are one character, only written apart.
SURROGATE_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")


def storable(text: str) -> tuple[str, int]:
    """Return the text with NUL and lone surrogates as U+FFFD, and how many there were."""
    if text.isascii() and "\x00" not in text:
        return text, 0
    if not UNSTORABLE.search(text):
        return text, 0
    return UNSTORABLE.subn(REPLACEMENT, SURROGATE_PAIR.sub(_joined, text))


def _joined(match: re.Match[str]) -> str:
    return match[0].encode("utf-16", "surrogatepass").decode("utf-16")


def storable_value(value: Any) -> tuple[Any, int]:
    """Return a value that JSON can hold and PostgreSQL can keep, and how many characters changed.

    NaN, infinities and numbers of absurd length become text, unknown objects ``str()``, keys text.
    """
    return _storable(value, 0, set())


def _storable(value: Any, depth: int, holders: set[int]) -> tuple[Any, int]:
    if isinstance(value, str):
        return storable(value)
    if value is None or isinstance(value, bool):
        return value, 0
    if isinstance(value, int | float | Decimal):
        return _storable_number(value), 0
    if not isinstance(value, dict | list | tuple | set | frozenset):
        return storable(_text_of(value))
    if id(value) in holders:
        return IN_ITSELF, 0
    if depth >= MAX_DEPTH:
        return TOO_DEEP, 0
    holders.add(id(value))
    replaced = 0
    result: Any
    if isinstance(value, dict):
        result = {}
        for key, inner in value.items():
            name, in_key = storable(key if isinstance(key, str) else _text_of(key))
            while name in result:
                name = f"{name} (again)"
            result[name], in_value = _storable(inner, depth + 1, holders)
            replaced += in_key + in_value
    else:
        result = []
        for inner in value:
            kept, in_value = _storable(inner, depth + 1, holders)
            result.append(kept)
            replaced += in_value
    holders.discard(id(value))
    return result, replaced


def _storable_number(value: int | float | Decimal) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else _text_of(value)
    if isinstance(value, Decimal):
        kept = value.is_finite() and abs(value.adjusted()) < LONGEST_NUMBER
        return value if kept and len(value.as_tuple().digits) < LONGEST_NUMBER else _text_of(value)
    return value if value.bit_length() < 3 * LONGEST_NUMBER else hex(value)


def _text_of(value: Any) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001  # a foreign __str__ may raise anything
        return f"<{type(value).__name__} that has no text>"
