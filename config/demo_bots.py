"""The demo's bots: plain rules that trade the demo's candles, and one that died at night.

What a bot did follows from the candles alone, under names that are fixed: telling it again adds
what has become known since, and nothing twice. ``config.demo_live`` lets them beat and go on.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Sum

from apps.bots.api.rows_instances import BotRow
from apps.bots.api.rows_limits import LimitRow
from apps.bots.api.rows_lots import LotTradeRow
from apps.bots.api.rows_orders import FillRow, OrderRow
from apps.bots.api.rows_paper import PaperPortfolioRow
from apps.bots.api.rows_trades import TradeRow
from apps.bots.choices import (
    BotStatus,
    DesiredState,
    Direction,
    LimitAction,
    LimitType,
    Side,
    TradeStatus,
    TradeType,
)
from apps.bots.models import BotInstance, PaperPortfolio, Trade
from apps.bots.services.activity import measure_usual_gaps
from apps.bots.services.exit_reports import ExitReport
from apps.bots.services.exits import close_trade
from apps.bots.services.fills import store_fills
from apps.bots.services.heartbeats import BeatReport, Instruction, beat
from apps.bots.services.instances import register_bots
from apps.bots.services.limits import store_limits
from apps.bots.services.lots import book_lot_trades
from apps.bots.services.orders import store_orders
from apps.bots.services.paper import PaperOrder, open_portfolios, trade
from apps.bots.services.paper_performance import snapshot_portfolios
from apps.bots.services.performance import snapshot_bots
from apps.bots.services.trades import store_trades
from apps.market.choices import Granularity
from apps.market.domain.candles import CandleRow
from apps.shared.errors import DomainError

NAMES = uuid.UUID("5f0e8c1a-6a0e-4c55-9d3a-0f1c5d1b7a10")
DAY = timedelta(days=1)
PAPER_DAYS = 45
SPAN = timedelta(weeks=20)
FEE = Decimal("0.0002")
BEAT_SECONDS = 20
RANGE = 14  # candles of the mean range by which targets and stops are set
TARGET, STOP = Decimal(6), Decimal(3)  # in mean ranges
ORDERED = 6  # trades with their orders and fills told too, per live bot
# What a bot does of what is wanted of it.
OBEYED = {
    DesiredState.RUN: BotStatus.RUNNING,
    DesiredState.PAUSE: BotStatus.PAUSED,
    DesiredState.STOP: BotStatus.STOPPED,
}
# When the one that died was last heard of, before the demo began.
NIGHT = timedelta(hours=7)


@dataclass(frozen=True, kw_only=True)
class DemoBot:
    """A bot that follows the crossing of two means."""

    name: str
    symbol: str
    type: TradeType
    size: Decimal
    fast: int
    slow: int
    granularity: Granularity = Granularity.D1
    capital: Decimal = Decimal(10_000)
    status: BotStatus = BotStatus.RUNNING
    dead: bool = False


BOTS = [
    DemoBot(
        name="eurusd-trend",
        symbol="EUR/USD",
        type=TradeType.LIVE,
        size=Decimal(25_000),
        fast=8,
        slow=34,
        granularity=Granularity.H1,
        capital=Decimal(30_000),
    ),
    DemoBot(
        name="eurusd-scalper",
        symbol="EUR/USD",
        type=TradeType.PAPER,
        size=Decimal(10_000),
        fast=3,
        slow=10,
        granularity=Granularity.H1,
    ),
    DemoBot(
        name="googl-swing",
        symbol="GOOGL",
        type=TradeType.LIVE,
        size=Decimal("7.5"),
        fast=2,
        slow=6,
    ),
    DemoBot(
        name="msft-swing",
        symbol="MSFT",
        type=TradeType.PAPER,
        size=Decimal(40),
        fast=2,
        slow=6,
    ),
    DemoBot(
        name="ibm-trend",
        symbol="IBM",
        type=TradeType.LIVE,
        size=Decimal(25),
        fast=3,
        slow=9,
        dead=True,
    ),
    DemoBot(
        name="aapl-search",
        symbol="AAPL",
        type=TradeType.OPTIMIZATION,
        size=Decimal(20),
        fast=3,
        slow=9,
        status=BotStatus.COMPLETED,
    ),
]


@dataclass(frozen=True)
class RoundTrip:
    """From one candle's close to another's; without an end it is still open."""

    direction: Direction
    begin: CandleRow
    end: CandleRow | None
    reason: str


def load(tapes: Mapping[str, Sequence[CandleRow]], *, since: datetime, now: datetime) -> str:
    """Tell of all bots what their candles say; return what was added, as text."""
    known = set(BotInstance.objects.values_list("pk", flat=True))
    made = [bot for bot in BOTS if bot.symbol in tapes and bot.name not in known]
    register_bots([registration(bot) for bot in made], now=now)
    trades = 0
    for bot in BOTS:
        if bot.symbol not in tapes:
            continue
        over = since - NIGHT if bot.dead else now
        rows = [row for row in tapes[bot.symbol] if moment(bot, row) <= over]
        trips = [
            trip
            for trip in round_trips(bot, rows)
            # Who is done holds nothing any more.
            if moment(bot, trip.begin) >= since - SPAN and (trip.end or not is_done(bot))
        ]
        trades += tell(bot, trips, now=now)
        if bot in made:
            beat(bot_id=bot.name, report=report_of(bot, now=over), now=over)
    if made:
        settings_of_staff(tapes, now=now)
        paper_portfolio(since=since, now=now)
        snapshot_bots(now=now)
        measure_usual_gaps(now=now)
    return f"{len(made)} bots, {trades} trades"


def registration(bot: DemoBot) -> BotRow:
    """Return a bot as it registers."""
    return BotRow(
        id=bot.name,
        type=bot.type,
        strategy_name="mean cross",
        symbol=bot.symbol,
        quote_currency="USD",
        initial_balance=bot.capital,
        heartbeat_interval_seconds=BEAT_SECONDS,
        config={"fast": bot.fast, "slow": bot.slow, "size": str(bot.size)},
        version="demo",
    )


def is_done(bot: DemoBot) -> bool:
    """Tell whether a bot has come to its end by itself."""
    return bot.status == BotStatus.COMPLETED


def moment(bot: DemoBot, row: CandleRow) -> datetime:
    """Return when a candle is over, and its close known."""
    return row.timestamp + bot.granularity.width


# --- The rule -------------------------------------------------------------------------------


def round_trips(bot: DemoBot, rows: Sequence[CandleRow]) -> Iterator[RoundTrip]:
    """Yield the trades of a bot; each candle is looked at once it is over, and never ahead."""
    begin: CandleRow | None = None
    direction, reach = Direction.LONG, Decimal(0)
    for index in range(max(bot.slow, RANGE) + 1, len(rows)):
        row = rows[index]
        crossing = crossed(bot, rows[index - bot.slow : index + 1])
        if begin is not None:
            sign = 1 if direction == Direction.LONG else -1
            moved = (row.close - begin.close) * sign
            against = crossing is not None and crossing != direction
            reason = (
                "take_profit"
                if moved >= TARGET * reach
                else "stop_loss"
                if moved <= -STOP * reach
                else "signal"
                if against
                else ""
            )
            if reason:
                yield RoundTrip(direction, begin, row, reason)
                begin = None
        if begin is None and crossing is not None:
            ranges = [each.high - each.low for each in rows[index - RANGE : index + 1]]
            begin, direction, reach = row, crossing, sum(ranges, Decimal(0)) / len(ranges)
    if begin is not None:
        yield RoundTrip(direction, begin, None, "")


def crossed(bot: DemoBot, rows: Sequence[CandleRow]) -> Direction | None:
    """Return the side to which the fast mean has just crossed the slow one."""
    closes = [row.close for row in rows]
    before = mean(closes[-bot.fast - 1 : -1]) - mean(closes[:-1])
    after = mean(closes[-bot.fast :]) - mean(closes[1:])
    if before * after >= 0:
        return None
    return Direction.LONG if after > 0 else Direction.SHORT


def mean(values: Sequence[Decimal]) -> Decimal:
    return sum(values, Decimal(0)) / len(values)


# --- What is told ---------------------------------------------------------------------------


def tell(bot: DemoBot, trips: Sequence[RoundTrip], *, now: datetime) -> int:
    """Tell the trades that are not known, and how open ones have ended; return how many are new."""
    known = {
        str(pk): status
        for pk, status in Trade.objects.filter(bot_id=bot.name).values_list("pk", "status")
    }
    told = [trip for trip in trips if trade_id(bot, trip) not in known]
    added = store_trades([trade_row(bot, trip) for trip in told], now=now).created
    for trip in trips:
        if trip.end and known.get(trade_id(bot, trip)) == TradeStatus.OPEN:
            report = ExitReport(
                exit_price=trip.end.close,
                exit_time=moment(bot, trip.end),
                exit_reason=trip.reason,
            )
            close_trade(trade_id=trade_id(bot, trip), report=report, now=now)
    if bot.type == TradeType.LIVE:
        tell_orders(bot, told[-ORDERED:], now=now)
    return added


def trade_id(bot: DemoBot, trip: RoundTrip) -> str:
    return str(uuid.uuid5(NAMES, f"{bot.name} {trip.begin.timestamp.isoformat()}"))


def trade_row(bot: DemoBot, trip: RoundTrip) -> TradeRow:
    """Return a trade as its bot tells it, open or over."""
    row = TradeRow(
        id=trade_id(bot, trip),
        bot_id=bot.name,
        symbol=bot.symbol,
        direction=trip.direction.value,
        size=bot.size,
        quote_currency="USD",
        strategy_name="mean cross",
        interval=bot.granularity.value,
        entry_price=trip.begin.close,
        entry_time=moment(bot, trip.begin),
        commission_rate=FEE,
    )
    if trip.end is not None:
        row.status = TradeStatus.CLOSED.value
        row.exit_price = trip.end.close
        row.exit_time = moment(bot, trip.end)
        row.exit_reason = trip.reason
    return row


def tell_orders(bot: DemoBot, trips: Sequence[RoundTrip], *, now: datetime) -> None:
    """Tell the orders behind some trades, each filled in two parts."""
    orders: list[OrderRow] = []
    fills: list[FillRow] = []
    for trip in trips:
        bought = trip.direction == Direction.LONG
        legs = [("in", trip.begin, bought)]
        if trip.end is not None:
            legs.append(("out", trip.end, not bought))
        for leg, candle, buys in legs:
            name = f"{bot.name}-{trip.begin.timestamp:%Y%m%d%H%M}-{leg}"
            at = moment(bot, candle)
            orders.append(
                OrderRow(
                    order_id=name,
                    bot_id=bot.name,
                    trade_id=trade_id(bot, trip),
                    symbol=bot.symbol,
                    side="buy" if buys else "sell",
                    quantity=bot.size,
                    order_type="limit",
                    price=candle.close,
                    strategy="mean cross",
                    status="accepted",
                    submitted_at=at,
                )
            )
            half = (bot.size / 2).quantize(Decimal("0.01"))
            for number, quantity in enumerate((half, bot.size - half), start=1):
                fills.append(
                    FillRow(
                        order_id=name,
                        fill_id=f"{name}-{number}",
                        quantity=quantity,
                        price=candle.close,
                        commission=(FEE * quantity * candle.close).quantize(Decimal("0.0001")),
                        commission_currency="USD",
                        timestamp=at + timedelta(seconds=number),
                    )
                )
    store_orders(orders, now=now)
    store_fills(fills, now=now)


def beat_all(answers: dict[str, Instruction], *, now: datetime) -> int:
    """Let every bot that lives beat, doing what it was told last; return how many did.

    ``answers`` holds what each was told, and gets what they are told now. One that was stopped
    beats no more; whoever looks after it starts it when it is wanted to run again.
    """
    beaten = 0
    stored = {row.pk: row for row in BotInstance.objects.filter(pk__in=[b.name for b in BOTS])}
    for bot in BOTS:
        row = stored.get(bot.name)
        if row is None or bot.dead or is_done(bot):
            continue
        if row.status == BotStatus.STOPPED:
            if row.desired_state == DesiredState.STOP:
                continue
            answers.pop(bot.name, None)
        told = answers.get(bot.name)
        status = OBEYED[DesiredState(told.desired_state if told else row.desired_state)]
        report = replace(
            report_of(bot, now=now),
            status=status,
            acknowledged=told.instruction if told else None,
        )
        answers[bot.name] = beat(bot_id=bot.name, report=report, now=now)
        beaten += 1
    return beaten


def report_of(bot: DemoBot, *, now: datetime) -> BeatReport:
    """Return what a bot says of itself: balance and open trades as its own books have them."""
    trades = Trade.objects.filter(bot_id=bot.name)
    made: Decimal = trades.leaves().aggregate(net=Sum("net_pnl"))["net"] or Decimal(0)
    return BeatReport(
        status=bot.status,
        current_balance=bot.capital + made,
        total_pnl=made,
        open_positions=trades.open().count(),
        loop_time_ms=Decimal(40 + now.microsecond % 23),
        sent_at=now,
    )


# --- What staff have set --------------------------------------------------------------------


def settings_of_staff(tapes: Mapping[str, Sequence[CandleRow]], *, now: datetime) -> None:
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
