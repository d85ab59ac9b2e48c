"""Results of backtests that ran outside, and how each signal fared in them."""

from django.db import models
from django.db.models import Q

from apps.analysis.choices import ResultShape
from apps.shared.models import CreatedModel, known_choices, real


class BacktestResult(CreatedModel):
    """What a backtest outside reported: its figures, and its results as they came.

    A figure that was not named is read out of ``results_json``; one that says something else than
    the results do is listed in ``differing``.
    """

    backtest_id = models.CharField(max_length=255, help_text="The sender's own name for it.")
    timestamp = models.DateTimeField()
    period = models.CharField(max_length=50, blank=True)
    composite_score = models.FloatField(null=True, blank=True)
    confidence_score = models.FloatField(null=True, blank=True)
    sortino_ratio = models.FloatField("Sortino", null=True, blank=True)
    sharpe_ratio = models.FloatField("Sharpe", null=True, blank=True)
    max_drawdown = models.FloatField(null=True, blank=True)
    total_return = models.FloatField(null=True, blank=True)
    win_rate = models.FloatField(null=True, blank=True)
    total_trades = models.PositiveIntegerField("trades", null=True, blank=True)
    results_json = models.JSONField("results", default=dict, blank=True)
    config_json = models.JSONField("configuration", default=dict, blank=True)
    shape = models.CharField(max_length=10, choices=ResultShape, default=ResultShape.NONE)
    error_message = models.TextField(blank=True, db_default="", default="")
    differing = models.JSONField(
        default=dict, blank=True, help_text="Figures that the results give otherwise, by name."
    )

    class Meta:
        db_table = "backtest_results"
        constraints = [
            models.UniqueConstraint(fields=["backtest_id"], name="backtest_results_one_per_id"),
            models.CheckConstraint(condition=~Q(backtest_id=""), name="backtest_results_named"),
            known_choices("shape", ResultShape, name="backtest_results_shape_known"),
            real(
                "composite_score", "confidence_score", "sortino_ratio", "sharpe_ratio",
                "max_drawdown", "total_return", "win_rate",
                name="backtest_results_finite",
            ),
        ]  # fmt: skip
        indexes = [models.Index(fields=["timestamp", "id"], name="backtest_results_timestamp_idx")]

    def __str__(self) -> str:
        return self.backtest_id


class SignalPerformance(CreatedModel):
    """How one signal fared in one backtest."""

    backtest = models.ForeignKey(
        BacktestResult,
        models.CASCADE,
        to_field="backtest_id",
        db_column="backtest_id",
        db_index=False,  # the unique constraint begins with it
        related_name="signals",
    )
    signal_name = models.CharField("signal", max_length=100)
    timestamp = models.DateTimeField()
    mean_return = models.FloatField(null=True, blank=True)
    total_contribution = models.FloatField(null=True, blank=True)
    win_rate = models.FloatField(null=True, blank=True)
    activation_count = models.PositiveIntegerField("activations", null=True, blank=True)

    class Meta:
        db_table = "signal_performance"
        verbose_name_plural = "signal performance"
        constraints = [
            models.UniqueConstraint(
                fields=["backtest", "signal_name"], name="signal_performance_one"
            ),
            models.CheckConstraint(condition=~Q(signal_name=""), name="signal_performance_named"),
            real("mean_return", "total_contribution", "win_rate", name="signal_performance_finite"),
        ]
        indexes = [
            models.Index(fields=["timestamp", "id"], name="signal_perf_timestamp_idx"),
            models.Index(fields=["signal_name", "timestamp"], name="signal_perf_name_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.signal_name} in backtest {self.backtest_id}"
