"""Tables of retention: what is kept for how long, who changed that, what was archived."""

from apps.retention.models.archives import Archive
from apps.retention.models.policies import PolicyChange, RetentionPolicy

__all__ = ["Archive", "PolicyChange", "RetentionPolicy"]
