"""Admin pages of keys, and of the staff who come in by a password."""

from apps.access.admin import keys, staff

__all__ = ["keys", "staff"]
