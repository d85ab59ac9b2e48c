"""Closed vocabularies of the alerts app, each with the colors of its badges."""

from django.db.models import TextChoices


class Priority(TextChoices):
    CRITICAL = "critical", "Critical"
    HIGH = "high", "High"
    MEDIUM = "medium", "Medium"
    LOW = "low", "Low"


class Direction(TextChoices):
    LONG = "long", "Long"
    SHORT = "short", "Short"


class CheckpointStatus(TextChoices):
    """What is known of the price at a checkpoint; one that still waits has no row."""

    KNOWN = "known", "Known"
    MISSING = "missing", "Missing"


class PerformanceStatus(TextChoices):
    OPEN = "open", "Open"
    SETTLED = "settled", "Settled"


class FirstTouch(TextChoices):
    """Which of target and stop the price met first; empty where neither was named or yet met."""

    TARGET = "target", "Target"
    STOP = "stop", "Stop"
    AMBIGUOUS = "ambiguous", "Ambiguous"
    NONE = "none", "None"


COLORS: dict[str, str] = {
    Priority.CRITICAL: "danger",
    Priority.HIGH: "warning",
    Priority.MEDIUM: "info",
    Priority.LOW: "default",
    Direction.LONG: "success",
    Direction.SHORT: "danger",
    CheckpointStatus.KNOWN: "success",
    CheckpointStatus.MISSING: "warning",
    PerformanceStatus.OPEN: "info",
    PerformanceStatus.SETTLED: "default",
    FirstTouch.TARGET: "success",
    FirstTouch.STOP: "danger",
    FirstTouch.AMBIGUOUS: "warning",
    FirstTouch.NONE: "default",
}
