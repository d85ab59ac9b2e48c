"""How sound stored candles are: looked at after new ones came, told, and accepted by staff."""

from apps.market.services.health.checking import check_health, check_series
from apps.market.services.health.reading import (
    CoverageRow,
    SeriesState,
    accept_defects,
    coverage_map,
    series_states,
)
from apps.market.services.health.rules import recheck_changed, rules_of

__all__ = [
    "CoverageRow",
    "SeriesState",
    "accept_defects",
    "check_health",
    "check_series",
    "coverage_map",
    "recheck_changed",
    "rules_of",
    "series_states",
]
