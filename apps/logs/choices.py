"""Closed vocabularies of the logs app, each with the colors of its badges."""

from django.db.models import TextChoices


class Severity(TextChoices):
    DEBUG = "DEBUG", "Debug"
    INFO = "INFO", "Info"
    WARNING = "WARNING", "Warning"
    ERROR = "ERROR", "Error"
    CRITICAL = "CRITICAL", "Critical"


class OperationStatus(TextChoices):
    SUCCESS = "success", "Success"
    ERROR = "error", "Error"
    TIMEOUT = "timeout", "Timeout"


class ErrorState(TextChoices):
    """How staff stand towards an error that may come again."""

    NEW = "new", "New"
    REGRESSED = "regressed", "Regressed"
    MUTED = "muted", "Muted"
    RESOLVED = "resolved", "Resolved"


class NotificationLevel(TextChoices):
    INFO = "info", "Info"
    WARNING = "warning", "Warning"
    CRITICAL = "critical", "Critical"


class ActivitySource(TextChoices):
    """Which table a line of the activity comes from."""

    SYSTEM_LOG = "system_log", "Log"
    TRADING_EVENT = "trading_event", "Event"
    PERFORMANCE = "performance", "Operation"
    ERROR = "error", "Error"
    USER_ACTION = "user_action", "Request"


COLORS: dict[str, str] = {
    Severity.DEBUG: "default",
    Severity.INFO: "info",
    Severity.WARNING: "warning",
    Severity.ERROR: "danger",
    Severity.CRITICAL: "danger",
    OperationStatus.SUCCESS: "success",
    OperationStatus.ERROR: "danger",
    OperationStatus.TIMEOUT: "warning",
    ErrorState.NEW: "danger",
    ErrorState.REGRESSED: "danger",
    ErrorState.MUTED: "default",
    ErrorState.RESOLVED: "success",
    NotificationLevel.INFO: "info",
    NotificationLevel.WARNING: "warning",
    NotificationLevel.CRITICAL: "danger",
}
