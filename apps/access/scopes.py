"""The closed list of scopes: read and write for every app that holds a domain, and a few more."""

from django.apps import apps
from django.core.exceptions import ValidationError

VERBS = ("read", "write")
# Keys are made by staff alone, and the kernel holds nothing to read.
WITHOUT_SCOPES = {"shared", "access"}
# What read does not open: what models were asked, and what they answered word for word.
MORE_VERBS = {"agents": ("prompts",)}


def domain_apps() -> list[str]:
    """Return the labels of our own apps that are open to keys, in alphabetical order."""
    return sorted(
        config.label
        for config in apps.get_app_configs()
        if config.name.startswith("apps.") and config.label not in WITHOUT_SCOPES
    )


def known_scopes() -> list[str]:
    """Return every scope a key can carry: ``<app>:read``, ``<app>:write``, ``agents:prompts``."""
    return [
        f"{label}:{verb}"
        for label in domain_apps()
        for verb in (*VERBS, *MORE_VERBS.get(label, ()))
    ]


def validate_scopes(scopes: list[str]) -> None:
    """Refuse an empty list, doubles, and words that are no scope."""
    if not scopes:
        raise ValidationError("A key needs at least one scope.", code="no_scope")
    if unknown := sorted(set(scopes) - set(known_scopes())):
        raise ValidationError(
            "Unknown: %(unknown)s. Known scopes: %(known)s.",
            code="unknown_scope",
            params={"unknown": ", ".join(unknown), "known": ", ".join(known_scopes())},
        )
    if len(set(scopes)) != len(scopes):
        raise ValidationError("A scope is named twice.", code="scope_twice")
