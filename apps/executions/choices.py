"""Closed vocabularies of the executions app, each with the colors of its badges."""

from django.db.models import TextChoices


class ExecutionStatus(TextChoices):
    """The life of a run. What stands below RUNNING is final."""

    PENDING = "PENDING", "Pending"
    RUNNING = "RUNNING", "Running"
    COMPLETED = "COMPLETED", "Completed"
    PARTIAL_SUCCESS = "PARTIAL_SUCCESS", "Partial success"
    FAILED = "FAILED", "Failed"
    CANCELLED = "CANCELLED", "Cancelled"


class StepStatus(TextChoices):
    """The life of a step. What stands below RUNNING is final."""

    PENDING = "PENDING", "Pending"
    RUNNING = "RUNNING", "Running"
    SUCCESS = "SUCCESS", "Success"
    FAILED = "FAILED", "Failed"
    FAILED_INSUFFICIENT_DATA = "FAILED_INSUFFICIENT_DATA", "Failed: insufficient data"
    FAILED_INSUFFICIENT_CONFIG = "FAILED_INSUFFICIENT_CONFIG", "Failed: insufficient configuration"
    FAILED_LEVERAGE_ANALYSIS = "FAILED_LEVERAGE_ANALYSIS", "Failed: leverage analysis"
    SKIPPED = "SKIPPED", "Skipped"
    CANCELLED = "CANCELLED", "Cancelled"


class Health(TextChoices):
    """How a run looks from outside: a lost one has stopped reporting, a stuck one goes nowhere."""

    OK = "ok", "Fine"
    STUCK = "stuck", "Stuck"
    LOST = "lost", "Lost"


# The badges that stand for a failed step are told apart by their words alone.
COLORS: dict[str, str] = {
    ExecutionStatus.PENDING: "default",
    ExecutionStatus.RUNNING: "info",
    ExecutionStatus.COMPLETED: "success",
    ExecutionStatus.PARTIAL_SUCCESS: "warning",
    ExecutionStatus.FAILED: "danger",
    ExecutionStatus.CANCELLED: "default",
    StepStatus.SUCCESS: "success",
    StepStatus.FAILED_INSUFFICIENT_DATA: "danger",
    StepStatus.FAILED_INSUFFICIENT_CONFIG: "danger",
    StepStatus.FAILED_LEVERAGE_ANALYSIS: "danger",
    StepStatus.SKIPPED: "default",
    Health.OK: "success",
    Health.STUCK: "warning",
    Health.LOST: "danger",
}
