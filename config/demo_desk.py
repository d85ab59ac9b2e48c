"""What the demo's staff have set: a lot with its limits, limits of the desk, a paper portfolio."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal

from apps.bots.api.rows_limits import LimitRow
from apps.bots.api.rows_lots import LotTradeRow
from apps.bots.api.rows_paper import PaperPortfolioRow
from apps.bots.choices import LimitAction, LimitType, Side, TradeType
from apps.bots.models import PaperPortfolio
from apps.bots.services.limits import store_limits
from apps.bots.services.lots import book_lot_trades
from apps.bots.services.paper import PaperOrder, open_portfolios, trade
from apps.bots.services.paper_performance import snapshot_portfolios
from apps.market.domain.candles import CandleRow
from apps.shared.errors import DomainError

DAY = timedelta(days=1)
PAPER_DAYS = 45
FEE = Decimal("0.0002")


def set_limits(tapes: Mapping[str, Sequence[CandleRow]], *, now: datetime) -> None:
    """Book a lot, and set the limits that a desk would have."""
    limits = [
        LimitRow(
            id="demo-daily-loss",
            limit_type=LimitType.MAX_DAILY_LOSS.value,
            type=TradeType.LIVE.value,
            threshold=Decimal(500),
            currency="USD",
            action=LimitAction.PAUSE.value,
        ),
        LimitRow(
            id="demo-drawdown-eurusd",
            limit_type=LimitType.MAX_DRAWDOWN.value,
            type=TradeType.LIVE.value,
            bot_id="eurusd-trend",
            threshold=Decimal(20),
            action=LimitAction.STOP.value,
        ),
        LimitRow(
            id="demo-exposure",
            limit_type=LimitType.MAX_EXPOSURE.value,
            type=TradeType.LIVE.value,
            threshold=Decimal(60_000),
            currency="USD",
        ),
    ]
    if rows := tapes.get("GOOG"):
        bought = rows[-20]
        lot = LotTradeRow(
            id="demo-goog-1",
            type=TradeType.LIVE.value,
            symbol="GOOG",
            trade_type="buy",
            price=bought.close,
            size=Decimal(12),
            fee=Decimal("1.5"),
            timestamp=bought.timestamp,
        )
        book_lot_trades([lot], now=now)
        limits += [
            LimitRow(
                id="demo-goog-stop",
                limit_type=LimitType.STOP_LOSS.value,
                type=TradeType.LIVE.value,
                symbol="GOOG",
                lot_id="demo-goog-1",
                price=(bought.close * Decimal("0.85")).quantize(Decimal("0.01")),
            ),
            LimitRow(
                id="demo-goog-target",
                limit_type=LimitType.TAKE_PROFIT.value,
                type=TradeType.LIVE.value,
                symbol="GOOG",
                lot_id="demo-goog-1",
                price=(bought.close * Decimal("1.2")).quantize(Decimal("0.01")),
            ),
        ]
    store_limits(limits, now=now)


def paper_portfolio(*, since: datetime, now: datetime) -> None:
    """Open a portfolio on paper some weeks ago, and let it buy and sell by the calendar."""
    moment = since - PAPER_DAYS * DAY
    shape = PaperPortfolioRow(
        name="googl on paper", symbol="GOOGL", fee_rate=FEE, slippage=Decimal("0.0005")
    )
    open_portfolios([shape], now=moment)
    portfolio = PaperPortfolio.objects.active().get(name=shape.name)
    for number in range(PAPER_DAYS):
        moment += DAY
        if number % 7 == 2:
            deal(portfolio, f"buy-{number}", Side.BUY, value=Decimal(2_000), now=moment)
        elif number % 7 == 6:
            deal(portfolio, f"sell-{number}", Side.SELL, amount=Decimal(3), now=moment)
        snapshot_portfolios(now=moment)


def deal(
    portfolio: PaperPortfolio, name: str, side: Side, *, now: datetime, **much: Decimal
) -> None:
    """Place an order on paper; what the portfolio cannot pay for is left."""
    order = PaperOrder(id=f"demo-{name}", side=side, **much)
    with suppress(DomainError):
        trade(portfolio_id=portfolio.pk, order=order, now=now)
