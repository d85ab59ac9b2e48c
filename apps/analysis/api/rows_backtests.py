"""What programs send of backtests that ran elsewhere."""

from typing import Annotated

from msgspec import Meta

from apps.shared.api.rows import JsonObject, Key, Moment, Real, Row, Text, text

Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class BacktestResultRow(Row):
    """The figures of a backtest, and its results as they came.

    Figures that are left out are read out of ``results_json`` in any of its shapes (nested, flat,
    failure); rates and returns are fractions, drawdowns negative.
    """

    backtest_id: Key
    timestamp: Moment
    period: Annotated[str, text(50)] = ""
    composite_score: Real | None = None
    confidence_score: Real | None = None
    sortino_ratio: Real | None = None
    sharpe_ratio: Real | None = None
    max_drawdown: Real | None = None
    total_return: Real | None = None
    win_rate: Real | None = None
    total_trades: Count | None = None
    results_json: JsonObject = {}
    config_json: JsonObject = {}
    error_message: Text = ""


class SignalPerformanceRow(Row):
    """How one signal fared in one backtest."""

    backtest_id: Key
    signal_name: Annotated[str, text(100, minimum=1, pattern=r"\S+(?: \S+)*")]
    timestamp: Moment
    mean_return: Real | None = None
    total_contribution: Real | None = None
    win_rate: Real | None = None
    activation_count: Count | None = None
