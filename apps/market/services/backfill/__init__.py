"""Fetching what is missing in series of candles, as a run whose steps workers take one by one."""

from apps.market.services.backfill.planning import (
    RUNNER,
    AlreadyRunning,
    NoFeed,
    NothingMissing,
    plan_backfill,
)
from apps.market.services.backfill.working import work

__all__ = ["RUNNER", "AlreadyRunning", "NoFeed", "NothingMissing", "plan_backfill", "work"]
