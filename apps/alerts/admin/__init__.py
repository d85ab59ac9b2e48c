"""Admin pages of the alerts app: alerts, their prices and outcomes, the scorecard."""

from apps.alerts.admin import alerts, outcomes

__all__ = ["alerts", "outcomes"]
