"""Trades and orders as lines of the tables on other pages."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from apps.bots.admin import money, shown
from apps.bots.choices import TradeStatus
from apps.bots.models import Fill, Order, Trade
from apps.market.services.prices import NewestPrice
from apps.shared import display
from apps.shared.quant.money import SIGNS

NO_CANDLE = "No price of its symbol is stored."


def left(trade: Trade) -> Decimal | None:
    """Return what is still held of a trade."""
    return trade.size if trade.remaining_position_size is None else trade.remaining_position_size


def unrealized(trade: Trade, price: NewestPrice | None) -> Decimal | None:
    """Return what is gained, before fees, on what is held at the newest price; None: unknown."""
    held = left(trade)
    if held is None or trade.entry_price is None or price is None:
        return None
    moved = money.WIDE.subtract(price.price, trade.entry_price)
    return money.WIDE.multiply(moved, held) * SIGNS[trade.direction]


def trade_row(trade: Trade, *, now: datetime, price: NewestPrice | None = None) -> dict[str, Any]:
    """Return one line of a table of trades; an open one is measured at ``price``."""
    open_now = trade.status == TradeStatus.OPEN
    currency = trade.quote_currency
    return {
        "key": trade.pk,
        "link": shown.trade_link(trade.pk),
        "type": shown.trade_type(trade.trade_type),
        "symbol": display.short_text(trade.symbol),
        "direction": shown.direction(trade.direction),
        "size": money.size(left(trade) if open_now else trade.size, "It was not told."),
        "entry": money.size(trade.entry_price, "It was not told."),
        "exit": money.size(trade.exit_price, shown.NOT_CLOSED),
        "gross": money.signed_money(trade.gross_pnl, shown.NOT_CLOSED, currency),
        "fees": shown.paid(trade.commission, "None are known.", currency),
        "net": money.signed_money(trade.net_pnl, shown.NOT_CLOSED, currency),
        "percent": display.signed_pct(trade.pnl_percentage, shown.NOT_CLOSED),
        "mark": money.mark(price, now=now),
        "unrealized": money.signed_money(unrealized(trade, price), NO_CANDLE, currency),
        "held": shown.held(trade, now),
        "exited": display.age(trade.exit_time, shown.NOT_CLOSED, now=now),
        "status": shown.trade_status(trade.status),
        "reason": display.short_text(trade.exit_reason, "None was told."),
        "part": trade.partial_exit_sequence,
    }


def order_row(order: Order) -> dict[str, Any]:
    """Return one line of a table of orders."""
    return {
        "key": order.pk,
        "link": shown.order_link(order),
        "symbol": display.short_text(order.symbol),
        "side": shown.side(order.side),
        "kind": order.get_order_type_display(),
        "quantity": money.size(order.quantity),
        "filled": money.size(order.filled_quantity),
        "price": money.size(order.price, "It has no limit."),
        "average": money.size(order.average_price, "Nothing of it is filled."),
        "status": shown.order_status(order.status),
        "created": display.age(order.submitted_at or order.created_at),
    }


def fill_row(fill: Fill) -> dict[str, Any]:
    """Return one line of a table of fills."""
    currency = fill.commission_currency
    return {
        "key": fill.pk,
        "link": display.link(shown.page_of(Fill, fill.pk), shown.middle_cut(fill.fill_id)),
        "order": shown.middle_cut(fill.order_id),
        "quantity": money.size(fill.quantity),
        "price": money.size(fill.price),
        "value": money.money(money.WIDE.multiply(fill.quantity, fill.price)),
        "fee": shown.with_unit(money.money(fill.commission, currency=currency), currency),
        "liquidity": display.text(fill.get_liquidity_display(), "It was not told."),
        "at": display.moment(fill.timestamp),
    }
