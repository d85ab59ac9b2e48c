"""The rule that the demo's bots follow, and who they are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from apps.bots.choices import BotStatus, Direction, TradeType
from apps.market.choices import Granularity
from apps.market.domain.candles import CandleRow

RANGE = 14  # candles of the mean range by which targets and stops are set
TARGET, STOP = Decimal(6), Decimal(3)  # in mean ranges


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


def is_done(bot: DemoBot) -> bool:
    """Tell whether a bot has come to its end by itself."""
    return bot.status == BotStatus.COMPLETED


def moment(bot: DemoBot, row: CandleRow) -> datetime:
    """Return when a candle is over, and its close known."""
    return row.timestamp + bot.granularity.width


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
