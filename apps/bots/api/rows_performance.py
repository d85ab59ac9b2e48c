"""What programs report and ask of how bots have done."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from math import isfinite
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from apps.bots.choices import TradeType
from apps.bots.domain.reported_performance import LONGEST, number_of
from apps.bots.services.equity import FEWEST_POINTS, MOST_POINTS
from apps.shared.api.rows import JsonObject, Key, Moment, Row, choice, text
from apps.shared.api.values import Refused


@dataclass(frozen=True, slots=True)
class ReportedCheck:
    """A number as a program reports it: "NaN" and "Infinity" are told, not refused."""

    def read(self, value: Any) -> Any:
        """Return the value as it was sent; what becomes of it is for the domain to say."""
        if isinstance(value, str) and len(value) > LONGEST:
            raise Refused("too_long", "Has more digits than can be kept.")
        if number_of(value) is None:
            raise Refused("not_a_number", "Must be a number; NaN and Infinity are kept as empty.")
        return value

    def admits(self, column: Sequence[Any], *, short: bool) -> bool:
        """Tell whether all are plain finite numbers."""
        return all(map(isfinite, column))


def reported(description: str) -> Meta:
    """Return the metadata of a figure as it is reported."""
    return Meta(
        description=description,
        extra={"check": ReportedCheck()},
        extra_json_schema={"type": None, "anyOf": [{"type": "number"}, {"type": "string"}]},
    )


Figure = Annotated[float, reported("A ratio; infinite or NaN is kept as empty, with a reason.")]
Percent = Annotated[float, reported("Percent: 55 is 55 %.")]
Number = Annotated[int, reported("How many.")]
Amount = Annotated[Decimal, reported("An amount of the currency.")]
Type = Annotated[str, choice(TradeType, "Whose money it is; types are never added together.")]
Currency = Annotated[
    str, text(10, pattern=r"\S*", description="Of the amounts; that of the bot unless told.")
]


class PerformanceRow(Row, kw_only=True):
    """How a bot says it has done, by trades of one type in one currency, at a moment.

    Figures come as columns or inside ``metrics`` under the same names (a column counts first);
    ``metrics`` is kept whole under ``extra_metadata``.
    """

    bot_id: Key
    trade_type: Type
    quote_currency: Currency | None = None
    calculated_at: Moment
    sharpe_ratio: Figure | None = None
    win_rate: Percent | None = None
    profit_factor: Figure | None = None
    max_drawdown: Percent | None = None
    total_return: Percent | None = None
    total_trades: Number | None = None
    winning_trades: Number | None = None
    losing_trades: Number | None = None
    avg_win: Amount | None = None
    avg_loss: Amount | None = None
    largest_win: Amount | None = None
    largest_loss: Amount | None = None
    net_pnl: Amount | None = None
    equity: Amount | None = None
    open_trades: Number | None = None
    metrics: JsonObject = {}
    extra_metadata: JsonObject = {}


class SnapshotRow(Row):
    """Whose figures are wanted now; those of every bot unless one is named."""

    bot_id: Key | None = None


class EquityQuery(Row):
    """Which course is wanted: by default that of the bot's own type and currency."""

    bot_id: Key
    trade_type: Type | None = None
    quote_currency: Currency | None = None
    since: Moment | None = None
    points: Annotated[int, Meta(ge=FEWEST_POINTS, le=MOST_POINTS)] = MOST_POINTS


class PointAnswer(msgspec.Struct):
    """Net P&L since the beginning of the ledger, and equity where there is capital."""

    time: datetime
    net_pnl: str
    equity: str | None


class EquityAnswer(msgspec.Struct):
    """The course of one ledger; ``reason`` says why there is no initial balance."""

    bot_id: str
    trade_type: str
    quote_currency: str
    initial_balance: str | None
    reason: str
    opening: str
    points: list[PointAnswer]
