"""What is wrong with stored candles, and how many there should be. Pure rules over arrays."""

from apps.market.domain.health.examination import Day, Findings, examine, find_defects, find_spreads
from apps.market.domain.health.frames import Candles, Defect, block_start

__all__ = [
    "Candles",
    "Day",
    "Defect",
    "Findings",
    "block_start",
    "examine",
    "find_defects",
    "find_spreads",
]
