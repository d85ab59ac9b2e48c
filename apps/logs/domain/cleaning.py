"""What every row goes through before it is stored: made storable, redacted, cut to its length."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from apps.logs.domain.evidence import storable, storable_value
from apps.logs.domain.redaction import redact, redact_value, suspicious
from apps.logs.domain.redaction.names import rule_of

# A text without a limit of its own still has one.
LONGEST_TEXT = 1_000_000
# Texts up to here are remembered when nothing had to be done with them.
SHORT = 64
LARGE = 2**53
ALTERED = "_altered"
CUT = "…"


def clean(values: Mapping[str, Any], limits: Mapping[str, int | None]) -> dict[str, Any]:
    """Return the values of one row as they may be stored.

    ``limits`` gives characters by field; None, or no entry, means a million. What was replaced or
    cut is told in ``metadata["_altered"]``, by field. Secrets leave no such note: ``[redacted]``
    stands where they were. They go before anything is cut, so none is left by half.
    """
    cleaned = dict(values)
    notes: dict[str, str] = {}
    texts: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, str):
            if not is_plain(value, limits.get(name)):
                texts[name] = value
        elif isinstance(value, dict | list | tuple) and value and not is_plain_object(value):
            kept, replaced = storable_value(value)
            cleaned[name] = redact_value(kept)
            if replaced:
                notes[name] = _replaced(replaced)
    # One look over the whole row spares nearly every row a look at each of its texts.
    joined = "\n".join(texts.values())
    ordinary = joined.isascii() and "\x00" not in joined
    harmless = not suspicious(joined)
    for name, text in texts.items():
        limit = limits.get(name)
        limit = LONGEST_TEXT if limit is None else limit
        if ordinary and harmless and len(text) <= limit:
            continue
        cleaned[name], note = _clean_text(text, limit, harmless)
        if note:
            notes[name] = note
    if notes:
        cleaned["metadata"] = _with_notes(cleaned.get("metadata"), notes)
    return cleaned


def is_plain(text: str, limit: int | None = None) -> bool:
    """Tell whether a short text needs nothing done; False may be a doubt."""
    size = len(text)
    return size <= SHORT and (limit is None or size <= limit) and _is_plain(text)


def is_plain_object(value: Any) -> bool:
    """Tell whether an object of a few plain values needs nothing done; False may be a doubt."""
    return type(value) is dict and all(
        type(name) is str
        and is_plain(name)
        and (
            is_plain(inner)
            if type(inner) is str
            else inner is None
            or type(inner) is bool
            or (type(inner) is int and -LARGE < inner < LARGE)
        )
        for name, inner in value.items()
    )


@lru_cache(maxsize=8192)
def _is_plain(text: str) -> bool:
    # Names of loggers, modules and symbols come again and again.
    return text.isascii() and "\x00" not in text and not suspicious(text) and not rule_of(text)


def _clean_text(text: str, limit: int, harmless: bool) -> tuple[str, str]:
    text, replaced = storable(text)
    if not harmless:
        text = redact(text)
    notes = [_replaced(replaced)] if replaced else []
    if len(text) > limit:
        notes.append(f"cut from {len(text)} to {limit} characters")
        text = text[: max(limit - len(CUT), 0)] + CUT[:limit]
    return text, "; ".join(notes)


def _replaced(count: int) -> str:
    return f"{count} character{'' if count == 1 else 's'} that cannot be kept"


def _with_notes(metadata: Any, notes: dict[str, str]) -> dict[str, Any]:
    if not isinstance(metadata, dict):
        # Metadata is an object by definition; anything else is kept inside one.
        metadata = {"value": metadata} if metadata else {}
    before = metadata.get(ALTERED)
    return {**metadata, ALTERED: {**before, **notes} if isinstance(before, dict) else notes}
