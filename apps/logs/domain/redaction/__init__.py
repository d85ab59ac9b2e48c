"""What must never be stored: secrets are cut out of texts and JSON values before both are kept.

Three ways to know a secret: by its shape (a vendor's key, a JWT, a PEM block, a password inside an
address), by the name that stands before it (``password=…``, ``"api_key": "…"``), and by both (a
wallet's private key looks like a hash). Names and structure stay, the secret becomes
``[redacted]``. Every scan takes time linear in the text.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

from apps.logs.domain.redaction.named import without_named
from apps.logs.domain.redaction.names import REDACTED, harmless, rule_of
from apps.logs.domain.redaction.shapes import DISCORD_START, without_shaped
from apps.logs.domain.redaction.wallets import is_named_key, without_wallets

__all__ = ["HINT", "REDACTED", "redact", "redact_value", "suspicious"]

TOO_DEEP = "[too deep]"
MAX_DEPTH = 100
# What a removed secret uncovers may look like one itself; in practice the second round is quiet.
ROUNDS = 8

# The one look that nearly every text is let pass by: no secret is without one of these. Each
# first letter has one branch: against lower-cased text that is twice as fast as a flat list.
HINT = re.compile(
    r"p(?:ass|wd|hrase|in|riv|k(?![a-z]))"
    r"|s(?:e(?:cret|ed|ss|curity[ _\-]?code)|ig(?:nat|n(?:er|ing)|(?![a-z]))"
    r"|ms[ _\-]?code|g\.|k-)|token|key|a(?:uth|kia|sia|iza)|eyj"
    r"|c(?:red|ookie|v[cv])|otp|jwt|b(?:earer|asic |lt_|ackup[ _\-]?code)|m(?:nemonic|fa)|2fa"
    r"|verification|recovery|\.sid|ya29|x(?:prv|ox|app-)|g(?:h[oprsu]_|lpat-)|npm_"
    r"|_(?:pat|live|test)_|h(?:f_|ooks\.slack)|w(?:hsec_|ebhooks/|if(?![a-z]))|-----b|:(?://|aa)"
)

# What was encoded once is often encoded again as a part of another address, and so logged in a
# third one.
TIMES_ENCODED = 3
ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
# Where a plus is a space: beside escapes, in queries and in forms.
FORM = re.compile(r"[?&=]\w|%[0-9A-Fa-f]{2}")
RUN = re.compile(r"\S++")


def redact(text: str) -> str:
    """Return the text without its secrets; doing so twice changes nothing more.

    Where a secret only shows once percent escapes are decoded, the decoded text is returned.
    """
    if not suspicious(text):
        return text
    for _ in range(ROUNDS):
        cleaner = _cleaner(text)
        if cleaner == text:
            break
        text = cleaner
    return text


def suspicious(text: str) -> bool:
    """Say whether the text may hold a secret; False is certain, True is not."""
    if _hinted(text):
        return True
    return ("%" in text or "+" in text) and any(map(_hinted, _decodings(text)))


def _hinted(text: str) -> bool:
    return bool(HINT.search(text.lower()) or DISCORD_START.search(text))


def _cleaner(text: str) -> str:
    found = _without_any(text)
    if found != text:
        return found
    for decoded in _decodings(text):
        found = _without_any(decoded)
        if found != decoded:
            return found
    return text


def _without_any(text: str) -> str:
    return without_wallets(without_named(without_shaped(text)))


def _decodings(text: str) -> Iterator[str]:
    """Give the text decoded once, twice, three times, while there is anything to decode."""
    for _ in range(TIMES_ENCODED):
        if not ESCAPE.search(text) and not ("+" in text and FORM.search(text)):
            return
        text = RUN.sub(_decoded_run, text)
        yield text


def _decoded_run(match: re.Match[str]) -> str:
    run = match[0]
    if "+" in run and FORM.search(run):
        run = run.replace("+", " ")
    # No database keeps a NUL.
    return unquote(run).replace("\x00", "\ufffd") if "%" in run else run


def redact_value(value: Any) -> Any:
    """Return a JSON value without its secrets.

    What stands under a key that says secret is hidden as a whole; None, booleans and empty text
    stay, for they tell that there is none. All other texts, keys too, go through ``redact``.
    """
    return _redacted(value, 0)


def _redacted(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return redact(value)
    if not isinstance(value, dict | list | tuple):
        return value
    if depth >= MAX_DEPTH:
        return TOO_DEEP
    if isinstance(value, dict):
        return _redacted_object(value, depth)
    return _redacted_list(value, depth)


def _redacted_object(value: dict[Any, Any], depth: int) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    # Forms and HAR files: {"name": "password", "value": "…"}.
    named = value.get("name", value.get("key"))
    for key, inner in value.items():
        rule = rule_of(key) if isinstance(key, str) else ""
        if key == "value" and isinstance(named, str):
            rule = rule or rule_of(named)
        shown = redact(key) if isinstance(key, str) else key
        while shown in found:
            shown = f"{shown} (again)"
        secret = (rule and _hides(inner, rule)) or (
            isinstance(key, str) and isinstance(inner, str) and is_named_key(key, inner)
        )
        found[shown] = REDACTED if secret else _redacted(inner, depth + 1)
    return found


def _redacted_list(value: list[Any] | tuple[Any, ...], depth: int) -> list[Any]:
    found: list[Any] = []
    after = ""
    for inner in value:
        pair = isinstance(inner, list | tuple) and len(inner) == 2 and isinstance(inner[0], str)
        if after and isinstance(inner, str) and not inner.startswith("-") and _hides(inner, after):
            found.append(REDACTED)
        elif pair and (rule := rule_of(inner[0])) and _hides(inner[1], rule):
            # Headers as a list of pairs.
            found.append([redact(inner[0]), REDACTED])
        else:
            found.append(_redacted(inner, depth + 1))
        # A command line as a list: ["--password", "…"].
        flag = isinstance(inner, str) and inner.startswith("-") and "=" not in inner
        after = rule_of(inner) if flag else ""
    return found


def _hides(value: Any, rule: str) -> bool:
    if value is None or isinstance(value, bool):
        return False
    if isinstance(value, str):
        return not harmless(value, rule)
    if isinstance(value, int | float | Decimal):
        return rule not in ("unless number", "looks")
    return bool(value)
