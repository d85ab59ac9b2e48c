"""Tables of the market app, one module per subject."""

from apps.market.models.candles import Candle
from apps.market.models.instruments import Instrument

__all__ = ["Candle", "Instrument"]
