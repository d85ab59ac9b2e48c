"""The demo's bots: plain rules that trade the demo's candles, and one that died at night.

What a bot did follows from the candles alone, under names that are fixed: telling it again adds
what has become known since, and nothing twice. ``config.demo_live`` lets them beat and go on.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from apps.bots.api.rows_instances import BotRow
from apps.bots.api.rows_orders import FillRow, OrderRow
from apps.bots.api.rows_trades import TradeRow
from apps.bots.choices import (
    BotStatus,
    DesiredState,
    Direction,
    TradeStatus,
    TradeType,
)
from apps.bots.models import BotInstance, CarriedResult, Trade
from apps.bots.services.activity import measure_usual_gaps
from apps.bots.services.departures import departed
from apps.bots.services.exit_reports import ExitReport
from apps.bots.services.exits import close_trade
from apps.bots.services.fills import store_fills
from apps.bots.services.heartbeats import BeatReport, Instruction, beat
from apps.bots.services.instances import register_bots
from apps.bots.services.orders import store_orders
from apps.bots.services.performance import snapshot_bots
from apps.bots.services.trade_summaries import summarize
from apps.bots.services.trades import store_trades
from apps.market.domain.candles import CandleRow
from config import demo_desk
from config.demo_rules import BOTS, DemoBot, RoundTrip, is_done, moment, round_trips

NAMES = uuid.UUID("5f0e8c1a-6a0e-4c55-9d3a-0f1c5d1b7a10")
SPAN = timedelta(weeks=20)
FEE = Decimal("0.0002")
BEAT_SECONDS = 20
ORDERED = 6  # trades with their orders and fills told too, per live bot
# What a bot does of what is wanted of it.
OBEYED = {
    DesiredState.RUN: BotStatus.RUNNING,
    DesiredState.PAUSE: BotStatus.PAUSED,
    DesiredState.STOP: BotStatus.STOPPED,
}
# When the one that died was last heard of, before the demo began.
NIGHT = timedelta(hours=7)


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
        demo_desk.set_limits(tapes, now=now)
        demo_desk.paper_portfolio(since=since, now=now)
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


def tell(bot: DemoBot, trips: Sequence[RoundTrip], *, now: datetime) -> int:
    """Tell the trades that are not known, and how open ones have ended; return how many are new.

    Those that were archived since have been told long ago.
    """
    known = {
        str(pk): status
        for pk, status in Trade.objects.filter(bot_id=bot.name).values_list("pk", "status")
    }
    untold = {trade_id(bot, trip): trip for trip in trips if trade_id(bot, trip) not in known}
    gone = {str(key) for key in departed(untold)}
    told = [trip for key, trip in untold.items() if key not in gone]
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
    # Its books still hold the trades that were archived here.
    books = summarize(
        Trade.objects.filter(bot_id=bot.name),
        carried=CarriedResult.objects.filter(bot_id=bot.name),
    )
    made = sum((each.net_pnl for each in books), Decimal(0))
    return BeatReport(
        status=bot.status,
        current_balance=bot.capital + made,
        total_pnl=made,
        open_positions=sum(each.open for each in books),
        loop_time_ms=Decimal(40 + now.microsecond % 23),
        sent_at=now,
    )
