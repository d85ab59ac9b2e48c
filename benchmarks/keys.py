"""A key that opens everything, for the programs that are measured."""

from datetime import timedelta

from django.utils import timezone


def make_key() -> str:
    """Make a key and return its text."""
    from apps.access.scopes import known_scopes
    from apps.access.services import create_key

    now = timezone.now()
    return create_key(
        client="benchmark", scopes=known_scopes(), expires_at=now + timedelta(days=1), now=now
    ).text
