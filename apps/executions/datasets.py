"""What of the executions may leave one day."""

from django.db.models import F, Q

from apps.executions.choices import ExecutionStatus
from apps.executions.models import Execution, ExecutionStep
from apps.shared.retention.datasets import Dataset, Dependent, Exemption, register

UNDER_WAY = Q(status__in=[ExecutionStatus.PENDING, ExecutionStatus.RUNNING])

register(
    Dataset(
        name="executions",
        title="Executions",
        about="Runs that are over, with their steps; one that a kept row points to stays with it.",
        model=Execution,
        times=("timestamp_end", "created_at"),
        age_days=90,
        never=(Exemption("running", "it is still under way", UNDER_WAY),),
        dependents=(Dependent(ExecutionStep, F("execution")),),
    )
)
