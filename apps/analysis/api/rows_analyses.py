"""What programs send of strategies and analyses, and what they ask of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from msgspec import Meta

from apps.analysis.choices import AnalysisStatus, Direction
from apps.analysis.domain.trades import TradeRecord
from apps.analysis.services.rankings import MOST_RANKED
from apps.market.choices import Granularity
from apps.shared.api.nested import RowsCheck
from apps.shared.api.rows import (
    ONE,
    JsonObject,
    Key,
    Moment,
    PositiveRatio,
    Price,
    Probability,
    Ratio,
    Real,
    Row,
    Symbol,
    Text,
    Word,
    choice,
    text,
)
from apps.shared.api.values import ManyRefused, RealCheck, Refused, TextCheck, pointer_part
from apps.shared.errors import FieldError

LARGEST = 2**31 - 1
MOST_TRADES = 100_000
MOST_METRICS = 200
MOST_TRADES_SHOWN = 10_000

Count = Annotated[int, Meta(ge=0, le=LARGEST)]
Number = Annotated[int, Meta(ge=1, le=LARGEST)]
Id = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Timeframe = Annotated[
    str, text(10, minimum=1, pattern=r"\S+", description="How long a bar lasts, such as 1h.")
]
Config = Annotated[
    str,
    text(
        150,
        minimum=1,
        pattern=r"\S+(?: \S+)*",
        description="What was tried out: the name of a strategy and its settings.",
    ),
]
Path = Annotated[
    str, text(500, description="Below the media root; relative, without .. and backslashes.")
]
MetricName = Annotated[str, text(100, minimum=1, pattern=r"\S+(?: \S+)*")]
StrategyName = Annotated[str, text(100, minimum=1, pattern=r"\S+(?: \S+)*")]


@dataclass(frozen=True, slots=True)
class FiguresCheck:
    """A JSON object of finite numbers by name, at most ``maximum`` of them."""

    maximum: int

    def read(self, value: Any) -> Mapping[str, float]:
        """Return the numbers that a JSON object stands for."""
        if not isinstance(value, Mapping):
            raise Refused("type", "Must be a JSON object of numbers.")
        if len(value) > self.maximum:
            raise Refused("too_many", f"Must hold at most {self.maximum:,} figures.")
        found: dict[str, float] = {}
        errors: list[FieldError] = []
        for name, each in value.items():
            try:
                found[METRIC_NAME.read(name)] = REAL.read(each)
            except Refused as refused:
                pointer = f"/{pointer_part(name)}"
                errors.append(FieldError(pointer, refused.code, refused.message))
        if errors:
            raise ManyRefused(errors)
        return found

    def admits(self, column: Sequence[Mapping[str, float]], *, short: bool) -> bool:
        """Tell whether there is nothing inside; whatever is must be read one by one."""
        return not any(column)


REAL = RealCheck()
METRIC_NAME = TextCheck(minimum=1, maximum=100, pattern=r"\S+(?: \S+)*")
Figures = Annotated[
    dict[str, float],
    Meta(
        description="Further figures by name, each a finite number.",
        extra={"check": FiguresCheck(MOST_METRICS)},
    ),
]


class StrategyRow(Row):
    """A way to trade one timeframe.

    ``parameters`` in fractions (risk_multiplier, confidence_threshold, max_leverage,
    stop_loss_threshold, take_profit_threshold) or in percent (risk_multiplier, leverage_cap,
    min_risk_reward, confidence_boost, stop_loss_percent, take_profit_percent); besides fee_rate,
    stake and max_bars. ``leverage_parameters`` are constants of the leverage formula that differ.
    """

    name: StrategyName
    base_strategy: Word
    timeframe: Annotated[str, choice(Granularity, "How long one bar lasts.")]
    parameters: JsonObject
    leverage_parameters: JsonObject = {}
    description: Text = ""
    is_active: bool = True


class BacktestTradeRow(Row, kw_only=True):
    """A trade. Percents are of the margin put up, so leveraged; ``net_pct`` is after fees.

    Without ``exit_time`` it is still open and counts in no figure. Results that are not told are
    worked out of the prices; fees that are not told are none.
    """

    trade_number: Number | None = None
    direction: Annotated[str, choice(Direction)] = Direction.LONG.value
    entry_time: Moment
    exit_time: Moment | None = None
    entry_price: Price
    exit_price: Price | None = None
    stop_price: Price | None = None
    target_price: Price | None = None
    leverage: PositiveRatio = ONE
    confidence: Probability | None = None
    exit_reason: Word = ""
    gross_pct: Ratio | None = None
    fees_pct: Ratio | None = None
    net_pct: Ratio | None = None

    def record(self, number: int) -> TradeRecord:
        """Return the trade; ``number`` is what it has unless it names its own."""
        return TradeRecord(
            trade_number=self.trade_number or number,
            direction=1 if self.direction == Direction.LONG else -1,
            entry_time=self.entry_time,
            exit_time=self.exit_time,
            entry_price=self.entry_price,
            exit_price=self.exit_price,
            stop_price=self.stop_price,
            target_price=self.target_price,
            leverage=self.leverage,
            confidence=self.confidence,
            exit_reason=self.exit_reason,
            gross_pct=self.gross_pct,
            fees_pct=self.fees_pct,
            net_pct=self.net_pct,
        )


class LeverageDetailRow(Row, kw_only=True):
    """How the leverage of one trade came about: what each constraint allows, and the result."""

    trade_number: Number
    support_distance_pct: Ratio | None = None
    support_constraint_leverage: Ratio | None = None
    risk_reward_ratio: Ratio | None = None
    risk_reward_constraint_leverage: Ratio | None = None
    confidence_pct: Ratio | None = None
    confidence_constraint_leverage: Ratio | None = None
    btc_correlation: Ratio | None = None
    btc_constraint_leverage: Ratio | None = None
    volatility_pct: Ratio | None = None
    volatility_constraint_leverage: Ratio | None = None
    trend_strength: Annotated[str, text(20)] = ""
    trend_multiplier: Ratio | None = None
    min_constraint_leverage: Ratio | None = None
    safety_margin_pct: Ratio | None = None
    final_leverage: PositiveRatio
    calculation_timestamp: Moment
    risk_multiplier: Ratio | None = None
    scaled_leverage: Ratio | None = None
    floor: Ratio | None = None
    ceiling: Ratio | None = None
    binding_constraint: Annotated[str, text(20)] = ""
    bounded_by: Annotated[str, text(10)] = ""
    formula: Word = ""
    reasons: JsonObject = {}


class LeverageRow(LeverageDetailRow, kw_only=True):
    """How the leverage of one trade of an analysis came about."""

    analysis_id: Id


class MetricRow(Row):
    """A figure as it is reported; it stands beside ours and never in its place."""

    analysis_id: Id
    metric_name: MetricName
    reported_value: Real


Trades = Annotated[
    list[BacktestTradeRow],
    Meta(
        description=f"At most {MOST_TRADES:,}. [] says that it made none.",
        extra={"check": RowsCheck(BacktestTradeRow, MOST_TRADES)},
    ),
]
LeverageDetails = Annotated[
    list[LeverageDetailRow], Meta(extra={"check": RowsCheck(LeverageDetailRow, MOST_TRADES)})
]


class AnalysisRow(Row, kw_only=True):
    """One strategy tried out on one symbol and timeframe, by one execution.

    ``total_trades`` to ``avg_leverage`` and ``metrics`` are figures as you report them: kept
    under ``reported``, and beside each of ours. Send ``trades`` and all figures are computed here
    from them; ``parameters.stake`` is the share of equity that each puts up (0.1 unless told),
    and the period is that of the trades unless told.
    """

    execution_id: Key
    symbol: Symbol
    timeframe: Timeframe
    config: Config
    status: Annotated[str, choice(AnalysisStatus)] = AnalysisStatus.COMPLETED.value
    generated_at: Moment
    total_trades: Count | None = None
    win_rate: Real | None = None
    total_return: Real | None = None
    sharpe_ratio: Real | None = None
    max_drawdown: Real | None = None
    avg_leverage: Real | None = None
    metrics: Figures = {}
    source: Word = ""
    period_start: Moment | None = None
    period_end: Moment | None = None
    parameters: JsonObject = {}
    chart_path: Path = ""
    compressed_path: Path = ""
    error_message: Text = ""
    trades: Trades | None = None
    leverage_details: LeverageDetails | None = None


class TradesQuery(Row):
    """In which form the trades are wanted; ``offset`` and ``limit`` are for JSON."""

    format: Literal["parquet", "json"] = "parquet"
    offset: Count = 0
    limit: Annotated[int, Meta(ge=1, le=MOST_TRADES_SHOWN)] = 1_000


class RankingQuery(Row):
    """Which analyses are ranked. A drawdown is 0 or below: -0.2 asks for falls of at most 20 %."""

    symbol: Symbol | None = None
    timeframe: Timeframe | None = None
    config: Config | None = None
    execution_id: Key | None = None
    sharpe_min: Real | None = None
    win_rate_min: Real | None = None
    max_drawdown_min: Real | None = None
    total_trades_min: Count | None = None
    limit: Annotated[int, Meta(ge=1, le=MOST_RANKED)] = 100
