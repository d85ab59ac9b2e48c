"""Where agents stand among each other."""

from django.db import models
from django.db.models import Q

from apps.agents.choices import Period, Verdict
from apps.agents.models.agents import TradingAgent
from apps.shared import fields
from apps.shared.models import CreatedModel, known_choices, real


class AgentStanding(CreatedModel):
    """A line of the league: what an agent, or one version of its prompt, has come to.

    Made anew each quarter of an hour. Agents of real and of pretended money are ranked apart;
    who has too little to show is not ranked.
    """

    agent = models.ForeignKey(
        TradingAgent, models.CASCADE, db_index=False, related_name="standings"
    )
    period = models.CharField(max_length=3, choices=Period)
    prompt_version = models.CharField(
        max_length=64, blank=True, help_text="Empty: all of them together."
    )
    computed_at = models.DateTimeField("as of")
    began_at = models.DateTimeField("since", null=True, blank=True)
    days = fields.Ratio(default=0)
    rank = models.PositiveIntegerField(null=True, blank=True)
    rank_low = models.PositiveIntegerField(null=True, blank=True, help_text="At best, in 95 %.")
    rank_high = models.PositiveIntegerField(null=True, blank=True, help_text="At worst, in 95 %.")
    verdict = models.CharField(max_length=11, choices=Verdict)
    verdict_reason = models.TextField("why", blank=True)
    net_return = fields.Ratio(
        "return", null=True, blank=True, help_text="Percent, net of fees and of model cost."
    )
    return_low = fields.Ratio(null=True, blank=True, help_text="Percent, in 95 %.")
    return_high = fields.Ratio(null=True, blank=True, help_text="Percent, in 95 %.")
    net_pnl = fields.Money("net P&L", help_text="Before model cost.")
    model_cost = fields.Money(help_text="US dollars.")
    max_drawdown_percent = fields.Ratio("drawdown", null=True, blank=True, help_text="Percent.")
    sharpe_ratio = models.FloatField("Sharpe", null=True, blank=True)
    trades = models.PositiveIntegerField(default=0)
    winning_trades = models.PositiveIntegerField("won", default=0)
    unknown_trades = models.PositiveIntegerField("P&L unknown", default=0)
    open_trades = models.PositiveIntegerField(default=0)
    calls = models.PositiveIntegerField(default=0)
    decisions = models.PositiveIntegerField(default=0)
    accepted = models.PositiveIntegerField(default=0)
    rejected = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    unreadable = models.PositiveIntegerField(default=0)
    holds = models.PositiveIntegerField(default=0)
    model_share = fields.Ratio(
        "model-driven", null=True, blank=True, help_text="Accepted of all decisions."
    )
    model_share_low = fields.Ratio(null=True, blank=True)
    model_share_high = fields.Ratio(null=True, blank=True)
    cost_per_decision = fields.Money(null=True, blank=True, help_text="US dollars.")
    judged = models.PositiveIntegerField(default=0)
    hits = models.PositiveIntegerField(default=0)
    hit_rate = fields.Ratio(null=True, blank=True)
    brier = models.FloatField("Brier score", null=True, blank=True)
    hold_return = fields.Ratio("buy and hold", null=True, blank=True, help_text="Percent.")
    equal_return = fields.Ratio("equal weight", null=True, blank=True, help_text="Percent.")
    reasons = models.JSONField(default=dict, blank=True)

    class Meta:
        db_table = "agent_standings"
        verbose_name = "standing"
        constraints = [
            models.UniqueConstraint(
                fields=["agent", "period", "prompt_version"], name="agent_standings_one_per_period"
            ),
            known_choices("period", Period, name="agent_standings_period_known"),
            known_choices("verdict", Verdict, name="agent_standings_verdict_known"),
            models.CheckConstraint(
                condition=Q(rank__isnull=True)
                | Q(prompt_version="", rank_low__isnull=False, rank_high__isnull=False),
                name="agent_standings_rank_whole",
            ),
            real("sharpe_ratio", "brier", name="agent_standings_figures_real"),
        ]
        indexes = [
            models.Index(fields=["computed_at", "id"], name="agent_standings_computed_idx"),
            models.Index(fields=["period", "rank"], name="agent_standings_period_idx"),
        ]

    def __str__(self) -> str:
        of = f"{self.agent_id} {self.period}"
        return f"{of} {self.prompt_version}" if self.prompt_version else of
