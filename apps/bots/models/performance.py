"""How bots have done."""

from django.db import models

from apps.bots.choices import Origin, TradeType
from apps.bots.models.instances import BotInstance
from apps.shared import fields
from apps.shared.models import CreatedModel, NewUuid, finite, known_choices, real


class BotPerformance(CreatedModel):
    """The figures of a bot's closed trades of one type and currency, at a moment.

    What is computed here stands beside what the bot reports. Percentages are percent; what is
    undefined is empty, and ``reasons`` says why.
    """

    id = models.UUIDField(primary_key=True, db_default=NewUuid(), editable=False)
    bot = models.ForeignKey(BotInstance, models.CASCADE, db_index=False, related_name="performance")
    trade_type = models.CharField("type", max_length=12, choices=TradeType)
    quote_currency = models.CharField("currency", max_length=10, blank=True)
    origin = models.CharField(max_length=8, choices=Origin)
    calculated_at = models.DateTimeField("calculated")
    sharpe_ratio = models.FloatField("Sharpe", null=True, blank=True)
    win_rate = models.FloatField(null=True, blank=True, help_text="Percent.")
    profit_factor = models.FloatField(null=True, blank=True)
    max_drawdown = models.FloatField(null=True, blank=True, help_text="Percent.")
    total_return = models.FloatField(null=True, blank=True, help_text="Percent.")
    total_trades = models.PositiveIntegerField("trades", null=True, blank=True)
    winning_trades = models.PositiveIntegerField("won", null=True, blank=True)
    losing_trades = models.PositiveIntegerField("lost", null=True, blank=True)
    avg_win = fields.Money("average win", null=True, blank=True)
    avg_loss = fields.Money("average loss", null=True, blank=True)
    largest_win = fields.Money(null=True, blank=True)
    largest_loss = fields.Money(null=True, blank=True)
    net_pnl = fields.Money("net P&L", null=True, blank=True)
    equity = fields.Money(null=True, blank=True, help_text="Initial balance and net P&L.")
    open_trades = models.PositiveIntegerField(null=True, blank=True)
    definitions = models.JSONField(default=dict, blank=True)
    reasons = models.JSONField(default=dict, blank=True)
    extra_metadata = models.JSONField(default=dict, blank=True)

    class Meta:
        db_table = "performance_metrics"
        verbose_name = "bot performance"
        constraints = [
            models.UniqueConstraint(
                fields=["bot", "trade_type", "quote_currency", "origin", "calculated_at"],
                name="performance_metrics_one_per_time",
            ),
            known_choices("trade_type", TradeType, name="performance_metrics_type_known"),
            known_choices("origin", Origin, name="performance_metrics_origin_known"),
            real(
                "sharpe_ratio",
                "win_rate",
                "profit_factor",
                "max_drawdown",
                "total_return",
                name="performance_metrics_finite",
            ),
            *(
                finite(name, name=f"performance_metrics_{name}_finite")
                for name in (
                    "avg_win",
                    "avg_loss",
                    "largest_win",
                    "largest_loss",
                    "net_pnl",
                    "equity",
                )
            ),
        ]
        indexes = [
            models.Index(fields=["calculated_at", "id"], name="performance_metrics_time_idx")
        ]

    def __str__(self) -> str:
        kind = f"{self.trade_type} {self.origin}"
        return (
            f"{self.bot_id} {kind} at {self.calculated_at:%Y-%m-%d %H:%M:%S} ({str(self.id)[:8]})"
        )
