"""Closed vocabularies of the access app."""

from django.db.models import TextChoices


class KeyState(TextChoices):
    """How a key stands at one moment; only the first two open anything."""

    ACTIVE = "active", "Active"
    RETIRING = "retiring", "Replaced, still valid"
    EXPIRED = "expired", "Expired"
    REVOKED = "revoked", "Revoked"


# How each state looks, wherever it is shown.
COLORS = {
    KeyState.ACTIVE: "success",
    KeyState.RETIRING: "warning",
    KeyState.EXPIRED: "default",
    KeyState.REVOKED: "danger",
}
