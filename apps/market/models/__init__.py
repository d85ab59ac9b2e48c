"""Tables of the market app, one module per subject."""

from apps.market.models.candles import Candle
from apps.market.models.feeds import Feed
from apps.market.models.instruments import Instrument

__all__ = ["Candle", "Feed", "Instrument"]
