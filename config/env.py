"""Typed readers of environment variables; nonsense is refused by name."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off", ""}


def text(name: str, default: str = "") -> str:
    """Return the variable as it stands, or ``default`` when it is unset or empty."""
    return os.environ.get(name, "").strip() or default


def flag(name: str, *, default: bool) -> bool:
    """Return a yes/no variable; anything but the usual words is refused."""
    raw = os.environ.get(name)
    if raw is None:
        return default
    word = raw.strip().lower()
    if word in TRUE:
        return True
    if word in FALSE:
        return False
    raise ImproperlyConfigured(f"{name} must be 1 or 0, not {raw!r}.")


def integer(name: str, *, default: int, minimum: int = 0, maximum: int = 2**31 - 1) -> int:
    """Return a whole number within its bounds."""
    raw = text(name)
    if not raw:
        return default
    try:
        number = int(raw)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {raw!r}.") from None
    if not minimum <= number <= maximum:
        raise ImproperlyConfigured(f"{name} must lie between {minimum} and {maximum}, not {raw}.")
    return number


def words(name: str, *, default: list[str]) -> list[str]:
    """Return a comma-separated list without empty words."""
    raw = text(name)
    return [word.strip() for word in raw.split(",") if word.strip()] if raw else default


def url(name: str, *, schemes: set[str]) -> str:
    """Return an address whose scheme is one of ``schemes``, or an empty string when unset."""
    raw = text(name)
    if raw and urlsplit(raw).scheme not in schemes:
        raise ImproperlyConfigured(f"{name} must start with one of {', '.join(sorted(schemes))}.")
    return raw


def folder(name: str, default: Path) -> Path:
    """Return an absolute folder; it need not exist yet."""
    return Path(text(name, str(default))).expanduser().absolute()


def connections(prefix: str) -> dict[str, dict[str, str]]:
    """Return the variables PREFIX_NAME_KEY, _SECRET and _URL as {NAME: {key, secret, url}}."""
    found: dict[str, dict[str, str]] = {}
    for variable in os.environ:
        name, _, part = variable.removeprefix(f"{prefix}_").rpartition("_")
        if variable.startswith(f"{prefix}_") and name and part in ("KEY", "SECRET", "URL"):
            found.setdefault(name, {})[part.lower()] = text(variable)
    return found
