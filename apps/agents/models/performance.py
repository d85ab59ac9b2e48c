"""How agents have done: their accounts over time, and where they stand among each other."""

from django.db import models

from apps.agents.models.agents import TradingAgent
from apps.shared import fields
from apps.shared.models import CreatedModel, NewUuid, finite, real


class AgentPerformance(CreatedModel):
    """The account of an agent as it stood in one quarter of an hour.

    Model costs are no part of it: they are paid elsewhere. What is undefined is empty, and
    ``reasons`` says why.
    """

    id = models.UUIDField(primary_key=True, db_default=NewUuid(), editable=False)
    agent = models.ForeignKey(
        TradingAgent, models.CASCADE, db_index=False, related_name="performance"
    )
    snapshot_time = models.DateTimeField("as of")
    total_value = fields.Money("equity")
    cash_balance = fields.Money("cash", help_text="Initial balance and what is realized.")
    position_value = fields.Money(help_text="Equity less cash.")
    realized_pnl = fields.Money("realized P&L", help_text="Net of fees.")
    unrealized_pnl = fields.Money("unrealized P&L", help_text="Net of the fees paid so far.")
    total_pnl = fields.Money("total P&L")
    roi_percent = fields.Ratio("return", null=True, blank=True, help_text="Percent.")
    num_trades = models.PositiveIntegerField("trades", default=0, help_text="Over, P&L known.")
    num_winning_trades = models.PositiveIntegerField("won", default=0)
    num_losing_trades = models.PositiveIntegerField("lost", default=0)
    win_rate = fields.Ratio(null=True, blank=True, help_text="Percent.")
    avg_win = fields.Money("average win", null=True, blank=True)
    avg_loss = fields.Money("average loss", null=True, blank=True)
    profit_factor = models.FloatField(null=True, blank=True)
    sharpe_ratio = models.FloatField("Sharpe", null=True, blank=True)
    max_drawdown = fields.Money("drawdown")
    max_drawdown_percent = fields.Ratio("drawdown, percent")
    fees = fields.Money()
    model_cost = fields.Money(help_text="US dollars, so far.")
    open_trades = models.PositiveIntegerField(default=0)
    unknown_trades = models.PositiveIntegerField(
        "P&L unknown", default=0, help_text="Over, but nobody has told at what price."
    )
    unpriced_trades = models.PositiveIntegerField(
        "unpriced", default=0, help_text="Open ones that could not be marked to market."
    )
    peak_value = fields.Money("peak")
    reasons = models.JSONField(default=dict, blank=True)

    class Meta:
        db_table = "agent_performance"
        verbose_name = "agent performance"
        verbose_name_plural = "agent performance"
        constraints = [
            models.UniqueConstraint(
                fields=["agent", "snapshot_time"],
                # The course of an equity is read from the index alone.
                include=["total_pnl"],
                name="agent_performance_one_per_moment",
            ),
            *(
                finite(name, name=f"agent_performance_{name}_finite")
                for name in ("total_value", "realized_pnl", "unrealized_pnl", "max_drawdown")
            ),
            real("profit_factor", "sharpe_ratio", name="agent_performance_figures_real"),
        ]
        indexes = [models.Index(fields=["snapshot_time", "id"], name="idx_agent_performance_time")]

    def __str__(self) -> str:
        return f"{self.agent_id} at {self.snapshot_time:%Y-%m-%d %H:%M}"
