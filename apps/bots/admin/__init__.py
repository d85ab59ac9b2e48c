"""Admin pages of the bots app: bots, what they trade and hold, what guards them."""

from apps.bots.admin import (
    carried,
    instances,
    limits,
    lots,
    orders,
    paper,
    performance,
    trades,
)

__all__ = [
    "carried",
    "instances",
    "limits",
    "lots",
    "orders",
    "paper",
    "performance",
    "trades",
]
