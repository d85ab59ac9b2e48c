"""What of the logs may leave one day."""

from django.db.models import Q

from apps.logs.models import (
    ErrorLog,
    Notification,
    PerformanceLog,
    SystemLog,
    TradingEvent,
    UserActionLog,
)
from apps.shared.retention.datasets import Dataset, Exemption, register

register(
    Dataset(
        name="system_logs",
        title="System logs",
        about="Lines that programs logged; whole months leave.",
        model=SystemLog,
        times=("timestamp",),
        age_days=90,
        monthly=True,
    ),
    Dataset(
        name="user_action_logs",
        title="Requests",
        about="Requests that people and programs made; whole months leave.",
        model=UserActionLog,
        times=("timestamp",),
        age_days=90,
        monthly=True,
    ),
    Dataset(
        name="performance_logs",
        title="Timed operations",
        about="How long each operation took; whole months leave.",
        model=PerformanceLog,
        times=("timestamp",),
        age_days=30,
        monthly=True,
    ),
    Dataset(
        name="error_logs",
        title="Errors",
        about="Errors with their tracebacks; whole months leave, their groups stay with the count.",
        model=ErrorLog,
        times=("timestamp",),
        age_days=180,
        monthly=True,
    ),
    Dataset(
        name="trading_events",
        title="Trading events",
        about="What happened in trading, as it was logged; whole months leave.",
        model=TradingEvent,
        times=("timestamp",),
        age_days=731,
        enabled=False,
        monthly=True,
    ),
    Dataset(
        name="notifications",
        title="Notifications",
        about="What staff were told; what was to be told once may be told again after it has left.",
        model=Notification,
        times=("created_at",),
        age_days=365,
        enabled=False,
        exempt=(Exemption("unseen", "nobody has seen it yet", Q(seen_at__isnull=True)),),
    ),
)
