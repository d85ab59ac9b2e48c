"""Admin pages of retention: policies with their previews, what changed in them, archives."""

from apps.retention.admin import archives, changes, policies

__all__ = ["archives", "changes", "policies"]
