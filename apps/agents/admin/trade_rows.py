"""Trades of agents as lines of the tables on other pages, and their money in words."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.agents.admin import shown
from apps.agents.choices import Side, TradeStatus
from apps.agents.models import AgentTrade
from apps.agents.models.trades import OVER
from apps.shared import display
from apps.shared.admin.figures import signed_money, size

NOT_TOLD = "It was not told."
NOT_OVER = "It is not over."
NOT_ENTERED = "At which price it was entered is not known."
UNKNOWN = "It is over, and nobody has told at which price: its P&L is unknown, and not counted."
NO_MARK = "No price of its symbol is known, or its entry is not."


def is_unknown(trade: AgentTrade) -> bool:
    """Return whether a trade is over, but what it came to is not known."""
    return trade.status in OVER and trade.realized_pnl is None


def why_no_pnl(trade: AgentTrade) -> str:
    """Return why the realized P&L of a trade is empty."""
    if is_unknown(trade):
        return UNKNOWN
    return "It was called off." if trade.status == TradeStatus.CANCELLED else NOT_OVER


def state(trade: AgentTrade) -> SafeString:
    """Return how a trade stands, and whether its P&L is unknown."""
    found = shown.badge(TradeStatus, trade.status)
    if not is_unknown(trade):
        return found
    return format_html("{} {}", found, display.badge("P&L unknown", "warning", UNKNOWN))


def side(value: str) -> SafeString:
    return shown.badge(Side, value)


def paid(value: Decimal | None, reason: str = "", currency: str = "") -> SafeString:
    """Return fees as what they take away; one that was refunded adds."""
    return signed_money(None if value is None else value.copy_negate(), reason, currency)


def pnl(trade: AgentTrade) -> SafeString:
    """Return what a trade came to, or what it would come to now; an unknown one says so."""
    currency = trade.agent.quote_currency
    if trade.status == TradeStatus.OPEN:
        return format_html(
            '{} <span class="b-quiet">open</span>',
            signed_money(trade.unrealized_pnl, NO_MARK, currency),
        )
    if is_unknown(trade):
        return display.badge("Unknown", "warning", UNKNOWN)
    return signed_money(trade.realized_pnl, why_no_pnl(trade), currency)


def span_words(length: timedelta) -> str:
    """Return a duration, to the second where that says something.

    >>> [span_words(timedelta(seconds=each)) for each in (0.25, 75, 7_380)]
    ['0.25 s', '1 min 15 s', '2 h 3 min']
    """
    seconds = length / timedelta(seconds=1)
    if 0 < seconds < 1:
        return f"{seconds:.2f} s"
    if 60 <= seconds < 600 and int(seconds) % 60:
        return f"{int(seconds) // 60} min {int(seconds) % 60:02} s"
    return display.span_words(length)


def held(trade: AgentTrade, now: datetime) -> SafeString:
    """Return how long a trade was held, or has been so far."""
    if trade.entry_time is None:
        return display.empty("When it was entered is not known.", figure=True)
    if trade.exit_time is not None:
        return display.figure(span_words(trade.exit_time - trade.entry_time))
    if trade.status != TradeStatus.OPEN:
        return display.empty("It came to nothing.", figure=True)
    return display.age(trade.entry_time, now=now)


def trade_row(trade: AgentTrade, *, now: datetime) -> dict[str, Any]:
    """Return one line of a table of trades, the agent read with it."""
    currency = trade.agent.quote_currency
    return {
        "key": trade.pk,
        "link": shown.id_link(AgentTrade, trade.pk, ""),
        "coin": display.short_text(trade.coin),
        "side": side(trade.side),
        "state": shown.badge(TradeStatus, trade.status),
        "size": size(trade.size),
        "entry": size(trade.entry_price, NOT_ENTERED),
        "exit": size(trade.exit_price, why_no_pnl(trade)),
        "fees": paid(trade.fees, "None are known.", currency),
        "pnl": pnl(trade),
        "held": held(trade, now),
        "why": display.short_text(trade.exit_reason, "None was told."),
    }
