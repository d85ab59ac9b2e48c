"""What of the alerts may leave one day."""

from django.db.models import Exists, F, OuterRef, Q

from apps.alerts.choices import PerformanceStatus
from apps.alerts.models import Alert, AlertPerformance, TrackedPrice
from apps.shared.retention.datasets import Dataset, Dependent, Exemption, register

unsettled = AlertPerformance.objects.filter(
    alert_id=OuterRef("alert_id"), status=PerformanceStatus.OPEN
)

register(
    Dataset(
        name="alerts",
        title="Alerts",
        about="Alerts that are settled, with the prices that followed and what became of them.",
        model=Alert,
        times=("timestamp",),
        age_days=731,
        enabled=False,
        never=(Exemption("unsettled", "its prices are still followed", Q(Exists(unsettled))),),
        # They point to the sender's name of the alert; what leaves together is known by its key.
        dependents=(
            Dependent(TrackedPrice, F("alert__id")),
            Dependent(AlertPerformance, F("alert__id")),
        ),
    )
)
