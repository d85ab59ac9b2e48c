"""Tables of the logs app, one module per subject."""

from apps.logs.models.activity import RecentActivity
from apps.logs.models.entries import (
    ENTRIES,
    ErrorLog,
    LogEntry,
    PerformanceLog,
    SystemLog,
    TradingEvent,
    UserActionLog,
)
from apps.logs.models.errors import ErrorGroup
from apps.logs.models.notifications import Notification

__all__ = [
    "ENTRIES",
    "ErrorGroup",
    "ErrorLog",
    "LogEntry",
    "Notification",
    "PerformanceLog",
    "RecentActivity",
    "SystemLog",
    "TradingEvent",
    "UserActionLog",
]
