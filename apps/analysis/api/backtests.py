"""What programs send and read of backtests that ran elsewhere."""

from collections.abc import Sequence

from django.utils import timezone

from apps.analysis.api.rows_backtests import BacktestResultRow, SignalPerformanceRow
from apps.analysis.models import BacktestResult, SignalPerformance
from apps.analysis.services import backtests
from apps.shared.api.filters import ANY_OF, RANGE
from apps.shared.api.viewsets import FactViewSet
from apps.shared.ingest import Ingested


class BacktestResultViewSet(FactViewSet):
    """Results of backtests that ran elsewhere; their signals are stored along with them."""

    queryset = BacktestResult.objects.all()
    row = BacktestResultRow
    lookup_field = "backtest_id"
    lookup_value_regex = ".+"
    fields = [
        "backtest_id",
        "timestamp",
        "period",
        "composite_score",
        "confidence_score",
        "sortino_ratio",
        "sharpe_ratio",
        "max_drawdown",
        "total_return",
        "win_rate",
        "total_trades",
        "shape",
        "error_message",
        "differing",
        "results_json",
        "config_json",
        "created_at",
    ]
    filterset_fields = {
        "period": ANY_OF,
        "shape": ANY_OF,
        "timestamp": RANGE,
        "sharpe_ratio": RANGE,
        "max_drawdown": RANGE,
        "total_return": RANGE,
        "win_rate": RANGE,
        "total_trades": RANGE,
    }
    ordering_fields = ["timestamp"]

    def store(self, rows: Sequence[BacktestResultRow]) -> Ingested:
        """Store them with what their JSON says."""
        return backtests.store_backtest_results(rows, now=timezone.now())


class SignalPerformanceViewSet(FactViewSet):
    """How each signal fared in each backtest."""

    queryset = SignalPerformance.objects.all()
    row = SignalPerformanceRow
    key = ["backtest_id", "signal_name"]
    fields = ["id", *SignalPerformanceRow.__struct_fields__, "created_at"]
    filterset_fields = {
        "backtest_id": ANY_OF,
        "signal_name": ANY_OF,
        "timestamp": RANGE,
        "mean_return": RANGE,
        "total_contribution": RANGE,
        "win_rate": RANGE,
    }
    ordering_fields = ["timestamp"]

    def store(self, rows: Sequence[SignalPerformanceRow]) -> Ingested:
        """Store them under their backtests."""
        return backtests.store_signal_performance(rows, now=timezone.now())
