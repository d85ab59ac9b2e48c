"""Use cases of the alerts app: raise, track, judge, judge again, and count up."""

from apps.alerts.services.evaluation import settle_alerts
from apps.alerts.services.raising import raise_alerts
from apps.alerts.services.rejudging import Rejudged, rejudge_alerts
from apps.alerts.services.scorecards import GROUPINGS, Filters, scorecard
from apps.alerts.services.tracking import track_due_prices

__all__ = [
    "GROUPINGS",
    "Filters",
    "Rejudged",
    "raise_alerts",
    "rejudge_alerts",
    "scorecard",
    "settle_alerts",
    "track_due_prices",
]
