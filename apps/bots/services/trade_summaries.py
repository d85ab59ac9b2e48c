"""Counting up trades: bot by bot, and never over types or currencies."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from apps.bots.choices import TradeStatus
from apps.bots.models import Trade
from apps.bots.models.trades import CLOSED_LEAF
from apps.shared.quant.money import percentage

KEYS: Final = ("bot_id", "trade_type", "quote_currency")
ROOT: Final = Q(parent_trade__isnull=True)
CLOSED: Final = ROOT & Q(status=TradeStatus.CLOSED)
ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeSummary:
    """The trades of one bot, type and currency.

    Trades are whole round trips; money is that of all closed parts, those of trades that are
    still open among them. ``win_rate`` is wins / closed × 100, None without closed trades.
    """

    bot_id: str
    trade_type: str
    quote_currency: str
    total: int
    open: int
    closed: int
    cancelled: int
    wins: int
    losses: int
    breakeven: int
    gross_pnl: Decimal
    fees: Decimal
    net_pnl: Decimal

    @property
    def win_rate(self) -> Decimal | None:
        return percentage(Decimal(self.wins), Decimal(self.closed))


def summarize(rows: QuerySet[Trade]) -> list[TradeSummary]:
    """Return one summary per bot × type × currency among ``rows``, parts included; one statement.

    ``rows`` hold the parts beside their trades: who narrows them by exit time leaves out what is
    not closed.
    """
    counts = {
        "total": ROOT,
        "open": ROOT & Q(status=TradeStatus.OPEN),
        "closed": CLOSED,
        "cancelled": ROOT & Q(status=TradeStatus.CANCELLED),
        "wins": CLOSED & Q(net_pnl__gt=0),
        "losses": CLOSED & Q(net_pnl__lt=0),
        "breakeven": CLOSED & Q(net_pnl=0),
    }
    sums = {"gross_pnl": "gross_pnl", "fees": "commission", "net_pnl": "net_pnl"}
    found = rows.order_by().values(*KEYS)
    counted = found.annotate(
        **{name: Count("pk", filter=each) for name, each in counts.items()},
        **{f"sum_{n}": Coalesce(Sum(c, filter=CLOSED_LEAF), ZERO) for n, c in sums.items()},
    )
    return [
        TradeSummary(
            **{name: row[name] for name in (*KEYS, *counts)},
            **{name: row[f"sum_{name}"] for name in sums},
        )
        for row in counted.order_by(*KEYS)
    ]
