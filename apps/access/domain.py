"""What an API key looks like, how it is hashed, and when it opens something."""

import base64
import hashlib
import hmac
import re
import secrets
import uuid
from datetime import datetime

from apps.access.choices import KeyState

# Without the letters that are mistaken for one another: people read prefixes to each other.
PREFIX_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
PREFIX_LENGTH = 8
SECRET_BYTES = 32
SHAPE = re.compile(
    rf"(blt_[{PREFIX_ALPHABET}]{{{PREFIX_LENGTH}}})_[0-9a-f]{{{2 * SECRET_BYTES}}}",
    re.ASCII,
)


def new_key() -> tuple[str, str]:
    """Return (prefix, whole key) of a fresh key: ``blt_`` + 8 letters, ``_``, 256 random bits."""
    prefix = "blt_" + "".join(secrets.choice(PREFIX_ALPHABET) for _ in range(PREFIX_LENGTH))
    return prefix, f"{prefix}_{secrets.token_hex(SECRET_BYTES)}"


def prefix_of(key: str) -> str | None:
    """Return the part of a key that identifies it, or None when this is no key of ours."""
    match = SHAPE.fullmatch(key)
    return match[1] if match else None


def key_hash(key: str, pepper: str) -> str:
    """Return HMAC-SHA-256 of the whole key, 64 hexadecimal digits.

    A fast hash is right here: 256 random bits cannot be guessed, unlike a password.
    """
    return hmac.new(pepper.encode(), key.encode(), hashlib.sha256).hexdigest()


def same_hash(one: str, other: str) -> bool:
    """Compare two hashes in a time that does not tell where they differ."""
    return hmac.compare_digest(one, other)


def state_at(
    now: datetime, *, expires_at: datetime, revoked_at: datetime | None, replaced: bool
) -> KeyState:
    """Return how a key stands at ``now``; a key is expired from ``expires_at`` on."""
    if revoked_at is not None:
        return KeyState.REVOKED
    if now >= expires_at:
        return KeyState.EXPIRED
    return KeyState.RETIRING if replaced else KeyState.ACTIVE


def shown_key(header: str) -> str | None:
    """Return the key that an Authorization header shows, or None where it shows none.

    It stands behind ``Bearer``, or it is the password of ``Basic``, under any name: there are
    programs, Python's HTTPHandler among them, that know nothing else.
    """
    scheme, _, token = header.partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    if scheme.lower() != "basic":
        return None
    try:
        pair = base64.b64decode(token.strip(), validate=True).decode()
    except ValueError:
        return ""
    return pair.partition(":")[2]


def one_spelling(name: str) -> str:
    """Return an id as it is kept, in lower case with hyphens; any other name as it stands."""
    try:
        return str(uuid.UUID(name))
    except ValueError:
        return name
