"""Admin pages of the logs app: entries, activity, errors, notifications, the trace."""

from apps.logs.admin import activity, entries, errors, notifications

__all__ = ["activity", "entries", "errors", "notifications"]
