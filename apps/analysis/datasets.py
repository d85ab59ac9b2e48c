"""What of the analyses, and of what models say, may leave one day."""

from django.db.models import Exists, F, OuterRef, Q

from apps.analysis.choices import OutcomeStatus
from apps.analysis.models import (
    Analysis,
    BacktestMetric,
    LeverageCalculation,
    ModelOutcome,
    ModelSignal,
    Prediction,
)
from apps.executions.choices import ExecutionStatus
from apps.executions.models import Execution
from apps.shared.retention.datasets import Dataset, Dependent, Exemption, register

WHY_UNJUDGED = "what became of it is not known yet"

broken_off = Execution.objects.filter(
    pk=OuterRef("execution_id"),
    status__in=[ExecutionStatus.FAILED, ExecutionStatus.CANCELLED],
)
unjudged = ModelOutcome.objects.filter(status=OutcomeStatus.OPEN)

register(
    Dataset(
        name="analyses",
        title="Orphaned analyses",
        about="Analyses whose run failed or was called off, with their figures; their trade files "
        "stay on the disk, where others may share them.",
        model=Analysis,
        times=("generated_at",),
        age_days=30,
        scope=Q(Exists(broken_off)),
        dependents=(
            Dependent(BacktestMetric, F("analysis")),
            Dependent(LeverageCalculation, F("analysis")),
        ),
    ),
    Dataset(
        name="predictions",
        title="Predictions",
        about="Forecasts of models that were judged, with what became of them.",
        model=Prediction,
        times=("timestamp",),
        age_days=365,
        never=(
            Exemption(
                "unjudged",
                WHY_UNJUDGED,
                Q(Exists(unjudged.filter(prediction_id=OuterRef("prediction_id")))),
            ),
        ),
        # Outcomes point to the sender's names; what leaves together is known by its key.
        dependents=(Dependent(ModelOutcome, F("prediction__id")),),
    ),
    Dataset(
        name="model_signals",
        title="Model signals",
        about="What models advised and was judged, with what became of it.",
        model=ModelSignal,
        times=("timestamp",),
        age_days=365,
        enabled=False,
        never=(
            Exemption(
                "unjudged",
                WHY_UNJUDGED,
                Q(Exists(unjudged.filter(signal_id=OuterRef("signal_id")))),
            ),
        ),
        dependents=(Dependent(ModelOutcome, F("signal__id")),),
    ),
)
