"""Admin pages of the market: instruments, candles, feeds."""

from apps.market.admin import candles, feeds, instruments

__all__ = ["candles", "feeds", "instruments"]
