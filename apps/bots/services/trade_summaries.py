"""Counting up trades: bot by bot, and never over types or currencies."""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from django.db.models import BigIntegerField, Count, F, Q, QuerySet, Sum, Value
from django.db.models.functions import Coalesce

from apps.bots.choices import TradeStatus
from apps.bots.models import CarriedResult, Trade
from apps.bots.models.trades import CLOSED_LEAF
from apps.shared.fields import WIDE, plain
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


def summarize(
    rows: QuerySet[Trade], *, carried: QuerySet[CarriedResult] | None = None
) -> list[TradeSummary]:
    """Return one summary per bot × type × currency among ``rows``, parts included; one statement.

    ``rows`` hold the parts beside their trades: who narrows them by exit time leaves out what is
    not closed. ``carried``: what archived trades came to, which counts as well.
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
    found = (
        rows.order_by()
        .values(*KEYS)
        .annotate(
            **{name: Count("pk", filter=each) for name, each in counts.items()},
            **{f"sum_{n}": Coalesce(Sum(c, filter=CLOSED_LEAF), ZERO) for n, c in sums.items()},
        )
    )
    if carried is not None:
        # One statement, so of one moment: trades that leave meanwhile are in one of the two.
        found = found.union(carried_sums(carried), all=True)
    summaries: dict[tuple[str, ...], TradeSummary] = {}
    for row in found:
        summary = TradeSummary(
            **{name: row[name] for name in (*KEYS, *counts)},
            **{name: row[f"sum_{name}"] for name in sums},
        )
        key = tuple(row[name] for name in KEYS)
        summaries[key] = added(summaries[key], summary) if key in summaries else summary
    return [summary for _, summary in sorted(summaries.items())]


def carried_sums(rows: QuerySet[CarriedResult]) -> QuerySet[CarriedResult, dict[str, Any]]:
    """Return what was carried forward in the columns of a summary."""
    trades, won, lost = (Sum(name) for name in ("trades", "winning", "losing"))
    none = Value(0, output_field=BigIntegerField())
    found: QuerySet[CarriedResult, dict[str, Any]] = (
        rows.order_by()
        .values(*KEYS)
        .annotate(
            total=trades,
            open=none,
            closed=trades,
            cancelled=none,
            wins=won,
            losses=lost,
            breakeven=trades - won - lost,
            sum_gross_pnl=Sum(F("net_pnl") + F("commission")),
            sum_fees=Sum("commission"),
            sum_net_pnl=Sum("net_pnl"),
        )
    )
    return found


def added(one: TradeSummary, other: TradeSummary) -> TradeSummary:
    """Return two summaries of one bot, type and currency as one, to the last digit."""
    both: dict[str, Any] = {}
    for name in TradeSummary.__dataclass_fields__:
        mine, others = getattr(one, name), getattr(other, name)
        if isinstance(mine, Decimal):
            both[name] = plain(WIDE.add(mine, others))
        elif isinstance(mine, int):
            both[name] = mine + others
    return replace(one, **both)
