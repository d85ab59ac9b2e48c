"""The candles around a trade, with what was bought and sold marked in them."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from apps.bots.admin import candles
from apps.bots.choices import Direction, TradeStatus
from apps.bots.models import Fill, Trade
from apps.market.domain.candles import Series, width
from apps.market.services.bars import series_over
from apps.shared import display
from apps.shared.admin.charts import Marker, PriceLine, candle_chart

# Before and after the trade half of it is shown again, at least so many candles.
AROUND, LEAST_BARS = 0.5, 12
# Signs of fills beyond these would cover each other.
MOST_SIGNS = 60


class TradePicture:
    """The chart of one trade, whose parts and fills are given."""

    def __init__(
        self, trade: Trade, *, parts: Sequence[Trade], fills: Sequence[Fill], now: datetime
    ) -> None:
        self.trade = trade
        self.parts = parts
        self.fills = fills
        self.now = now

    @property
    def span(self) -> tuple[datetime, datetime] | None:
        """Return from when to when the trade was held."""
        start = self.trade.entry_time or self.trade.buy_order_created
        end = self.trade.exit_time or (self.now if self.trade.status == TradeStatus.OPEN else start)
        start = start or self.trade.exit_time
        return (start, max(end, start)) if start is not None and end is not None else None

    @cached_property
    def series(self) -> Series | None:
        """Return the series of candles that holds most of the trade, the finest of such."""
        if self.span is None:
            return None
        return series_over(self.trade.symbol, *self.span, granularity=self.trade.interval)

    @cached_property
    def bars(self) -> Sequence[Any]:
        if self.series is None or self.span is None:
            return []
        # Who says that it began in the year one is shown what there is of it.
        start = max(self.span[0], self.series.first)
        end = max(start, min(self.span[1], self.series.known_until))
        pad = max((end - start) * AROUND, width(self.series.granularity) * LEAST_BARS)
        return candles.bars_of(self.trade.symbol, self.series, start - pad, end + pad)

    @property
    def chart(self) -> dict[str, Any]:
        trade = self.trade
        tone = "success" if (trade.net_pnl or 0) >= 0 else "danger"
        asked = ((trade.entry_price, "Entry", "info"), (trade.exit_price, "Exit", tone))
        lines = [PriceLine(price, title, hue) for price, title, hue in asked if price is not None]
        return candle_chart(self.bars, lines=lines, markers=list(self.markers))

    @property
    def markers(self) -> Iterator[Marker]:
        """Yield the signs of the chart: bought below a candle, sold above it."""
        trade = self.trade
        long = trade.direction == Direction.LONG
        if trade.entry_time is not None:
            yield Marker(self.bar(trade.entry_time), "Entry", "info", below=long, arrow=True)
        for part in self.parts:
            if part.exit_time is not None:
                yield Marker(self.bar(part.exit_time), f"Part {part.partial_exit_sequence}",
                             "warning", below=not long)  # fmt: skip
        if trade.exit_time is not None:
            words, tone = "Exit", "success" if (trade.net_pnl or 0) >= 0 else "danger"
            if trade.pnl_percentage is not None:
                words += f" {display.pct_words(trade.pnl_percentage)}"
            yield Marker(self.bar(trade.exit_time), words, tone, below=not long, arrow=True)
        for fill in self.fills[:MOST_SIGNS]:
            yield Marker(self.bar(fill.timestamp), "", "default")

    def bar(self, moment: datetime) -> datetime:
        return candles.bar_at(self.bars, moment)
