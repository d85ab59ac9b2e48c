"""Closed vocabularies of the analysis app, each with the colors of its badges."""

from django.db.models import TextChoices


class AnalysisStatus(TextChoices):
    PENDING = "pending", "Pending"
    RUNNING = "running", "Running"
    COMPLETED = "completed", "Completed"
    NO_SIGNAL = "no_signal", "No signal"
    FAILED = "failed", "Failed"
    SKIPPED = "skipped", "Skipped"


class Origin(TextChoices):
    """Whose figures the columns of an analysis hold."""

    NONE = "none", "None yet"
    COMPUTED = "computed", "Computed here"
    REPORTED = "reported", "Reported"


class ModelStatus(TextChoices):
    TRAINING = "training", "Training"
    CANDIDATE = "candidate", "Candidate"
    ACTIVE = "active", "Active"
    DEPRECATED = "deprecated", "Deprecated"
    RETIRED = "retired", "Retired"


class Direction(TextChoices):
    LONG = "long", "Long"
    SHORT = "short", "Short"


class OutcomeStatus(TextChoices):
    OPEN = "open", "Open"
    SETTLED = "settled", "Settled"
    # Claims nothing about a direction, so there is nothing to judge.
    NO_CLAIM = "no_claim", "No claim"


class ResultShape(TextChoices):
    """In which of the shapes in use the results of a backtest came."""

    NESTED = "nested", "Nested"
    FLAT = "flat", "Flat"
    FAILURE = "failure", "Failure"
    UNKNOWN = "unknown", "Unknown"
    NONE = "none", "No results"


class FeatureCategory(TextChoices):
    TECHNICAL = "technical", "Technical"
    SENTIMENT = "sentiment", "Sentiment"
    ON_CHAIN = "on_chain", "On-chain"
    MACRO = "macro", "Macro"


COLORS: dict[str, str] = {
    AnalysisStatus.PENDING: "default",
    AnalysisStatus.RUNNING: "info",
    AnalysisStatus.COMPLETED: "success",
    AnalysisStatus.NO_SIGNAL: "default",
    AnalysisStatus.FAILED: "danger",
    AnalysisStatus.SKIPPED: "default",
    Origin.NONE: "default",
    Origin.COMPUTED: "success",
    Origin.REPORTED: "warning",
    ModelStatus.TRAINING: "info",
    ModelStatus.CANDIDATE: "default",
    ModelStatus.ACTIVE: "success",
    ModelStatus.DEPRECATED: "warning",
    ModelStatus.RETIRED: "default",
    Direction.LONG: "success",
    Direction.SHORT: "danger",
    OutcomeStatus.OPEN: "info",
    OutcomeStatus.SETTLED: "default",
    OutcomeStatus.NO_CLAIM: "default",
    ResultShape.NESTED: "default",
    ResultShape.FLAT: "default",
    ResultShape.FAILURE: "danger",
    ResultShape.UNKNOWN: "warning",
    FeatureCategory.TECHNICAL: "info",
    FeatureCategory.SENTIMENT: "warning",
    FeatureCategory.ON_CHAIN: "success",
    FeatureCategory.MACRO: "default",
}
