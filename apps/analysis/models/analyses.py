"""Strategies tried out on a symbol: figures, how each was computed, leverage of each trade."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from apps.analysis.choices import AnalysisStatus, Origin
from apps.analysis.models.strategies import StrategyConfiguration
from apps.executions.models import Execution
from apps.shared import fields
from apps.shared.models import CreatedModel, TimestampedModel, finite, known_choices, real


class Analysis(TimestampedModel):
    """One strategy tried out on one symbol and timeframe, by one run.

    Where its trades are known, the figures are computed here; what a program outside reports of
    them is kept beside, and stands in their place only where there are no trades.
    """

    execution = models.ForeignKey(
        Execution,
        models.PROTECT,
        db_column="execution_id",
        db_index=False,  # the unique constraint begins with it
        related_name="analyses",
    )
    symbol = models.CharField(max_length=50)
    timeframe = models.CharField(max_length=10)
    config = models.CharField("configuration", max_length=150)
    strategy_configuration = models.ForeignKey(
        StrategyConfiguration,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="analyses",
        help_text="Empty: a program outside tried it out.",
    )
    status = models.CharField(
        max_length=10, choices=AnalysisStatus, default=AnalysisStatus.COMPLETED
    )
    generated_at = models.DateTimeField("generated", help_text="When it was tried out.")
    total_trades = models.PositiveIntegerField("trades", null=True, blank=True)
    win_rate = models.FloatField(null=True, blank=True, help_text="Share of winning trades, 0–1.")
    total_return = models.FloatField(
        null=True, blank=True, help_text="Of the account over the period, as a fraction."
    )
    sharpe_ratio = models.FloatField("Sharpe", null=True, blank=True)
    max_drawdown = models.FloatField(
        null=True, blank=True, help_text="The deepest fall from a high, as a fraction ≤ 0."
    )
    avg_leverage = models.FloatField("leverage, average", null=True, blank=True)
    origin = models.CharField(
        max_length=8, choices=Origin, default=Origin.NONE, db_default=Origin.NONE
    )
    ranking = models.PositiveIntegerField(
        null=True, blank=True, help_text="Its place among the analyses of its run, by Sharpe."
    )
    source = models.CharField(
        max_length=50, blank=True, db_default="", default="", help_text="Candles tried out on."
    )
    period_start = models.DateTimeField(null=True, blank=True)
    period_end = models.DateTimeField(null=True, blank=True)
    parameters = models.JSONField(
        default=dict, blank=True, help_text="All it was computed with, the defaults included."
    )
    reported = models.JSONField(
        default=dict, blank=True, help_text="Figures that the sender named; never overwritten."
    )
    chart_path = models.CharField(max_length=500, blank=True, db_default="", default="")
    compressed_path = models.CharField(
        "trades file",
        max_length=500,
        blank=True,
        db_default="",
        default="",
        help_text="Parquet, below the media root.",
    )
    trades_checksum = models.CharField(
        max_length=64, blank=True, db_default="", default="", help_text="SHA-256 of the file."
    )
    trades_bytes = models.PositiveBigIntegerField(null=True, blank=True)
    error_message = models.TextField(blank=True, db_default="", default="")

    class Meta:
        db_table = "analyses"
        verbose_name_plural = "analyses"
        constraints = [
            models.UniqueConstraint(
                fields=["execution", "symbol", "timeframe", "config"], name="analyses_one"
            ),
            known_choices("status", AnalysisStatus, name="analyses_status_known"),
            known_choices("origin", Origin, name="analyses_origin_known"),
            models.CheckConstraint(
                condition=~Q(symbol="") & ~Q(timeframe="") & ~Q(config=""), name="analyses_named"
            ),
            real(
                "win_rate", "total_return", "sharpe_ratio", "max_drawdown", "avg_leverage",
                name="analyses_figures_finite",
            ),
            models.CheckConstraint(
                condition=Q(win_rate__isnull=True) | Q(win_rate__gte=0, win_rate__lte=1),
                name="analyses_win_rate_share",
            ),
        ]  # fmt: skip
        indexes = [
            models.Index(fields=["symbol", "timeframe"], name="idx_analyses_symbol"),
            models.Index(fields=["config"], name="idx_analyses_config"),
            models.Index(fields=["generated_at", "id"], name="idx_analyses_generated_at"),
            models.Index(
                models.F("sharpe_ratio").desc(nulls_last=True),
                models.F("id").desc(),
                name="idx_analyses_sharpe_ratio",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.timeframe} {self.config}"


class BacktestMetric(CreatedModel):
    """One figure of an analysis: ours with its definition and sample, and what was reported."""

    analysis = models.ForeignKey(Analysis, models.CASCADE, db_index=False, related_name="metrics")
    metric_name = models.CharField("metric", max_length=100)
    metric_value = models.FloatField(
        "value", null=True, blank=True, help_text="Computed here; empty: see the reason."
    )
    definition = models.CharField(max_length=150, blank=True, db_default="", default="")
    n = models.PositiveIntegerField(null=True, blank=True, help_text="Size of the sample.")
    reason = models.CharField(max_length=255, blank=True, db_default="", default="")
    reported_value = models.FloatField("reported", null=True, blank=True)

    class Meta:
        db_table = "backtest_summary"
        verbose_name = "metric"
        constraints = [
            models.UniqueConstraint(
                fields=["analysis", "metric_name"], name="backtest_summary_one_per_name"
            ),
            models.CheckConstraint(condition=~Q(metric_name=""), name="backtest_summary_named"),
            real("metric_value", "reported_value", name="backtest_summary_finite"),
        ]
        indexes = [models.Index(fields=["created_at", "id"], name="backtest_summary_created_idx")]

    def __str__(self) -> str:
        return f"{self.metric_name} of analysis {self.analysis_id}"


class LeverageCalculation(CreatedModel):
    """How the leverage of one trade came about: every constraint, and which one ruled."""

    analysis = models.ForeignKey(
        Analysis, models.CASCADE, db_index=False, related_name="leverage_calculations"
    )
    trade_number = models.PositiveIntegerField(help_text="Counts from 1.")
    support_distance_pct = fields.Ratio(null=True, blank=True)
    support_constraint_leverage = fields.Ratio(null=True, blank=True)
    risk_reward_ratio = fields.Ratio(null=True, blank=True)
    risk_reward_constraint_leverage = fields.Ratio(null=True, blank=True)
    confidence_pct = fields.Ratio(null=True, blank=True)
    confidence_constraint_leverage = fields.Ratio(null=True, blank=True)
    btc_correlation = fields.Ratio("BTC correlation", null=True, blank=True)
    btc_constraint_leverage = fields.Ratio("BTC constraint leverage", null=True, blank=True)
    volatility_pct = fields.Ratio(null=True, blank=True)
    volatility_constraint_leverage = fields.Ratio(null=True, blank=True)
    trend_strength = models.CharField(max_length=20, blank=True)
    trend_multiplier = fields.Ratio(null=True, blank=True)
    min_constraint_leverage = fields.Ratio(null=True, blank=True)
    safety_margin_pct = fields.Ratio(null=True, blank=True)
    final_leverage = fields.Ratio()
    calculation_timestamp = models.DateTimeField(help_text="The moment the trade was entered.")
    # Beyond the seed: what else it takes to follow the sum.
    risk_multiplier = fields.Ratio(null=True, blank=True)
    scaled_leverage = fields.Ratio(null=True, blank=True, help_text="Before floor and ceiling.")
    floor = fields.Ratio(null=True, blank=True)
    ceiling = fields.Ratio(null=True, blank=True)
    binding_constraint = models.CharField(max_length=20, blank=True)
    bounded_by = models.CharField(max_length=10, blank=True, help_text="Floor or ceiling, if any.")
    formula = models.CharField(max_length=50, blank=True)
    reasons = models.JSONField(
        default=dict, blank=True, help_text="Why a constraint is empty, by its name."
    )

    class Meta:
        db_table = "leverage_calculation_details"
        verbose_name = "leverage calculation"
        constraints = [
            # Also the seed's idx_leverage_trade and, by its first column, idx_leverage_analysis.
            models.UniqueConstraint(
                fields=["analysis", "trade_number"], name="leverage_one_per_trade"
            ),
            models.CheckConstraint(condition=Q(trade_number__gte=1), name="leverage_from_one"),
            models.CheckConstraint(
                condition=Q(final_leverage__gt=0, final_leverage__lt=fields.RATIO_LIMIT),
                name="leverage_final_positive",
            ),
            *(
                finite(name, name=f"leverage_{name[:18]}_finite")
                for name in (
                    "support_distance_pct",
                    "risk_reward_ratio",
                    "confidence_pct",
                    "btc_correlation",
                    "volatility_pct",
                    "min_constraint_leverage",
                )
            ),
        ]
        indexes = [
            models.Index(fields=["calculation_timestamp", "id"], name="leverage_calculated_idx")
        ]

    def __str__(self) -> str:
        return f"Trade {self.trade_number} of analysis {self.analysis_id}"
