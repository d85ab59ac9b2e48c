"""What prompts, answers and their pieces go through before they are stored."""

from typing import Any

from apps.logs.domain.cleaning import CUT
from apps.logs.domain.evidence import storable, storable_value
from apps.logs.domain.redaction import redact, redact_value

LONGEST_TEXT = 1_000_000
SECRETS = "secrets redacted"


def cleaned(text: str, *, limit: int = LONGEST_TEXT) -> tuple[str, str]:
    """Return a text as it may be stored, and what was done to it ('' for nothing).

    NUL and halves of surrogate pairs become U+FFFD, secrets ``[redacted]``, and what is longer
    than ``limit`` characters is cut at its end. Secrets go before anything is cut, so none is left
    by half. Takes time linear in the text; cleaning twice changes nothing more.
    """
    kept, replaced = storable(text)
    shown = redact(kept)
    notes = [_replaced(replaced)] if replaced else []
    if shown != kept:
        notes.append(SECRETS)
    if len(shown) > limit:
        notes.append(f"cut from {len(shown)} to {limit} characters")
        shown = shown[: max(limit - len(CUT), 0)] + CUT[:limit]
    return shown, "; ".join(notes)


def cleaned_document(value: Any) -> tuple[Any, str]:
    """Return a JSON value as it may be stored, and what was done to it ('' for nothing).

    Its texts and keys as ``cleaned`` has them, without the limit; what stands under a name that
    says secret is hidden whole. NaN and infinities become text, what nests deeper than 100 levels
    ``[too deep]``.
    """
    kept, replaced = storable_value(value)
    shown = redact_value(kept)
    notes = [_replaced(replaced)] if replaced else []
    if shown != kept:
        notes.append(SECRETS)
    return shown, "; ".join(notes)


def _replaced(count: int) -> str:
    return f"{count} character{'' if count == 1 else 's'} that cannot be kept"
