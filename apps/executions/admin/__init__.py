"""Admin pages of the executions app: runs and their steps."""

from apps.executions.admin import executions, steps

__all__ = ["executions", "steps"]
