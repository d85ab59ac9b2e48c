"""What the page of one trade tells: its candles, its money, and the decisions behind it."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.agents.admin.decision_rows import decision_row
from apps.agents.admin.trade_rows import (
    NO_MARK,
    NOT_ENTERED,
    NOT_OVER,
    NOT_TOLD,
    held,
    is_unknown,
    why_no_pnl,
)
from apps.agents.choices import Side, TradeStatus
from apps.agents.domain.trades import NEAR, distance_to_liquidation
from apps.agents.models import AgentDecision, AgentTrade
from apps.market.domain.candles import Series, width
from apps.market.services.bars import bar_at, bars_of, series_over
from apps.shared import display
from apps.shared.admin.charts import Marker, PriceLine, candle_chart
from apps.shared.admin.figures import WIDE, money, signed_money, size
from apps.shared.fields import plain_text

# Before and after the trade half of it is shown again, at least so many candles.
AROUND, LEAST_BARS = 0.5, 12
# Lines farther away than so many heights of the candles would press them flat.
FAR = 3


class TradeStory:
    """Everything the template of a trade's page asks for, each read once."""

    def __init__(self, trade: AgentTrade, *, now: datetime) -> None:
        self.trade = trade
        self.now = now
        self.open = trade.status == TradeStatus.OPEN
        self.unknown = is_unknown(trade)
        self.currency = trade.agent.quote_currency

    # --- what one must know to read the figures ---------------------------------------------

    @property
    def standing(self) -> Iterator[tuple[str, SafeString]]:
        trade = self.trade
        if self.unknown:
            yield "warning", format_html(
                "<strong>P&amp;L unknown.</strong> It is {}, and nobody has told at which price. It"
                " is counted apart, never as zero. To complete it, have the agent send {} to"
                " <code>POST {}</code>, and its fees: it is then computed here.",
                trade.get_status_display().lower(),
                format_html("<code>exit_price</code>{}", "" if trade.entry_price else
                            format_html(" and {}", format_html("<code>{}</code>", "entry_price"))),
                f"/api/v1/agents/trades/{trade.pk}/close/",
            )  # fmt: skip
        told, net = trade.reported_pnl, trade.realized_pnl
        if told is not None and net is not None and told != net:
            words = "The agent made {} of it: {} off what follows from its prices and fees."
            off = signed_money(WIDE.subtract(told, net), currency=self.currency)
            yield "warning", format_html(words, signed_money(told), off)
        near = self.distance
        if self.open and near is not None and near < NEAR:
            words = display.pct_words(near * 100, signed=False, places=1)
            yield "danger", format_html("Near liquidation: {} away at the market's price.", words)

    # --- money ------------------------------------------------------------------------------

    @property
    def net(self) -> SafeString:
        return signed_money(self.trade.realized_pnl, why_no_pnl(self.trade), self.currency)

    @property
    def gross(self) -> SafeString:
        return signed_money(self.trade.gross_pnl, why_no_pnl(self.trade), self.currency)

    @property
    def fees(self) -> SafeString:
        return money(self.trade.fees, "No fee was told.", self.currency)

    @property
    def legs(self) -> SafeString:
        """Return what the fees were paid for."""
        trade = self.trade
        if trade.entry_fees is None and trade.exit_fees is None:
            return display.empty("Entry and exit are not told apart.")
        return format_html(
            "entry {}, exit {}",
            money(trade.entry_fees, NOT_TOLD, self.currency),
            money(trade.exit_fees, NOT_OVER if self.open else NOT_TOLD, self.currency),
        )

    @property
    def reported(self) -> SafeString:
        return signed_money(self.trade.reported_pnl, "The agent has not told.", self.currency)

    @property
    def unrealized(self) -> SafeString:
        return signed_money(self.trade.unrealized_pnl, NO_MARK, self.currency)

    @property
    def mark(self) -> SafeString:
        trade = self.trade
        if trade.mark_price is None or trade.marked_at is None:
            return display.empty(NO_MARK)
        return format_html("at {}, {}", size(trade.mark_price),
                           display.age(trade.marked_at, now=self.now))  # fmt: skip

    @property
    def value(self) -> Decimal | None:
        """Return what the whole position was worth when it was entered."""
        trade = self.trade
        return WIDE.multiply(trade.entry_price, trade.size) if trade.entry_price else None

    @property
    def percent(self) -> SafeString:
        """Return the net P&L in percent of that value, whatever the leverage."""
        net, value = self.trade.realized_pnl, self.value
        if net is None or not value:
            return display.empty(why_no_pnl(self.trade), figure=True)
        share = WIDE.multiply(WIDE.divide(net, value), Decimal(100))
        if share.copy_abs() >= Decimal(10) ** 12:
            return display.figure(plain_text(share))
        return display.signed_pct(share)

    @property
    def position(self) -> SafeString:
        trade = self.trade
        return format_html(
            "{} at {}",
            money(self.value, NOT_ENTERED, self.currency),
            display.times(trade.leverage, "No leverage was told."),
        )

    @property
    def size(self) -> SafeString:
        return size(self.trade.size)

    @property
    def entry(self) -> SafeString:
        return size(self.trade.entry_price, NOT_ENTERED)

    @property
    def exit(self) -> SafeString:
        return size(self.trade.exit_price, why_no_pnl(self.trade))

    @property
    def held(self) -> SafeString:
        return held(self.trade, self.now)

    @cached_property
    def distance(self) -> Decimal | None:
        """Return how far the market is from liquidation, as a fraction of its price."""
        trade = self.trade
        return distance_to_liquidation(
            side=trade.side, mark=trade.mark_price, liquidation=trade.liquidation_price
        )

    @property
    def liquidation(self) -> SafeString:
        return size(self.trade.liquidation_price, "Neither told, nor does it follow.")

    @property
    def away(self) -> SafeString | str:
        """Return the distance to liquidation in words, while it is open."""
        if not self.open or self.distance is None:
            return ""
        words = display.pct_words(self.distance * 100, signed=False, places=1)
        return display.figure(f"{words} away")

    # --- the decisions behind it ------------------------------------------------------------

    @cached_property
    def decisions(self) -> list[dict[str, Any]]:
        """Return the decisions that opened and closed it, with what became of them."""
        told = ((self.trade.decision_id, "Opened by"), (self.trade.close_decision_id, "Closed by"))
        roles = {pk: how for pk, how in told if pk is not None}
        if not roles:
            return []
        rows = AgentDecision.objects.filter(pk__in=roles).select_related("outcome", "agent")
        rows = rows.defer("chain_of_thought", "raw").order_by("timestamp", "id")
        return [
            decision_row(row)
            | {
                "how": roles[row.pk],
                "url": reverse("admin:agents_agentdecision_change", args=[row.pk]),
                "at": display.moment(row.timestamp),
                "reasoning": display.text(row.reasoning, "It gives no reason."),
            }
            for row in rows
        ]

    # --- candles ----------------------------------------------------------------------------

    @property
    def span(self) -> tuple[datetime, datetime] | None:
        """Return from when to when it was held."""
        start = self.trade.entry_time or self.trade.exit_time
        if start is None:
            return None
        end = self.trade.exit_time or (self.now if self.open else start)
        return start, max(start, end)

    @cached_property
    def series(self) -> Series | None:
        return series_over(self.trade.symbol, *self.span) if self.span else None

    @cached_property
    def bars(self) -> Sequence[Any]:
        if self.series is None or self.span is None:
            return []
        # Who says that it began in the year one is shown what there is of it.
        start = max(self.span[0], self.series.first)
        end = max(start, min(self.span[1], self.series.known_until))
        step = width(self.series.granularity)
        pad: timedelta = max((end - start) * AROUND, step * LEAST_BARS)
        series = self.series
        return bars_of(self.trade.symbol, series.source, series.granularity, start - pad, end + pad)

    @property
    def liquidation_in_sight(self) -> bool:
        """Return whether its line leaves the candles more than a stroke in the picture."""
        price = self.trade.liquidation_price
        if price is None or not self.bars:
            return False
        low, high = min(bar.low for bar in self.bars), max(bar.high for bar in self.bars)
        room = max((high - low) * FAR, high / 100)
        return bool(low - room <= price <= high + room)

    @property
    def chart(self) -> dict[str, Any]:
        trade = self.trade
        liquidation = trade.liquidation_price if self.liquidation_in_sight else None
        tone = "success" if (trade.realized_pnl or 0) >= 0 else "danger"
        asked = (
            (trade.entry_price, "Entry", "info"),
            (trade.exit_price, "Exit", tone),
            (liquidation, "Liquidation", "warning"),
        )
        lines = [PriceLine(price, title, hue) for price, title, hue in asked if price]
        return candle_chart(self.bars, lines=lines, markers=list(self.markers))

    @property
    def markers(self) -> Iterator[Marker]:
        """Yield the signs of the chart: bought below a candle, sold above it."""
        trade = self.trade
        long = trade.side == Side.LONG
        if trade.entry_time is not None:
            at = bar_at(self.bars, trade.entry_time)
            yield Marker(at, "Entry", "info", below=long, arrow=True)
        if trade.exit_time is not None:
            net = trade.realized_pnl
            words, tone = "Exit, price unknown", "warning"
            if net is not None:
                words, tone = "Exit", "success" if net >= 0 else "danger"
            if trade.status == TradeStatus.LIQUIDATED:
                words = "Liquidated"
            at = bar_at(self.bars, trade.exit_time)
            yield Marker(at, words, tone, below=not long, arrow=True)
