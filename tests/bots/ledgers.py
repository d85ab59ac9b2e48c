"""Closed trades by the hundred, whole and in parts."""

from datetime import timedelta
from decimal import Decimal

from apps.bots.models import Trade
from tests.factories import NOON


def closed(bot, net, at, **values):
    """Return a closed trade that was not stored yet; it cost 1 in fees."""
    net = Decimal(net)
    return Trade(
        **{
            "bot": bot,
            "trade_type": bot.type,
            "symbol": "BTC/USD",
            "quote_currency": bot.quote_currency,
            "direction": "long",
            "status": "closed",
            "size": Decimal(1),
            "original_position_size": Decimal(1),
            "remaining_position_size": Decimal(0),
            "entry_time": at - timedelta(hours=1),
            "exit_time": at,
            "entry_price": Decimal(100),
            "exit_price": Decimal(100),
            "commission": Decimal(1),
            "gross_pnl": net + 1,
            "net_pnl": net,
        }
        | values
    )


def in_parts(bot, nets, at, *, over=True, **values):
    """Return a round trip and its parts, a day apart from ``at`` on; ``over``: it is closed."""
    root = closed(bot, sum(map(Decimal, nets)), at + timedelta(days=len(nets) - 1), **values)
    root.partial_exits = len(nets)
    root.gross_pnl, root.commission = root.net_pnl + len(nets), Decimal(len(nets))
    root.entry_time = at - timedelta(hours=1)
    if not over:
        root.status, root.exit_time, root.exit_price = "open", None, None
    parts = [
        closed(
            bot,
            net,
            at + timedelta(days=number),
            parent_trade=root,
            is_partial_exit=True,
            partial_exit_sequence=number + 1,
            **values,
        )
        for number, net in enumerate(nets)
    ]
    return [root, *parts]


def book(bot, *exits, **values):
    """Store closed trades of a bot, each given as (days after the first noon, net)."""
    rows = [closed(bot, net, NOON + timedelta(days=days), **values) for days, net in exits]
    return Trade.objects.bulk_create(rows)
