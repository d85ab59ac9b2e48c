"""Admin pages of the bots app: bots, what they trade and hold, what guards them."""

from apps.bots.admin import (
    instances,
    limits,
    lots,
    orders,
    paper,
    performance,
    trades,
)

__all__ = [
    "instances",
    "limits",
    "lots",
    "orders",
    "paper",
    "performance",
    "trades",
]
