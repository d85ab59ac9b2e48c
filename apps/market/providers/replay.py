"""Stored candles once more, as if they were happening now: for demos and tests."""

from datetime import datetime, timedelta

from apps.market.domain.candles import CandleValues, aligned_start, width
from apps.market.models import Candle
from apps.market.providers.base import Ask, Connection, Options, ProviderNotReady, ask_venue


class ReplayProvider:
    """Plays a stored series in a loop, gaps included.

    Time is folded: the recorded span follows upon itself for ever, before and after it was
    recorded, always shifted by whole spans. So every moment has its candle, the same whoever
    asks and however often. Where the end meets the beginning the price jumps.
    """

    quiet = timedelta(days=7)

    def __init__(
        self, exchange: str, connection: Connection, options: Options, ask: Ask = ask_venue
    ) -> None:
        self.source = str(options.get("source", ""))
        if not self.source:
            raise ProviderNotReady('The options must name what to replay: {"source": "…"}.')

    def fetch(
        self, symbol: str, granularity: str, *, since: datetime | None, limit: int, now: datetime
    ) -> list[CandleValues]:
        """Return the recorded candles of ``symbol``, shifted, that ended by ``now``."""
        recorded = next(
            (
                series
                for series in Candle.objects.series(symbol)
                if (series.source, series.granularity) == (self.source, granularity)
            ),
            None,
        )
        if recorded is None:
            raise ProviderNotReady(f"Nothing is stored of {symbol} {granularity} {self.source}.")
        step = width(granularity)
        span = recorded.last - recorded.first + step
        end = aligned_start(now, granularity)
        start = since or end - limit * step
        end = min(end, start + limit * step)
        candles: list[CandleValues] = []
        # The window may reach over the seam, or, longer than the record, over several.
        for turn in range((start - recorded.first) // span, (end - recorded.first) // span + 1):
            shift = turn * span
            stored = Candle.objects.of_series(symbol, self.source, granularity).filter(
                timestamp__gte=start - shift, timestamp__lt=end - shift
            )
            candles += [
                CandleValues(row.timestamp + shift, *prices)
                for row in stored.order_by("timestamp")
                if (prices := (row.open, row.high, row.low, row.close, row.volume))
            ]
        return candles
